"""Lines of flattened text back into paragraphs.

Three kinds of text are told apart by their line lengths: *wrapped* (one visual line a line, as PDF text
comes out), *fragments* (a web page cut at every change of font) and *whole* (a paragraph a line).
A page number may stand inside a sentence, and a bare number may be content; which it is, the run of
numbers through the file tells.
"""

from __future__ import annotations

import re
import statistics
import unicodedata
from collections.abc import Sequence
from itertools import pairwise

from pedcorpus.deidentify import ROLE_LABEL
from pedcorpus.extractors.blocks import Block, demote_list_items
from pedcorpus.extractors.headings import FINDINGS_LABEL, TREATMENT_LABEL, Heading, heading_of, marker_of

_DASHED = re.compile(r"^[ 　]*[-—–－一―]{1,2}[ 　]*(\d{1,4})[ 　]*[-—–－一―]{1,2}[ 　]*$")
_HALF_DASHED = re.compile(r"^[ 　]*(?:[-—–－一―]{1,2}[ 　]*(\d{1,4})|(\d{1,4})[ 　]*[-—–－―]{1,2})[ 　]*$")
_BARE = re.compile(r"^[ 　]*(\d{1,4})[ 　]*$")
_FOOT = re.compile(r"^[ 　]*第[ 　]*(\d{1,4})[ 　]*页(?:[ 　]*[/,，共][ 　]*共?[ 　]*\d+[ 　]*页)?[ 　]*$")
_LONE_DASH = re.compile(r"^[ 　]*[-—–－―]{1,3}[ 　]*$")
_FULL_STOP = re.compile(r"[。！？!?；;：:][”’」』）)】〕]*$")
_CLOSED = re.compile(r"[。！？!?][”’」』）)】〕]*$")
_ENDED = re.compile(r"[。！？!?；;：:，,、][”’」』）)】〕]*$")
_WEB_FOOT = re.compile(r"网站地图|ICP备案|版权所有|技术支持：|^相关链接|邮编：\d{6}")
_FOOT_LINES = 12
_PAGE_LINES = 5
"""Lines that a page has at least: numbers that mostly follow one another more closely are a table's."""
_TABLE_CAPTION = re.compile(r"^[ 　]*表[ 　]?\d+[-－.．]?\d*")
_TITLE = re.compile(r"指南|方案|规范|共识|年版|^附件|^附录")
_OPEN = re.compile(r"[，、,（(《“]$|[（(][^（）()]*$")
_LABEL = re.compile(r"^[^，。；：:]{1,8}[：:]")


def width(line: str) -> int:
    """Display width: a Han character or full-width mark counts two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def page_marks(lines: Sequence[str]) -> dict[int, int | None]:
    """Line index to page number for lines that are page marks; None for a dash that broke off its number.

    Marks between dashes or ``第 3 页`` are; so is one that has lost a dash, where the mark before or after it
    fits. Bare numbers are when most of them count up one by one through the file; elsewhere they are content
    (ages, hours, doses) and stay.
    """
    marks: dict[int, int | None] = {}
    halves: list[tuple[int, int]] = []
    bare: list[tuple[int, int]] = []
    for index, line in enumerate(lines):
        if strong := _DASHED.match(line) or _FOOT.match(line):
            marks[index] = int(strong[1])
        elif half := _HALF_DASHED.match(line):
            halves.append((index, int(half[1] or half[2])))
        elif _BARE.match(line):
            bare.append((index, int(line.strip(" 　"))))
    whole = list(marks.items())
    for index, number in halves:
        before = next((mark for place, mark in reversed(whole) if place < index), None)
        after = next((mark for place, mark in whole if place > index), None)
        if before == number - 1 or after == number + 1:
            marks[index] = number
    for index in [index - 1 for index in marks if index and _LONE_DASH.match(lines[index - 1])]:
        marks[index] = None
    run = _counting_run(bare)
    if len(run) >= 3 and len(run) * 3 >= len(bare) * 2:
        gaps = [after - before for (before, _), (after, _) in pairwise(run)]
        if statistics.median(gaps) > _PAGE_LINES:
            marks.update(run)
    return marks


def _counting_run(bare: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest chain of numbers that go up by one each, in file order."""
    best: dict[int, list[tuple[int, int]]] = {}
    longest: list[tuple[int, int]] = []
    for index, number in bare:
        chain = [*best.get(number - 1, []), (index, number)]
        if len(chain) > len(best.get(number, [])):
            best[number] = chain
        if len(chain) > len(longest):
            longest = chain
    return longest


def kind_of(lines: Sequence[str]) -> str:
    """``wrapped``, ``fragments`` or ``whole``."""
    widths = [width(line.strip()) for line in lines if line.strip()]
    if len(widths) < 8:
        return "whole"
    middle = statistics.median(widths)
    high = statistics.quantiles(widths, n=20)[-1]
    unfinished = sum(not _FULL_STOP.search(line.strip()) for line in lines if line.strip())
    if middle <= 20 and unfinished > 0.7 * len(widths) and high > 2.2 * middle:
        return "fragments"
    if middle >= 24 and high <= 1.6 * middle and unfinished > 0.5 * len(widths):
        return "wrapped"
    return "whole"


def paragraphs(text: str) -> list[Block]:
    """Blocks of a flattened text, in order, with page numbers where the text has page marks."""
    lines = text.split("\n")
    marks = page_marks(lines)
    numbers = {index: number for index, number in marks.items() if number is not None}
    at_foot = bool(numbers) and any(line.strip() for line in lines[: min(numbers)])
    page = min(numbers.values()) if len(numbers) >= 2 else None
    body = _without_web_foot([line for index, line in enumerate(lines) if index not in marks])
    kind, full = kind_of(body), _full_width(body)
    blocks: list[Block] = []
    seam = in_table = False
    fullness = 0.0
    blank = True
    left = len(body)
    for index, line in enumerate(lines):
        if index in marks:
            if page is not None and index in numbers:
                page = numbers[index] + at_foot
            seam = True
            continue
        left -= 1
        if left < 0:
            break
        stripped = line.strip()
        if not stripped:
            blank = True
            continue
        is_full = width(stripped) >= full
        following = _next_line(lines, marks, index)
        heading = _wide_heading(stripped, following) if kind == "wrapped" and is_full else _heading(stripped, following)
        if heading is None and kind == "whole" and blank and _is_title(stripped, lines, index):
            heading = Heading("size", stripped)
        caption = bool(_TABLE_CAPTION.match(stripped)) and len(stripped) <= 40
        if heading:
            in_table = False
            blocks.append(Block("heading", heading.title, heading.level, "" if heading.rest else stripped, page))
            if heading.rest:
                blocks.append(Block("paragraph", heading.rest, page=page))
        elif kind == "wrapped" and (caption or (in_table and not is_full and not _LABEL.match(stripped))):
            in_table = caption or not _CLOSED.search(stripped)
            if not caption and blocks[-1].kind == "table":
                blocks[-1].add_line(stripped, page)
            else:
                blocks.append(Block("table", stripped, page=page))
        elif (
            not in_table
            and blocks
            and blocks[-1].kind == "paragraph"
            and _joins(blocks[-1].text, stripped, kind, fullness, blank or seam)
        ):
            blocks[-1].extend(stripped, page=page, seam=seam)
        else:
            in_table = False
            blocks.append(Block("paragraph", stripped, page=page))
        fullness = width(stripped) / full if full else 1.0
        blank = seam = False
    if kind == "fragments":
        blocks = _mend_fragments(blocks)
    elif kind == "wrapped":
        blocks = _find_loose_tables(blocks)
    return demote_list_items(blocks)


def _next_line(lines: Sequence[str], marks: dict[int, int | None], index: int) -> str:
    return next((lines[i].strip() for i in range(index + 1, len(lines)) if i not in marks and lines[i].strip()), "")


def _is_title(line: str, lines: Sequence[str], index: int) -> bool:
    """A short line without end mark, a blank line before it and text right after it."""
    after = lines[index + 1].strip() if index + 1 < len(lines) else ""
    return len(line) <= 30 and not _ENDED.search(line) and not marker_of(line) and len(after) > len(line) + 10


def _heading(line: str, following: str) -> Heading | None:
    """A heading; also ``（1）风热犯卫。`` where a syndrome's findings follow."""
    heading = heading_of(line)
    if heading is None and line.endswith("。") and line.count("。") == 1 and FINDINGS_LABEL.match(following):
        return heading_of(line[:-1])
    return heading


def _wide_heading(line: str, following: str) -> Heading | None:
    """A heading as wide as the page: only where another marker follows at once."""
    if marker_of(line) in ("han", "hanparen") and marker_of(following) not in (None, marker_of(line)):
        return heading_of(line, most=45)
    return None


def _mend_fragments(blocks: list[Block]) -> list[Block]:
    """Headings that a change of font had cut: a title's second half, its full stop, its marker."""
    mended: list[Block] = []
    for block in blocks:
        last = mended[-1] if mended else None
        short = len(block.text) <= 12 and not _CLOSED.search(block.text) and not _LABEL.match(block.text)
        if (
            block.kind == "paragraph"
            and last is not None
            and last.kind == "heading"
            and short
            and not marker_of(block.text)
        ):
            last.text += block.text
            continue
        if block.kind == "paragraph" and last is not None and last.kind == "heading" and not block.text.strip("。．. "):
            continue
        heading = heading_of(block.text) if block.kind == "paragraph" else None
        if heading:
            mended.append(Block("heading", heading.title, heading.level, page=block.page))
            if heading.rest:
                mended.append(Block("paragraph", heading.rest, page=block.page))
            continue
        mended.append(block)
    return mended


def _find_loose_tables(blocks: list[Block]) -> list[Block]:
    """Runs of four short lines without an end mark are the cells of a table, not sentences."""
    start = 0
    while start < len(blocks):
        end = start
        while end < len(blocks) and _is_cell(blocks[end]):
            end += 1
        if end - start >= 4:
            first, *others = blocks[start:end]
            table = Block("table", first.text, page=first.page, page_starts=first.page_starts, seams=first.seams)
            for cell in others:
                table.add_line(cell.text, cell.page, cell.page_starts, cell.seams)
            blocks = [*blocks[:start], table, *blocks[end:]]
            end = start + 1
        start = max(end, start + 1)
    return blocks


def _is_cell(block: Block) -> bool:
    if block.kind == "table":
        return True
    return (
        block.kind == "paragraph"
        and width(block.text) <= 36
        and not _FULL_STOP.search(block.text)
        and not _LABEL.match(block.text)
        and not _TITLE.search(block.text)
    )


def _without_web_foot(lines: list[str]) -> list[str]:
    """The lines up to the site map, address and licence number that end a web page."""
    for index, line in enumerate(lines):
        if index > len(lines) * 0.7 and len(lines) - index <= _FOOT_LINES and _WEB_FOOT.search(line):
            return lines[:index]
    return lines


def _full_width(lines: Sequence[str]) -> float:
    widths = sorted(width(line.strip()) for line in lines if line.strip())
    return 0.84 * widths[int(len(widths) * 0.9)] if widths else 0.0


def _joins(before: str, line: str, kind: str, fullness: float, blank: bool) -> bool:
    """Whether ``line`` goes on the paragraph ``before``, whose last line fills ``fullness`` of the width."""
    if kind == "whole" or FINDINGS_LABEL.match(line) or TREATMENT_LABEL.match(line) or ROLE_LABEL.match(line):
        return False
    marker = marker_of(line)
    if marker and (marker not in ("circled", "arabicparen") or _FULL_STOP.search(before)):
        return False
    if kind == "fragments":
        return not _CLOSED.search(before)
    if _OPEN.search(before):
        return True
    if not _FULL_STOP.search(before):
        return fullness >= 0.83
    return fullness >= 1 and not blank and not (_CLOSED.search(before) and bool(_LABEL.match(line)))
