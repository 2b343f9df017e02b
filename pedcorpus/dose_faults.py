"""Doses of an answer held to those of its quotes.

The words that a dose stands among are compared, not the figure alone, and an answer that leaves them out is at fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction

from pedcorpus.ages import Ages, child_of
from pedcorpus.dosages import COUNTED, Told, ages_in
from pedcorpus.medical_names import Names, spelled
from pedcorpus.quantities import Quantity, quantities, reading
from pedcorpus.said import CLAUSE, MEDICINE, SENTENCE, cut, denies_after, frequencies, same_drug

_COURSE = re.compile(r"(?:疗程|连[用服]|连续|共用|[用服]药)[^,。;\d]{0,8}$")
_FORBIDDEN_FOR = re.compile(
    r"(?P<who>[^,。;:()\d]{2,24}?)(?:的?(?:孩子|患儿|儿童|患者|病人|婴儿|宝宝)|者)(?:禁|忌|慎|不(?:能|可|宜|应|得|建议|推荐|用)|勿|避免)"
)
_COUNTS = frozenset({"次", "d", "h", "min"})
_AGE_WORDS = re.compile(r"个?月|周?岁|日龄|以[上下]")
_FILLER = re.compile(
    r"(?:[\s,，:：(（)）、的为是约按以可]|每次|一次|单次|每剂|(?:每|一|1)[日天]|(?:\d|[一二两三四])次|剂量|用量|口服|静脉\w{0,2}|肌[肉内]?注射?|雾化吸?入?|注射|分|最大|首剂|不超过"
    r"|each|time|dose|a|per|day|every|of|at|in|to|by|mouth)+$"
)
"""What may stand between the name of a drug and its dose."""


def dose_faults(answer: str, quotes: Sequence[str], names: Names, question: str = "") -> Iterator[str]:
    """Doses of ``answer`` that its quotes give otherwise: of another drug, for others, counted or given in another way.

    So with how often and how long a drug is given, and for whom it is not. The quote's ages must stand in the answer, or
    the child of ``question`` be within them. A dose that no quote holds is left to the check of numbers.
    """
    said, told = Told.of(answer, names), [Told.of(quote, names) for quote in quotes]
    yield from _doses(said, told, quotes, child_of(question))
    yield from _other_drugs(_frequencies(said), [held for text in told for held in _frequencies(text)])
    yield from _other_drugs(_courses(said), [held for text in told for held in _courses(text)])
    for text in told:
        yield from _forbidden(said, text)


def _doses(said: Told, told: Sequence[Told], quotes: Sequence[str], child: Ages | None) -> Iterator[str]:
    spoken = {ages for sentence in SENTENCE.split(said.text) for ages in ages_in(sentence)}
    for dose in said.doses:
        held = [(text, other) for text in told for other in text.doses if other.pair == dose.pair]
        faults = [_fault(said, dose, text, other, spoken, child) for text, other in held]
        if faults and all(faults):
            yield f"{dose.shown}: {faults[0]}"
        elif faults and (unknown := _unknown_drug(said, dose, quotes)):
            yield f"{dose.shown}: no quote speaks of {unknown}"


_Given = tuple[str, object, list[str]]
"""Words, what they say, and the drugs that they say it of."""


def _frequencies(told: Told) -> Iterator[_Given]:
    for (start, end), often in frequencies(told.text).items():
        drugs, near = told.drugs_of(Quantity(Fraction(1), "次", start, end, ""))
        if near or MEDICINE.search(told.text, *cut(told.text, start, end, SENTENCE)):
            yield told.text[start:end], often, drugs


def _courses(told: Told) -> Iterator[_Given]:
    for item in quantities(told.text):
        before, after = told.text[max(0, item.start - 14) : item.start], told.text[item.end : item.end + 5]
        if item.unit in ("d", "周", "月") and (_COURSE.search(before) or after.startswith("为一疗程")):
            limit = bool(COUNTED["a limit"].search(before[-8:]))
            yield item.shown, (item.pair, limit), told.drugs_of(item)[0]


def _other_drugs(said: Iterator[_Given], told: Sequence[_Given]) -> Iterator[str]:
    """What is said of a drug, and no quote says of that one."""
    for shown, what, drugs in said:
        like = [held for _, other, held in told if _told_so(what, other)]
        if not any(not drugs or not held or _all_of(drugs, held) for held in like):
            yield f"{shown}: no quote says so of {' or '.join(drugs) or 'it'}"


def _told_so(what: object, other: object) -> bool:
    """Whether they say the same, or ``other`` is a range of hours that ``what`` is an end of."""
    if what == other or not (isinstance(what, str) and isinstance(other, str)):
        return what == other
    return other.endswith("h") and what.endswith("h") and what[:-1] in re.split("[-~至到]", other[:-1])


def _all_of(drugs: Iterable[str], held: Sequence[str]) -> bool:
    return all(any(same_drug(name, other) for other in held) for name in drugs)


def _forbidden(said: Told, told: Told) -> Iterator[str]:
    """Whom a quote forbids a drug to, and who gets a dose of it in the answer."""
    for match in _FORBIDDEN_FOR.finditer(told.text):
        behind = [name for start, _, name in told.drugs if 0 <= start - match.end() < 4]
        bad = behind or told.drugs_of(Quantity(Fraction(1), "", *match.span(), ""))[0]
        parts = (re.sub(r"^(?:对|有|患)|的$", "", part) for part in re.split(r"[、或和及与]", match["who"]))
        for who in (part for part in parts if len(part) > 1 and not _AGE_WORDS.match(part)):
            for dose in said.doses:
                sentence = said.text[slice(*cut(said.text, dose.start, dose.end, SENTENCE))]
                drugs = said.drugs_of(dose)[0]
                same = not drugs or not bad or any(same_drug(name, other) for name in drugs for other in bad)
                if who in sentence and same and not denies_after(sentence):
                    yield f"{dose.shown}: the quote forbids it to {who}"


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
    for quantity in (item for item in quantities(text) if item.unit in _COUNTS):
        first, _ = cut(folded, quantity.start, quantity.end, CLAUSE)
        before = folded[max(first, quantity.start - 8) : quantity.start]
        yield (
            quantity,
            frozenset(name for name in ("a limit", "the least") if COUNTED[name].search(before)),
        )


def _fault(
    said: Told, dose: Quantity, told: Told, other: Quantity, spoken: set[Ages], child: Ages | None
) -> str | None:
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
    return (
        _for_other_ages(said, dose, told, other, spoken, child)
        or _for_another_case(said.labels(dose), told.labels(other))
        or _counted_otherwise(said, dose, told, other)
    )


def _for_other_ages(
    said: Told, dose: Quantity, told: Told, other: Quantity, spoken: set[Ages], child: Ages | None
) -> str | None:
    mine, theirs = said.ages_of(dose), told.ages_of(other)
    asked = {child} if child else set()
    if _some_within(mine or asked, told.forbidden(other) - theirs):
        return "the quote forbids it at that age"
    if theirs and mine and not all(_some_within({ages}, theirs) for ages in mine):
        return "the quote gives it for other ages"
    if theirs and not mine and not _some_within(asked or spoken, theirs):
        return "the ages that the quote gives it for are left out"
    return None


def _some_within(some: Iterable[Ages], others: Iterable[Ages]) -> bool:
    return any(ages.is_within(other) for ages in some for other in others)


def _for_another_case(mine: Mapping[str, set[str]], theirs: Mapping[str, set[str]]) -> str | None:
    for label, held in theirs.items():
        own = mine.get(label, set())
        if held and (own.isdisjoint(held) if own else label == "weight"):
            return f"the quote gives it for {label} {', '.join(sorted(held))}"
    return None


def _counted_otherwise(said: Told, dose: Quantity, told: Told, other: Quantity) -> str | None:
    (mine, my_kinds), (theirs, their_kinds) = said.counted(dose), told.counted(other)
    if mine != theirs:
        return f"the quote counts it {theirs or 'neither daily nor each time'}"
    odd = sorted(my_kinds ^ their_kinds)
    if odd:
        return f"{'the quote calls it' if odd[0] in their_kinds else 'no quote calls it'} {odd[0]}"
    routes = told.routes(other, CLAUSE) or told.routes(other, SENTENCE)
    new = said.routes(dose, CLAUSE) - routes - (set() if routes else {"oral"})
    return f"the quote does not give it so: {min(new)}" if new else None


def _unknown_drug(said: Told, dose: Quantity, quotes: Sequence[str]) -> str | None:
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
