"""Duplicate search over the parts of a build: signatures in memory, texts read when two rows must be compared."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np

from pedcorpus.builddir import Parts
from pedcorpus.config import DedupConfig
from pedcorpus.dedup.decide import Signed, find_duplicates
from pedcorpus.records import rows_from_table

_HELD_PARTS = 64

Drops = list[dict[int, tuple[str, str]]]
"""For each part, row position to (reason, detail)."""


def search_duplicates(
    signed: Parts, rows: Parts, keys: Sequence[tuple[str, str]], units: Sequence[Sequence[str]], limits: DedupConfig
) -> tuple[Drops, list[tuple[str, str]]]:
    """What to drop of each part, and the pairs of units that shared like rows.

    ``keys`` are (key among ``signed``, key among ``rows``) of each part in order; ``units`` the unit of each row.
    """
    items: list[Signed] = []
    places: list[tuple[int, int]] = []
    for number, (key, _) in enumerate(keys):
        for position, item in enumerate(signed.kept(key).to_pylist()):
            bands = np.frombuffer(item["bands"], dtype=np.uint64)
            items.append(Signed(item["id"], item["task"], item["disease"], item["exact"], bands))
            places.append((number, position))
    texts = _Texts(rows, [key for _, key in keys], places)
    drops: Drops = [{} for _ in keys]
    alike: list[tuple[str, str]] = []
    for index, found in sorted(find_duplicates(items, texts, limits.jaccard, limits.edit).items()):
        number, position = places[index]
        other_number, other_position = places[found.of]
        same = "the same as" if found.reason == "dedup.exact" else f"{found.similarity:.2f} like"
        drops[number][position] = (found.reason, f"{same} row {items[found.of].id}")
        pair = (units[number][position], units[other_number][other_position])
        if pair[0] != pair[1]:
            alike.append(pair)
    return drops, alike


class _Texts:
    """What rows say, as it stands, by index; the parts last asked for are held."""

    def __init__(self, rows: Parts, keys: Sequence[str], places: Sequence[tuple[int, int]]) -> None:
        self._rows = rows
        self._keys = keys
        self._places = places
        self._held: OrderedDict[int, list[str]] = OrderedDict()

    def __call__(self, index: int) -> str:
        number, position = self._places[index]
        if number not in self._held:
            if len(self._held) >= _HELD_PARTS:
                self._held.popitem(last=False)
            rows = rows_from_table(self._rows.kept(self._keys[number]))
            self._held[number] = ["\n".join(row.contents()) for row in rows]
        self._held.move_to_end(number)
        return self._held[number][position]
