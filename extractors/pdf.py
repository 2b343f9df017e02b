"""PDF pages into blocks: lines by geometry, columns, running heads, page numbers, ruled tables, paragraphs.

Text comes from pdfium character boxes, so letter-spaced lines close up and two columns are read one after
the other. Ruled tables come from pdfplumber, on pages that have ruling lines. A page that is a picture is
reported, never guessed at.
"""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from pedcorpus.deidentify import ROLE_LABEL
from pedcorpus.extractors.blocks import Block, demote_list_items
from pedcorpus.extractors.headings import FINDINGS_LABEL, TREATMENT_LABEL, Heading, heading_of, marker_of
from pedcorpus.extractors.tables import fold_lines, is_amount, is_header, table_text, tidy
from pedcorpus.records import Box

_PAGE_NUMBER = re.compile(
    r"^[-—–－ ·]*(?:第)?[ ]*(?:\d{1,4}|[ivxIVX]{1,6})[ ]*(?:页)?(?:[ ]*[/／共][ ]*\d{1,4}[ ]*页?)?[-—–－ ·]*$"
)
_BUILT_IN = re.compile(r"Helvetica|Arial|Times|Courier|Symbol|Dingbats")
"""Fonts that pdfium brings along; of others that a file does not embed it loses characters that stand alone."""
_DIGITS = re.compile(r"\d+")
_CLOSED = re.compile(r"[。！？!?；;：:][”’」』）)】〕]*$")
_FULL_STOP = re.compile(r"[。！？!?][”’」』）)】〕]*$")
_LEADERS = re.compile(r"[.．·…]{4,}[ ]*\d*$")
_OPEN_END = re.compile(r"[，,、；;：:。]$|[（(][^（）()]*$|[\u4e00-\u9fff，][。；]")
_FEW_RULES = 4
_MANY_RULES = 200
_FEW_CHARACTERS = 60
_RAISED = str.maketrans("0123456789+-−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻")
_SYMBOLS = {
    0xF025: "%", 0xF02B: "+", 0xF02D: "-", 0xF03C: "<", 0xF03D: "=", 0xF03E: ">", 0xF06D: "μ", 0xF0A3: "≤",
    0xF0B0: "°", 0xF0B1: "±", 0xF0B3: "≥", 0xF0B4: "×", 0xF0B8: "÷", 0xF0B9: "≠", 0xF0BB: "≈",
}  # fmt: skip
"""Private codes under which the font Symbol writes signs: without ≥ or μ a dose is another."""


@dataclass(slots=True)
class Char:
    """One character and its box, points from the page's top left."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def middle(self) -> float:
        """Middle of its height."""
        return (self.y0 + self.y1) / 2


Run = list[Char]
"""Characters along one baseline without a wide gap, left to right."""


@dataclass(slots=True)
class Line:
    """A line of one column. Coordinates are points from the page's top left."""

    text: str
    page: int
    x0: float
    y0: float
    x1: float
    y1: float
    size: float
    left: float = 0.0
    right: float = 0.0

    @property
    def box(self) -> Box:
        """The line's box."""
        return Box(self.page, round(self.x0, 1), round(self.y0, 1), round(self.x1, 1), round(self.y1, 1))


@dataclass(slots=True)
class Problem:
    """A page, or with page None the whole file, that could not be read."""

    reason: str
    detail: str
    page: int | None = None


@dataclass(slots=True)
class Table:
    """A ruled table: its box and its rows, vertically merged cells repeated in each row that they cover.

    ``caption`` is a first row of one cell; ``named`` says that the first of ``rows`` was put together from a
    header of two rows.
    """

    box: Box
    rows: list[list[str]]
    caption: str = ""
    named: bool = False


@dataclass(slots=True)
class Page:
    """What was found on one page, as it is read: ``turns`` quarter turns clockwise bring it to how it is shown."""

    number: int
    width: float
    height: float
    turns: int = 0
    is_ruled: bool = False
    lacks_font: bool = False
    runs: list[Run] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)


@dataclass(slots=True)
class Reading:
    """A whole file: blocks in reading order and what could not be read."""

    blocks: list[Block]
    problems: list[Problem]
    pages: int


def read_pdf(path: Path) -> Reading:
    """Read a PDF. Nothing is raised for a bad file: every defect is a `Problem`."""
    import pypdfium2 as pdfium

    try:
        document = pdfium.PdfDocument(path)
    except pdfium.PdfiumError as error:
        text = str(error)
        if "password" in text.lower():
            return Reading([], [Problem("extract.encrypted", "the PDF needs a password; save an open copy")], 0)
        return Reading([], [Problem("extract.broken_pdf", f"cannot be opened: {text}")], 0)
    problems: list[Problem] = []
    pages: list[Page] = []
    if not _is_whole(path):
        problems.append(Problem("extract.broken_pdf", "the end of the file is missing; what is left of it was read"))
    try:
        count = len(document)
        if not count:
            problems.append(Problem("extract.no_text", "the PDF has no page"))
        for number in range(1, count + 1):
            try:
                page, problem = _read_page(document, number)
            except pdfium.PdfiumError as error:
                problems.append(Problem("extract.broken_pdf", f"page {number} cannot be read: {error}", number))
                continue
            if problem:
                problems.append(problem)
            pages.append(page)
    finally:
        document.close()
    _read_tables(path, [page for page in pages if page.is_ruled or page.lacks_font], problems)
    _drop_margins(pages)
    for page in pages:
        page.lines = _lines(page)
    blocks = demote_list_items(_blocks(pages))
    turned = {page.number: page for page in pages if page.turns}
    for block in blocks:
        block.boxes = [_as_shown(box, turned[box.page]) if box.page in turned else box for box in block.boxes]
    return Reading(blocks, problems, count)


def _as_shown(box: Box, page: Page) -> Box:
    """A box of a page that is read turned, where it stands on the page as it is shown."""
    x0, y0, x1, y1, height, width = box.x0, box.y0, box.x1, box.y1, page.height, page.width
    for _ in range(page.turns):
        x0, y0, x1, y1 = height - y1, x0, height - y0, x1
        height, width = width, height
    return Box(box.page, round(x0, 1), round(y0, 1), round(x1, 1), round(y1, 1))


def _is_whole(path: Path) -> bool:
    """Whether the file has its end mark; pdfium reads a file that was cut off as if it had fewer words."""
    with path.open("rb") as handle:
        handle.seek(max(0, path.stat().st_size - 2048))
        return b"%%EOF" in handle.read()


# --- characters to lines ----------------------------------------------------------------------------


def _read_page(document: Any, number: int) -> tuple[Page, Problem | None]:
    import pypdfium2.raw as pdfium_c

    handle = document[number - 1]
    page, characters, unread, beside = _characters(handle, number)
    rules = 0
    picture_area = 0.0
    fonts: dict[int | None, bool] = {}
    for item in handle.get_objects(max_depth=3):
        if item.type == pdfium_c.FPDF_PAGEOBJ_PATH:
            rules += 1
        elif item.type == pdfium_c.FPDF_PAGEOBJ_IMAGE:
            left, bottom, right, top = item.get_bounds()
            picture_area += abs(right - left) * abs(top - bottom)
        elif item.type == pdfium_c.FPDF_PAGEOBJ_TEXT:
            _note_font(item, fonts)
    handle.close()
    if len(characters) < _FEW_CHARACTERS and picture_area > 0.15 * page.width * page.height:
        detail = f"page {number} is a picture with {len(characters)} characters of text; it needs OCR"
        return page, Problem("extract.image_page", detail, number)
    if unread > 5 and unread > 0.1 * len(characters):
        detail = (
            f"page {number}: no letter is known for {unread} of {unread + len(characters)} characters; it needs OCR"
        )
        return page, Problem("extract.broken_pdf", detail, number)
    page.runs = _runs(characters)
    page.is_ruled = rules >= _FEW_RULES and not page.turns
    page.lacks_font = not all(fonts.values()) and not page.turns
    if not characters and rules > _MANY_RULES:
        detail = f"page {number} holds drawings and no characters; it needs OCR"
        return page, Problem("extract.image_page", detail, number)
    if beside > 20:
        detail = f"page {number}: {beside} characters that stand across the others were left out"
        return page, Problem("extract.broken_pdf", detail, number)
    return page, None


def _note_font(item: Any, fonts: dict[int | None, bool]) -> None:
    """Note whether pdfium has the glyphs of a text object's font."""
    import ctypes

    import pypdfium2.raw as pdfium_c

    font = pdfium_c.FPDFTextObj_GetFont(item.raw)
    key = ctypes.cast(font, ctypes.c_void_p).value
    if key not in fonts:
        name = ctypes.create_string_buffer(128)
        pdfium_c.FPDFFont_GetBaseFontName(font, name, 128)
        known = bool(_BUILT_IN.search(name.value.decode("utf-8", "replace")))
        fonts[key] = known or pdfium_c.FPDFFont_GetIsEmbedded(font) == 1


def _characters(handle: Any, number: int) -> tuple[Page, Run, int, int]:
    """The page as it is read, its characters, how many the file gives no letter for, and how many stand across.

    Most characters say which way up the page is read. Slanted ones, such as a watermark, are no text.
    """
    import ctypes

    import pypdfium2.raw as pdfium_c

    text_page = handle.get_textpage()
    raw = text_page.raw
    left, right, bottom, top = (ctypes.c_double() for _ in range(4))
    found: list[tuple[int, str, tuple[float, float, float, float]]] = []
    unread = 0
    for index in range(text_page.count_chars()):
        code = pdfium_c.FPDFText_GetUnicode(raw, index)
        character = _character(code)
        unread += code == 0
        if not character or not pdfium_c.FPDFText_GetCharBox(raw, index, left, right, bottom, top):
            continue
        angle = pdfium_c.FPDFText_GetCharAngle(raw, index)
        if abs(math.remainder(angle, math.pi / 2)) > 0.1:
            continue
        loose = pdfium_c.FS_RECTF()
        if pdfium_c.FPDFText_GetLooseCharBox(raw, index, loose) and loose.top > loose.bottom:
            box = (loose.left, loose.bottom, loose.right, loose.top)
        else:
            box = (left.value, bottom.value, right.value, top.value)
        found.append((round(angle / (math.pi / 2)) % 4, character, box))
    text_page.close()
    shown = handle.get_rotation() // 90 % 4
    counts = Counter(quarter for quarter, *_ in found)
    turned = max(range(4), key=lambda turn: (counts[-turn % 4], turn == shown))
    x0, y0, x1, y1 = handle.get_bbox()
    width, height = (y1 - y0, x1 - x0) if turned % 2 else (x1 - x0, y1 - y0)
    page = Page(number, width, height, (shown - turned) % 4)
    upright = [(character, box) for quarter, character, box in found if quarter == -turned % 4]
    characters = [Char(character, *_placed(box, (x0, y0, x1, y1), turned)) for character, box in upright]
    return page, characters, unread, len(found) - len(upright)


def _character(code: int) -> str:
    """The character of a code; empty for blanks and for what no reader sees."""
    if code in (0x2, 0xFFFE):
        return "-"
    if code >= 0x110000 or 0xD800 <= code < 0xE000:
        return ""
    character = _SYMBOLS.get(code) or chr(code)
    return character if character.isprintable() and not character.isspace() else ""


def _placed(
    box: tuple[float, float, float, float], page: tuple[float, float, float, float], turned: int
) -> tuple[float, float, float, float]:
    """A box (left, bottom, right, top) of the page's own space, as it lies from the top left of the turned page."""
    left, bottom, right, top = box
    x0, y0, x1, y1 = page
    if turned == 1:
        return bottom - y0, left - x0, top - y0, right - x0
    if turned == 2:
        return x1 - right, bottom - y0, x1 - left, top - y0
    if turned == 3:
        return y1 - top, x1 - right, y1 - bottom, x1 - left
    return left - x0, y1 - top, right - x0, y1 - bottom


def _lines(page: Page) -> list[Line]:
    """Lines in reading order: where a gutter parts two columns, one column after the other."""
    gutter = _gutter(page.runs, page)
    if gutter is None:
        return _join_rows(page.runs, page)
    lines: list[Line] = []
    band: list[Run] = []
    for run in sorted(page.runs, key=lambda item: item[0].middle):
        if run[0].x0 < gutter - 2 and run[-1].x1 > gutter + 2:
            lines += _two_columns(band, gutter, page)
            band = []
            lines += _join_rows([run], page)
        else:
            band.append(run)
    return lines + _two_columns(band, gutter, page)


def _two_columns(runs: list[Run], gutter: float, page: Page) -> list[Line]:
    left = [run for run in runs if run[-1].x1 <= gutter + 2]
    right = [run for run in runs if run[-1].x1 > gutter + 2]
    return _join_rows(left, page) + _join_rows(right, page)


def _runs(characters: Sequence[Char]) -> list[Run]:
    """Characters of one baseline without a wide gap."""
    rows: list[Run] = []
    for character in sorted(characters, key=lambda item: (item.middle, item.x0)):
        row = rows[-1] if rows else None
        if row and abs(character.middle - statistics.fmean(c.middle for c in row[-12:])) < 0.45 * (
            character.y1 - character.y0
        ):
            row.append(character)
        else:
            rows.append([character])
    runs: list[Run] = []
    for row in rows:
        row.sort(key=lambda item: item.x0)
        run = [row[0]]
        for character in row[1:]:
            size = character.y1 - character.y0
            if character.x0 - run[-1].x1 > 1.6 * size:
                runs.append(run)
                run = []
            run.append(character)
        runs.append(run)
    return runs


def _gutter(runs: Sequence[Run], page: Page) -> float | None:
    """The x of a gutter between two columns: a vertical strip that hardly a run crosses, text on both sides."""
    spans = [(run[0].x0, run[-1].x1, run[0].middle, len(run)) for run in runs if len(run) > 1]
    if len(spans) < 12:
        return None
    total = sum(count for *_, count in spans)
    best: tuple[int, float] | None = None
    for step in range(35, 66):
        x = page.width * step / 100
        crossing = sum(count for x0, x1, _, count in spans if x0 < x - 3 and x1 > x + 3)
        left = [middle for x0, x1, middle, _ in spans if x1 <= x + 3]
        right = [middle for x0, x1, middle, _ in spans if x0 >= x - 3]
        if crossing > 0.3 * total or len(left) < 5 or len(right) < 5:
            continue
        shared = min(max(left), max(right)) - max(min(left), min(right))
        on_left = sum(count for x0, x1, _, count in spans if x1 <= x + 3)
        on_right = sum(count for x0, x1, _, count in spans if x0 >= x - 3)
        if shared < 0.15 * page.height or min(on_left, on_right) < 0.2 * total:
            continue
        if best is None or crossing < best[0]:
            best = (crossing, x)
    return best[1] if best else None


def _join_rows(runs: Sequence[Run], page: Page) -> list[Line]:
    """Runs of one baseline as one line, a blank where the gap was wide."""
    rows: list[list[Run]] = []
    for run in sorted(runs, key=lambda item: (item[0].middle, item[0].x0)):
        height = run[0].y1 - run[0].y0
        if rows and abs(rows[-1][0][0].middle - run[0].middle) < 0.45 * height:
            rows[-1].append(run)
        else:
            rows.append([run])
    lines = []
    for row in rows:
        row.sort(key=lambda run: run[0].x0)
        characters = [character for run in row for character in run]
        lines.append(
            Line(
                "  ".join(_run_text(run) for run in row),
                page.number,
                min(c.x0 for c in characters),
                min(c.y0 for c in characters),
                max(c.x1 for c in characters),
                max(c.y1 for c in characters),
                statistics.median(c.y1 - c.y0 for c in characters),
            )
        )
    if lines:
        left = _edge([line.x0 for line in lines], low=True)
        right = _edge([line.x1 for line in lines], low=False)
        for line in lines:
            line.left, line.right = left, right
    return lines


def _edge(values: list[float], low: bool) -> float:
    """The column's edge: the outermost place where several lines begin or end."""
    ordered = sorted(values, reverse=not low)
    for value in ordered:
        if sum(abs(value - other) < 4 for other in values) >= max(2, len(values) // 8):
            return value
    return ordered[0]


def _run_text(run: Sequence[Char]) -> str:
    """Characters of a run; a blank only between Latin words and where a gap is wider than letter-spacing."""
    text = run[0].text
    for before, character in pairwise(run):
        gap = character.x0 - before.x1
        size = character.y1 - character.y0
        latin = before.text.isascii() and character.text.isascii()
        if gap > (0.16 if latin else 0.85) * size:
            text += " "
        text += character.text.translate(_RAISED) if _is_raised(character, run) else character.text
    return text


def _is_raised(character: Char, run: Sequence[Char]) -> bool:
    """Whether a character is an exponent or the number of a note: without its place 10⁹ would read 109."""
    tall = max(run, key=lambda other: other.y1 - other.y0)
    size = tall.y1 - tall.y0
    return character.y1 - character.y0 < 0.8 * size and tall.y1 - character.y1 > 0.2 * size


# --- tables -----------------------------------------------------------------------------------------


def _read_tables(path: Path, pages: Sequence[Page], problems: list[Problem]) -> None:
    """Ruled tables of ``pages``; their characters leave the page's text."""
    if not pages:
        return
    import pdfplumber

    try:
        with pdfplumber.open(path) as document:
            for page in pages:
                plumbed = document.pages[page.number - 1]
                dx, dy = _offset(plumbed)
                characters = _plumbed(plumbed, dx, dy)
                if page.lacks_font and len(characters) >= sum(map(len, page.runs)):
                    page.runs = _runs(characters)
                for table in plumbed.find_tables() if page.is_ruled else ():
                    _take_table(page, table, characters, dx, dy)
                plumbed.close()
    except Exception as error:  # pdfminer raises anything on a damaged file; the text is there already
        numbers = ", ".join(str(page.number) for page in pages[:5])
        problems.append(Problem("extract.broken_pdf", f"tables of page {numbers}: {type(error).__name__}: {error}"))


def _plumbed(plumbed: Any, dx: float, dy: float) -> Run:
    """The characters of a page as pdfplumber reads them; none where it cannot tell their letters."""
    found: Run = []
    for item in plumbed.chars:
        if item["text"].startswith("(cid:"):
            return []
        text = "".join(_character(ord(character)) for character in item["text"])
        if text and item["upright"]:
            found.append(Char(text, item["x0"] - dx, item["top"] - dy, item["x1"] - dx, item["bottom"] - dy))
    return found


def _offset(plumbed: Any) -> tuple[float, float]:
    """Where the page as it is seen begins, in pdfplumber's coordinates, which count from the media box."""
    media, crop = plumbed.page_obj.mediabox, plumbed.page_obj.cropbox
    left, bottom = max(crop[0], media[0]) - media[0], max(crop[1], media[1]) - media[1]
    right, top = media[2] - min(crop[2], media[2]), media[3] - min(crop[3], media[3])
    dx, dy = {0: (left, top), 90: (bottom, left), 180: (right, bottom), 270: (top, right)}[plumbed.rotation]
    return plumbed.mediabox[0] + dx, plumbed.mediabox[1] + dy


def _take_table(page: Page, table: Any, characters: Run, dx: float, dy: float) -> None:
    """Move the characters within a ruled table from the page to its cells."""
    if len(table.rows) < 2 or max(len(row.cells) for row in table.rows) < 2:
        return
    x0, top, x1, bottom = (value - shift for value, shift in zip(table.bbox, (dx, dy, dx, dy), strict=True))
    inside: Run = []
    outside: Run = []
    for character in (character for run in page.runs for character in run):
        x = (character.x0 + character.x1) / 2
        (inside if x0 <= x <= x1 and top <= character.middle <= bottom else outside).append(character)
    if not inside:
        return
    page.runs = _runs(outside)
    moved = [
        [None if cell is None else (cell[0] - dx, cell[1] - dy, cell[2] - dx, cell[3] - dy) for cell in row.cells]
        for row in table.rows
    ]
    rows = _cells(moved, characters or inside, page)
    box = Box(page.number, round(x0, 1), round(top, 1), round(x1, 1), round(bottom, 1))
    found = Table(box, rows)
    if len(rows) > 2 and sum(cell is not None for cell in moved[0]) == 1:
        found.caption, found.rows, moved = rows[0][0], rows[1:], moved[1:]
    heads = _two_rows_of_heads(moved, found.rows)
    if heads:
        found.rows, found.named = [heads, *found.rows[2:]], True
    page.tables.append(found)


_Cell = tuple[float, float, float, float] | None


def _cells(grid: Sequence[Sequence[_Cell]], characters: Run, page: Page) -> list[list[str]]:
    """The words of each cell; a cell that reaches down over rows stands in each of them."""
    rows: list[list[str]] = []
    for index, row in enumerate(grid):
        middle = statistics.fmean((cell[1] + cell[3]) / 2 for cell in row if cell is not None)
        texts: list[str] = []
        for column, cell in enumerate(row):
            if cell is None:
                above = next((other[column] for other in reversed(grid[:index]) if other[column] is not None), None)
                texts.append(rows[-1][column] if above is not None and above[3] > middle else "")
                continue
            x0, top, x1, bottom = cell
            inside = [c for c in characters if x0 <= (c.x0 + c.x1) / 2 <= x1 and top <= c.middle <= bottom]
            texts.append(fold_lines([line.text for line in _join_rows(_runs(inside), page)]))
        rows.append(texts)
    return rows


def _two_rows_of_heads(grid: Sequence[Sequence[_Cell]], rows: Sequence[Sequence[str]]) -> list[str] | None:
    """The names of the columns where a head spans several and the row below says which is which: 剂量 首剂, 剂量 维持.

    The other heads reach down over both rows, or have nothing below them.
    """
    if len(rows) < 3:
        return None
    heads: list[str] = []
    wide: set[int] = set()  # columns under a head that spans several
    over: _Cell = None
    for column, (cell, below) in enumerate(zip(grid[0], grid[1], strict=True)):
        if cell is None and over is not None and below is not None and over[2] > (below[0] + below[2]) / 2:
            heads.append(heads[-1])
            wide |= {column - 1, column}
        else:
            heads.append(rows[0][column])
            over = cell or over
    names = []
    for column, (head, under) in enumerate(zip(heads, rows[1], strict=True)):
        if not head or is_amount(under) or (column in wide) != (under not in ("", head)):
            return None
        names.append(f"{head} {under}" if column in wide else head)
    return names if wide else None


def _table_blocks(pages: Sequence[Page]) -> dict[int, list[tuple[float, Block]]]:
    """Table blocks by page as (top, block). A table that goes on over a page break keeps its header."""
    blocks: dict[int, list[tuple[float, Block]]] = {}
    header: list[str] | None = None
    width = last_page = 0
    at_foot = False
    for page in pages:
        ordered = sorted(page.tables, key=lambda table: table.box.y0)
        for table in ordered:
            first = max(len(row) for row in table.rows)
            at_head = not any(line.y1 < table.box.y0 for line in page.lines)
            goes_on = at_head and at_foot and page.number == last_page + 1 and first == width
            body = table.rows
            if goes_on:
                body = body[1:] if header is not None and tidy(body[0]) == tidy(header) else body
            else:
                header = body[0] if table.named or is_header(body[0], body[1:]) else None
                body = body[1:] if header is not None else body
            text = "\n".join(filter(None, (table.caption, table_text(header, body))))
            if text:
                block = Block("table", text, page=page.number, boxes=[table.box])
                blocks.setdefault(page.number, []).append((table.box.y0, block))
            width, last_page = first, page.number
            at_foot = not any(line.y0 > table.box.y1 for line in page.lines)
    return blocks


# --- margins ----------------------------------------------------------------------------------------


def _drop_margins(pages: Sequence[Page]) -> None:
    """Take off page numbers, and running heads and feet: runs in the margin that several pages share."""
    seen: dict[tuple[str, int], set[int]] = {}
    for page in pages:
        for run in page.runs:
            if _in_margin(run, page):
                seen.setdefault(_margin_key(run, page), set()).add(page.number)
    for page in pages:
        page.runs = [
            run
            for run in page.runs
            if not (
                _in_margin(run, page) and (_PAGE_NUMBER.match(_run_text(run)) or len(seen[_margin_key(run, page)]) >= 2)
            )
        ]


def _in_margin(run: Run, page: Page) -> bool:
    return run[0].y1 < 0.09 * page.height or run[0].y0 > 0.91 * page.height


def _margin_key(run: Run, page: Page) -> tuple[str, int]:
    return _DIGITS.sub("#", _run_text(run)), round(run[0].y0 / page.height * 50)


# --- lines to blocks --------------------------------------------------------------------------------


def _blocks(pages: Sequence[Page]) -> list[Block]:
    lines: list[Line | Block] = []
    tables = _table_blocks(pages)
    for page in pages:
        lines += _with_tables(page, tables.get(page.number, []))
    sizes = [line.size for line in lines if isinstance(line, Line) for _ in range(len(line.text))]
    body = statistics.median(sizes) if sizes else 0.0
    blocks: list[Block] = []
    previous: Line | None = None
    for index, line in enumerate(lines):
        if isinstance(line, Block):
            blocks.append(line)
            previous = None
            continue
        following = next((other for other in lines[index + 1 :] if isinstance(other, Line)), None)
        heading = _heading(line, following, body)
        last = blocks[-1] if blocks else None
        if heading:
            kept = "" if heading.rest else line.text.strip()
            blocks.append(Block("heading", heading.title, heading.level, kept, line.page, [line.box]))
            if heading.rest:
                blocks.append(Block("paragraph", heading.rest, page=line.page, boxes=[line.box]))
        elif (
            last is not None and last.kind == "heading" and previous is not None and _same_heading(last, previous, line)
        ):
            last.text += line.text.strip()
        elif last is not None and last.kind == "paragraph" and previous is not None and _joins(last, previous, line):
            turned = line.page != previous.page
            last.extend(line.text.strip(), page=line.page, seam=turned)
            _add_box(last, line)
        else:
            blocks.append(Block("paragraph", line.text.strip(), page=line.page, boxes=[line.box]))
        previous = line
    return blocks


def _with_tables(page: Page, tables: list[tuple[float, Block]]) -> Iterator[Line | Block]:
    waiting = list(tables)
    for line in page.lines:
        while waiting and waiting[0][0] < line.y0:
            yield waiting.pop(0)[1]
        yield line
    for _, block in waiting:
        yield block


def _heading(line: Line, following: Line | None, body: float) -> Heading | None:
    text = line.text.strip()
    large = bool(body) and line.size > 1.15 * body
    wide = line.x1 > line.right - 1.5 * line.size and line.right - line.left > 20 * line.size
    next_text = following.text.strip() if following is not None else ""
    if wide and not large:
        opens = marker_of(text) in ("han", "hanparen") and marker_of(next_text) not in (None, marker_of(text))
        return heading_of(text, most=45) if opens else None
    heading = heading_of(text)
    if heading is None and text.endswith("。") and text.count("。") == 1 and FINDINGS_LABEL.match(next_text):
        heading = heading_of(text[:-1])
    if heading is None and large and len(text) <= 40 and not _OPEN_END.search(text) and not _LEADERS.search(text):
        return Heading("size", text)
    return heading


def _same_heading(heading: Block, previous: Line, line: Line) -> bool:
    """A heading that runs over two lines of the same large size."""
    return (
        heading.level == "size"
        and abs(previous.size - line.size) < 0.5
        and line.page == previous.page
        and 0 <= line.y0 - previous.y1 < line.size
        and len(heading.text) + len(line.text) < 50
    )


def _joins(block: Block, previous: Line, line: Line) -> bool:
    """Whether ``line`` goes on the paragraph that ``previous`` ended."""
    text = line.text.strip()
    marker = marker_of(text)
    if (
        FINDINGS_LABEL.match(text)
        or TREATMENT_LABEL.match(text)
        or ROLE_LABEL.match(text)
        or _LEADERS.search(block.text)
    ):
        return False
    if marker and (marker not in ("circled", "arabicparen") or _CLOSED.search(block.text)):
        return False
    if abs(previous.size - line.size) > 0.2 * max(previous.size, line.size):
        return False
    indent = line.x0 - line.left > 1.2 * line.size
    if indent and _FULL_STOP.search(block.text):
        return False
    reaches = previous.x1 > previous.right - 2.2 * previous.size
    if not reaches:
        return not _CLOSED.search(block.text) and previous.x1 > previous.right - 6 * previous.size and not indent
    gap = line.y0 - previous.y1 if previous.page == line.page and previous.y1 < line.y0 else 0.0
    return gap <= 2.2 * line.size


def _add_box(block: Block, line: Line) -> None:
    """Grow the block's last box, or begin one on a new page or in a new column."""
    last = block.boxes[-1]
    box = line.box
    beside = box.page == last.page and box.y0 >= last.y0 - 2 and min(box.x1, last.x1) > max(box.x0, last.x0)
    if beside:
        block.boxes[-1] = Box(
            box.page, min(last.x0, box.x0), min(last.y0, box.y0), max(last.x1, box.x1), max(last.y1, box.y1)
        )
    else:
        block.boxes.append(box)
