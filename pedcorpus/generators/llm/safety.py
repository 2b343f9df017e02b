"""Safety pairs varied: other ways to ask for something dangerous, and calm refusals or safe advice."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field

from pedcorpus.generators.llm.common import asked_row, holds_pair, unfounded, whole_evidence
from pedcorpus.generators.passage import refuse
from pedcorpus.grounding import load_names
from pedcorpus.llm.asking import Ask, ReplyModel
from pedcorpus.llm.prompts import load_prompt, prompt_language
from pedcorpus.plugins import GenerateContext
from pedcorpus.records import Pair, QualityNote, RawRecord, Reject, Row, Version
from pedcorpus.said import denied_drugs
from pedcorpus.sources import serialise_pair
from pedcorpus.text import clean

_MOST = 6
_LONGEST = 1500
_HELP = re.compile(
    r"医院|医生|医师|大夫|急诊|急救|120|110|药师|心理|家人|家长|老师|警|学校|热线"
    r"|\b(?:doctor|pa?ediatrician|nurse|hospital|emergency|clinic|ambulance|pharmacist|counsell?or|psycholog\w+|family|parents?|teacher|school|police|hotline|helpline|poison|911|999|112)",
    re.IGNORECASE,
)
"""Whom one may turn to."""
_REFUSAL = re.compile(
    r"(?!(?:当然|你|您|是)?可以(?!不)|好的|没问题|行[，,]|(?:sure|yes|of course|ok)\b)"
    r"[“\"]?(?:[^。！？!?\n]{0,16}?[，,、：:]\s*)?(?:[^，,。！？!?\n]{0,12}?)(?:不(?!妨|错|过|仅|但|[用必]担心|要紧|要担心)|别(?!担心|着急)|勿|抱歉|对不起|无法|拒绝|没(?:有)?办法"
    r"|\b(?:no|not|never|sorry|cannot|can't|won't|don't|unable|avoid)\b)",
    re.IGNORECASE,
)
"""How a refusal begins: in its first clause, or after one that understands."""
_DESPAIR = re.compile(
    r"自杀|轻生|自残|自伤|割腕|寻死|想死|不想活|不想再活|活着没(?:有)?(?:什么)?意[思义]|活不下去|跳楼|跳下去|结束(?:自己的)?生命|伤害自己"
    r"|\b(?:suicid\w*|self-harm\w*|(?:kill|hurt|cut) myself|end (?:my life|it all)|(?:want|rather) to die|no(?:t want)? (?:reason )?to live)\b",
    re.IGNORECASE,
)
_COMFORT = re.compile(
    r"谢谢|感谢|难受|难过|难熬|痛苦|不容易|陪|在乎|重要|珍贵|害怕|孤单|辛苦|(?<!不)(?<!不能)(?<!不太)(?<!无法)(?<!没法)(?<!难以)(?:理解|明白)|愿意[听说]|我在[这听]"
    r"|\b(?:thank you|sorry to hear|so sorry you|sounds? (?:very |so |really )?(?:hard|painful)|you matter|important|not alone|here (?:for|with) you|listening)\b",
    re.IGNORECASE,
)
"""What the first sentence says to a child in despair."""
_END = re.compile(r"[。！？!?\n]|\.(?:\s|$)")


class SafetyVariant(ReplyModel):
    """One exchange. ``turn_to`` repeats the words of the answer that say whom to turn to."""

    question: Annotated[str, Field(min_length=1, max_length=500)]
    manner: Literal["refuse", "advise"]
    answer: Annotated[str, Field(min_length=1, max_length=_LONGEST)]
    turn_to: Annotated[str, Field(min_length=1, max_length=100)]


class SafetyVariants(ReplyModel):
    """Exchanges about the same dangerous thing."""

    variants: Annotated[list[SafetyVariant], Field(min_length=1, max_length=_MOST)]


class SafetyGenerator:
    """Rows of a safety pair: the record's own question answered anew, then the question in other words."""

    name = "safety"
    asks = True
    replaces = False
    tasks = frozenset({"safety"})

    def takes(self, record: RawRecord) -> bool:
        """Whether ``record`` is a safety pair."""
        return record.source_kind == "safety" and holds_pair(record, _LONGEST)

    async def generate(self, record: RawRecord, context: GenerateContext, ask: Ask) -> list[Row | Reject]:
        """Up to ``context.per_record`` rows, by one call.

        One that names nobody to turn to is refused, and one that begins without comfort where someone is in despair.
        """
        if "safety" not in context.tasks:
            return []
        pair = record.pairs[0]
        count = min(context.per_record, _MOST)
        answer = await ask.read(
            load_prompt("safety/variants", prompt_language(record.language)),
            SafetyVariants,
            {"question": pair.question, "answer": pair.answer, "count": count},
            seed=context.seed,
        )
        evidence = whole_evidence(record, serialise_pair(pair)[1])
        made: list[Row | Reject] = []
        for number, variant in enumerate(answer.value.variants[:count]):
            question = variant.question if number else pair.question
            row = asked_row(
                record,
                "safety",
                [("user", clean(question).text), ("assistant", clean(variant.answer).text)],
                evidence,
                self.name,
                answer,
                trail=[Version("source", pair.answer)],
                notes=[QualityNote("manner", None, variant.manner)],
            )
            fault = _fault(variant, pair, record.disease)
            made.append(refuse(record, *fault, row) if fault else row)
        return made


def _fault(variant: SafetyVariant, pair: Pair, disease: str | None) -> tuple[str, str] | None:
    """The reason and detail where a variant helps nobody, agrees, or names what the pair does not."""
    turn_to = variant.turn_to.strip()
    if not turn_to or turn_to not in variant.answer or not _HELP.search(turn_to):
        return "generate.shape", "the answer names nobody to turn to"
    if _DESPAIR.search(f"{pair.question}\n{variant.question}") and not _comforts(variant.answer):
        return "generate.shape", "no word of comfort before the advice to someone in despair"
    if variant.manner == "refuse" and not _REFUSAL.match(variant.answer.strip()):
        return "generate.shape", "a refusal that does not begin with one"
    lost = unfounded(variant.answer, [pair.question, pair.answer], disease)
    if lost:
        return lost
    denial = denied_drugs(variant.answer, [pair.answer], load_names(""))
    return ("grounding.said", f"the pair's answer forbids {denial[0]}") if denial else None


def _comforts(answer: str) -> bool:
    return bool(_COMFORT.search(_END.split(answer.strip(), maxsplit=1)[0]))
