"""Guidelines: PDF, plain text, Markdown, and JSON objects of {title, url, year, content} with flattened text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from pedcorpus.editions import edition_of, subject_of, tidy_title
from pedcorpus.extractors import documents, encoding, sections
from pedcorpus.extractors.blocks import Block
from pedcorpus.extractors.headings import RANKS
from pedcorpus.extractors.rows import Item, read_rows
from pedcorpus.records import RawRecord, Reject
from pedcorpus.sources import SourceFile, SourceInfo

_TITLE = re.compile(r"(?:指南|方案|规范|共识|建议|指引|目录|手册|标准)[ 　]*(?:[（(][^（）()]{1,20}[)）][ 　]*)*$")
_YEAR_ONLY = re.compile(r"^[（(][ 　]*(?:19|20)\d{2}[ 　]*年.{0,8}[)）]$")
_ATTACHED = re.compile(r"^附[ 　]?[件录][ 　]?\d*[:：]?$")
_FIRST = 6
_MARKED = frozenset(RANKS) - {"size", "md1"}


def extract(files: Sequence[SourceFile], source: SourceInfo) -> Iterator[RawRecord | Reject]:
    """Raw records of one file."""
    file = files[0]
    if file.suffix in (".json", ".jsonl", ".ndjson"):
        for row in read_rows(file, source):
            if isinstance(row, Reject):
                yield row
            else:
                yield from _json(row, file, source)
        return
    opened = documents.open_document(file, source)
    yield from opened.rejects
    yield from _records(opened, file.stem, "", None, file, source)


def _json(row: Item, file: SourceFile, source: SourceInfo) -> Iterator[RawRecord | Reject]:
    value = row.value
    if isinstance(value, list):
        for number, item in enumerate(value):
            yield from _json(Item(f"{row.place}.{number}", item), file, source)
        return
    if not isinstance(value, Mapping):
        yield source.reject("extract.field", file, f"{row.place}: expected an object with title and content", value)
        return
    content, title, year = value.get("content"), value.get("title"), value.get("year")
    for name, found in (("content", content), ("title", title)):
        if not isinstance(found, str):
            what = "is missing" if found is None else f"is no text but {type(found).__name__}"
            yield source.reject("extract.field", file, f"{row.place}: {name} {what}", value)
            return
    assert isinstance(content, str) and isinstance(title, str)
    if not content.strip():
        yield source.reject("extract.no_text", file, f"{row.place}: content is empty", value)
        return
    opened = documents.parse(encoding.unify_lines(content))
    edition = f"{year}年" if isinstance(year, int | str) and re.fullmatch(r"(?:19|20)\d{2}", str(year)) else None
    yield from _records(opened, title, row.place if row.place != "row 0" else "", edition, file, source)


def _records(
    opened: documents.Opened, title: str, place: str, edition: str | None, file: SourceFile, source: SourceInfo
) -> Iterator[RawRecord | Reject]:
    printed, blocks = _take_title(opened.blocks)
    full = tidy_title(printed or title)
    if edition_of(full) is None and edition_of(title):
        full = tidy_title(title)
    named = SourceFile(file.path, f"{file.name}#{place}", file.size, file.sha256) if place else file
    document = source.document(named, full, edition=edition_of(full) or edition or opened.edition, era=opened.era)
    found = list(sections.leaves(blocks))
    yield from sections.records(found, document, source, extractor="guideline", subject=subject_of(full))


def _take_title(blocks: Sequence[Block]) -> tuple[str | None, list[Block]]:
    """The title printed on the first page, and the blocks without it."""
    kept = list(blocks)
    for index, block in enumerate(kept[:_FIRST]):
        if block.kind == "heading" and block.level in _MARKED:
            break  # 二、诊断标准 is a section, and below the first section no title stands
        if block.kind == "table" or len(block.text) > 60 or not _TITLE.search(block.text):
            continue
        title, end = block.text, index + 1
        start = index
        if start and kept[start - 1].level == block.level == "size":
            start -= 1
            title = kept[start].text + title
        if end < len(kept) and _YEAR_ONLY.match(kept[end].text.strip()):
            title += kept[end].text.strip()
            end += 1
        before = [item for item in kept[:start] if not _ATTACHED.match(item.text.strip())]
        return title, [*before, *kept[end:]]
    return None, kept
