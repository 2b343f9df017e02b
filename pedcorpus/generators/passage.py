"""A raw record as a generator reads it: cleaned text, and every span of it back to the record's own characters."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pedcorpus.editions import edition_of
from pedcorpus.records import Evidence, Message, Provenance, RawRecord, Reject, Row, as_json, row_id
from pedcorpus.text import Clean, clean, sentences
from pedcorpus.wording import Wording, render

_RUN_END = re.compile(r"[0-9０-９.．%％/／(（~～〜\-–—×·一二三四五六七八九十百千万两半]$|[0-9０-９][ ]?[a-zA-Zμ]{1,5}$")
_RUN_START = re.compile(
    r"^[0-9０-９.．%％‰/／)）~～〜–—×·]|^[（(][ ]?(?:kg|d|次|日|h|㎏)|^(?:mg|ml|g|kg|ug|μg|mmol|IU|U|℃|岁|月|天|小时|次|片|毫|微|克|支|滴|粒|袋|单位|国际|个|周|万|分钟|min|ML|MG)"
    r"|^[一二三四五六七八九十百千半两]{1,4}(?:毫|微|克|片|支|滴|粒|袋|包|丸|次|岁|个?月|天|单位|公斤)"
)


@dataclass(frozen=True, slots=True)
class Line:
    """A paragraph of the cleaned text."""

    start: int
    end: int
    text: str


class Passage:
    """The cleaned text of one record with its way back."""

    def __init__(self, record: RawRecord) -> None:
        self.record = record
        self.clean: Clean = clean(record.text)
        self._extra = record.extras()
        self.tables: list[tuple[int, int]] = [
            (self.clean.clean_offset(int(start)), self.clean.clean_offset(int(end)))
            for start, end in self._extra.get("tables", [])
        ]

    @property
    def text(self) -> str:
        """The cleaned text."""
        return self.clean.text

    def lines(self, tables: bool = False) -> Iterator[Line]:
        """Paragraphs in order; rows of tables only when asked for, and then they alone."""
        start = 0
        for text in self.text.split("\n"):
            end = start + len(text)
            inside = any(first < end and start < last for first, last in self.tables)
            if text.strip() and inside == tables:
                yield Line(start, end, text)
            start = end + 1

    def evidence(self, start: int, end: int) -> Evidence:
        """The evidence behind ``text[start:end]``."""
        raw_start, raw_end = self.clean.raw_span(start, end)
        page = page_at(self.record, raw_start, self._extra)
        return Evidence(self.record.id, page, raw_start, raw_end, self.record.text[raw_start:raw_end])

    def cut_quantity(self, start: int, end: int) -> str | None:
        """Where a page mark had cut a quantity inside ``text[start:end]``: the words around it."""
        return quantity_cut_at(self.record, *self.clean.raw_span(start, end), self._extra)

    def shorten(self, start: int, end: int, most: int) -> int:
        """The end of the longest run of whole sentences from ``start`` within ``most`` characters.

        A paragraph that ends in a colon or comma is no whole sentence: what it announces comes next.
        """
        if end - start <= most:
            return end
        best = end
        for _, stop in sentences(self.text[start:end]):
            if stop > most:
                break
            if self.text[start + stop - 1] not in "：:，,；;":
                best = start + stop
        return best


def page_at(record: RawRecord, offset: int, extra: Mapping[str, Any]) -> int | None:
    """The page on which ``record.text[offset]`` stands; ``extra`` is ``record.extras()``, parsed once by the caller."""
    page = record.page
    for number, start in extra.get("page_starts", []):
        if start <= offset:
            page = int(number)
    return page


def quantity_cut_at(record: RawRecord, start: int, end: int, extra: Mapping[str, Any]) -> str | None:
    """Where a page mark had cut a quantity inside ``record.text[start:end]``: the words around it."""
    text = record.text
    for seam in extra.get("seams", []):
        if start < seam < end:
            before, after = text[start:seam].rstrip(), text[seam:end].lstrip()
            if (_RUN_END.search(before[-12:]) and _RUN_START.search(after)) or re.search(r"[/／(（~～]$", before):
                return f"{before[-12:]}|{after[:12]}"
    return None


def make_row(
    record: RawRecord,
    task: str,
    messages: Sequence[tuple[str, str]],
    evidence: Sequence[Evidence],
    generator: str,
    wording: Wording | None,
    *,
    text: str | None = None,
) -> Row:
    """A candidate row of ``record``; instruction tasks give ``messages``, ``cpt`` gives ``text``."""
    contents = [content for _, content in messages] if text is None else [text]
    return Row(
        id=row_id(task, record.source_id, contents),
        task=task,
        source_kind=record.source_kind,
        source_id=record.source_id,
        source_title=record.source_title,
        license=record.license,
        department=record.department,
        disease=record.disease,
        language=record.language,
        evidence=tuple(evidence),
        provenance=Provenance(
            extractor=record.extractor,
            generator=generator,
            prompt_id=f"{wording.id}@{wording.version}" if wording else None,
            prompt_sha256=wording.sha256 if wording else None,
        ),
        messages=tuple(Message(role, content) for role, content in messages) if text is None else (),
        text=text,
    )


def refuse(record: RawRecord, reason: str, detail: str, row: Row | None = None) -> Reject:
    """A ledger entry for a candidate that is refused as it is made."""
    content = as_json(row) if row is not None else as_json({"record_id": record.id})
    return Reject("generate", reason, detail, row.id if row else record.id, record.source_id, content)


def illness_of(disease: str) -> str:
    """A disease as one speaks of it after 孩子: 孩子得了肺炎, not 孩子得了小儿肺炎."""
    bare = re.sub(r"^(?:小儿|儿童)(?!麻痹|期|时期)", "", disease)
    return bare if len(bare) >= 2 else disease


def cite(wording: Wording, record: RawRecord, task: str) -> str:
    """What stands before an answer: a guideline is always cited, a book where what to do rests on it."""
    if record.source_kind != "guideline" and not (task == "trerecom" and record.edition):
        return ""
    dated = bool(record.edition) and edition_of(record.source_title) is None
    template = wording.data["citation"]["dated" if dated else "plain"]
    return render(template, title=record.source_title, edition=record.edition or "")
