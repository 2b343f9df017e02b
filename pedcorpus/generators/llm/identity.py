"""Self-cognition pairs varied. The model reads and writes placeholders; the config's names are filled in afterwards."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field

from pedcorpus.filters.identity import PRODUCTS
from pedcorpus.generators.exchanges import fill_placeholders
from pedcorpus.generators.llm.common import asked_row, holds_pair, unfounded, whole_evidence
from pedcorpus.generators.passage import refuse
from pedcorpus.grounding import load_names
from pedcorpus.llm.asking import Ask, ReplyModel
from pedcorpus.llm.prompts import load_prompt, prompt_language
from pedcorpus.plugins import GenerateContext
from pedcorpus.records import Pair, RawRecord, Reject, Row, Version
from pedcorpus.said import denied, lost_denial
from pedcorpus.sources import serialise_pair
from pedcorpus.text import clean

_MOST = 6
_LONGEST = 1000
_PLACEHOLDERS = ("name", "author", "maker", "limits")
_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_FOREIGN = re.compile(rf"(?i:{PRODUCTS}|Qwen|Llama|Mistral|Anthropic|百川|智谱|阿里云|百度|腾讯|字节跳动)")
"""Products and companies. The config's own names are still placeholders where this is looked for."""


_CARE = re.compile(
    r"发烧|发热|吃药|喂药|用药|服药|开药|不用(?:去|上)医院|不用看医生|捂|退烧|退热|剂量|输液|打针|\b(?:fever|dose|medicines?|medication)\b",
    re.IGNORECASE,
)
"""Words of care, which say nothing of who the assistant is."""


class IdentityVariant(ReplyModel):
    """One exchange, its placeholders unfilled."""

    question: Annotated[str, Field(min_length=1, max_length=300)]
    answer: Annotated[str, Field(min_length=1, max_length=_LONGEST)]


class IdentityVariants(ReplyModel):
    """Exchanges about who the assistant is."""

    variants: Annotated[list[IdentityVariant], Field(min_length=1, max_length=_MOST)]


class IdentityGenerator:
    """Rows of a self-cognition pair: what it is called, who made it, what it does not do."""

    name = "identity"
    asks = True
    replaces = False
    tasks = frozenset({"self_cognition"})

    def takes(self, record: RawRecord) -> bool:
        """Whether ``record`` is a self-cognition pair."""
        return record.source_kind == "self_cognition" and holds_pair(record, _LONGEST)

    async def generate(self, record: RawRecord, context: GenerateContext, ask: Ask) -> list[Row | Reject]:
        """Up to ``context.per_record`` rows.

        No call is made where the config fills no such placeholder as the pair has: no row could be kept. A variant
        that names another product or company is refused.
        """
        if "self_cognition" not in context.tasks:
            return []
        pair = record.pairs[0]
        unknown = set(_PLACEHOLDER.findall(f"{pair.question}\n{pair.answer}")) - context.fills.keys()
        if unknown:
            detail = f"{{{{{min(unknown)}}}}} was not filled; see [identity] in the config"
            return [refuse(record, "quality.placeholder", detail)]
        count = min(context.per_record, _MOST)
        answer = await ask.read(
            load_prompt("identity/variants", prompt_language(record.language)),
            IdentityVariants,
            {
                "question": pair.question,
                "answer": pair.answer,
                "placeholders": [f"{{{{{name}}}}}" for name in _PLACEHOLDERS if name in context.fills],
                "count": count,
            },
            seed=context.seed,
        )
        evidence = whole_evidence(record, serialise_pair(pair)[1])
        made: list[Row | Reject] = []
        for variant in answer.value.variants[:count]:
            said = [("user", variant.question), ("assistant", variant.answer)]
            row = asked_row(
                record,
                "self_cognition",
                [(role, fill_placeholders(clean(text).text, record, context)) for role, text in said],
                evidence,
                self.name,
                answer,
                trail=[Version("source", pair.answer)],
            )
            fault = _fault(variant.answer, pair, record.disease)
            made.append(refuse(record, *fault, row) if fault else row)
        return made


def _fault(answer: str, pair: Pair, disease: str | None) -> tuple[str, str] | None:
    """The reason and detail where an answer names another product, or gives care, names or figures of its own."""
    foreign = _FOREIGN.search(answer)
    if foreign:
        return "quality.identity", foreign.group()
    told = f"{pair.question}\n{pair.answer}"
    for match in _CARE.finditer(answer):
        if match.group().lower() not in told.lower() and not denied(answer, *match.span()):
            return "generate.shape", f"care that the pair does not speak of: {match.group()}"
    denial = lost_denial(pair.answer, answer, load_names(""), added=False)
    if denial:
        return "generate.shape", f"the pair denies it: {denial}"
    return unfounded(answer, [pair.question, pair.answer], disease)
