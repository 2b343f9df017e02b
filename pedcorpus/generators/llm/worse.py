"""Worse answers made by rule: a dose shifted, or a name swapped for one that the graph does not state."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pedcorpus.llm.asking import Answer
from pedcorpus.medical_names import Names, base, other_names, spelled
from pedcorpus.quantities import doses, missing, quantities
from pedcorpus.records import RawRecord, Row

_TRIES = 60
_NUMBER = r"[0-9]+(?:\.[0-9]+)?"
_SLIPS = {"毫克": "克", "微克": "毫克", "克": "毫克", "mcg": "mg", "mg": "g", "μg": "mg", "ug": "mg", "g": "mg"}
_DOSE = re.compile(
    rf"(?<![-0-9.,/^×*:：a-zA-Z])(?P<low>{_NUMBER})(?:(?P<dash>[ ]?(?:[-~～–—]|至|到)[ ]?)(?P<high>{_NUMBER}))?"
    r"(?P<gap>[ ]?)(?P<unit>毫克|微克|克|毫升|万?(?:单位|IU|U)|mcg|[mμu]?g|ml|片|粒|袋|滴)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Worse:
    """A worse answer: whence (``rejected_from``), what is wrong with it, and the reply behind it if a model wrote it."""

    text: str
    source: str
    reason: str
    answer: Answer[Any] | None = None


def fits(worse: str, chosen: str, shorter: bool) -> bool:
    """Whether ``worse`` is as long as was drawn."""
    return len(worse) <= len(chosen) if shorter else len(worse) >= len(chosen)


def shift_dose(text: str, chance: random.Random, shorter: bool = False) -> Worse | None:
    """``text`` with one dose ten times too high or too low or in a slipped unit; everything else stays as it is.

    None where ``text`` has no dose that can be shifted. ``shorter`` is the wish for a text that is no longer than it.
    """
    made: list[tuple[str, str]] = []
    for match in _DOSE.finditer(text):
        unit = match["unit"]
        forms = [_scaled(match, factor) for factor in (Decimal(10), Decimal("0.1"))]
        if unit.lower() in _SLIPS:
            forms.append(match.group().removesuffix(unit) + _SLIPS[unit.lower()])
        made += [
            (f"{text[: match.start()]}{form}{text[match.end() :]}", f"{match.group()} -> {form}") for form in forms
        ]
    chance.shuffle(made)
    for shifted, change in sorted(made, key=lambda item: not fits(item[0], text, shorter)):
        if _shifts_dose(text, shifted):
            return Worse(shifted, "rule", f"dose_shifted: {change}")
    return None


def _scaled(match: re.Match[str], factor: Decimal) -> str:
    low, high = (
        format((Decimal(match[name]) * factor).normalize(), "f") if match[name] else "" for name in ("low", "high")
    )
    return f"{low}{match['dash'] or ''}{high}{match['gap']}{match['unit']}"


def _shifts_dose(before: str, after: str) -> bool:
    """Whether the doses of the two texts differ, as many of them as before, and no other quantity does."""
    old, new = doses(before), doses(after)
    changed = [item.pair for item in old] != [item.pair for item in new] and len(old) == len(new)
    return changed and bool(missing(after, [before])) and _others(before) == _others(after)


def _others(text: str) -> list[Any]:
    given = {(item.start, item.end, item.pair) for item in doses(text)}
    return [item.pair for item in quantities(text) if (item.start, item.end, item.pair) not in given]


def swap_name(
    text: str, row: Row, record: RawRecord | None, names: Names, chance: random.Random, shorter: bool = False
) -> Worse | None:
    """``text`` with a drug or disease swapped for one that the graph does not state of the row's disease.

    None where the graph knows nothing of that disease, or ``text`` has no name to swap.
    """
    disease = spelled(row.disease or "")
    stated = {*names.around.get(disease, ()), *(spelled(item.tail) for item in (record.triples if record else ()))}
    if not disease or not stated:
        return None
    heard = [text, *row.questions(), *(item.quote for item in row.evidence), *sorted(stated), disease]
    told = spelled("\n".join(heard))
    pools = {True: sorted(names.drugs), False: sorted(names.around)}
    found = [name for _, _, name in names.finder.find(spelled(text))]
    made: list[tuple[str, str]] = []
    for name in dict.fromkeys(found):
        if text.count(name) != found.count(name):
            continue  # part of another name somewhere, or spelled otherwise
        pool = pools[any(word in names.known_drugs for word in other_names(name))]
        drawn = chance.sample(pool, min(len(pool), _TRIES))
        others = [other for other in drawn if _foreign(other, name, told)]
        if others:
            other = min(others, key=lambda other: not fits(other, name, shorter))
            made.append((text.replace(name, other), f"{name} -> {other}"))
    chance.shuffle(made)
    made.sort(key=lambda item: not fits(item[0], text, shorter))
    return Worse(made[0][0], "kg", f"kg_contradicted: {made[0][1]}") if made else None


def _foreign(other: str, name: str, told: str) -> bool:
    """Whether ``other`` is told of under none of its names, and is no part of ``name`` nor the other way round."""
    known_as = {base(word) for word in other_names(other)}
    return name not in other and other not in name and not any(word in told for word in known_as)
