"""Treatment recommendation: a question with the child's situation, and an answer put together from quoted items."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated

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
)
from pedcorpus.generators.passage import cite, refuse
from pedcorpus.grounding import load_names
from pedcorpus.llm.asking import Ask, ReplyModel
from pedcorpus.llm.prompts import load_prompt, prompt_language
from pedcorpus.plugins import GenerateContext
from pedcorpus.quantities import doses, missing
from pedcorpus.records import Evidence, RawRecord, Reject, Row
from pedcorpus.said import beside, denied_drugs, forbids
from pedcorpus.text import key
from pedcorpus.topics import topic_of
from pedcorpus.wording import Wording, load_wording, render

_LEAST = 20
_TREATS = re.compile(r"治疗(?!周期|费用)|疗法|手术|用药|药物|药品|(?i:treat|therap|drug|medication|surg)")
_GROUPS = ("treatment", "doses", "contraindications", "follow_up", "seek_care")

Quote = Annotated[str, Field(min_length=1, max_length=400)]


class AdvicePoint(ReplyModel):
    """One thing to do or to mind, and the words of the source that say so."""

    point: str = Field(min_length=1, max_length=200)
    quote: Quote


class DrugDose(ReplyModel):
    """One use of one drug, word for word; ``for_whom`` and ``maximum`` are empty where the source gives none."""

    drug: str = Field(min_length=1, max_length=60)
    for_whom: str = Field(max_length=80)
    amount: str = Field(min_length=1, max_length=150)
    maximum: str = Field(max_length=100)
    quotes: list[Quote] = Field(max_length=3)


class TreatmentAdvice(ReplyModel):
    """A question and the items of its answer.

    ``source_says`` comes last, after the quotes were looked for: asked first, small models deny what they then quote.
    """

    question: str = Field(max_length=300)
    treatment: list[AdvicePoint] = Field(max_length=8)
    doses: list[DrugDose] = Field(max_length=8)
    contraindications: list[AdvicePoint] = Field(max_length=8)
    follow_up: list[AdvicePoint] = Field(max_length=8)
    seek_care: list[AdvicePoint] = Field(max_length=8)
    source_says: bool

    def points(self) -> list[AdvicePoint]:
        """Every item but the doses."""
        return [*self.treatment, *self.contraindications, *self.follow_up, *self.seek_care]

    def quotes(self) -> list[str]:
        """Every quote."""
        return [item.quote for item in self.points()] + [quote for dose in self.doses for quote in dose.quotes]


class TreatmentGenerator:
    """TreRecom rows: one recommendation a record."""

    name = "treatment"
    asks = True
    tasks = frozenset({"trerecom"})

    def takes(self, record: RawRecord) -> bool:
        """Whether the record is modern and a section on treatment or care, or a graph with treatments or drugs."""
        if record.disease is None or not tells_of_disease(record, _LEAST):
            return False
        if record.triples:
            return any(_TREATS.search(triple.relation) for triple in record.triples)
        family = topic_of(record.section_path, record.disease).family
        return family is not None and family.task == "trerecom"

    async def generate(self, record: RawRecord, context: GenerateContext, ask: Ask) -> list[Row | Reject]:
        """One recommendation, or why there is none.

        Raises:
            CallFailedError: the reply was not to be had.
        """
        language = prompt_language(context.language)
        persona = choose_persona(record, context, ("parent", "doctor"))
        answer = await ask.read(
            load_prompt("treatment/advise", language),
            TreatmentAdvice,
            {**shown_to(record, persona), "audience": persona.audience},
            seed=context.seed,
        )
        advice = answer.value
        if not advice.source_says:
            return [refuse(record, "grounding.absent", "the source does not say how to treat")]
        question, said = advice.question.strip(), compose(advice, record, language)

        def row(evidence: Sequence[Evidence]) -> Row:
            return asked_row(record, "trerecom", [("user", question), ("assistant", said)], evidence, self.name, answer)

        lost = next(_misquoted(advice, record), None)
        if lost:
            return [refuse(record, "grounding.quote", lost, row([]))]
        fault = next(_misplaced(advice, record), None)
        if fault:
            return [refuse(record, "generate.shape", fault, row([]))]
        try:
            found = row(evidence_of(record, advice.quotes()))
        except UngroundedError as error:
            return [refuse(record, error.reason, error.detail, row([]))]
        lean = leans_on_source(question) or next(
            filter(None, (leans_on_source(item.point) for item in advice.points())), None
        )
        if lean or not question:
            fault = f"it speaks of its source: {lean}" if lean else "no question"
            return [refuse(record, "generate.shape", fault, found)]
        return [found]


def compose(advice: TreatmentAdvice, record: RawRecord, language: str) -> str:
    """The answer: a group a paragraph, a dose a line with the child it is for, after the citation if one is due."""
    wording = _answer_wording(language)
    marks, labels = wording.data["marks"], wording.data["labels"]
    paragraphs = []
    for group in _GROUPS:
        lines = [_line(item, wording.data["dose"]) for item in getattr(advice, group)]
        if len(lines) > 1:
            lines = [f"\n{mark}{line}" for mark, line in zip(marks, lines, strict=False)]
        if lines:
            paragraphs.append(render(wording.data["group"], label=labels[group], items="".join(lines)))
    cited = cite(wording, record, "trerecom")
    return "\n".join([cited, *paragraphs] if cited else paragraphs)


def _misquoted(advice: TreatmentAdvice, record: RawRecord) -> Iterator[str]:
    """What an item says that its own quotes do not: a figure of a point, any word of a dose."""
    for item in advice.points():
        for quantity in missing(item.point, [item.quote]):
            yield f"{quantity.shown} is not in the quote of: {item.point[:80]}"
    for dose in advice.doses:
        held = [key(quote) for quote in dose.quotes]
        for words in (dose.drug, dose.amount, dose.for_whom, dose.maximum):
            if not any(key(words) in quote for quote in held) or missing(words, dose.quotes):
                yield f"not word for word in the quotes of {dose.drug}: {words}"
        told = [sentence for quote in dose.quotes for sentence in sentences_with(record, quote)]
        if not any(_gives(sentence, dose) for sentence in told):
            yield f"no one quote gives {dose.drug}: {dose.amount} {dose.for_whom}".rstrip()
        if dose.maximum and not any(_limits(sentence, dose) for sentence in told):
            yield f"another drug's limit: {dose.maximum}"


def _gives(sentence: str, dose: DrugDose) -> bool:
    """Whether one sentence holds drug, amount and whom it is for, no other drug between, and forbids none of them."""
    held = key(sentence)
    whole = all(key(words) in held for words in (dose.drug, dose.amount, dose.for_whom))
    if not whole or not beside(sentence, dose.drug, dose.amount, load_names("")):
        return False
    return not any(forbids(sentence, words) for words in (dose.drug, dose.amount, dose.for_whom))


def _limits(sentence: str, dose: DrugDose) -> bool:
    """Whether a sentence holds the limit, as this drug's or without a drug."""
    if key(dose.maximum) not in key(sentence):
        return False
    return beside(sentence, dose.drug, dose.maximum, load_names("")) is not False


def _misplaced(advice: TreatmentAdvice, record: RawRecord) -> Iterator[str]:
    """A point that gives a dose, which only ``doses`` may, or advises what its quote forbids."""
    for item in advice.points():
        for dose in doses(item.point):
            yield f"a dose in a point: {dose.shown}"
    for item in (*advice.treatment, *advice.follow_up, *advice.seek_care):
        for name in denied_drugs(item.point, sentences_with(record, item.quote), load_names("")):
            yield f"the quote forbids {name}: {item.point[:80]}"


def _line(item: AdvicePoint | DrugDose, template: str) -> str:
    if isinstance(item, AdvicePoint):
        return _flat(item.point)
    amount, maximum = (_flat(words).rstrip("。；，,;.") for words in (item.amount, item.maximum))
    return render(template, drug=_flat(item.drug), for_whom=_flat(item.for_whom), amount=amount, maximum=maximum)


def _flat(words: str) -> str:
    return " ".join(words.split())


def _answer_wording(language: str) -> Wording:
    wording = load_wording("llm/treatment/answer")
    return replace(wording, data=wording.data[language])
