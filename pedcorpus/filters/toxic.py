"""Remedies with mercury, arsenic, lead, aconitine and the like, and sexual or abusive talk of a child."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pedcorpus.lexicon import TOXIC_REMEDIES
from pedcorpus.plugins import Drop, Keep
from pedcorpus.quantities import doses
from pedcorpus.records import MEDICAL_TASKS, Row
from pedcorpus.screen import ages_said
from pedcorpus.text import fold, sentences

_TOXIC = re.compile("|".join(TOXIC_REMEDIES))
_POISONING = re.compile(r"中毒|误服|误食|吞|咬碎|毒性|有毒|打碎|泄漏")
_WARNING = re.compile(
    r"中毒|误服|误食|误吞|禁用|禁止|忌用|勿用|切勿|慎勿|切忌|避免(?:使用|服用|接触|给)|(?:不能|不可|不要|不得|不宜|不应|不准|不许)(?:给|再|自行|随意|让|用|使用|服|服用|应用|吃|接触|含|内服|外用|涂)(?![久多过])"
)
_GIVEN = re.compile(r"方用|方例|每服|冲服|调敷|研末|为丸|送服")
_ADDED = re.compile(r"(?<![不勿忌禁])(?<!不[可能应宜得])(?:加|予|合用|[可宜应再酌先][用服])[^,。;]{0,6}$")
_ACTS = re.compile(
    r"性交|性生活|自慰|手淫|做爱|口交|肛交|撸管|打手枪|(?:发生|没有?|有过?|无|过|次|的|早|高危|危险|不洁|婚前|有无)性行为|(?<![\u3400-\u9fff])性行为"
)
_BEATEN = re.compile(
    r"[扒脱拉褪]下?[掉了光]*(?:[他她儿女孩子娃的裤]{0,6})裤子?[^。！？\n]{0,20}(?:打|抽)|打[^，。！？\n针药疫苗]{0,8}屁股(?!上?针|疫苗)|(?:毒打|暴打|抽打)"
)
_CHILD = re.compile(
    r"儿子|女儿|(?<![要生有怀])(?<!要个)(?<!生完)(?:孩子|小孩|宝宝)|男孩|女孩|男童|女童|儿童|幼女|未成年|闺女|[小初]中?学生|(?<!小)弟弟|妹妹"
)
_SPREADS = re.compile(r"传播|传染|感染|途径|防[范止]|预防|教育|[侵虐]")
"""What speaks of how a disease spreads, or of keeping a child from harm, is plain advice."""
_TALK_KINDS = frozenset({"conversation", "distilled", "general"})


@dataclass(frozen=True, slots=True)
class ToxicFilter:
    """Drops answers that name a poisonous remedy, and talk in which a child meets sexual acts or a beating.

    A poison may be named where the question is about a poisoning with it, and in a sentence that warns of it and
    gives no amount. Books and guidelines may teach about puberty and abuse.
    """

    name = "toxic"

    def check(self, row: Row) -> Keep | Drop:
        """Keep or drop ``row``."""
        if row.source_kind in _TALK_KINDS and row.task != "cpt":
            harm = _harm(row)
            if harm:
                return Drop("safety.minor", harm)
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


def _harm(row: Row) -> str | None:
    """The sexual act or beating that a row tells of beside a child."""
    ages = [age for question in row.questions() for age in ages_said(question)]
    minor_asks = bool(ages) and min(ages) < 18
    for content, minor in [(text, minor_asks) for text in row.questions()] + [(text, False) for text in row.answers()]:
        for start, end in sentences(content):
            sentence = content[start:end]
            act = _ACTS.search(sentence)
            child = minor or _CHILD.search(sentence) or any(age < 18 for age in ages_said(sentence))
            if act and child and not _SPREADS.search(sentence):
                return act.group()
            beaten = _BEATEN.search(sentence)
            if beaten and child and not _SPREADS.search(sentence):
                return beaten.group()
    return None


def _remedy(sentence: str, poisons: set[str]) -> str | None:
    """The first poison that a sentence names as a remedy."""
    folded = fold(sentence)
    warns = _WARNING.search(folded) and not _GIVEN.search(folded) and not doses(sentence)
    for match in _TOXIC.finditer(folded):
        if match.group() not in poisons and (not warns or _ADDED.search(folded, 0, match.start())):
            return match.group()
    return None
