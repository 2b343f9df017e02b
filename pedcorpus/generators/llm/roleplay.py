"""Role-play knowledge builder: someone asks about a source, an expert pediatrician answers from that source alone."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import Field

from pedcorpus.generators.llm.common import (
    KINDS,
    UngroundedError,
    asked_row,
    choose_persona,
    evidence_of,
    leans_on_source,
    subject_of,
)
from pedcorpus.generators.passage import cite, refuse
from pedcorpus.llm.asking import Answer, Ask, CallFailedError, ReplyModel
from pedcorpus.llm.prompts import load_prompt, prompt_language
from pedcorpus.plugins import GenerateContext
from pedcorpus.records import Evidence, RawRecord, Reject, Row
from pedcorpus.text import key
from pedcorpus.wording import load_wording

_LEAST = 20
_NO_KNOWLEDGE = re.compile(r"复习思考|思考题|习题|学时|时数|教学|参考文献|目录$|(?i:references|bibliography|contents)$")
_ASKS = re.compile(
    r"[?？]|[吗呢]|怎|如何|什么|啥|哪|多[久少大长高]|几|为何|是否|是不是|[能会要]不[能会要]|可不可以|请[问讲说介解]|\b(?:what|how|when|which|why|who|where|should|can|could|is|are|does|do|may|must|tell|explain)\b",
    re.IGNORECASE,
)
_POLITE = re.compile(
    r"请问|您好|你好|医生|大夫|专家|老师|主任|想问一下|谢谢|[吗呢吧啊呀]|\b(?:please|doctor|hello|thank you)\b"
)


class AskedQuestions(ReplyModel):
    """What the asker wants to know."""

    questions: list[Annotated[str, Field(max_length=200)]] = Field(max_length=50)


class ExpertAnswer(ReplyModel):
    """What the expert finds in the source. The quotes come first, so that the answer is written from them."""

    source_says: bool
    quotes: list[Annotated[str, Field(max_length=400)]] = Field(max_length=8)
    answer: str = Field(max_length=1200)


class RoleplayGenerator:
    """MedKQ&A rows: one call for the questions about a record, one for each answer."""

    name = "roleplay"
    asks = True
    tasks = frozenset({"medkqa"})

    def takes(self, record: RawRecord) -> bool:
        """Whether the record is a modern text or graph neighbourhood with something to ask about."""
        if record.source_kind not in KINDS or record.era != "modern" or record.turns or record.pairs:
            return False
        return len(key(record.text)) >= _LEAST and not any(_NO_KNOWLEDGE.search(part) for part in record.section_path)

    async def generate(self, record: RawRecord, context: GenerateContext, ask: Ask) -> list[Row | Reject]:
        """Up to ``per_record`` answered questions; one that gets no answer is refused by itself.

        Raises:
            CallFailedError: the asker's reply was not to be had.
        """
        language = prompt_language(context.language)
        persona = choose_persona(record, context)
        values = {"source": record.text, "subject": subject_of(record)}
        asked = await ask.read(
            load_prompt("roleplay/ask", language),
            AskedQuestions,
            {**values, "who": persona.who, "tone": persona.tone, "age": persona.age, "count": context.per_record},
            seed=context.seed,
        )
        made: list[Row | Reject] = []
        questions = []
        for question, fault in _sift(asked.value.questions, context.per_record):
            if fault:
                made.append(refuse(record, "generate.shape", f"{fault}: {question[:80]}"))
            else:
                questions.append(question)
        prompt = load_prompt("roleplay/answer", language)
        told = [{**values, "question": question, "audience": persona.audience} for question in questions]
        answers = await asyncio.gather(
            *(ask.read(prompt, ExpertAnswer, each, seed=context.seed) for each in told), return_exceptions=True
        )
        for question, answer in zip(questions, answers, strict=True):
            if isinstance(answer, CallFailedError):
                made.append(refuse(record, answer.reason, f"{question[:80]}: {answer.detail}"))
            elif isinstance(answer, BaseException):
                raise answer
            else:
                made.append(self._row(record, question, answer))
        return made or [refuse(record, "generate.nothing", "the asker had no question")]

    def _row(self, record: RawRecord, question: str, answer: Answer[ExpertAnswer]) -> Row | Reject:
        reply = answer.value
        said = reply.answer.strip()

        def row(evidence: Sequence[Evidence]) -> Row:
            cited = (
                cite(load_wording("extractive/sections"), record, "medkqa") if answer.prompt.language == "zh" else ""
            )
            return asked_row(
                record, "medkqa", [("user", question), ("assistant", cited + said)], evidence, self.name, answer
            )

        if not reply.source_says:
            return refuse(record, "grounding.absent", f"the source does not say: {question[:80]}", row([]))
        if not said:
            return refuse(record, "grounding.quote", f"no answer: {question[:80]}", row([]))
        try:
            found = row(evidence_of(record, reply.quotes))
        except UngroundedError as error:
            return refuse(record, error.reason, error.detail, row([]))
        lean = leans_on_source(said)
        return refuse(record, "generate.shape", f"the answer speaks of its source: {lean}", found) if lean else found


def _sift(questions: Sequence[str], most: int) -> Iterator[tuple[str, str | None]]:
    """The first ``most`` usable questions, and before them each unusable one with what is wrong with it."""
    seen: set[str] = set()
    for question in (question.strip() for question in questions):
        same = key(_POLITE.sub("", question.lower()))
        lean = leans_on_source(question)
        if not same or lean:
            yield question, f"a question that leans on its source ({lean})" if lean else "an empty question"
        elif not _ASKS.search(question):
            yield question, "no question"
        elif same in seen:
            yield question, "the same question again"
        else:
            seen.add(same)
            yield question, None
            if len(seen) == most:
                return
