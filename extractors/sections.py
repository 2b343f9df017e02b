"""Blocks of a document into leaf sections, and leaf sections into raw records."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from pedcorpus.deidentify import ROLE_LABEL
from pedcorpus.extractors.blocks import Block, is_line, ranks
from pedcorpus.records import RawRecord
from pedcorpus.sources import Document, SourceInfo, Spans
from pedcorpus.text import sentences
from pedcorpus.topics import department_of, diseases_of, is_historic_heading

MOST_CHARACTERS = 1500
DRAFTERS = "编写人员"
"""Heading of the text that lists who wrote and checked a document, where it has no heading of its own."""
_DRAFTERS = re.compile(r"(?:编写|编审|审定|起草|制定|审阅|写作).{0,10}(?:名单|专家组|工作组|小组|人员)|专家.{0,6}名单")


@dataclass(slots=True)
class Leaf:
    """A section without subsections, or the text before the first of them."""

    path: tuple[str, ...]
    blocks: list[Block] = field(default_factory=list)


def leaves(blocks: Iterable[Block], above: tuple[str, ...] = ()) -> Iterator[Leaf]:
    """Leaf sections in reading order. ``above`` are headings that stand over the whole document.

    A heading closes every open one whose rank is not lower.
    """
    blocks = list(blocks)
    known = ranks(blocks)
    open_headings: list[tuple[float, str]] = []
    leaf = Leaf(above)
    for index, block in enumerate(blocks):
        own = known[index]
        if own is None:
            if leaf.path[-1:] != (DRAFTERS,) and _names_drafters(block):
                if leaf.blocks:
                    yield leaf
                leaf = Leaf((*above, DRAFTERS))
            leaf.blocks.append(block)
            continue
        while open_headings and open_headings[-1][0] >= own:
            open_headings.pop()
        line = is_line(blocks, known, index)
        if not line:
            open_headings.append((own, block.text))
        path = (*above, *(title for _, title in open_headings))
        if not line or path != leaf.path:
            if leaf.blocks:
                yield leaf
            leaf = Leaf(path)
        if line:
            leaf.blocks.append(replace(block, kind="paragraph", text=block.line or block.text, level=None, line=""))
    if leaf.blocks:
        yield leaf


def records(
    found: Iterable[Leaf],
    document: Document,
    source: SourceInfo,
    *,
    extractor: str,
    subject: str | None = None,
) -> Iterator[RawRecord]:
    """Raw records of leaf sections, cut at paragraph ends above `MOST_CHARACTERS`.

    ``subject`` is the disease of a whole document, such as a guideline. Sections that quote old books or
    hand down folk remedies are historic in a modern book too.
    """
    found = list(found)
    diseases = diseases_of([leaf.path for leaf in found], subject)
    seen: dict[str, int] = {}
    for leaf in found:
        path = "/".join(leaf.path)
        for blocks in _pieces(leaf.blocks):
            number = seen.get(path, 0)
            seen[path] = number + 1
            record = _record(leaf, blocks, f"{path}#{number}", document, source, extractor, diseases.get(leaf.path))
            if record is not None:
                yield record


def _names_drafters(block: Block) -> bool:
    text = block.text.strip()
    return bool(ROLE_LABEL.match(text)) or (len(text) <= 40 and bool(_DRAFTERS.search(text)))


def _pieces(blocks: list[Block]) -> Iterator[list[Block]]:
    piece: list[Block] = []
    size = 0
    for block in (part for whole in blocks for part in _split_long(whole)):
        if piece and size + len(block.text) > MOST_CHARACTERS:
            yield piece
            piece, size = [], 0
        piece.append(block)
        size += len(block.text)
    if piece:
        yield piece


def _split_long(block: Block) -> Iterator[Block]:
    """A paragraph of more than twice the limit, cut at sentence ends."""
    if block.kind == "table" or len(block.text) <= 2 * MOST_CHARACTERS:
        yield block
        return
    start = 0
    ends = [end for _, end in sentences(block.text)]
    for index, end in enumerate(ends):
        is_last = index == len(ends) - 1
        if is_last or ends[index + 1] - start > MOST_CHARACTERS:
            stop = len(block.text) if is_last else end
            page = next((number for number, offset in reversed(block.page_starts) if offset <= start), block.page)
            yield Block(
                "paragraph",
                block.text[start:stop],
                page=page,
                boxes=block.boxes,
                page_starts=[(number, offset - start) for number, offset in block.page_starts if start < offset < stop],
                seams=[offset - start for offset in block.seams if start < offset < stop],
            )
            start = stop


def _record(
    leaf: Leaf,
    blocks: list[Block],
    place: str,
    document: Document,
    source: SourceInfo,
    extractor: str,
    disease: str | None,
) -> RawRecord | None:
    text = ""
    page_starts: list[tuple[int, int]] = []
    seams: list[int] = []
    tables: list[tuple[int, int]] = []
    spans: list[tuple[int, int]] = []
    page = blocks[0].page
    last_page = page
    for block in blocks:
        text += "\n" if text else ""
        start = len(text)
        if block.page is not None and block.page != last_page:
            page_starts.append((block.page, start))
            last_page = block.page
        for number, offset in block.page_starts:
            page_starts.append((number, start + offset))
            last_page = number
        seams += [start + offset for offset in block.seams]
        text += block.text
        if block.kind == "table":
            tables.append((start, len(text)))
        spans += [(start, len(text))] * len(block.boxes)
    if not text.strip():
        return None
    return source.section(
        document,
        place,
        text,
        extractor=extractor,
        section_path=leaf.path,
        page=page,
        spans=Spans(page_starts, seams, tables, spans),
        boxes=[box for block in blocks for box in block.boxes],
        department=department_of(leaf.path),
        disease=disease,
        era="historic" if any(is_historic_heading(heading) for heading in leaf.path) else None,
    )
