"""Distilled pairs rewritten by progressive instruction reconstruction.

The steps are ours, since nobody published the paper's: draft the answer from the pair; find what is missing or in a poor
order; restructure; enrich from the pair alone, with quotes; check, and keep or refuse. Every version stays in the trail.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import Field

from pedcorpus.filters.number import NumberFilter
from pedcorpus.generators.exchanges import forced_task, task_of
from pedcorpus.generators.llm.common import UngroundedError, asked_row, evidence_of, holds_pair, whole_evidence
from pedcorpus.generators.passage import refuse
from pedcorpus.grounding import load_names, ungrounded_names
from pedcorpus.llm.asking import Answer, Ask, ReplyModel
from pedcorpus.llm.prompts import load_prompt, prompt_language
from pedcorpus.plugins import Drop, GenerateContext
from pedcorpus.records import MEDICAL_TASKS, Evidence, RawRecord, Reject, Row, Turn, Version
from pedcorpus.said import lost_denial, lost_warning, new_frequency
from pedcorpus.sources import serialise_pair
from pedcorpus.text import clean

_LONGEST = 1500
_Text = Annotated[str, Field(min_length=1, max_length=_LONGEST)]
_Point = Annotated[str, Field(min_length=1, max_length=300)]
_Points = Annotated[list[_Point], Field(max_length=12)]
M = TypeVar("M", bound=ReplyModel)


class DraftedAnswer(ReplyModel):
    """The first version."""

    answer: _Text


class AnswerGaps(ReplyModel):
    """What the draft lacks of the pair, and what stands in a poor order in it; either may be empty."""

    missing: _Points
    misplaced: _Points


class RestructuredAnswer(ReplyModel):
    """The draft with its gaps closed, in order."""

    answer: _Text


class EnrichedAnswer(ReplyModel):
    """The last version, and the words of the pair that it rests on."""

    answer: _Text
    quotes: Annotated[list[Annotated[str, Field(min_length=1, max_length=500)]], Field(min_length=1, max_length=24)]


class SelfCheck(ReplyModel):
    """The verdict on the last version, its reasons first."""

    problems: _Points
    keep: bool


class ReconstructGenerator:
    """One row of a distilled pair, in the task that its question asks for; the question stays as it is."""

    name = "reconstruct"
    asks = True
    tasks = MEDICAL_TASKS

    def takes(self, record: RawRecord) -> bool:
        """Whether ``record`` is a distilled pair that a reply can hold."""
        return record.source_kind == "distilled" and holds_pair(record, _LONGEST)

    async def generate(self, record: RawRecord, context: GenerateContext, ask: Ask) -> list[Row | Reject]:
        """The reconstructed pair, or why it is refused. Five calls."""
        pair = record.pairs[0]
        task = forced_task(record) or task_of([Turn("user", pair.question), Turn("assistant", pair.answer)])
        if task not in context.tasks or task not in self.tasks:
            return []
        steps = _Steps(record, context.seed, ask)
        draft = (await steps.take("draft", DraftedAnswer)).value.answer
        gaps = (await steps.take("gaps", AnswerGaps, draft=draft)).value
        ordered = await steps.take(
            "restructure", RestructuredAnswer, draft=draft, missing=gaps.missing, misplaced=gaps.misplaced
        )
        enriched = await steps.take("enrich", EnrichedAnswer, draft=ordered.value.answer)
        # Asked before the quotes are looked up, so that a dry run counts every call.
        verdict = (await steps.take("check", SelfCheck, final=enriched.value.answer)).value
        trail = [
            Version("source", pair.answer),
            Version("draft", draft),
            Version("gaps", "\n".join((*gaps.missing, *gaps.misplaced))),
            Version("restructure", ordered.value.answer),
            Version("enrich", enriched.value.answer),
        ]
        return [_judged(record, task, enriched, verdict, trail)]


class _Steps:
    """Asks about one pair step by step; every prompt sees the pair itself."""

    def __init__(self, record: RawRecord, seed: int, ask: Ask) -> None:
        self.pair = record.pairs[0]
        self.language = prompt_language(record.language)
        self.seed = seed
        self.ask = ask

    async def take(self, step: str, reply: type[M], **values: Any) -> Answer[M]:
        """The reply of one step."""
        seen = {"question": self.pair.question, "answer": self.pair.answer, **values}
        return await self.ask.read(load_prompt(f"reconstruct/{step}", self.language), reply, seen, seed=self.seed)


def _judged(
    record: RawRecord, task: str, enriched: Answer[EnrichedAnswer], verdict: SelfCheck, trail: list[Version]
) -> Row | Reject:
    """The row if the check kept it, its quotes are in the pair and so is every figure.

    Where the quotes leave out a figure that the pair has, the whole pair is the evidence.
    """

    def made(evidence: list[Evidence]) -> Row:
        messages = [
            ("user", clean(record.pairs[0].question).text),
            ("assistant", clean(enriched.value.answer).text.strip()),
        ]
        return asked_row(record, task, messages, evidence, ReconstructGenerator.name, enriched, trail=trail)

    whole = made(whole_evidence(record, serialise_pair(record.pairs[0])[1]))
    if not verdict.keep:
        said = "; ".join(verdict.problems) or "no reason given"
        return refuse(record, "quality.self_check", said, whole)
    changed = _changed(record, enriched.value.answer)
    if changed:
        return refuse(record, *changed, whole)
    try:
        row = made(evidence_of(record, enriched.value.quotes))
    except UngroundedError as error:
        return refuse(record, error.reason, error.detail, whole)
    if isinstance(NumberFilter().check(row), Drop):
        fault = NumberFilter().check(whole)
        return refuse(record, fault.reason, fault.detail, whole) if isinstance(fault, Drop) else whole
    return row


def _changed(record: RawRecord, said: str) -> tuple[str, str] | None:
    """The reason and detail where an answer has a name or frequency of the question's alone, or turns a denial round."""
    own, names = record.pairs[0].answer, load_names("")
    added = ungrounded_names(said, [own], record.disease, names)
    if added:
        return "grounding.name", f"the pair's answer does not name {', '.join(added)}"
    often = new_frequency(said, [own])
    if often:
        return "grounding.number", f"the pair's answer does not say {often}"
    denial = lost_denial(own, said, names)
    if denial:
        return "grounding.said", f"denied on one side alone: {denial}"
    warning = lost_warning(own, said, names)
    return ("grounding.said", f"no longer warned of: {warning}") if warning else None
