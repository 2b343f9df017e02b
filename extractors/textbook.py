"""Textbooks: Markdown, plain text (also the old books' edition) and PDF into leaf sections."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from pedcorpus.extractors import documents, encoding, sections
from pedcorpus.extractors.blocks import Block
from pedcorpus.extractors.headings import marker_of
from pedcorpus.records import RawRecord, Reject
from pedcorpus.sources import SourceFile, SourceInfo

_CHAPTER = re.compile(r"(?m)^#[ \t]+(\S.*)$")


def units(files: Sequence[SourceFile], source: SourceInfo) -> list[list[SourceFile]]:
    """A file with, after it, the chapter file that gives it its context: ``ch04.md`` for ``ch04-1.md``."""
    by_name = {file.name: file for file in files}
    found = []
    for file in files:
        folder, slash, name = file.name.rpartition("/")
        head, dash, _ = name.partition("-")
        chapter = by_name.get(f"{folder}{slash}{head}{file.suffix}") if dash else None
        found.append([file, chapter] if chapter else [file])
    return found


def extract(files: Sequence[SourceFile], source: SourceInfo) -> Iterator[RawRecord | Reject]:
    """Raw records of one document."""
    file = files[0]
    opened = documents.open_document(file, source)
    yield from opened.rejects
    above = _chapter_of(files[1]) if len(files) > 1 else ()
    blocks = opened.blocks
    if above and blocks and blocks[0].kind == "heading" and blocks[0].level == "md1":
        above = ()
    document = source.document(
        file, source.title or opened.title or _title(blocks), edition=opened.edition, era=opened.era
    )
    found = list(sections.leaves(blocks, above))
    yield from sections.records(found, document, source, extractor="textbook")


def _chapter_of(file: SourceFile) -> tuple[str, ...]:
    match = _CHAPTER.search(encoding.decode(file.path.read_bytes()).text[:4096])
    return (" ".join(match[1].split()),) if match else ()


def _title(blocks: Sequence[Block]) -> str | None:
    """The title over the whole document; a chapter's is none."""
    first = blocks[0] if blocks else None
    if first is None or first.kind != "heading" or first.level not in ("md1", "size") or marker_of(first.text):
        return None
    return first.text
