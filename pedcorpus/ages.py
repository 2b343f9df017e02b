"""How old the child of a question is, and whom the doses of an answer are for.

Ages are ranges in months, both ends included. Reading is careful: a question that gives no age, or several, has no
child of a known age, and a dose that says not whom it is for is for everyone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from pedcorpus.quantities import Quantity, doses, quantities, reading

_MONTHS = {"岁": Fraction(12), "月": Fraction(1), "周": Fraction(7, 30), "d": Fraction(1, 30)}
_SLACK = Fraction(1, 10)
_GROUPS = {
    "新生儿": (0, 1),
    "婴幼儿": (0, 36),
    "婴儿": (0, 12),
    "幼儿": (12, 36),
    "学龄前": (36, 84),
    "学龄": (72, 216),
    "青少年": (120, 216),
    "成人": (216, None),
}
_WHOM = r"(?:的?(?:患儿|儿童|小儿|孩子))?"
_ANYONE = re.compile(r"患者|患儿|儿童|小儿|孩子|宝宝|小孩")
_WHO = re.compile(r"(?:龄)?的?(?:患儿|儿童|小儿|孩子|宝宝|婴幼儿|婴儿|幼儿|患者|者)")
_BORN = re.compile(r"(?:出生(?:后|了|才)?|生后)(?:第|约|已|满|有)?$")
_CHILD_BEFORE = re.compile(
    r"(?:宝宝|孩子|小孩|娃娃?|儿子|女儿|宝贝|患儿|婴儿|孙子|孙女)(?:今年|现在|目前|刚|才|已经|已|快|满|有|是|,){0,3}$"
)
_CHILD_AFTER = re.compile(r"大|龄|的?(?:宝宝|孩子|小孩|娃|婴儿|患儿|男[孩婴宝]|女[孩婴宝]|儿子|女儿)")
_NOT_YET = re.compile(r"(?:≤|<|小于|不足|不到|不满|未满|低于)$")
_ABOVE_BEFORE = re.compile(r"(?:≥|>|大于|超过|满)$")
_ABOVE_AFTER = re.compile(rf"龄?{_WHOM}(?:及|或)?(?:以上|起)")
_BELOW_AFTER = re.compile(rf"龄?{_WHOM}(?:及|或)?(?:以[下内]|之?内)")
_BOUND_AFTER = re.compile(rf"龄?{_WHOM}(?:及|或)?(?:以|之)?[上下内前后外起至到~-]")
_NEWBORN = re.compile(rf"{_WHOM}(?:及|或)?(?:以?[上下内])?(?:大|的?(?:新生儿|早产|足月|婴|宝宝|患儿|孩子|儿童|小儿))")
_COURSE_BEFORE = re.compile(r"(?:连用|连服|疗程|病程|持续|咳嗽?|发热|用药|服用|治疗|停药)[^,。;岁儿婴]{0,4}$")
_MONTHS_OLD = re.compile(r"大?的?(?:宝宝|孩子|小孩|婴儿|患儿|婴幼儿)")
_JOIN = re.compile(r"龄?[-~至到]")
_SENTENCE = re.compile(r"[。！？!?；;\n]")

_EN_WORDS = {
    word: value
    for value, word in enumerate(
        "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split(), 1
    )
}
_EN_MONTHS = {"year": Fraction(12), "month": Fraction(1), "week": Fraction(7, 30), "day": Fraction(1, 30)}
_EN_NUMBER = rf"(?:\d+(?:\.\d+)?|{'|'.join(_EN_WORDS)})"
_EN_AGE = rf"(?P<number>{_EN_NUMBER})(?P<half>[ ]and[ ]a[ ]half)?[ -]?(?P<unit>year|month|week|day)s?"
_EN_CHILD = re.compile(rf"\b{_EN_AGE}[ -]old\b(?![ ](?:and|or)[ ](?:over|above|older|under|younger))")
_EN_BOUND = re.compile(
    rf"(?P<above>\b(?:over|above|older ?than|from|at ?least|after)[ ]?|[≥>][ ]?)?"
    rf"(?P<below>\b(?:under|below|younger ?than|less ?than|up ?to)[ ]?|[≤<][ ]?)?"
    rf"(?P<low>{_EN_NUMBER}(?:[ -](?:year|month|week|day)s?)?[ ]?(?:-|–|to)[ ]?)?{_EN_AGE}"
    rf"(?P<after>(?:[ ]of[ ]age|[ -]old)?[ ]?(?:and|or)[ ]?(?:over|above|older|more|up|under|below|younger|less))?"
    rf"(?P<aged>[ ]of[ ]age|[ -]old)?"
)


@dataclass(frozen=True, slots=True)
class Ages:
    """A range of ages in months; ``high`` is None where there is no upper end."""

    low: Fraction
    high: Fraction | None

    @classmethod
    def everyone(cls) -> Ages:
        """Any age."""
        return cls(Fraction(0), None)

    def holds(self, other: Ages) -> bool:
        """Whether some age is in both, a tenth of a month more or less."""
        return (self.high is None or other.low <= self.high + _SLACK) and (
            other.high is None or self.low <= other.high + _SLACK
        )

    def is_within(self, other: Ages) -> bool:
        """Whether all these ages are among ``other``."""
        return self.low >= other.low and (other.high is None or (self.high is not None and self.high <= other.high))


def child_of(question: str) -> Ages | None:
    """How old the child is that ``question`` speaks of; None where it gives no age or more than one."""
    folded = reading(question)
    found = []
    for age, months in _times(question):
        before, after = folded[max(0, age.start - 12) : age.start], folded[age.end : age.end + 10]
        if _NOT_YET.search(before):
            found.append(Ages(Fraction(0), months))
        elif _BOUND_AFTER.match(after) or _ABOVE_BEFORE.search(before.removesuffix("刚满")):
            continue
        elif (
            age.unit == "岁"
            or "龄" in age.shown
            or _BORN.search(before)
            or _CHILD_AFTER.match(after)
            or (age.unit == "月" and _CHILD_BEFORE.search(before))
        ):
            found.append(Ages(months, months))
    for match in _EN_CHILD.finditer(question.lower()):
        months = _en_months(match)
        found.append(Ages(months, months))
    if not found and "新生儿" in folded:
        return Ages(Fraction(0), Fraction(1))
    return found[0] if len(set(found)) == 1 else None


def misplaced_doses(question: str, answer: str) -> str | None:
    """The first dose of ``answer`` where each of its doses is for other ages than the child of ``question`` has.

    None where the age is not known, or some dose is for the child or says not whom it is for.
    """
    child = child_of(question)
    if child is None:
        return None
    first = None
    for line in _SENTENCE.split(answer):
        found = doses(line)
        if not found:
            continue
        named = list(named_ages(line))
        if not named or any(ages.holds(child) for ages in named):
            return None
        first = first or found[0].shown
    return first


def _times(text: str) -> Iterator[tuple[Quantity, Fraction]]:
    """Lengths of time in Chinese that may be ages, with their months."""
    folded = reading(text)
    for quantity in quantities(text):
        if quantity.unit not in _MONTHS or re.search("[a-z]", quantity.shown):
            continue
        before, after = folded[max(0, quantity.start - 10) : quantity.start], folded[quantity.end : quantity.end + 14]
        if quantity.unit in ("d", "周") and not (
            "龄" in quantity.shown or _BORN.search(before) or _NEWBORN.match(after)
        ):
            continue
        if quantity.unit == "月" and "龄" not in quantity.shown and _COURSE_BEFORE.search(before):
            continue
        yield quantity, quantity.value * _MONTHS[quantity.unit]


def named_ages(sentence: str) -> Iterator[Ages]:
    """The ages that a sentence speaks of; whoever else it names is of any age."""
    folded = reading(sentence)
    rest = list(folded)
    times = list(_times(sentence))
    while times:
        age, months = times.pop(0)
        before, after = folded[max(0, age.start - 6) : age.start], folded[age.end : age.end + 10]
        end, ages = age.end, None
        joined = _JOIN.match(after)
        if times and times[0][0].start == age.start:  # one unit for both: 1-3岁
            ages = Ages(months, times.pop(0)[1])
        elif joined and times and times[0][0].start == age.end + joined.end():
            other, upper = times.pop(0)
            end, ages = other.end, Ages(months, upper)
        elif bound := _ABOVE_AFTER.match(after):
            end, ages = age.end + bound.end(), Ages(months, None)
        elif bound := _BELOW_AFTER.match(after):
            end, ages = age.end + bound.end(), Ages(Fraction(0), months)
        elif _NOT_YET.search(before):
            ages = Ages(Fraction(0), months)
        elif _ABOVE_BEFORE.search(before):
            ages = Ages(months, None)
        elif age.unit == "岁" or "龄" in age.shown or (age.unit == "月" and _MONTHS_OLD.match(after)):
            ages = Ages(months, months + _MONTHS[age.unit])
        if ages:
            yield ages
            told = _WHO.match(folded, end)
            end = told.end() if told else end
            rest[age.start : end] = "\0" * (end - age.start)
    others = "".join(rest)
    for group, (low, high) in _GROUPS.items():
        if group in others:
            yield Ages(Fraction(low), None if high is None else Fraction(high))
            others = others.replace(group, "")
    if _ANYONE.search(others):
        yield Ages.everyone()
    yield from _en_named(sentence.lower())


def _en_named(line: str) -> Iterator[Ages]:
    for match in _EN_BOUND.finditer(line):
        months = _en_months(match)
        after = match["after"] or ""
        if match["low"]:
            number = re.match(_EN_NUMBER, match["low"])
            unit = re.search("year|month|week|day", match["low"])
            if number:
                low = _en_value(number.group()) * _EN_MONTHS[unit.group() if unit else match["unit"]]
                yield Ages(low, months)
        elif match["above"] or re.search("over|above|older|more|up", after):
            yield Ages(months, None)
        elif match["below"] or after:
            yield Ages(Fraction(0), months)
        elif match["aged"]:
            yield Ages(months, months + 12)


def _en_value(number: str) -> Fraction:
    return Fraction(_EN_WORDS.get(number) or number)


def _en_months(match: re.Match[str]) -> Fraction:
    value = _en_value(match["number"]) + (Fraction(1, 2) if match["half"] else 0)
    return value * _EN_MONTHS[match["unit"]]
