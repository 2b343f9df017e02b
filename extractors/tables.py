"""Rows of a table as text in which each row reads by itself: ``药物：甲；剂量：乙``."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pedcorpus.extractors.blocks import joint

Cells = Sequence[str | None]
_GROUP = re.compile(r"\d.*(?:岁|月|周|天|日龄|胎龄|kg|公斤)|[<＜>＞≤≥].*\d", re.IGNORECASE)
_AMOUNT = re.compile(r"mg|m[lL]|毫[克升]|[μµu]g|微克|\d ?g|片|袋|粒|包|滴|支|次|IU|单位|U/", re.IGNORECASE)
"""A column may be named after an age or a weight, never after an amount."""


def tidy(row: Cells) -> list[str]:
    """Cells with blanks and line breaks folded, nothing for a missing one."""
    return [" ".join((cell or "").split()) for cell in row]


def fold_lines(lines: Sequence[str]) -> str:
    """The lines of one cell as one text. Two numbers on two lines stay two numbers, and a hyphen stays."""
    text = ""
    for line in (line.strip() for line in lines):
        numbers = text[-1:].isdigit() and line[:1].isdigit()
        text += (" " if numbers else joint(text, line).strip("-")) + line
    return text


def is_amount(cell: str) -> bool:
    """Whether a cell says how much to give."""
    return bool(_AMOUNT.search(cell)) and any(c.isdigit() for c in cell)


def is_header(row: Cells, body: Sequence[Cells]) -> bool:
    """Whether ``row`` names the columns: short cells that no row below repeats, without digits but in ages and weights."""
    cells = tidy(row)
    below = [tidy(other) for other in body]
    named = [cell for cell in cells if cell]
    if len(named) < 2 or any(len(cell) > 14 for cell in named) or any(c.isdigit() for c in named[0]):
        return False
    for column, cell in enumerate(cells):
        others = [row[column] for row in below if column < len(row)]
        if cell and cell in others:
            return False
        if any(c.isdigit() for c in cell) and (
            not _GROUP.search(cell) or is_amount(cell) or any(_GROUP.search(other) for other in others)
        ):
            return False
    return True


def table_text(header: Cells | None, body: Sequence[Cells]) -> str:
    """One line a row, each cell after its column's name where the table has a header."""
    names = tidy(header) if header is not None else []
    lines = []
    for row in body:
        cells = tidy(row)
        padded = [*names, *[""] * len(cells)]
        lines.append(
            "；".join(f"{name}：{cell}" if name else cell for name, cell in zip(padded, cells, strict=False) if cell)
        )
    return "\n".join(line for line in lines if line)
