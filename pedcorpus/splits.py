"""Leak-free splits: a unit goes to one split as a whole, the same in every config.

The unit is the disease where it is known, else the top section of a document, else the dialogue or pair.
Units that share near-duplicate rows or overlapping evidence are one.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pedcorpus.config import SplitConfig
from pedcorpus.records import RawRecord, Row
from pedcorpus.text import key

_PREFIX = re.compile(r"^(?:小儿|儿童|婴幼儿|婴儿|幼儿)")


def disease_key(disease: str) -> str:
    """What two names of one disease share: 小儿肺炎 and 肺炎."""
    bare = re.sub(r"[（(].*?[)）]", "", disease)
    return key(_PREFIX.sub("", bare.strip())) or key(disease)


def unit_of(row: Row, record: RawRecord | None) -> str:
    """The unit of a row; ``record`` is the record of its first evidence."""
    if row.disease:
        return f"disease:{disease_key(row.disease)}"
    if record is not None and record.section_path and not record.turns and not record.pairs:
        return f"section:{record.document_id}:{record.section_path[0]}"
    return f"record:{record.id if record is not None else row.id}"


@dataclass(frozen=True, slots=True)
class Placed:
    """What splitting knows of a row: its unit, and its evidence as (record id, start, end)."""

    unit: str
    spans: tuple[tuple[str, int, int], ...]


class Units:
    """Union of units; the name of a joined unit is the smallest of its names."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def __contains__(self, unit: str) -> bool:
        return unit in self._parent

    def root(self, unit: str) -> str:
        """The name under which ``unit`` is placed."""
        self._parent.setdefault(unit, unit)
        top = unit
        while self._parent[top] != top:
            top = self._parent[top]
        while self._parent[unit] != top:
            self._parent[unit], unit = top, self._parent[unit]
        return top

    def join(self, first: str, second: str) -> None:
        """Make two units one."""
        a, b = sorted((self.root(first), self.root(second)))
        self._parent[b] = a

    def roots(self) -> list[str]:
        """The names of all joined units, sorted."""
        return sorted({self.root(unit) for unit in list(self._parent)})


def join_units(parts: Iterable[Sequence[Placed]], alike: Iterable[tuple[str, str]]) -> Units:
    """Units of the rows, joined where evidence overlaps and where ``alike`` names two of them with like rows.

    Rows that cite one record lie in one part, so each part is looked at alone and may be given up after it.
    """
    units = Units()
    for rows in parts:
        by_record: dict[str, list[tuple[int, int, str]]] = {}
        for row in rows:
            units.root(row.unit)
            for record_id, start, end in row.spans:
                by_record.setdefault(record_id, []).append((start, end, row.unit))
        for spans in by_record.values():
            spans.sort()
            reach, holder = -1, ""
            for start, end, unit in spans:
                if start < reach and unit != holder:
                    units.join(unit, holder)
                if end > reach:
                    reach, holder = end, unit
    for first, second in alike:
        if first in units and second in units:
            units.join(first, second)
    return units


def _place(unit: str, seed: int) -> float:
    digest = hashlib.sha256(f"split\0{seed}\0{unit}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def assign(roots: Sequence[str], seed: int, shares: SplitConfig) -> dict[str, str]:
    """Unit to split by its hash: test below its share, validation above that, train the rest.

    A share above zero gets at least one unit while there are at least three: the one whose hash comes next in train,
    or in the split that has the most where train has but one to give.
    """
    ordered = sorted(roots, key=lambda unit: (_place(unit, seed), unit))
    found: dict[str, str] = {}
    for unit in ordered:
        place = _place(unit, seed)
        found[unit] = (
            "test" if place < shares.test else "validation" if place < shares.test + shares.validation else "train"
        )
    if len(ordered) >= 3:
        for split, share in (("test", shares.test), ("validation", shares.validation)):
            if share > 0 and split not in found.values():
                sizes = Counter(found.values())
                giver = "train" if sizes["train"] > 1 else max(sizes, key=lambda name: (sizes[name], name))
                found[next(unit for unit in ordered if found[unit] == giver)] = split
    return found
