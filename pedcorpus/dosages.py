"""Doses of an answer held to those of its quotes: of which drug, for whom, how counted, by which route.

A figure with its unit is not yet a dose: 每日90mg/kg and 每次90mg/kg differ threefold, and 不超过40mg/kg is no dose at all.
So the words that a dose stands among are compared too, and an answer that leaves them out is at fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pedcorpus.ages import Ages, child_of, named_ages
from pedcorpus.filters.dose import for_adults
from pedcorpus.grounding import drug_places
from pedcorpus.medical_names import Names, spelled
from pedcorpus.quantities import Quantity, doses, quantities, reading
from pedcorpus.said import CLAUSE, LINK, SENTENCE, cut, denied, denies_after, same_drug

_AFTER = ("", "的", "之")
_ADULT_AFTER = re.compile(r"[^,。;\d]{0,6}\((?:用于|供)?(?:成人|成年|大人)")
_ASIDE = re.compile(r"[^,。;\d]{0,4}(?:\([^()]{0,30}\)|(?:适?用于|for )[^,。;]{0,20})")
_WHOLE_SENTENCE = re.compile(r"[。！？!?\n]")
_EVERYONE = Ages.everyone()
_OFTEN = r"[^,。;]{0,5}?(?:\d|[一二两三四])(?:[-~至到](?:\d|[一二两三四]))?次"
_DAILY = re.compile(
    rf"(?:每|一|1)[日天](?!{_OFTEN})|全[日天]|日(?:总)?(?:剂|用)?量|24(?:小时|h)(?:内|总)(?!{_OFTEN})|分(?:\d|[一二两三四])(?:[-~至到](?:\d|[一二两三四]))?次"
    r"|daily dose|(?:a|per|each|every) day in |divided|in ?\d ?(?:doses|parts)|total daily|in ?24 ?hours"
)
_EACH = re.compile(
    rf"每次|一次(?!性)|单次|每剂|次剂量|(?:每|一|1)[日天]{_OFTEN}|\d(?:小时|h)(?:1|一)?次|次/[日天d]|\b(?:qd|bid|tid|qid)\b|q\d+h"
    r"|(?:each|every|per|a) (?:time|dose)|single dose|every ?\d|times (?:a|per) day|(?:once|twice) (?:a day|daily)"
)
_COUNTED = {
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
_FILLER = re.compile(
    r"(?:[\s,，:：(（)）、的为是约按以可]|每次|一次|单次|每剂|(?:每|一|1)[日天]|(?:\d|[一二两三四])次|剂量|用量|口服|静脉\w{0,2}|肌[肉内]?注射?|雾化吸?入?|注射|分|最大|首剂|不超过"
    r"|each|time|dose|a|per|day|every|of|at|in|to|by|mouth)+$"
)
"""What may stand between the name of a drug and its dose."""


@dataclass(frozen=True, slots=True)
class _Told:
    """A text as its doses are read, with its drugs."""

    text: str
    doses: list[Quantity]
    drugs: list[tuple[int, int, str]]

    @classmethod
    def of(cls, text: str, names: Names) -> _Told:
        """Read ``text``."""
        folded = reading(text)
        return cls(folded, doses(text), drug_places(folded, names))

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
        return group, near

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
        if aside and (found := _ages(aside.group())):
            return found
        for clause in reversed(CLAUSE.split(self.before(dose))):
            if not denies_after(clause) and (found := _ages(clause)):
                return found
        first, _ = cut(self.text, dose.start, dose.end, SENTENCE)
        earlier = [other for other in self.doses if first <= other.start and other.end <= dose.start]
        return self.ages_of(earlier[-1]) if earlier else set()

    def forbidden(self, dose: Quantity) -> set[Ages]:
        """The ages for which the sentence around a dose forbids what it speaks of."""
        first, last = cut(self.text, dose.start, dose.end, _WHOLE_SENTENCE)
        return {
            ages for clause in CLAUSE.split(self.text[first:last]) if denies_after(clause) for ages in _ages(clause)
        }

    def counted(self, dose: Quantity) -> tuple[str, set[str]]:
        """How a dose is counted, "daily", "each time" or "", and what else it is called."""
        before, after = self.before(dose), self.after(dose)
        near = CLAUSE.split(before)[-1]
        basis = ""
        for place in ("/d" if "/d" in dose.unit else "", near, after):
            if place == "/d" or _DAILY.search(place):
                basis = basis or "daily"
            elif _EACH.search(place):
                basis = basis or "each time"
        return basis, {name for name, pattern in _COUNTED.items() if pattern.search(near)}

    def routes(self, dose: Quantity, border: re.Pattern[str]) -> set[str]:
        """The ways of giving it that the clause or sentence around a dose names and does not deny."""
        first, last = cut(self.text, dose.start, dose.end, border)
        return {
            name
            for name, pattern in _ROUTES.items()
            for match in pattern.finditer(self.text, first, last)
            if not denied(self.text, *match.span())
        }


def _ages(text: str) -> set[Ages]:
    return set(named_ages(text)) - {_EVERYONE}


def dose_faults(answer: str, quotes: Sequence[str], names: Names, question: str = "") -> Iterator[str]:
    """Doses of ``answer`` that its quotes give otherwise: of another drug, for others, counted or given in another way.

    The quote's ages must stand in the answer, or the child of ``question`` be within them. A dose that no quote holds
    is left to the check of numbers.
    """
    said = _Told.of(answer, names)
    if not said.doses:
        return
    told = [_Told.of(quote, names) for quote in quotes]
    child = child_of(question)
    spoken = {ages for sentence in SENTENCE.split(said.text) for ages in _ages(sentence)} | (
        {child} if child else set()
    )
    for dose in said.doses:
        held = [(text, other) for text in told for other in text.doses if other.pair == dose.pair]
        faults = [_fault(said, dose, text, other, spoken) for text, other in held]
        if faults and all(faults):
            yield f"{dose.shown}: {faults[0]}"
        elif faults and (unknown := _unknown_drug(said, dose, quotes)):
            yield f"{dose.shown}: no quote speaks of {unknown}"


def bound_faults(answer: str, quotes: Sequence[str]) -> Iterator[str]:
    """Counts and times that the quotes call the most, and ``answer`` the least, or the other way round.

    How often in a day (4次) has to stay a limit where it is one.
    """
    held = [(quantity.pair, kinds) for quote in quotes for quantity, kinds in _bounds(quote)]
    for quantity, kinds in _bounds(answer):
        others = [other for pair, other in held if pair == quantity.pair]
        if not others or kinds in others:
            continue
        if kinds or (quantity.unit == "次" and all(others)):
            yield f"{quantity.shown}: the quote calls it {' and '.join(sorted(others[0])) or 'neither most nor least'}"


def _bounds(text: str) -> Iterator[tuple[Quantity, frozenset[str]]]:
    folded = reading(text)
    for quantity in quantities(text):
        first, _ = cut(folded, quantity.start, quantity.end, CLAUSE)
        before = folded[max(first, quantity.start - 8) : quantity.start]
        yield (
            quantity,
            frozenset(name for name in ("a limit", "the least") if _COUNTED[name].search(before)),
        )


def _fault(said: _Told, dose: Quantity, told: _Told, other: Quantity, spoken: set[Ages]) -> str | None:
    """What keeps one dose of the quotes from being the dose of the answer."""
    wanted, near = said.drugs_of(dose)
    given, _ = told.drugs_of(other)
    if wanted and (given or near):
        lacking = next((name for name in wanted if not any(same_drug(name, drug) for drug in given)), None)
        if lacking:
            return f"no quote gives it for {lacking}"
    if told.is_denied(other) and not said.is_denied(dose):
        return "the quote forbids it"
    if told.is_for_adults(other) and not said.is_for_adults(dose):
        return "the quote gives it for adults"
    return _for_others(said, dose, told, other, spoken) or _counted_otherwise(said, dose, told, other)


def _for_others(said: _Told, dose: Quantity, told: _Told, other: Quantity, spoken: set[Ages]) -> str | None:
    mine, theirs = said.ages_of(dose), told.ages_of(other)
    if _within(mine, told.forbidden(other) - theirs):
        return "the quote forbids it at that age"
    if theirs and mine and not _within(mine, theirs):
        return "the quote gives it for other ages"
    if theirs and not mine and not _within(spoken, theirs):
        return "the ages that the quote gives it for are left out"
    return None


def _within(some: Iterable[Ages], others: Iterable[Ages]) -> bool:
    return any(ages.is_within(other) for ages in some for other in others)


def _counted_otherwise(said: _Told, dose: Quantity, told: _Told, other: Quantity) -> str | None:
    (mine, my_kinds), (theirs, their_kinds) = said.counted(dose), told.counted(other)
    if mine != theirs:
        return f"the quote counts it {theirs or 'neither daily nor each time'}"
    odd = sorted(my_kinds ^ their_kinds)
    if odd:
        return f"{'the quote calls it' if odd[0] in their_kinds else 'no quote calls it'} {odd[0]}"
    routes = told.routes(other, SENTENCE)
    new = said.routes(dose, CLAUSE) - routes - (set() if routes else {"oral"})
    return f"the quote does not give it so: {min(new)}" if new else None


def _unknown_drug(said: _Told, dose: Quantity, quotes: Sequence[str]) -> str | None:
    """What stands before a dose where no drug that is known does, and no quote speaks of it."""
    if said.drugs_of(dose)[1]:
        return None
    before = re.sub(r"\([^()]*\)", "", said.before(dose))
    while (cleared := _FILLER.sub("", CLAUSE.sub(",", before).rstrip(","))) != before:
        before = cleared
    found = re.search(r"[\u4e00-\u9fff]{2,3}$|[a-z]{4,}$", before)
    if found is None:
        return None
    name = spelled(found.group())
    ending = name if name.isascii() else name[-2:]
    return None if any(ending in spelled(quote) for quote in quotes) else name
