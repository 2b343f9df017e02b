"""What layout analysis hands to sectioning: headings, paragraphs and tables in reading order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from pedcorpus.extractors.headings import RANKS, marker_of
from pedcorpus.records import Box

_LATIN_EDGE = re.compile(r"[A-Za-z0-9,;:)%]$")
_LATIN_START = re.compile(r"^[A-Za-z0-9(]")
_HYPHEN = re.compile(r"[A-Za-z]{2}[-\u00ad\u2010\ufffe]$")
_OPEN_SENTENCE = re.compile(r"[。！？!?：:；;]['”’」』）)】〕]*$")


@dataclass(slots=True)
class Block:
    """A heading, a paragraph, or a table whose rows are lines of ``text``.

    ``level`` is the marker of a heading (see `pedcorpus.extractors.headings`), ``line`` the heading with it. ``page_starts`` are
    (page, offset) of the pages that begin inside the block, ``seams`` offsets where a page mark was
    taken out of a sentence.
    """

    kind: Literal["heading", "paragraph", "table"]
    text: str
    level: str | None = None
    line: str = ""
    page: int | None = None
    boxes: list[Box] = field(default_factory=list)
    page_starts: list[tuple[int, int]] = field(default_factory=list)
    seams: list[int] = field(default_factory=list)

    def extend(self, text: str, *, page: int | None = None, seam: bool = False) -> None:
        """Join a line to the paragraph; ``page`` is the new page when one begins with it."""
        glue = joint(self.text, text)
        if glue == "-":
            self.text = self.text[:-1]
            glue = ""
        self.text += glue
        last = self.page_starts[-1][0] if self.page_starts else self.page
        if page is not None and page != last:
            self.page_starts.append((page, len(self.text)))
        if seam and not _OPEN_SENTENCE.search(self.text):
            self.seams.append(len(self.text))
        self.text += text

    def add_line(
        self,
        text: str,
        page: int | None = None,
        page_starts: Sequence[tuple[int, int]] = (),
        seams: Sequence[int] = (),
    ) -> None:
        """Put a row below a table, with the pages that begin before it and in it."""
        self.text += "\n"
        last = self.page_starts[-1][0] if self.page_starts else self.page
        if page is not None and page != last:
            self.page_starts.append((page, len(self.text)))
        self.page_starts += [(number, offset + len(self.text)) for number, offset in page_starts]
        self.seams += [offset + len(self.text) for offset in seams]
        self.text += text


def demote_list_items(blocks: list[Block]) -> list[Block]:
    """Headings that are items of a list made paragraphs again: those beside a paragraph with the same marker.

    So the last point of a list, which has no full stop, opens no section.
    """
    settled: list[Block] = []
    for index, block in enumerate(blocks):
        if block.kind == "heading" and block.line and block.level not in ("volume", "chapter", "section", "bracket"):
            after = blocks[index + 1] if index + 1 < len(blocks) else None
            before = settled[-1] if settled else None
            if (after is not None and after.kind == "paragraph" and marker_of(after.text) == block.level) or (
                before is not None
                and before.kind == "paragraph"
                and before.text.endswith(("；", ";"))
                and marker_of(before.text) == block.level
            ):
                block = Block("paragraph", block.line, page=block.page, boxes=block.boxes)
        settled.append(block)
    return settled


_STRUCTURE = frozenset({"volume", "chapter", "section", "md1"})


def ranks(blocks: Sequence[Block]) -> list[float | None]:
    """The rank of each heading, the lower, the more it closes; None for what is no heading.

    Whether 【病因】 or 一、 ranks higher, the first of them in the document says.
    """
    first = next(
        (block.level for block in blocks if block.kind == "heading" and block.level in ("bracket", "han")), None
    )
    known = {**RANKS, "bracket": 3.7} if first == "bracket" else RANKS
    return [known[block.level or "size"] if block.kind == "heading" else None for block in blocks]


def is_line(blocks: Sequence[Block], known: Sequence[float | None], index: int) -> bool:
    """Whether the heading at ``index`` has nothing under it, so that it is a line of text, such as the item of a list.

    A chapter without text is a chapter still.
    """
    block, own = blocks[index], known[index]
    if own is None or block.level in _STRUCTURE or marker_of(block.text) in _STRUCTURE:
        return False
    if index + 1 == len(blocks):
        return True
    after = known[index + 1]
    return after is not None and after <= own


def has_text(blocks: Sequence[Block]) -> bool:
    """Whether there is more than headings of chapters."""
    known = ranks(blocks)
    return any(own is None or is_line(blocks, known, index) for index, own in enumerate(known))


def joint(before: str, after: str) -> str:
    """What stands between two joined lines: nothing for Chinese, a blank between Latin words, ``-`` for a hyphen to drop."""
    if not before or not after:
        return ""
    if _HYPHEN.search(before) and after[0].isascii() and after[0].islower():
        return "-"
    if _LATIN_EDGE.search(before) and _LATIN_START.search(after):
        return "" if before[-1].isdigit() and after[0].isdigit() else " "
    return ""
