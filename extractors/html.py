"""The words and tables of HTML that stands in a Markdown text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

_BREAKS = frozenset(
    "p div br li ul ol dl dt dd h1 h2 h3 h4 h5 h6 hr section article blockquote pre tr caption center".split()
)
_TAGS = _BREAKS | frozenset(
    "a abbr b bdi bdo big body cite code col colgroup data del details dfn em figcaption figure font footer form head header html i iframe "
    "img input ins kbd label link main map mark meta nav nobr o:p object param picture q rp rt ruby s samp script small source span "
    "strike strong style sub summary sup svg table tbody td tfoot th thead time title tt u var video wbr".split()
)
_NAME = re.compile(r"</?([A-Za-z][A-Za-z0-9:]*)")
_SILENT = frozenset({"script", "style", "title"})
_RAISED = str.maketrans("0123456789+-−", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻")
Found = str | list[list[str]]
"""A paragraph, or a table's rows."""


def is_markup(text: str) -> bool:
    """Whether ``text`` is a comment or a tag that HTML knows; ``<g>`` is not, and may be a comparison."""
    match = _NAME.match(text)
    return match is None or match[1].lower() in _TAGS


def raised(text: str) -> str:
    """Digits of an exponent as such, so that 10<sup>9</sup> does not read 109."""
    return text.translate(_RAISED)


class Reader(HTMLParser):
    """Collects paragraphs and tables from pieces of HTML; a cell that spans rows stands in each of them."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._found: list[Found] = []
        self._words = ""
        self._silent = 0
        self._raised = 0
        self._rows: list[list[str]] | None = None
        self._pending: dict[int, tuple[int, str]] = {}
        self._cell: tuple[int, int] | None = None

    def take(self) -> list[Found]:
        """What was found since the last call; what is still open is closed."""
        if not self._found and not self._words and self._rows is None and not self.rawdata:
            return []
        self.close()
        self._end_table()
        self._end_paragraph()
        found, self._found = self._found, []
        self._silent = self._raised = 0
        self.reset()
        return found

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Open a table, row or cell, or break the line."""
        if tag in _SILENT:
            self._silent += 1
        elif tag == "sup":
            self._raised += 1
        elif tag == "table":
            self._end_paragraph()
            self._end_table()
            self._rows = []
        elif tag == "tr" and self._rows is not None:
            self._end_cell()
            self._end_row()
            self._rows.append([])
        elif tag in ("td", "th") and self._rows is not None:
            self._end_cell()
            if not self._rows:
                self._rows.append([])
            self._carry()
            given = dict(attrs)
            self._cell = (_count(given.get("rowspan")), _count(given.get("colspan")))
            self._words = ""
        elif tag in _BREAKS:
            self._break()
        elif tag not in _TAGS:
            self.handle_data(self.get_starttag_text() or "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Break the line at ``<br/>``; other empty tags say nothing."""
        if tag in _BREAKS:
            self._break()
        elif tag not in _TAGS:
            self.handle_data(self.get_starttag_text() or "")

    def handle_endtag(self, tag: str) -> None:
        """Close what the tag closes."""
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag == "sup":
            self._raised = max(0, self._raised - 1)
        elif tag == "table":
            self._end_table()
        elif tag in ("td", "th"):
            self._end_cell()
        elif tag == "tr" and self._rows is not None:
            self._end_cell()
            self._end_row()
        elif tag in _BREAKS:
            self._break()
        elif tag not in _TAGS:
            self.handle_data(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        """Words."""
        if not self._silent:
            self._words += raised(data) if self._raised else data

    def _break(self) -> None:
        if self._cell is not None:
            self._words += " "
        else:
            self._end_paragraph()

    def _end_paragraph(self) -> None:
        text = " ".join(self._words.split())
        self._words = ""
        if text:
            self._found.append(text)

    def _carry(self) -> None:
        """Cells of rows above that reach down to this place."""
        assert self._rows is not None
        row = self._rows[-1]
        while len(row) in self._pending:
            left, text = self._pending.pop(len(row))
            if left > 1:
                self._pending[len(row)] = (left - 1, text)
            row.append(text)

    def _end_cell(self) -> None:
        if self._cell is None or self._rows is None:
            return
        rows, columns = self._cell
        text = " ".join(self._words.split())
        self._words, self._cell = "", None
        row = self._rows[-1]
        for _ in range(columns):
            if rows > 1:
                self._pending[len(row)] = (rows - 1, text)
            row.append(text)

    def _end_row(self) -> None:
        if self._rows:
            self._carry()

    def _end_table(self) -> None:
        if self._rows is None:
            return
        self._end_cell()
        rows = [row for row in self._rows if any(row)]
        loose, self._words = self._words, ""
        self._rows, self._pending = None, {}
        if rows:
            self._found.append(rows)
        self._words = loose
        self._end_paragraph()


def _count(value: str | None) -> int:
    """A span as the tag gives it, within reason."""
    return min(int(value), 50) if value and value.isdecimal() and int(value) > 0 else 1
