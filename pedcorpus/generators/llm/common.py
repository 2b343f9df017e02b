"""What every generator that asks needs: evidence from cited quotes, and rows that say which model made them."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pedcorpus.filters.number import NumberFilter
from pedcorpus.generators.passage import make_row, page_at, quantity_cut_at
from pedcorpus.grounding import align_all, load_names, ungrounded_names
from pedcorpus.llm.asking import Answer
from pedcorpus.llm.prompts import prompt_language
from pedcorpus.plugins import Drop, GenerateContext
from pedcorpus.records import Evidence, Message, Provenance, QualityNote, RawRecord, Row, Version
from pedcorpus.text import key
from pedcorpus.wording import choose, load_wording

KINDS = frozenset({"textbook", "guideline", "knowledge_graph"})
"""Source kinds that hold knowledge."""
_LEANS = re.compile(
    r"(?<!病史)(?<!病历)(?<!临床)(?<!影像)资料|原文|引文|上文|前文|下文|文中|本文|三元组|知识图谱|(?:上述|以上|上面|所给|给出的|提供的)(?:内容|材料|文[本字章段]|信息)"
    r"|\b(?:the|this|provided|given) (?:passage(?! of)|excerpt|quote|knowledge graph|text)\b|\b(?:source|provided) (?:text|material)\b"
    r"|\bthe source (?:says|states|does|mentions|gives|lists)|\baccording to the (?:source|document|material)\b|\bas (?:mentioned|stated) above\b",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"[。！？!?]+[”’」』）\)】〕]*|\n|(?<=[a-z)\]])\.(?=\s+[A-Z])")
_PART_END = re.compile(_SENTENCE_END.pattern + "|[；;]")
_LONGEST_SENTENCE = 400
_LABEL = re.compile(r"[^\s：:]{1,6}：")
"""What a turn of a dialogue or pair begins with in the text of its record."""


class UngroundedError(Exception):
    """A citation that the record does not hold; ``reason`` is a ledger code."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


def evidence_of(record: RawRecord, quotes: Sequence[str]) -> list[Evidence]:
    """The sentences of ``record`` that hold what ``quotes`` say, in the record's order, neighbours joined.

    Whole sentences, since a quote may begin after its negation or leave out whom it is about.

    Raises:
        UngroundedError: no quote at all, a quote that the record does not hold, or a span that a page mark cuts
            inside a quantity.
    """
    extra = record.extras()
    spans: list[tuple[int, int]] = []
    for quote in quotes:
        found = align_all(quote, record.text)
        if found is None:
            raise UngroundedError("grounding.quote", f"not in the source: {quote[:80]}")
        spans += widened(record, found)
    if not spans:
        raise UngroundedError("grounding.quote", "no quote")
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    for start, end in joined:
        cut = quantity_cut_at(record, start, end, extra)
        if cut:
            raise UngroundedError("grounding.cut", f"a page mark cuts {cut}")
    return [
        Evidence(record.id, page_at(record, start, extra), start, end, record.text[start:end]) for start, end in joined
    ]


def widened(record: RawRecord, spans: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Each span with the rest of its sentences, without the label of a turn; of a very long one with its clauses."""
    text = record.text
    wide: list[tuple[int, int]] = []
    for start, end in spans:
        first, last = _around(text, start, end, _SENTENCE_END)
        if last - first > _LONGEST_SENTENCE:
            first, last = _around(text, start, end, _PART_END)
        if record.pairs or record.turns:
            label = _LABEL.match(text, first, start)
            first = label.end() if label else first
        while first < start and text[first].isspace():
            first += 1
        while last > end and text[last - 1].isspace():
            last -= 1
        wide.append((first, last))
    return wide


def sentences_with(record: RawRecord, quote: str) -> list[str]:
    """What `evidence_of` makes of one quote; the quote itself where the record does not hold it."""
    spans = align_all(quote, record.text)
    return [record.text[start:end] for start, end in widened(record, spans)] if spans else [quote]


def _around(text: str, start: int, end: int, border: re.Pattern[str]) -> tuple[int, int]:
    first = max((match.end() for match in border.finditer(text) if match.end() <= start), default=0)
    last = next((match.end() for match in border.finditer(text) if match.end() >= end), len(text))
    return first, last


def whole_evidence(record: RawRecord, places: Sequence[tuple[int, int]]) -> list[Evidence]:
    """Evidence at known places of the record, blanks at the ends left off."""
    extra = record.extras()
    found = []
    for start, end in places:
        text = record.text[start:end]
        start, end = start + len(text) - len(text.lstrip()), end - (len(text) - len(text.rstrip()))
        if start < end:
            found.append(Evidence(record.id, page_at(record, start, extra), start, end, record.text[start:end]))
    return found


def tells_of_disease(record: RawRecord, least: int) -> bool:
    """Whether ``record`` is modern knowledge of one disease: a graph, or a section of ``least`` characters."""
    if record.source_kind not in KINDS or record.era != "modern" or record.disease is None:
        return False
    return bool(record.triples) or not (record.turns or record.pairs or len(key(record.text)) < least)


def holds_pair(record: RawRecord, longest: int) -> bool:
    """Whether ``record`` is a question and an answer, neither empty nor longer than a reply can hold."""
    if not record.pairs:
        return False
    texts = (record.pairs[0].question.strip(), record.pairs[0].answer.strip())
    return all(0 < len(text) <= longest for text in texts)


def asked_row(
    record: RawRecord,
    task: str,
    messages: Sequence[tuple[str, str]],
    evidence: Sequence[Evidence],
    generator: str,
    answer: Answer[Any],
    *,
    trail: Sequence[Version] = (),
    notes: Sequence[QualityNote] = (),
) -> Row:
    """A candidate row that ``answer``, the last reply that shaped it, was made of."""
    row = make_row(record, task, messages, evidence, generator, None)
    provenance = replace(
        row.provenance,
        prompt_id=answer.prompt.name,
        prompt_sha256=answer.prompt.sha256,
        model=answer.model,
        request_key=answer.key,
        version_trail=tuple(trail),
    )
    return replace(row, provenance=provenance, quality=tuple(notes))


@dataclass(frozen=True, slots=True)
class Persona:
    """Who asks about one record. ``audience`` tells the one who answers how to speak to them."""

    role: str
    who: str
    tone: str
    age: str
    audience: str


def unfounded(text: str, quotes: Sequence[str], disease: str | None) -> tuple[str, str] | None:
    """The reason and detail where ``text`` names a drug or disease, or has a figure, that ``quotes`` do not hold."""
    lost = ungrounded_names(text, quotes, disease, load_names(""))
    if lost:
        return "grounding.name", ", ".join(lost)
    held = tuple(Evidence("", None, 0, len(quote), quote) for quote in quotes)
    row = Row(
        "",
        "safety",
        "safety",
        "",
        "",
        "",
        None,
        disease,
        "",
        held,
        Provenance("", ""),
        (),
        (Message("assistant", text),),
    )
    verdict = NumberFilter().check(row)
    return (verdict.reason, verdict.detail) if isinstance(verdict, Drop) else None


def leans_on_source(text: str) -> str | None:
    """The words by which ``text`` speaks of a source that its reader does not see."""
    match = _LEANS.search(text)
    return match.group() if match else None


def subject_of(record: RawRecord) -> str:
    """What a record is about, for a prompt: its disease and headings, which its text may not repeat."""
    parts = [record.source_title, *record.section_path]
    if record.disease and record.disease not in parts:
        parts.append(record.disease)
    return " / ".join(parts)


def choose_persona(record: RawRecord, context: GenerateContext, roles: Collection[str] = ()) -> Persona:
    """The asker for ``record``, by the seed; ``roles`` limits the choice."""
    known: dict[str, Any] = load_wording("llm/personas").data[prompt_language(context.language)]
    askers = {item["role"]: item for item in known["asker"] if not roles or item["role"] in roles}

    def pick(options: Sequence[str], what: str) -> str:
        return choose(list(options), context.seed, record.id, "persona", what)

    asker = askers[pick(list(askers), "role")]
    return Persona(
        role=asker["role"],
        who=pick(asker["who"], "who"),
        tone=pick(asker["tone"], "tone"),
        age=pick(known["ages"], "age"),
        audience=asker["audience"],
    )


def shown_to(record: RawRecord, persona: Persona) -> dict[str, str]:
    """What a prompt says of the source and of the one who asks about it."""
    return {
        "source": record.text,
        "subject": subject_of(record),
        "who": persona.who,
        "tone": persona.tone,
        "age": persona.age,
    }
