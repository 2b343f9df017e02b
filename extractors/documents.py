"""Open one document, whatever its format: PDF, Markdown, plain text, old books in plain text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pedcorpus.extractors import classics, encoding, flow, markdown
from pedcorpus.extractors.blocks import Block, has_text, ranks
from pedcorpus.extractors.rows import refuse
from pedcorpus.records import Reject
from pedcorpus.sources import SourceFile, SourceInfo

SUFFIXES = frozenset({".md", ".markdown", ".txt", ".text", ".pdf"})
_HEADING = re.compile(r"(?m)^#{1,6} \S")


@dataclass(slots=True)
class Opened:
    """Blocks in reading order, what could not be read, and what the document says of itself."""

    blocks: list[Block] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    title: str | None = None
    edition: str | None = None
    era: str = "modern"


def open_document(file: SourceFile, source: SourceInfo) -> Opened:
    """Read ``file``; every defect becomes a ledger entry and what can be read is kept."""
    if file.suffix not in SUFFIXES:
        known = ", ".join(sorted(SUFFIXES))
        return Opened(rejects=[source.reject("extract.unsupported", file, f"{source.kind} reads {known}")])
    data = file.path.read_bytes()
    if data[:1024].lstrip().startswith(b"%PDF-") or (file.suffix == ".pdf" and b"%PDF-" in data[:1024]):
        return _pdf(file, source)
    problem = refuse(data, file, source)
    if file.suffix == ".pdf" and (problem is None or problem.reason == "extract.wrong_content"):
        problem = source.reject(
            "extract.wrong_content", file, "named .pdf, but this is no PDF; mend the name or the file"
        )
    if problem:
        return Opened(rejects=[problem])
    decoded = encoding.decode(data)
    opened = parse(decoded.text.lstrip("\ufeff"), markdown_like=file.suffix in (".md", ".markdown"))
    if decoded.damaged:
        _leave_out_damaged(opened, decoded.encoding, file, source)
    if not has_text(opened.blocks) and not opened.rejects:
        opened.rejects.append(source.reject("extract.no_text", file, "headings at most, no text below them"))
    return opened


def parse(text: str, markdown_like: bool = False) -> Opened:
    """Blocks of a decoded text."""
    if classics.is_classic(text):
        about = classics.imprint(text)
        era = "historic" if about.historic else "modern"
        return Opened(classics.paragraphs(text), title=about.title, edition=about.year, era=era)
    if markdown_like or len(_HEADING.findall(text)) >= 3:
        return Opened(markdown.paragraphs(text))
    return Opened(flow.paragraphs(text))


def _pdf(file: SourceFile, source: SourceInfo) -> Opened:
    from pedcorpus.extractors import pdf

    reading = pdf.read_pdf(file.path)
    opened = Opened(reading.blocks)
    opened.rejects = [source.reject(problem.reason, file, problem.detail) for problem in reading.problems]
    if not reading.blocks and not opened.rejects:
        opened.rejects.append(source.reject("extract.no_text", file, "no page holds text; scanned pages need OCR"))
    return opened


def _leave_out_damaged(opened: Opened, name: str, file: SourceFile, source: SourceInfo) -> None:
    """Take out what holds broken bytes, and all that stands under a heading that does: whose text it is, nobody can tell."""
    kept: list[Block] = []
    under: float | None = None
    for block, own in zip(opened.blocks, ranks(opened.blocks), strict=True):
        if own is not None and under is not None and own <= under:
            under = None
        if encoding.DAMAGED in block.text:
            detail = f"bytes that are not {name} in the {block.kind} shown"
            under = own if under is None else under
        elif under is not None:
            detail = f"the {block.kind} shown stands under a heading with bytes that are not {name}"
        else:
            kept.append(block)
            continue
        opened.rejects.append(source.reject("extract.encoding", file, detail, block.line or block.text))
    opened.blocks = kept
