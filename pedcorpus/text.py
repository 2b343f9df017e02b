"""Text as people read it, with the way back to the text as it was found.

`clean` is for what goes into an answer and keeps a map to the raw offsets. `key` is for comparing and
keeps none.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from bisect import bisect_right
from dataclasses import dataclass

HAN = r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_SPACE = r" \t\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000"
INVISIBLE = r"\u0000-\u0008\u000e-\u001b\u001f\u007f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff"
_LINE = r"\r\n\u000b\u000c\u001c-\u001e\u0085\u2028\u2029"
"""What `str.splitlines` takes for the end of a line, page breaks among them: it parts words and figures."""
_LETTER_SPACED = re.compile(
    rf"[{HAN}](?: [{HAN}0-9（），。、；：《》“”])(?: [{HAN}0-9（），。、；：《》“”])+(?![{HAN}0-9])"
)
_EDIT = re.compile(
    rf"(?P<line>[{_SPACE}{INVISIBLE}]*[{_LINE}][{_SPACE}{INVISIBLE}{_LINE}]*)"
    rf"|(?P<blank>[{_SPACE}][{_SPACE}{INVISIBLE}]*)|(?P<gone>[{INVISIBLE}]+)"
)
_SENTENCE_END = re.compile(r"[。！？!?]+[”’」』）\)】〕]*|\n")
_HAN = re.compile(rf"[{HAN}]")
_NOT_WORD = re.compile(r"[\W_]+")
_GROUPED = re.compile(r"(?<=\d),(?=\d{3}(?!\d))|(?<=\d)\s+(?=[%‰])|(?<=[<>≤≥±])\s+(?=\d)")
_PARTED = re.compile(r"(?<=\d)[\W_]+(?=\d)")
_PARTING_SIGNS = frozenset(("-", ".", "/", ":", "×", "+", "±", "<", ">", "≤", "≥"))
_NOT_KEY = re.compile(r"(?:(?!(?<=\d)[-./:×+±<>≤≥]\d|(?<=\d)[%‰]|[<>≤≥±]\d)[\W_])+")


@dataclass(frozen=True, slots=True)
class Clean:
    """A cleaned copy of a raw text. ``origins[i]`` is the raw offset of character ``i`` of ``text``."""

    raw: str
    text: str
    origins: array[int]

    def raw_span(self, start: int, end: int) -> tuple[int, int]:
        """The raw span behind ``text[start:end]``; the span must not be empty."""
        return self.origins[start], self.origins[end - 1] + 1

    def clean_offset(self, raw_offset: int) -> int:
        """The first cleaned offset at or after ``raw_offset``."""
        index = bisect_right(self.origins, raw_offset - 1)
        return index


def clean(raw: str) -> Clean:
    """Drop invisible characters, fold runs of blanks to one, close up letter-spaced words.

    Nothing else is touched: digits, units, brackets and widths stay as found, so that a dose reads in
    an answer as it reads in its source. A blank between two figures stays too: 5 8 is not 58.
    """
    pieces: list[str] = []
    origins = array("q")
    position = 0
    for match in _EDIT.finditer(raw):
        start, end = match.span()
        if start > position:
            pieces.append(raw[position:start])
            origins.extend(range(position, start))
        position = end
        if match.lastgroup == "gone" or not pieces or end == len(raw):
            continue
        pieces.append("\n" if match.lastgroup == "line" else " ")
        origins.append(start)
    if position < len(raw):
        pieces.append(raw[position:])
        origins.extend(range(position, len(raw)))
    text = "".join(pieces).rstrip()
    del origins[len(text) :]
    closed = [
        place
        for match in _LETTER_SPACED.finditer(text)
        for place in range(match.start() + 1, match.end(), 2)
        if not (text[place - 1].isdecimal() and text[place + 1].isdecimal())
    ]
    if closed:
        gone = frozenset(closed)
        origins = array("q", (origin for place, origin in enumerate(origins) if place not in gone))
        text = "".join(character for place, character in enumerate(text) if place not in gone)
    return Clean(raw, text, origins)


def fold(text: str) -> str:
    """Compatibility-folded lower-case copy with every kind of blank removed, for comparing."""
    return "".join(unicodedata.normalize("NFKC", text).lower().split())


def key(text: str) -> str:
    """Letters, digits and Han characters of ``text`` alone, widths and case made one: equal keys mean the same words.

    A sign between two figures stays, and so do ``%`` and ``<``: 1.5 and 15, 3~5 and 35, <38 and ≥38 are not the same.
    """
    folded = _GROUPED.sub("", unicodedata.normalize("NFKC", text).lower().replace("\u2044", "/"))
    return _NOT_KEY.sub("", _PARTED.sub(_parting, folded))


def _parting(match: re.Match[str]) -> str:
    sign = match.group() if match.group() == "." else match.group().strip()
    return sign if sign in _PARTING_SIGNS else "-"


def sentences(text: str) -> list[tuple[int, int]]:
    """Spans of the sentences of ``text``, end mark and closing bracket included, blanks around them not.

    Joined with what lies between, they give the text back.
    """
    spans: list[tuple[int, int]] = []
    start = 0
    for match in _SENTENCE_END.finditer(text):
        _add(spans, text, start, match.end())
        start = match.end()
    _add(spans, text, start, len(text))
    return spans


def _add(spans: list[tuple[int, int]], text: str, start: int, end: int) -> None:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if end > start:
        spans.append((start, end))


def han_share(text: str) -> float:
    """Share of Han characters among letters, digits and Han characters; 0.0 for an empty text."""
    words = _NOT_WORD.sub("", text)
    return len(_HAN.findall(words)) / len(words) if words else 0.0
