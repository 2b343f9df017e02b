"""Which rows are duplicates of which: one pass in row order, the first of a cluster stays."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein

from pedcorpus.dedup.signatures import BANDS, gram_hashes, jaccard
from pedcorpus.quantities import quantities, reading
from pedcorpus.text import key

_MOST_LEADERS = 16
_BARE = re.compile(r"\d+(?:\.\d+)?(?![\d.、)])")


@dataclass(frozen=True, slots=True)
class Signed:
    """What the pass knows of a row. ``group`` parts rows that are never compared, such as those of two configs."""

    id: str
    group: str
    disease: str | None
    exact: bytes
    bands: npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A row to drop: the position of the row it repeats, and how alike they are (1.0 for the same words)."""

    of: int
    reason: str
    similarity: float


def find_duplicates(
    rows: Sequence[Signed], text_of: Callable[[int], str], min_jaccard: float, min_edit: float
) -> dict[int, Duplicate]:
    """Position to duplicate. ``text_of`` gives what a row says, as it stands, and is asked for candidates only.

    Two rows are near-duplicates when the Jaccard similarity of their 5-grams reaches ``min_jaccard`` or
    their normalised Levenshtein similarity ``min_edit``, except where they differ in a number or are about
    different diseases: those are two facts, however alike they read.
    """
    found: dict[int, Duplicate] = {}
    first_with: dict[tuple[str, bytes], int] = {}
    for position, row in enumerate(rows):
        earlier = first_with.setdefault((row.group, row.exact), position)
        if earlier != position:
            found[position] = Duplicate(earlier, "dedup.exact", 1.0)
    crowded = _crowded_bands(rows, found)
    leaders: dict[tuple[str, int, int], list[int]] = {}
    compare = _Comparer(text_of)
    for position, row in enumerate(rows):
        keys = crowded.get(position)
        if position in found or keys is None:
            continue
        candidates = sorted({other for band in keys for other in leaders.get(band, ())})
        for other in candidates:
            if _differ(rows[other].disease, row.disease):
                continue
            similarity = compare(other, position, min_jaccard, min_edit)
            if similarity:
                found[position] = Duplicate(other, "dedup.near", round(similarity, 4))
                break
        else:
            for band in keys:
                held = leaders.setdefault(band, [])
                if len(held) < _MOST_LEADERS:
                    held.append(position)
    return found


def _differ(first: str | None, second: str | None) -> bool:
    return first is not None and second is not None and first != second


def _crowded_bands(rows: Sequence[Signed], gone: dict[int, Duplicate]) -> dict[int, list[tuple[str, int, int]]]:
    """Position to the band keys that it shares with some other row of its group."""
    positions = [i for i, row in enumerate(rows) if i not in gone and len(row.bands)]
    if not positions:
        return {}
    names = {name: number for number, name in enumerate(sorted({rows[i].group for i in positions}))}
    groups = np.array([names[rows[i].group] for i in positions], dtype=np.uint64)
    table = np.stack([rows[i].bands for i in positions])
    shared: dict[int, list[tuple[str, int, int]]] = {}
    for band in range(BANDS):
        mixed = table[:, band] ^ (groups * np.uint64(0x9E3779B97F4A7C15))
        _, inverse, counts = np.unique(mixed, return_inverse=True, return_counts=True)
        for index in np.nonzero(counts[inverse] > 1)[0]:
            position = positions[int(index)]
            shared.setdefault(position, []).append((rows[position].group, band, int(table[index, band])))
    return shared


class _Comparer:
    """Compares candidates; what was worked out of a text is kept while it may be needed again."""

    def __init__(self, text_of: Callable[[int], str]) -> None:
        self._text_of = text_of
        self._grams: dict[int, npt.NDArray[np.uint64]] = {}
        self._numbers: dict[int, tuple[object, ...]] = {}

    def __call__(self, first: int, second: int, min_jaccard: float, min_edit: float) -> float:
        """The similarity that makes the two rows near-duplicates, or 0.0."""
        if self._figures(first) != self._figures(second):
            return 0.0
        similarity = jaccard(self._gram(first), self._gram(second))
        if similarity >= min_jaccard:
            return similarity
        words = key(self._text_of(first)), key(self._text_of(second))
        return float(Levenshtein.normalized_similarity(*words, score_cutoff=min_edit))

    def _gram(self, position: int) -> npt.NDArray[np.uint64]:
        if position not in self._grams:
            self._grams[position] = gram_hashes(key(self._text_of(position)))
        return self._grams[position]

    def _figures(self, position: int) -> tuple[object, ...]:
        if position not in self._numbers:
            self._numbers[position] = _figures(self._text_of(position))
        return self._numbers[position]


def _figures(text: str) -> tuple[object, ...]:
    """The numbers of a text in order: with a unit as values, others (2型, H5N1) as written, list marks left out."""
    rest = list(reading(text))
    found = quantities(text)
    for item in found:
        rest[item.start : item.end] = " " * (item.end - item.start)
    return (*(item.pair for item in found), *_BARE.findall("".join(rest)))
