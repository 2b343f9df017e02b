"""MinHash signatures of character n-grams, vectorised over a text's characters.

Broder, "On the resemblance and containment of documents" (1997): the share of equal minima estimates the
Jaccard similarity of the n-gram sets.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

GRAM = 5
BANDS = 32
ROWS = 4
"""With 32 bands of 4, a pair of Jaccard 0.8 shares a band with probability 1 - (1 - 0.8**4)**32 > 0.9999."""
SHORT = GRAM
"""Texts shorter than this have no n-gram and are compared exactly only."""

_RANDOM = np.random.Generator(np.random.PCG64(20240519))
_MULTIPLIERS = _RANDOM.integers(1, 2**63, BANDS * ROWS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
_OFFSETS = _RANDOM.integers(0, 2**63, BANDS * ROWS, dtype=np.uint64)
_BASE = np.uint64(0x9E3779B97F4A7C15)


def gram_hashes(text: str, size: int = GRAM) -> npt.NDArray[np.uint64]:
    """Hashes of the character ``size``-grams of ``text``, each once, sorted; empty for a shorter text."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(np.uint64)
    count = len(codes) - size + 1
    if count <= 0:
        return np.empty(0, dtype=np.uint64)
    hashes = np.zeros(count, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for offset in range(size):
            hashes = hashes * _BASE + codes[offset : offset + count]
            hashes ^= hashes >> np.uint64(29)
        hashes = (hashes ^ (hashes >> np.uint64(32))) * np.uint64(0xD6E8FEB86659FD93)
        hashes ^= hashes >> np.uint64(32)
    return np.unique(hashes)


def band_keys(text: str) -> npt.NDArray[np.uint64]:
    """The ``BANDS`` keys under which a text meets its near-duplicates; empty for a text without n-grams."""
    hashes = gram_hashes(text)
    if not len(hashes):
        return np.empty(0, dtype=np.uint64)
    minima = np.full(BANDS * ROWS, np.iinfo(np.uint64).max, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for start in range(0, len(hashes), 512):
            block = hashes[start : start + 512, None] * _MULTIPLIERS[None, :] + _OFFSETS[None, :]
            minima = np.minimum(minima, (block ^ (block >> np.uint64(31))).min(axis=0))
        keys = np.arange(BANDS, dtype=np.uint64)
        for row in range(ROWS):
            keys = keys * _BASE + minima[row::ROWS]
            keys ^= keys >> np.uint64(29)
    return keys


def exact_digest(text: str) -> bytes:
    """16 bytes that two texts share only when they are equal."""
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def jaccard(first: npt.NDArray[np.uint64], second: npt.NDArray[np.uint64]) -> float:
    """Jaccard similarity of two sets of n-gram hashes."""
    shared = len(np.intersect1d(first, second, assume_unique=True))
    union = len(first) + len(second) - shared
    return shared / union if union else 1.0
