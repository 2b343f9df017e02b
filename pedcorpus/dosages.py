"""How a text gives its doses: of which drug, for whom, how counted, by which route.

A figure with its unit is not yet a dose: 每日90mg/kg and 每次90mg/kg differ threefold, and 不超过40mg/kg is no dose at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from pedcorpus.ages import Ages, named_ages
from pedcorpus.filters.dose import for_adults
from pedcorpus.grounding import drug_places
from pedcorpus.medical_names import Names, other_names
from pedcorpus.quantities import Quantity, doses, reading
from pedcorpus.said import CLAUSE, LINK, SENTENCE, cut, denied, denies_after

_AFTER = ("", "的", "之")
_ADULT_AFTER = re.compile(r"[^,。;\d]{0,6}\((?:用于|供)?(?:成人|成年|大人)")
_ASIDE = re.compile(r"[^,。;\d]{0,4}(?:\([^()]{0,30}\)|(?:适?用于|for )[^,。;]{0,20})")
_WHOLE_SENTENCE = re.compile(r"[。！？!?\n]")
_SELDOM = re.compile(
    r"隔[日天周]|每(?:\d(?:[-~]\d)?)?[周月]|每[两二三四][日天周]|weekly|(?:once|every|a|per) (?:week|other day)"
)
_BOUND = re.compile(
    r"(?:[≤≥<>]|最[小大]|不[超满到足]过?)\d+(?:\.\d+)?(?:[-~]\d+)?(?:个?月龄?|周?岁|kg|公斤|日龄|天|d(?![a-z])|years?|months?)"
)
"""A bound of an age or weight, which is none of the dose."""
_STRENGTH = re.compile(r"(?:规格|每[片粒袋支瓶]|(?:片|胶囊|颗粒|混悬液|滴剂|糖浆|注射液)\()[为含:]?$")
_IN_TURN = re.compile(r"分别|前者|后者")
_KINDS = re.compile(r"轻度|中度|重度|轻症|重症|早产|足月|年长|年幼|短效|中效|长效|速效|滴剂|混悬")
_WEIGHT = re.compile(
    r"(?<![/\d.])(?P<sign>[≤<≥>]|不足|不到)?(?P<low>\d+(?:\.\d+)?)(?:kg)?(?:[-~至到](?P<high>\d+(?:\.\d+)?))?(?:kg|公斤|千克)(?P<side>(?:及|或)?以[上下]|以内)?"
)
_EVERYONE = Ages.everyone()
_TIMES = r"(?:\d|[一二两三四])(?:[-~至到](?:\d|[一二两三四]))?次"
_OFTEN = rf"[^,。;]{{0,5}}?{_TIMES}"
_DAILY = re.compile(
    rf"(?:每|一|1)[日天](?!{_OFTEN})|全[日天]|日(?:总)?(?:剂|用)?量|24(?:小时|h)(?:内|总)(?!{_OFTEN})|分{_TIMES}"
    r"|daily dose|(?:a|per|each|every) day in |divided|in ?\d ?(?:doses|parts)|total daily|in ?24 ?hours"
)
_EACH = re.compile(
    rf"每次|每晚|睡前|一次(?!性)|单次|每剂|次剂量|(?:每|一|1)[日天]{_OFTEN}|\d(?:小时|h)(?:1|一)?次|次/[日天d]|\b(?:qd|bid|tid|qid)\b|q\d+h"
    r"|(?:each|every|per|a) (?:time|dose)|single dose|every ?\d|times (?:a|per) day|(?:once|twice) (?:a day|daily)"
)
COUNTED = {
    "a limit": re.compile(
        r"(?:不|勿)(?:得|应|能|可|宜|要)?(?:超过|超出|大于|高于|多于)|最[大高多]|极量|上限|至多|≤|<|封顶|limit|(?:not|never) (?:to )?exceed|(?:no|not) more than|at most|maximum|\bmax\b|up to"
    ),
    "the least": re.compile(r"至少|不(?:得|应)?(?:少|低|小)于|≥|最[小低少]|at least|minimum|no less than"),
    "the first dose": re.compile(r"首剂|首次|首日|负荷|初始|起始|第(?:1|一)[日天次]|initial|loading|first"),
    "a dose of upkeep": re.compile(r"维持|maintenance"),
    "a total": re.compile(r"总剂?量|累计|\btotal|cumulative"),
    "harmful": re.compile(
        r"中毒|致死|误[服用食]|过量|超量|毒性|(?<![不勿得应能可宜要])超过|toxic|overdose|lethal|poison"
    ),
}
"""What a figure before which these words stand is."""
_ROUTES = {
    "intravenous": re.compile(r"静脉|静[注推滴点]|推注|滴注|\biv\b|intravenous"),
    "pushed into a vein": re.compile(r"推注|静推|静脉注射|静注|bolus|\bpush"),
    "infused": re.compile(r"滴注|静[滴点]|泵[入注]|infus"),
    "intramuscular": re.compile(r"肌肉|肌内|肌注|\bim\b|intramuscular"),
    "subcutaneous": re.compile(r"皮下|subcutaneous"),
    "intrathecal": re.compile(r"鞘内|intrathecal"),
    "inhaled": re.compile(r"雾化|吸入|inhal|nebuli"),
    "rectal": re.compile(r"直肠|灌肠|肛|rectal"),
    "local": re.compile(r"外用|[涂抹]|滴[眼鼻耳]|含漱|topical"),
    "oral": re.compile(r"口服|顿服|内服|\boral|by mouth"),
}


@dataclass(frozen=True, slots=True)
class Told:
    """A text as its doses are read, with its drugs and the names of its diseases."""

    text: str
    doses: list[Quantity]
    drugs: list[tuple[int, int, str]]
    names: Names

    @classmethod
    def of(cls, text: str, names: Names) -> Told:
        """Read ``text``."""
        folded = reading(text)
        return cls(folded, doses(text), drug_places(folded, names), names)

    def drugs_of(self, dose: Quantity) -> tuple[list[str], bool]:
        """The drugs that a dose is of, and whether they stand in its sentence."""
        before = [hit for hit in self.drugs if hit[1] <= dose.start]
        first, _ = cut(self.text, dose.start, dose.end, CLAUSE)
        if not before or before[-1][1] <= first:
            next_hit = next((hit for hit in self.drugs if hit[0] >= dose.end), None)
            if next_hit and self.text[dose.end : next_hit[0]] in _AFTER:
                return [next_hit[2]], True
        group: list[str] = []
        edge = 0
        for start, end, name in reversed(before):
            if group and not LINK.fullmatch(self.text[end:edge]):
                break
            group.append(name)
            edge = start
        near = bool(before) and not SENTENCE.search(self.text, before[-1][1], dose.start)
        return self._ordered(group[::-1], dose), near

    def _ordered(self, group: list[str], dose: Quantity) -> list[str]:
        """The one of several drugs that 前者, 后者 or 分别 gives a dose to; else all of them."""
        first, last = cut(self.text, dose.start, dose.end, SENTENCE)
        if len(group) < 2 or not _IN_TURN.search(self.text, first, last):
            return group
        former, latter = (self.text.rfind(word, first, dose.start) for word in ("前者", "后者"))
        if max(former, latter) >= 0:
            return [group[-1] if latter > former else group[0]]
        places = sorted(
            {(other.start, other.end) for other in self.doses if first <= other.start and other.end <= last}
        )
        return [group[places.index((dose.start, dose.end))]] if len(places) == len(group) else group

    def is_denied(self, dose: Quantity) -> bool:
        """Whether its clause denies it."""
        return denied(self.text, dose.start, dose.end)

    def is_for_adults(self, dose: Quantity) -> bool:
        """Whether it is called a dose for adults."""
        return for_adults(dose, self.text) or bool(_ADULT_AFTER.match(self.text, dose.end))

    def before(self, dose: Quantity) -> str:
        """The sentence up to a dose, from the dose before it and what stands in brackets behind that."""
        first, _ = cut(self.text, dose.start, dose.end, SENTENCE)
        for other in self.doses:
            if first < other.end <= dose.start and other.start < dose.start:
                aside = _ASIDE.match(self.text, other.end, dose.start)
                first = aside.end() if aside else other.end
        return self.text[first : dose.start]

    def after(self, dose: Quantity) -> str:
        """The sentence from a dose on, up to the clause of the dose after it."""
        _, last = cut(self.text, dose.start, dose.end, SENTENCE)
        follows = min((other.start for other in self.doses if dose.end <= other.start < last), default=None)
        if follows is None:
            return self.text[dose.end : last]
        between = self.text[dose.end : follows]
        return between[: max((match.start() for match in CLAUSE.finditer(between)), default=0)]

    def ages_of(self, dose: Quantity) -> set[Ages]:
        """The ages that a dose is for: the nearest that are named before it in its sentence, or right behind it."""
        aside = _ASIDE.match(self.after(dose))
        if aside and (found := ages_in(aside.group())):
            return found
        for clause in reversed(CLAUSE.split(self.before(dose))):
            if not denies_after(clause) and (found := ages_in(clause)):
                return found
        earlier = self.earlier(dose)
        if earlier and (found := self.ages_of(earlier)):
            return found
        for clause in CLAUSE.split(self.after(dose)):
            if not denies_after(clause) and (found := ages_in(clause)):
                return found
        return set()

    def earlier(self, dose: Quantity) -> Quantity | None:
        """The dose before this one in its sentence."""
        first, _ = cut(self.text, dose.start, dose.end, SENTENCE)
        return next((other for other in reversed(self.doses) if first <= other.start and other.end <= dose.start), None)

    def labels(self, dose: Quantity) -> dict[str, set[str]]:
        """What the nearest clause that says so calls a dose's case: its kind, weight band and disease."""
        for clause in reversed(CLAUSE.split(self.before(dose))):
            found = {
                "kind": set(_KINDS.findall(clause)),
                "weight": {_band(match) for match in _WEIGHT.finditer(clause)},
                "disease": {
                    min({name, *other_names(name)})
                    for _, _, name in self.names.finder.find(clause)
                    if name not in self.names.known_drugs
                },
            }
            if any(found.values()):
                return found
        return {}

    def forbidden(self, dose: Quantity) -> set[Ages]:
        """The ages for which the sentence around a dose forbids what it speaks of."""
        first, last = cut(self.text, dose.start, dose.end, _WHOLE_SENTENCE)
        return {
            ages for clause in CLAUSE.split(self.text[first:last]) if denies_after(clause) for ages in ages_in(clause)
        }

    def counted(self, dose: Quantity) -> tuple[str, set[str]]:
        """How a dose is counted (daily, each time, more seldom, or "" where nothing says so), and what else it is called."""
        before, after = self.before(dose), self.after(dose)
        near = CLAUSE.split(before)[-1]
        kinds = {name for name, pattern in COUNTED.items() if pattern.search(_BOUND.sub("", near))}
        kinds |= {"a strength"} if _STRENGTH.search(before) else set()
        basis = ""
        for place in ("/d" if "/d" in dose.unit else "", near, after, before):
            if _SELDOM.search(place):
                basis = basis or "weekly or every other day"
            elif place == "/d" or _DAILY.search(place):
                basis = basis or "daily"
            elif _EACH.search(place):
                basis = basis or "each time"
        earlier = self.earlier(dose)
        if not basis and "a limit" in kinds and earlier:
            basis = self.counted(earlier)[0]
        if basis == "daily":
            kinds.discard("a total")
        return basis, kinds

    def routes(self, dose: Quantity, border: re.Pattern[str]) -> set[str]:
        """The ways of giving it that the clause or sentence around a dose names and does not deny."""
        first, last = cut(self.text, dose.start, dose.end, border)
        return {
            name
            for name, pattern in _ROUTES.items()
            for match in pattern.finditer(self.text, first, last)
            if not denied(self.text, *match.span())
        }


def ages_in(text: str) -> set[Ages]:
    """The ages that ``text`` names, everyone left out."""
    return set(named_ages(text)) - {_EVERYONE}


def _band(match: re.Match[str]) -> str:
    """A weight band in one spelling: 15-23, <15, >40."""
    below = match["sign"] in ("≤", "<", "不足", "不到") or (match["side"] or "").endswith(("下", "内"))
    sign = "<" if below else ">" if match["sign"] or match["side"] else ""
    return sign + "-".join(filter(None, (match["low"], match["high"])))
