"""Evidence-based diagnosis: a whole consultation about one disease, written in one call and checked turn by turn."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Annotated, Literal

from pydantic import Field

from pedcorpus.generators.llm.common import (
    UngroundedError,
    asked_row,
    choose_persona,
    evidence_of,
    leans_on_source,
    sentences_with,
    shown_to,
    tells_of_disease,
    unfounded,
)
from pedcorpus.generators.passage import refuse
from pedcorpus.llm.asking import Ask, ReplyModel
from pedcorpus.llm.prompts import load_prompt, prompt_language
from pedcorpus.medical_names import DISEASES, other_names, spelled
from pedcorpus.plugins import GenerateContext
from pedcorpus.records import Evidence, QualityNote, RawRecord, Reject, Row
from pedcorpus.topics import looks_like_disease, topic_of
from pedcorpus.wording import load_wording

_LEAST = 40
_LEAST_ASKED = 2
_LEAST_SYMPTOMS = 3
_FAMILIES = frozenset(
    {
        "definition",
        "manifestation",
        "examination",
        "classification",
        "diagnosis",
        "differential",
        "referral",
        "syndrome",
    }
)
"""Sections that may tell how a child presents; those on causes, treatment or prognosis do not."""
_ROLES = {"patient": "user", "doctor": "assistant"}
_KINDS = {
    "patient": frozenset({"complaint", "reply", "results"}),
    "doctor": frozenset({"ask", "request_test", "interpret", "advise", "conclude"}),
}
_CLAIMS = frozenset({"interpret", "advise", "conclude"})
_RULED_OUT = re.compile(
    r"(?:不[是像]|不(?:太)?(?:考虑|支持)|排除|除外|而?非|鉴别|\b(?:not|rule[sd]? out|unlike))[^，,。；;！？!?\n]{0,8}$"
)
"""Words that say of a disease that it is not this one."""
_SENDS = (
    r"急诊|转诊|转院|住院|救护车|急救"
    r"|(?:立即|立刻|马上|及时|尽快|尽早|赶紧)[^。；？！\n]{0,14}(?:就医|就诊|医院|医生)"
    r"|(?i:\bemergency\b|\bambulance\b|\brefer(?:ral|red|s)?\b|\badmission\b|\badmit(?:ted)?\b"
    r"|\b(?:at once|immediately|urgent(?:ly)?)\b[^.?!\n]{0,40}\b(?:hospital|doctor|care)\b|\b(?:hospital|doctor|care)\b[^.?!\n]{0,20}\b(?:at once|immediately|urgently)\b)"
)
"""Words that send a child to a doctor now."""
_SIGNS = (
    r"危险信号|警示|抢救|(?i:\bseizures?\b|\bconvulsions?\b|\bcyano(?:sis|tic)\b|\bunconscious|\bletharg|\bcoma\b|\bshock\b"
    r"|\bapn(?:o?ea)\b|\brespiratory (?:distress|failure)\b|\bdanger signs?\b)"
)
"""Danger signs beside those that the graph's wording lists."""


class CaseTurn(ReplyModel):
    """One turn. The quotes come before the text, so that it is written from them."""

    speaker: Literal["patient", "doctor"]
    kind: Literal["complaint", "reply", "results", "ask", "request_test", "interpret", "advise", "conclude"]
    quotes: list[Annotated[str, Field(max_length=400)]] = Field(max_length=8)
    text: str = Field(max_length=600)


class DiagnosticCase(ReplyModel):
    """A consultation."""

    source_says: bool
    turns: list[CaseTurn] = Field(max_length=20)


class DiagnosisGenerator:
    """EviDiag rows: one consultation a record."""

    name = "diagnosis"
    asks = True
    tasks = frozenset({"evidiag"})

    def takes(self, record: RawRecord) -> bool:
        """Whether the record is modern, of one disease, and may tell how a child with it presents."""
        if record.disease is None or not tells_of_disease(record, _LEAST):
            return False
        if record.triples:
            return sum(triple.relation == "症状" for triple in record.triples) >= _LEAST_SYMPTOMS
        family = topic_of(record.section_path, record.disease).family
        return family is None or family.name in _FAMILIES

    async def generate(self, record: RawRecord, context: GenerateContext, ask: Ask) -> list[Row | Reject]:
        """One case, or why there is none.

        Raises:
            CallFailedError: the reply was not to be had.
        """
        persona = choose_persona(record, context, ("parent",))
        answer = await ask.read(
            load_prompt("diagnosis/case", prompt_language(context.language)),
            DiagnosticCase,
            shown_to(record, persona),
            seed=context.seed,
        )
        case = answer.value
        turns = case.turns

        def row(evidence: Sequence[Evidence]) -> Row:
            messages = [(_ROLES[turn.speaker], turn.text.strip()) for turn in turns]
            return asked_row(record, "evidiag", messages, evidence, self.name, answer, notes=[ask_advise(turns)])

        if not case.source_says:
            return [refuse(record, "grounding.absent", "the source does not say how to come to a diagnosis")]
        fault = next(_faults(turns, record), None)
        if fault:
            return [refuse(record, "generate.shape", fault, row([]) if turns else None)]
        unquoted = next(
            (
                place
                for place, turn in enumerate(turns, 1)
                if turn.kind in _CLAIMS and not any(map(str.strip, turn.quotes))
            ),
            None,
        )
        if unquoted:
            detail = f"turn {unquoted} ({turns[unquoted - 1].kind}) has no quote"
            return [refuse(record, "grounding.quote", detail, row([]))]
        try:
            found = row(evidence_of(record, [quote for turn in turns for quote in turn.quotes]))
        except UngroundedError as error:
            return [refuse(record, error.reason, error.detail, row([]))]
        for place, turn in enumerate(turns, 1):
            lost = _unfounded(turn, record) if turn.kind in _CLAIMS else None
            if lost:
                return [refuse(record, lost[0], f"turn {place} ({turn.kind}): {lost[1]}", found)]
        return [found]


def ask_advise(turns: Sequence[CaseTurn]) -> QualityNote:
    """How much the doctor asks against how much they advise; the conclusion counts as advice."""
    asked = sum(turn.kind == "ask" for turn in turns)
    advised = sum(turn.kind in ("advise", "conclude") for turn in turns)
    score = asked / (asked + advised) if asked + advised else None
    return QualityNote("ask_advise", score, f"{asked} ask, {advised} advise")


def _unfounded(turn: CaseTurn, record: RawRecord) -> tuple[str, str] | None:
    """The reason and detail where a claim names or counts what its own quotes do not."""
    told = [sentence for quote in turn.quotes if quote.strip() for sentence in sentences_with(record, quote)]
    return unfounded(turn.text, told, record.disease)


def concludes(text: str, record: RawRecord) -> bool:
    """Whether ``text`` names the disease of ``record``, by another name or that of its family too, as what it is."""
    said = spelled(text)
    return any(
        not _RULED_OUT.search(said, 0, match.start()) and not said.startswith("鉴别", match.end())
        for name in _names_of(record)
        for match in re.finditer(re.escape(name), said)
    )


def _names_of(record: RawRecord) -> Iterator[str]:
    """What the disease of ``record`` may be called: 肺炎 too for 支气管肺炎, and the diseases in its headings."""
    disease = spelled(record.disease or "")
    headed = (spelled(part) for part in record.section_path if looks_like_disease(part))
    for whole in (disease, re.sub(r"[(（].*$", "", disease), *headed):
        bare = re.sub(r"^[\d.、第章节一二三四五六七八九十]+", "", whole)
        for name in {whole, bare, *other_names(bare)}:
            if len(name) > 1:
                yield name
        yield from (bare[cut:] for cut in range(1, len(bare) - 1) if bare[cut:] in DISEASES)


def _faults(turns: Sequence[CaseTurn], record: RawRecord) -> Iterator[str]:
    """What keeps ``turns`` from being a consultation, in order of the turns."""
    if not turns:
        yield "no turn at all"
        return
    before = None
    seen: set[str] = set()
    for place, turn in enumerate(turns, 1):
        expected = "patient" if place % 2 else "doctor"
        if turn.speaker != expected:
            yield f"turn {place} is the {turn.speaker}'s, not the {expected}'s"
        if turn.kind not in _KINDS[turn.speaker]:
            yield f"turn {place}: the {turn.speaker} has no {turn.kind}"
        if not turn.text.strip():
            yield f"turn {place} is empty"
        if (turn.kind == "complaint") != (place == 1):
            yield f"turn {place} is a {turn.kind}: a complaint opens the case and comes once"
        if turn.kind == "conclude" and place < len(turns):
            yield f"turn {place} concludes before the end"
        if turn.kind == "results" and before != "request_test":
            yield f"turn {place} reports results that nobody requested"
        if turn.kind == "interpret" and "results" not in seen:
            yield f"turn {place} interprets results that nobody reported"
        if before == "results" and turn.kind not in ("interpret", "conclude"):
            yield f"turn {place} does not interpret the results before it"
        marks = len(re.findall(r"[?？]", turn.text))
        if turn.kind == "ask" and marks != 1:
            yield f"turn {place} asks with {marks} question marks"
        if lean := leans_on_source(turn.text):
            yield f"turn {place} speaks of its source: {lean}"
        before = turn.kind
        seen.add(turn.kind)
    if turns[-1].kind != "conclude":
        yield f"the last turn is {turns[-1].kind}, not conclude"
    elif not concludes(turns[-1].text, record):
        yield f"the conclusion does not name {record.disease}"
    asked = sum(turn.kind == "ask" for turn in turns)
    if asked < _LEAST_ASKED:
        yield f"{asked} ask, at least {_LEAST_ASKED}"
    told = [record.text, *(turn.text for turn in turns if turn.speaker == "patient")]
    danger = next((match.group() for text in told if (match := _danger().search(text))), None)
    if danger and not any(re.search(_SENDS, turn.text) for turn in turns if turn.speaker == "doctor"):
        yield f"no word on when to seek care, though there is {danger}"


@cache
def _danger() -> re.Pattern[str]:
    """Danger signs and calls for care, as a source or a parent words them."""
    signs = load_wording("extractive/graph").data["danger"]["signs"]
    return re.compile("|".join([*signs, _SIGNS, _SENDS]))
