"""Plain texts for continued pre-training: titled pieces of prose, one after another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pedcorpus.extractors import documents, sections
from pedcorpus.records import RawRecord, Reject
from pedcorpus.sources import SourceFile, SourceInfo


def extract(files: Sequence[SourceFile], source: SourceInfo) -> Iterator[RawRecord | Reject]:
    """Raw records of one file."""
    file = files[0]
    opened = documents.open_document(file, source)
    yield from opened.rejects
    document = source.document(file, opened.title, edition=opened.edition, era=opened.era)
    yield from sections.records(sections.leaves(opened.blocks), document, source, extractor="plain_text")
