"""Remedies with mercury, arsenic, lead, aconitine and the like."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pedcorpus.lexicon import TOXIC_REMEDIES
from pedcorpus.plugins import Drop, Keep
from pedcorpus.quantities import doses
from pedcorpus.records import MEDICAL_TASKS, Row
from pedcorpus.text import fold, sentences

_TOXIC = re.compile("|".join(TOXIC_REMEDIES))
_POISONING = re.compile(r"中毒|误服|误食|吞|咬碎|毒性|有毒|打碎|泄漏")
_WARNING = re.compile(
    r"中毒|误服|误食|误吞|禁用|禁止|忌用|勿用|切勿|慎勿|切忌|避免(?:使用|服用|接触|给)|(?:不能|不可|不要|不得|不宜|不应|不准|不许)(?:给|再|自行|随意|让|用|使用|服|服用|应用|吃|接触|含|内服|外用|涂)(?![久多过])"
)
_GIVEN = re.compile(r"方用|方例|每服|冲服|调敷|研末|为丸|送服")
_ADDED = re.compile(r"(?<![不勿忌禁])(?<!不[可能应宜得])(?:加|予|合用|[可宜应再酌先][用服])[^,。;]{0,6}$")


@dataclass(frozen=True, slots=True)
class ToxicFilter:
    """Drops answers that name a poisonous remedy.

    It may be named where the question is about a poisoning with it, and in a sentence that warns of it and
    gives no amount.
    """

    name = "toxic"

    def check(self, row: Row) -> Keep | Drop:
        """Keep or drop ``row``."""
        if row.task not in MEDICAL_TASKS and row.task not in ("cpt", "dfpo"):
            return Keep()
        asked = fold("\n".join(row.questions()))
        poisons = set(_TOXIC.findall(asked)) if _POISONING.search(asked) else set()
        for answer in row.answers():
            for start, end in sentences(answer):
                match = _remedy(answer[start:end], poisons)
                if match:
                    return Drop("safety.toxic", match)
        return Keep()


def _remedy(sentence: str, poisons: set[str]) -> str | None:
    """The first poison that a sentence names as a remedy."""
    folded = fold(sentence)
    warns = _WARNING.search(folded) and not _GIVEN.search(folded) and not doses(sentence)
    for match in _TOXIC.finditer(folded):
        if match.group() not in poisons and (not warns or _ADDED.search(folded, 0, match.start())):
            return match.group()
    return None
