"""Read files of rows: JSON arrays, JSON lines, CSV, TSV, Parquet. A broken row is a ledger entry, not an end."""

from __future__ import annotations

import csv
import json
import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pedcorpus.extractors import encoding
from pedcorpus.records import Reject
from pedcorpus.sources import SourceFile, SourceInfo

_BLANK = re.compile(r"[ \t\r\n]*")
_SEPARATOR = re.compile(r"[ \t\r\n]*,?[ \t\r\n]*")
_JSON = re.compile(r"[{\[][ \t\r\n]*(?:[{\[\"}\]0-9-]|$)")
_OPENING = re.compile(r'\{\s*"(?:[^"\\]|\\.)*"\s*:|\[\s*\S')
_NEXT = re.compile(r"(?:[}\]][ \t\r\n]*,|\n)[ \t\r\n]*(?=[{\[])")
_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_MOST_LINES = 500
ROW_SUFFIXES = frozenset({".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".parquet"})


@dataclass(frozen=True, slots=True)
class Item:
    """One row. ``place`` names it for people and ids: ``line 12`` or ``row 11``."""

    place: str
    value: Any


def read_rows(file: SourceFile, source: SourceInfo) -> Iterator[Item | Reject]:
    """Every row of ``file``. The content decides the format; the suffix only tells CSV and TSV apart."""
    with file.path.open("rb") as handle:
        head = handle.read(1 << 20)
    if head.startswith(b"PAR1"):
        yield from _parquet(file, source)
        return
    problem = refuse(head, file, source)
    if problem:
        yield problem
        return
    name = encoding.detect(head)
    start = encoding.decode(head[:4096], name).text.lstrip("\ufeff").lstrip()
    if file.suffix in (".csv", ".tsv") and not _JSON.match(start):
        yield from _csv(file, source, name)
    elif start.startswith("{") or (start.startswith("[") and _array_a_line(file, name)):
        yield from _json_lines(file, source, name)
    elif start.startswith("["):
        yield from _json_array(file, source, name)
    else:
        wanted = "no Parquet file" if file.suffix == ".parquet" else "neither a JSON array nor JSON lines"
        yield source.reject("extract.wrong_content", file, f"{wanted}; first characters are shown", start[:80])


def is_json(file: SourceFile) -> bool:
    """Whether ``file`` begins like JSON, whatever it is called."""
    with file.path.open("rb") as handle:
        head = handle.read(4096)
    return bool(_JSON.match(encoding.decode(head).text.lstrip("\ufeff").lstrip()))


def refuse(data: bytes, file: SourceFile, source: SourceInfo) -> Reject | None:
    """The ledger entry for content that is no text at all, or none at all."""
    if not data.strip(b"\x00 \t\r\n\xef\xbb\xbf\xff\xfe"):
        return source.reject("extract.empty_file", file, "the file is empty")
    if encoding.is_lfs_pointer(data):
        return source.reject("extract.lfs_pointer", file, "run `git lfs pull` to fetch the file itself")
    if data.startswith(b"%PDF-"):
        return source.reject("extract.wrong_content", file, "this is a PDF; give it the suffix .pdf")
    if encoding.is_binary(data):
        return source.reject("extract.wrong_content", file, "this is a binary file, not text")
    return None


# --- lines ------------------------------------------------------------------------------------------


def _lines(file: SourceFile, name: str) -> Iterator[tuple[int, str, bool]]:
    """Physical lines as (number from 1, text without line end, damaged)."""
    if name.startswith(("utf-16", "utf-32")):
        text = _whole(file, name).replace("\r\n", "\n").replace("\r", "\n")
        for number, line in enumerate(text.split("\n"), 1):
            yield number, line, encoding.DAMAGED in line
        return
    codec = "utf-8" if name == "utf-8-sig" else name
    number = 0
    with file.path.open("rb") as handle:
        for raw in handle:
            raw = raw.removeprefix(b"\xef\xbb\xbf") if number == 0 else raw
            for piece in raw.rstrip(b"\r\n").split(b"\r"):
                number += 1
                try:
                    text = piece.decode(codec)
                    yield number, text, encoding.DAMAGED in text
                except UnicodeDecodeError:
                    yield number, piece.decode(codec, "replace"), True


def _whole(file: SourceFile, name: str) -> str:
    """The file as one text, broken bytes as U+FFFD. JSON may hold U+2028 inside a text, so line ends stay as they are."""
    return file.path.read_bytes().decode(name, "replace").lstrip("\ufeff")


def _array_a_line(file: SourceFile, name: str) -> bool:
    """Whether each line is an array of its own, not the file one array."""
    found = [line for line in _first_lines(file, name, 2) if line.lstrip().startswith("[")]
    return len(found) == 2 and _parses(found[0])


def _first_lines(file: SourceFile, name: str, count: int) -> list[str]:
    found = []
    for _, line, _ in _lines(file, name):
        if line.strip():
            found.append(line)
            if len(found) == count:
                break
    return found


def _parses(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _json_lines(file: SourceFile, source: SourceInfo, name: str) -> Iterator[Item | Reject]:
    if _over_lines(file, name):
        yield from _json_values(file, source, name)
        return
    for number, line, damaged in _lines(file, name):
        if not line.strip():
            continue
        if damaged:
            yield source.reject("extract.encoding", file, f"line {number}: bytes that are not {name}", _excerpt(line))
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            yield source.reject("extract.json", file, f"line {number}: {_short(error)}", _excerpt(line))
            continue
        yield _halved(f"line {number}", line, value, file, source) or Item(f"line {number}", value)


def _over_lines(file: SourceFile, name: str) -> bool:
    """Whether the file is one JSON object over many lines, or several, not one on each line."""
    first = next(iter(_first_lines(file, name, 1)), "")
    if _parses(first) or not (first.strip() == "{" or first.rstrip().endswith(("{", "[", ","))):
        return False
    return not any(
        line.startswith(("{", "[")) and line.strip() not in ("{", "[") and _parses(line)
        for _, line, _ in _lines(file, name)
    )


def _json_values(file: SourceFile, source: SourceInfo, name: str) -> Iterator[Item | Reject]:
    """JSON values one after another, with or without commas between."""
    yield from _json_elements(_whole(file, name), 0, file, source, name, closed=False)


def _json_array(file: SourceFile, source: SourceInfo, name: str) -> Iterator[Item | Reject]:
    """Elements one by one: the text lies in memory, the parsed tree never does."""
    text = _whole(file, name)
    yield from _json_elements(text, text.index("[") + 1, file, source, name, closed=True)


def _json_elements(
    text: str, position: int, file: SourceFile, source: SourceInfo, name: str, *, closed: bool
) -> Iterator[Item | Reject]:
    decoder = json.JSONDecoder()
    openings: set[str] = set()
    index = 0
    while True:
        position = _match_end(_SEPARATOR if index else _BLANK, text, position)
        if position >= len(text):
            if closed:
                yield source.reject(
                    "extract.json", file, f"the array is cut off after {index} elements", _excerpt(text[-80:])
                )
            return
        if closed and text[position] == "]":
            rest = text[position + 1 :].strip()
            if rest:
                detail = f"line {_line(text, position)}: {len(rest)} characters after the end of the array"
                yield source.reject("extract.json", file, detail, _excerpt(rest[:400]))
            return
        opening = _OPENING.match(text, position)
        try:
            value, end = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            if opening:
                openings.add(opening.group())
            resumed = _next_element(text, position + 1, openings)
            goes_on = f"; reading goes on at line {_line(text, resumed)}" if resumed else "; nothing after it is read"
            yield source.reject(
                "extract.json",
                file,
                f"row {index}, line {_line(text, position)}: {_short(error)}{goes_on}",
                _excerpt(text[position : min(position + 400, resumed or len(text))]),
            )
            if resumed is None:
                return
            position, index = resumed, index + 1
            continue
        if opening:
            openings.add(opening.group())
        raw = text[position:end]
        if encoding.DAMAGED in raw:
            yield source.reject("extract.encoding", file, f"row {index}: bytes that are not {name}", _excerpt(raw))
        else:
            yield _halved(f"row {index}", raw, value, file, source) or Item(f"row {index}", value)
        position, index = end, index + 1


def _match_end(pattern: re.Pattern[str], text: str, position: int) -> int:
    match = pattern.match(text, position)
    return match.end() if match else position


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _next_element(text: str, position: int, openings: set[str]) -> int | None:
    """Where the element after a broken one begins: it opens with the same key as others, as what is nested in them does not."""
    for match in _NEXT.finditer(text, position):
        opening = _OPENING.match(text, match.end())
        if not openings or (opening and opening.group() in openings):
            return match.end()
    return None


def _halved(place: str, raw: str, value: Any, file: SourceFile, source: SourceInfo) -> Reject | None:
    """The ledger entry for a row that holds one half of a surrogate pair, which no file can store."""
    if not _HALF.search(raw):
        return None
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return source.reject("extract.encoding", file, f"{place}: half of a surrogate pair", value)
    return None


def _excerpt(text: str) -> str:
    """Raw JSON as people read it, so that masking sees words and digits, not escapes."""
    text = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    return text.replace("\\n", "\n").replace("\\r", "\n").replace("\\t", "\t")


def _short(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else str(error)


# --- tables -----------------------------------------------------------------------------------------


def _csv(file: SourceFile, source: SourceInfo, name: str) -> Iterator[Item | Reject]:
    header: list[str] | None = None
    delimiter = ","
    lines = _lines(file, name)
    waiting: deque[_Line] = deque()
    while True:
        group, is_open = _take_record(lines, waiting, file, None if header is None else delimiter)
        if not group:
            return
        number, text, _ = group[0]
        if header is None:
            delimiter = _delimiter(text, file)
        cells = None if is_open else _cells(group, delimiter)
        if is_open or (len(group) > 1 and (cells is None or _is_slip(group, cells, header, delimiter))):
            # a quote that is never closed costs its own line, not the rows after it
            waiting.extendleft(reversed(group[1:]))
            yield source.reject("extract.csv", file, f"line {number}: a quote is never closed", text)
            continue
        text = "\n".join(line for _, line, _ in group)
        if header is None:
            header = [cell.strip() for cell in cells or []]
        elif any(damaged for *_, damaged in group):
            yield source.reject("extract.encoding", file, f"line {number}: bytes that are not {name}", text)
        elif cells is None:
            yield source.reject("extract.csv", file, f"line {number}: not a CSV row", text)
        elif len(cells) != len(header):
            yield source.reject(
                "extract.csv", file, f"line {number}: {len(cells)} columns, the header has {len(header)}", text
            )
        else:
            yield Item(f"line {number}", dict(zip(header, cells, strict=True)))


def csv_header(file: SourceFile) -> list[str]:
    """Column names of a CSV or TSV file; empty when it has none."""
    with file.path.open("rb") as handle:
        head = handle.read(1 << 20)
    group, _ = _take_record(_lines(file, encoding.detect(head)), deque(), file, None)
    cells = _cells(group, _delimiter(group[0][1], file)) if group else None
    return [cell.strip() for cell in cells or []]


_Line = tuple[int, str, bool]


def _delimiter(header: str, file: SourceFile) -> str:
    return "\t" if file.suffix == ".tsv" else max(",\t;|", key=lambda mark: (header.count(mark), mark == ","))


def _take_record(
    lines: Iterator[_Line], waiting: deque[_Line], file: SourceFile, delimiter: str | None
) -> tuple[list[_Line], bool]:
    """The physical lines of the next record, more than one where a quoted cell runs on, and whether it is never closed."""
    group: list[_Line] = []
    is_open = False
    while len(group) < _MOST_LINES:
        item = waiting.popleft() if waiting else next(lines, None)
        if item is None:
            break
        if not group and not item[1].strip():
            continue
        group.append(item)
        is_open = _quote_stays_open(item[1], delimiter or _delimiter(group[0][1], file), is_open)
        if not is_open:
            break
    return group, is_open


def _quote_stays_open(text: str, delimiter: str, inside: bool) -> bool:
    """Whether a quoted cell is open at the end of ``text``. A quote within an unquoted cell is an ordinary character."""
    position = 0
    if not inside and text.startswith('"'):
        inside, position = True, 1
    while True:
        if inside:
            position = text.find('"', position)
            if position < 0:
                return True
            if text.startswith('""', position):
                position += 2
                continue
            inside, position = False, position + 1
        else:
            position = text.find(f'{delimiter}"', position)
            if position < 0:
                return False
            inside, position = True, position + 2


def _is_slip(group: list[_Line], cells: list[str], header: list[str] | None, delimiter: str) -> bool:
    """Whether the quote that joins these lines is a slip: the record does not fit, the lines after the first do."""
    if header is None or len(cells) == len(header):
        return False
    fit = [len(_cells([line], delimiter) or []) == len(header) for line in group[1:]]
    return all(fit[:-1]) if len(fit) > 1 else fit[0]


def _cells(group: list[_Line], delimiter: str) -> list[str] | None:
    # strict over several lines: a closing quote amid words shows that the lines do not belong together
    try:
        rows = list(csv.reader([f"{line}\n" for _, line, _ in group], delimiter=delimiter, strict=len(group) > 1))
    except csv.Error:
        return None
    return rows[0] if len(rows) == 1 else None


def _parquet(file: SourceFile, source: SourceInfo) -> Iterator[Item | Reject]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        reader = pq.ParquetFile(file.path)
        index = 0
        for batch in reader.iter_batches(batch_size=512):
            for value in batch.to_pylist():
                yield Item(f"row {index}", value)
                index += 1
    except (pa.ArrowException, OSError) as error:
        detail = str(error).replace(str(file.path), file.name)
        yield source.reject("extract.wrong_content", file, f"not a whole Parquet file: {detail}")
