"""The card's pictures, as PNG: that is what the Hub shows, wherever the page is read.

Labels are the program's own names, drawn with the font that Pillow carries and its plain layout, so that no font of
the machine has a say in the bytes. Chinese names stand in the card's tables instead.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING

from pedcorpus.manifests import StageLine
from pedcorpus.records import SPLITS, TASKS
from pedcorpus.statistics import BINS, Statistics

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

_WIDTH, _LEFT, _LINE, _TOP, _MARGIN = 1440, 330, 74, 150, 36
_TITLE, _TEXT, _SMALL = 44, 36, 32
_INK, _SOFT, _PAPER = "#111827", "#4b5563", "#ffffff"
_BLUE, _ORANGE, _GREEN = "#1d4ed8", "#d97706", "#0f766e"
_Bars = tuple[str, Sequence[tuple[int, str]], str]
"""A name, bars as (count, colour), and a label."""
_SPLIT_COLOURS = dict(zip(SPLITS, (_BLUE, _ORANGE, _GREEN), strict=True))


@cache
def _font(size: int) -> FreeTypeFont:
    from PIL import ImageFont

    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font.font_variant(layout_engine=ImageFont.Layout.BASIC)


class _Canvas:
    """A white sheet with a title; ``lines`` rows below it."""

    def __init__(self, title: str, lines: int, top: int = _TOP) -> None:
        from PIL import Image, ImageDraw

        self.top = top
        self.image = Image.new("RGB", (_WIDTH, top + lines * _LINE + _MARGIN), _PAPER)
        self.draw = ImageDraw.Draw(self.image)
        self.text(_MARGIN, 44, title, size=_TITLE)

    def text(self, x: float, y: float, text: str, size: int = _TEXT, colour: str = _INK, anchor: str = "lm") -> None:
        """Text at a point that ``anchor`` names in Pillow's way; ``lm`` is its left end, halfway up."""
        self.draw.text((x, y), text, font=_font(size), fill=colour, anchor=anchor)

    def middle(self, line: int) -> int:
        """Halfway up a line."""
        return self.top + line * _LINE + _LINE // 2

    def bars(self, lines: Sequence[_Bars]) -> None:
        """Lines of a name, bars one behind the other, and a label behind them. What is there shows, however small."""
        most = max([1, *(sum(count for count, _ in parts) for _, parts, _ in lines)])
        labels = max([0.0, *(_font(_SMALL).getlength(label) for _, _, label in lines)])
        width = _WIDTH - _LEFT - _MARGIN - 40 - labels
        for line, (name, parts, label) in enumerate(lines):
            y, x = self.middle(line), _LEFT
            self.text(_LEFT - 22, y, name, anchor="rm")
            for count, colour in parts:
                if count:
                    end = x + max(5, round(width * count / most))
                    self.draw.rectangle((x, y - 22, end - 1, y + 22), fill=colour)
                    x = end
            self.text(x + 18, y, label, size=_SMALL, colour=_SOFT)

    def legend(self, names: Mapping[str, str]) -> None:
        """Names with their colours, under the title."""
        x = _LEFT
        for name, colour in names.items():
            self.draw.rectangle((x, 92, x + 30, 122), fill=colour)
            self.text(x + 42, 107, name, size=_SMALL, colour=_SOFT)
            x += 42 + round(_font(_SMALL).getlength(name)) + 48

    def png(self) -> bytes:
        """The file."""
        held = io.BytesIO()
        self.image.save(held, "PNG", compress_level=9)
        return held.getvalue()


def rows_picture(rows: Mapping[str, Mapping[str, int]]) -> bytes:
    """Rows by config and split."""
    tasks = [task for task in TASKS if task in rows]
    canvas = _Canvas("Rows by config and split", len(tasks))
    canvas.legend(_SPLIT_COLOURS)
    lines: list[_Bars] = []
    for task in tasks:
        parts = [(rows[task].get(split, 0), _SPLIT_COLOURS[split]) for split in SPLITS]
        lines.append((task, parts, " / ".join(f"{count:,}" for count, _ in parts)))
    canvas.bars(lines)
    return canvas.png()


def lengths_picture(statistics: Statistics) -> bytes:
    """Answer lengths: for each config the share of its rows in each bin, the darker the more."""
    tasks = [task for task in TASKS if task in statistics.configs]
    canvas = _Canvas("Characters of an answer, share of a config's rows", len(tasks))
    names = [f"< {BINS[0]}", *(f"{low}-{high - 1}" for low, high in pairwise(BINS)), f"{BINS[-1]}+"]
    width = (_WIDTH - _LEFT - _MARGIN) // len(names)
    for column, name in enumerate(names):
        canvas.text(_LEFT + column * width + width // 2, 118, name, size=_SMALL - 2, colour=_SOFT, anchor="mm")
    for line, task in enumerate(tasks):
        figures = statistics.configs[task]
        y = canvas.middle(line)
        canvas.text(_LEFT - 22, y, task, anchor="rm")
        for column, count in enumerate(figures.bins()):
            share = count / figures.rows if figures.rows else 0.0
            x = _LEFT + column * width
            canvas.draw.rectangle((x + 2, y - 34, x + width - 3, y + 34), fill=_shade(share))
            if count:
                colour = _PAPER if share > 0.45 else _INK
                text = f"{share:.0%}" if share >= 0.01 else "< 1%"
                canvas.text(x + width // 2, y, text, size=_SMALL, colour=colour, anchor="mm")
    return canvas.png()


def _shade(share: float) -> tuple[int, int, int]:
    """From the paper's grey to blue; the root lifts small shares."""
    weight = share**0.5
    light, dark = (243, 244, 246), (29, 78, 216)
    red, green, blue = (round(a + (b - a) * weight) for a, b in zip(light, dark, strict=True))
    return red, green, blue


def stages_picture(stages: Sequence[StageLine]) -> bytes:
    """What each stage kept and dropped."""
    canvas = _Canvas("What each stage kept and dropped", len(stages))
    canvas.legend({"kept": _BLUE, "dropped": _ORANGE})
    lines: list[_Bars] = []
    for stage in stages:
        dropped = sum(stage["rejected"].values())
        label = f"{stage['kept']:,} kept" + (f", {dropped:,} dropped" if dropped else "")
        lines.append((stage["name"], [(stage["kept"], _BLUE), (dropped, _ORANGE)], label))
    canvas.bars(lines)
    return canvas.png()
