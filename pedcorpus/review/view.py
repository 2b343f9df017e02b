"""One row made ready for reading: its texts, the evidence marked in its record, page pictures, checks, provenance."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from pedcorpus.errors import PedcorpusError
from pedcorpus.records import Evidence, Message, QualityNote, Row, Version
from pedcorpus.review.decisions import CHECK, Decision, editable, is_review, text_hash, with_text
from pedcorpus.trace import draw_page, source_file

_WHOLE = 2400
_AROUND = 500
_MOST_PAGES = 6
_PDFIUM = threading.Lock()
"""PDFium draws one page at a time."""

Piece = tuple[Literal["text", "mark", "gap"], str]


@dataclass(frozen=True, slots=True)
class Cited:
    """A record that a row's evidence points into, its text in pieces."""

    title: str
    place: str
    edition: str
    license: str
    pages: tuple[int, ...]
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """A PDF page that evidence stands on, with the boxes to mark; ``missing`` says why it cannot be drawn."""

    source: Path | None
    number: int
    boxes: tuple[tuple[float, float, float, float], ...]
    missing: str = ""


def pieces(text: str, spans: Iterable[tuple[int, int]]) -> tuple[Piece, ...]:
    """``text`` cut into plain and marked pieces; of a long one, what lies far from all spans is a gap."""
    marked = _joined(spans, len(text))
    windows = [(0, len(text))]
    if len(text) > _WHOLE:
        near = [(max(0, start - _AROUND), min(len(text), end + _AROUND)) for start, end in marked]
        windows = _joined(near or [(0, _AROUND)], len(text))
    found: list[Piece] = []
    shown = 0
    for left, right in windows:
        if left > shown:
            found.append(("gap", ""))
        shown = left
        for start, end in marked:
            if left <= start and end <= right:
                found += [("text", text[shown:start]), ("mark", text[start:end])]
                shown = end
        found.append(("text", text[shown:right]))
        shown = right
    if shown < len(text):
        found.append(("gap", ""))
    return tuple(piece for piece in found if piece[0] == "gap" or piece[1])


def _joined(spans: Iterable[tuple[int, int]], length: int) -> list[tuple[int, int]]:
    """Spans in order, those that touch or overlap as one, none beyond ``length``."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted((max(0, start), min(end, length)) for start, end in spans):
        if start >= end:
            continue
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def cited(row: Row, records: Mapping[str, dict[str, Any]]) -> list[Cited]:
    """The records of a row's evidence, in the order in which they are cited; one that is lost shows the quotes."""
    found = []
    for record_id, items in _by_record(row).items():
        pages = tuple(sorted({item.page for item in items if item.page is not None}))
        record = records.get(record_id)
        if record is None:
            quotes: list[Piece] = [("mark", item.quote) for item in items]
            found.append(Cited(row.source_title, "", "", row.license, pages, tuple(quotes)))
            continue
        found.append(
            Cited(
                record["source_title"],
                " / ".join(record["section_path"] or []),
                record["edition"] or "",
                record["license"],
                pages,
                pieces(record["text"], [(item.start, item.end) for item in items]),
            )
        )
    return found


def _by_record(row: Row) -> dict[str, list[Evidence]]:
    found: dict[str, list[Evidence]] = {}
    for item in row.evidence:
        found.setdefault(item.record_id, []).append(item)
    return found


def pages(root: Path, row: Row, records: Mapping[str, dict[str, Any]]) -> list[Page]:
    """The PDF pages that a row's evidence stands on, at most six."""
    found: list[Page] = []
    for record_id, items in _by_record(row).items():
        record = records.get(record_id)
        if record is None or not record["boxes"]:
            continue
        blocks = record["extra"].get("blocks", [])
        on_page: dict[int, list[tuple[float, float, float, float]]] = {}
        for box, (start, end) in zip(record["boxes"], blocks, strict=False):
            if any(start < item.end and item.start < end for item in items):
                on_page.setdefault(box["page"], []).append((box["x0"], box["y0"], box["x1"], box["y1"]))
        for number, boxes in sorted(on_page.items()):
            try:
                found.append(Page(source_file(root, record), number, tuple(boxes)))
            except PedcorpusError as error:
                found.append(Page(None, number, (), error.message))
    return found[:_MOST_PAGES]


@lru_cache(maxsize=24)
def picture(page: Page) -> bytes:
    """A page as PNG, the evidence's blocks marked.

    Raises:
        PedcorpusError: the PDF is gone or cannot be drawn.
    """
    if page.source is None:
        raise PedcorpusError(page.missing)
    boxes = [dict(zip(("x0", "y0", "x1", "y1"), box, strict=True)) for box in page.boxes]
    with TemporaryDirectory(prefix="pedcorpus-") as folder, _PDFIUM:
        target = Path(folder) / "page.png"
        try:
            draw_page(page.source, page.number, boxes, target)
        except PedcorpusError:
            raise
        except Exception as error:  # PDFium raises errors of its own on a damaged file
            raise PedcorpusError(f"cannot draw page {page.number} of {page.source.name}: {error}") from error
        return target.read_bytes()


def texts(row: Row) -> list[Message]:
    """The messages that stand alone on the page: those of a dialogue, a pair's question, or the running text."""
    if row.task == "cpt":
        return [Message("text", row.text or "")]
    return list(row.prompt if row.task == "dfpo" else row.messages)


def blind_checks(row: Row) -> list[QualityNote]:
    """What filters said; not what other reviewers said."""
    return [note for note in row.quality if note.check != CHECK]


def blind_trail(row: Row) -> list[Version]:
    """Earlier versions of the row, but for those that reviewers changed."""
    return [version for version in row.provenance.version_trail if not is_review(version)]


def shown_messages(row: Row) -> tuple[Message, ...] | None:
    """The text that an acceptance must name, because an earlier review made it; None where it is the row's own."""
    name = editable(row)
    if name is None or not any(is_review(version) for version in row.provenance.version_trail):
        return None
    messages: tuple[Message, ...] = getattr(row, name)
    return messages


def answers(row: Row, decision: Decision | None) -> Sequence[Message]:
    """The editable side as the reviewer last wanted it."""
    name = editable(row)
    if name is None:
        return ()
    own: tuple[Message, ...] = getattr(row, name)
    wanted = decision.text() if decision is not None else None
    return wanted if wanted is not None and len(wanted) == len(own) else own


def still_holds(row: Row, decision: Decision) -> bool:
    """Whether a decision was made on the text that the row has now, or asked for it."""
    shown = text_hash(row)
    if decision.row_sha256 in (None, shown):
        return True
    wanted = decision.text()
    if wanted is None:
        return False
    try:
        return text_hash(with_text(row, wanted)) == shown
    except PedcorpusError:
        return False
