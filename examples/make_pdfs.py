"""Lay out the two sample PDFs from their plain-text sources.

The sources are ``examples/pdf/textbook.md`` and ``examples/pdf/guideline.md``.
They use a very small subset of Markdown:

* a header between two ``---`` lines with ``key: value`` pairs,
* ``#`` to ``####`` headings,
* paragraphs separated by blank lines,
* ``| pipe | tables |`` preceded by a caption line starting with ``表：``,
* the directives ``<!-- page -->`` (new page) and ``<!-- columns: N -->``
  (new page set in N columns).

The pages look like those of a printed Chinese book: first-line indent of two
characters, justified lines, running head, page number at the foot, headings in
heavier type, ruled tables.  The result is byte-for-byte reproducible.

Usage::

    python examples/make_pdfs.py [--font FILE.ttf] [--output DIR]

A TrueType font is embedded (only the glyphs in use).  Without ``--font`` the
script looks for Debian's ``fonts-droid-fallback``; when it is not installed,
reportlab's built-in CID font STSong-Light is used, which is not embedded.
Latin letters and digits that the TrueType font lacks (Droid Sans Fallback has
none) are set in Helvetica, and a missing sign ℃ is written °C.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

HERE = Path(__file__).resolve().parent
SOURCES = (HERE / "pdf" / "textbook.md", HERE / "pdf" / "guideline.md")
DEFAULT_OUTPUT = HERE / "sample" / "sources"
DEFAULT_FONT = Path("/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf")
CID_FONT = "STSong-Light"
LATIN_FONT = "Helvetica"

PAGE_WIDTH: float = A4[0]
PAGE_HEIGHT: float = A4[1]
MARGIN_X = 74.0
BODY_TOP = PAGE_HEIGHT - 84.0
BODY_BOTTOM = 78.0
COLUMN_GAP = 24.0

NO_LINE_START = frozenset("，。、；：？！）》」』”’…％℃%·")
NO_LINE_END = frozenset("（《「『“‘")
# Numbers, units and Latin words are never split at the end of a line.
TOKEN = re.compile(r"[0-9A-Za-z.%/+\-～℃°≥≤μ·]+|.")


@dataclass(frozen=True)
class Style:
    """Type size, line distance and paragraph shape of one kind of text."""

    size: float
    leading: float
    before: float = 0.0
    after: float = 0.0
    indent: float = 0.0
    """First-line indent, in characters."""
    heavy: bool = False
    centred: bool = False
    keep_with_next: bool = False


STYLES = {
    "title": Style(17, 26, 6, 8, heavy=True, centred=True, keep_with_next=True),
    "note": Style(9.5, 15, 0, 10, centred=True, keep_with_next=True),
    "h1": Style(17, 26, 4, 10, heavy=True, centred=True, keep_with_next=True),
    "h2": Style(14, 22, 10, 6, heavy=True, keep_with_next=True),
    "h3": Style(12, 20, 6, 3, heavy=True, keep_with_next=True),
    "h4": Style(11, 19, 2, 0, indent=2, heavy=True, keep_with_next=True),
    "body": Style(11, 19, indent=2),
    "caption": Style(10, 17, 8, 4, heavy=True, centred=True, keep_with_next=True),
    "cell": Style(9.5, 14),
    "head": Style(9, 12),
}


@dataclass
class Block:
    """A heading, a paragraph, a table or a directive of the source."""

    kind: str
    text: str = ""
    rows: list[list[str]] = field(default_factory=list)
    columns: int = 1


@dataclass
class Document:
    """Header fields and blocks of one source file."""

    meta: dict[str, str]
    blocks: list[Block]


@dataclass(frozen=True)
class Line:
    """One line of set type."""

    text: str
    indent: float
    width: float
    justify: bool


@dataclass(frozen=True)
class Fonts:
    """The main font and the glyphs it has (``None``: all that are needed)."""

    main: str
    glyphs: frozenset[int] | None = None

    def name_for(self, char: str) -> str:
        """Name of the font that has ``char``."""
        if self.glyphs is None or ord(char) in self.glyphs:
            return self.main
        try:
            char.encode("cp1252")
        except UnicodeEncodeError as error:
            raise ValueError(f"no font has a glyph for {char!r}") from error
        return LATIN_FONT

    def substitute(self, text: str) -> str:
        """Write ``text`` without the one sign that neither font may have."""
        if self.glyphs is None or ord("℃") in self.glyphs:
            return text
        return text.replace("℃", "°C")

    def runs(self, text: str) -> Iterator[tuple[str, str]]:
        """Split ``text`` into runs of one font each: (font name, run)."""
        for name, chars in groupby(text, self.name_for):
            yield name, "".join(chars)

    def width(self, text: str, size: float) -> float:
        """Natural width of ``text`` in points."""
        return sum(float(pdfmetrics.stringWidth(run, name, size)) for name, run in self.runs(text))


def parse(source: str) -> Document:
    """Read the small Markdown subset described at the top of this file."""
    header, _, body = source.removeprefix("---\n").partition("\n---\n")
    meta = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in header.splitlines())}
    blocks: list[Block] = []
    for chunk in re.split(r"\n\s*\n", body.strip()):
        lines = [line.strip() for line in chunk.splitlines()]
        first = lines[0]
        heading = re.match(r"(#{1,4}) (.+)", first)
        columns = re.fullmatch(r"<!-- columns: (\d+) -->", first)
        if heading:
            blocks.append(Block(f"h{len(heading[1])}", heading[2]))
        elif columns:
            blocks.append(Block("columns", columns=int(columns[1])))
        elif first == "<!-- page -->":
            blocks.append(Block("page"))
        elif first.startswith("表："):
            blocks.append(Block("caption", first.removeprefix("表：")))
        elif first.startswith("|"):
            cells = [[c.strip() for c in line.strip("|").split("|")] for line in lines]
            rows = [row for row in cells if not all(set(c) <= set("-") for c in row)]
            blocks.append(Block("table", rows=rows))
        else:
            blocks.append(Block("body", "".join(lines)))
    return Document(meta, blocks)


class Setter:
    """Sets blocks on pages, from the first page to the last."""

    def __init__(self, canvas: Canvas, fonts: Fonts, meta: dict[str, str]) -> None:
        self.canvas = canvas
        self.fonts = fonts
        self.meta = meta
        self.page = 0
        self.columns = 1
        self.column = 0
        self.y = 0.0
        self.chapter = ""
        self.fresh = True

    @property
    def column_width(self) -> float:
        """Width of one text column in points."""
        gaps = COLUMN_GAP * (self.columns - 1)
        return (PAGE_WIDTH - 2 * MARGIN_X - gaps) / self.columns

    @property
    def x(self) -> float:
        """Left edge of the current column."""
        return MARGIN_X + self.column * (self.column_width + COLUMN_GAP)

    def put(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        *,
        spacing: float = 0.0,
        heavy: bool = False,
    ) -> None:
        """Draw ``text`` with its left end at ``x`` on the baseline ``y``."""
        out = self.canvas.beginText(x, y)
        if heavy:
            self.canvas.setLineWidth(size * 0.018)
            out.setTextRenderMode(2)
        out.setCharSpace(spacing)
        for name, run in self.fonts.runs(text):
            out.setFont(name, size)
            out.textOut(run)
        out.setCharSpace(0)
        if heavy:
            out.setTextRenderMode(0)
        self.canvas.drawText(out)

    def break_lines(self, text: str, style: Style, measure: float) -> list[Line]:
        """Break ``text`` into lines no wider than ``measure``."""
        tokens = TOKEN.findall(self.fonts.substitute(text))
        lines: list[Line] = []
        current: list[str] = []
        indent = style.indent * style.size
        used = indent

        def close(justify: bool) -> None:
            text = "".join(current).rstrip("\u3000")
            lines.append(Line(text, indent, self.fonts.width(text, style.size), justify))

        for token in tokens:
            advance = self.fonts.width(token, style.size)
            if current and used + advance > measure + 0.01:
                carried: list[str] = []
                if token in NO_LINE_START and len(current) > 2:
                    carried.insert(0, current.pop())
                while len(current) > 2 and current[-1] in NO_LINE_END:
                    carried.insert(0, current.pop())
                close(justify=not style.centred)
                current, indent = carried, 0.0
                used = sum(self.fonts.width(part, style.size) for part in current)
                if token == "\u3000":
                    continue
            current.append(token)
            used += advance
        if current:
            close(justify=False)
        return lines

    def start_page(self) -> None:
        """Begin a page and set its running head and page number."""
        if self.page:
            self.canvas.showPage()
        self.page += 1
        self.column = 0
        self.y = BODY_TOP
        self.fresh = True
        style = STYLES["head"]
        left = self.meta.get("short", self.meta["title"])
        right = self.meta["running"]
        if right == "chapter":
            right = self.chapter
        baseline = PAGE_HEIGHT - 54.0
        edge = PAGE_WIDTH - MARGIN_X
        number = f"- {self.page} -"
        self.put(MARGIN_X, baseline, left, style.size)
        self.put(edge - self.fonts.width(right, style.size), baseline, right, style.size)
        self.canvas.setLineWidth(0.5)
        self.canvas.line(MARGIN_X, baseline - 6, edge, baseline - 6)
        middle = (PAGE_WIDTH - self.fonts.width(number, style.size)) / 2
        self.put(middle, 44.0, number, style.size)

    def next_frame(self) -> None:
        """Go on in the next column or on the next page."""
        if self.column + 1 < self.columns:
            self.column += 1
            self.y = BODY_TOP
            self.fresh = True
        else:
            self.start_page()

    def draw_line(self, line: Line, style: Style, measure: float) -> None:
        """Draw one line of type at the current position."""
        x = self.x + line.indent
        if style.centred:
            x += (measure - line.width) / 2
        spacing = 0.0
        if line.justify and len(line.text) > 1:
            slack = measure - line.indent - line.width
            spacing = slack / (len(line.text) - 1)
        baseline = self.y - style.size
        self.put(x, baseline, line.text, style.size, spacing=spacing, heavy=style.heavy)
        self.y -= style.leading

    def paragraph(self, text: str, kind: str, reserve: float = 0.0) -> None:
        """Set a heading or a paragraph, running over frames as needed."""
        style = STYLES[kind]
        measure = self.column_width
        lines = self.break_lines(text, style, measure)
        if not self.fresh:
            self.y -= style.before
        needed = style.leading * min(2, len(lines))
        if style.keep_with_next:
            needed = style.leading * len(lines) + style.after + max(reserve, 38.0)
        if self.y - needed < BODY_BOTTOM and not self.fresh:
            self.next_frame()
        for index, line in enumerate(lines):
            left = len(lines) - index
            room = int((self.y - BODY_BOTTOM) / style.leading + 1e-6)
            # No single last line of a paragraph at the head of a page.
            if room < 1 or (room == 1 and left == 2 and index > 1):
                self.next_frame()
            self.draw_line(line, style, measure)
            self.fresh = False
        self.y -= style.after

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Set a ruled table with a header row; it is kept on one page."""
        style = STYLES["cell"]
        pad = 4.0
        total = self.column_width
        shares = self.column_shares(rows)
        widths = [total * share for share in shares]
        set_rows = [
            [self.break_lines(cell, style, width - 2 * pad) for cell, width in zip(row, widths, strict=True)]
            for row in rows
        ]
        heights = [max(len(c) for c in row) * style.leading + 2 * pad for row in set_rows]
        if self.y - sum(heights) < BODY_BOTTOM and not self.fresh:
            self.next_frame()
        top, left = self.y, self.x
        for number, (row, height) in enumerate(zip(set_rows, heights, strict=True)):
            x = left
            for cell, width in zip(row, widths, strict=True):
                y = self.y - pad - (height - 2 * pad - len(cell) * style.leading) / 2
                for line in cell:
                    shift = (width - line.width) / 2 if number == 0 else pad
                    self.put(x + shift, y - style.size, line.text, style.size)
                    y -= style.leading
                x += width
            self.y -= height
        self.canvas.setLineWidth(0.6)
        rule = top
        for height in [0.0, *heights]:
            rule -= height
            self.canvas.line(left, rule, left + total, rule)
        x = left
        for width in [0.0, *widths]:
            x += width
            self.canvas.line(x, top, x, self.y)
        self.y -= 8.0
        self.fresh = False

    @staticmethod
    def column_shares(rows: Sequence[Sequence[str]]) -> list[float]:
        """Share of the table width per column, by its longest cell."""
        longest = [min(16, max(map(len, column))) + 2 for column in zip(*rows, strict=True)]
        return [length / sum(longest) for length in longest]

    def run(self, blocks: Sequence[Block]) -> None:
        """Set all blocks."""
        self.chapter = next((b.text for b in blocks if b.kind == "h1"), "")
        self.start_page()
        self.paragraph(self.meta["title"], "title")
        self.paragraph(self.meta["note"], "note")
        for index, block in enumerate(blocks):
            if block.kind == "page":
                self.start_page()
            elif block.kind == "columns":
                self.columns = block.columns
                self.start_page()
            elif block.kind == "table":
                self.table(block.rows)
            elif block.kind == "caption":
                follower = blocks[index + 1]
                self.paragraph(block.text, "caption", reserve=34.0 * len(follower.rows))
            else:
                if block.kind == "h1" and block.text != self.chapter:
                    self.chapter = block.text
                    self.start_page()
                self.paragraph(block.text, block.kind)


def register_fonts(path: Path | None) -> Fonts:
    """Register the fonts to use with reportlab."""
    if path is None and DEFAULT_FONT.is_file():
        path = DEFAULT_FONT
    if path is None:
        pdfmetrics.registerFont(UnicodeCIDFont(CID_FONT))
        return Fonts(CID_FONT)
    font = TTFont("SampleFont", str(path))
    pdfmetrics.registerFont(font)
    return Fonts("SampleFont", frozenset(font.face.charToGlyph))


def make_pdf(source: Path, output: Path, fonts: Fonts) -> Path:
    """Lay out one source file and return the path of the PDF."""
    document = parse(source.read_text(encoding="utf-8"))
    target = output / document.meta["file"]
    target.parent.mkdir(parents=True, exist_ok=True)
    canvas = Canvas(str(target), pagesize=A4, pageCompression=1, invariant=1)
    canvas.setTitle(document.meta["title"])
    canvas.setSubject(document.meta["subject"])
    canvas.setAuthor("pedcorpus")
    canvas.setCreator("examples/make_pdfs.py")
    Setter(canvas, fonts, document.meta).run(document.blocks)
    canvas.save()
    return target


def make_all(output: Path, font_file: Path | None = None) -> Iterator[Path]:
    """Lay out every sample PDF below ``output``."""
    fonts = register_fonts(font_file)
    for source in SOURCES:
        yield make_pdf(source, output, fonts)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line entry point."""
    parser = argparse.ArgumentParser(description="Lay out the sample PDFs.")
    parser.add_argument("--font", type=Path, help="TrueType font with Chinese glyphs")
    parser.add_argument(
        "--output",
        type=Path,
        default=DEFAULT_OUTPUT,
        help="folder for textbook_pdf/ and guideline/ (default: sample/sources)",
    )
    options = parser.parse_args(argv)
    for path in make_all(options.output, options.font):
        print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
