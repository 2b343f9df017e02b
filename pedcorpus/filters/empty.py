"""Rows with an empty message."""

from __future__ import annotations

from dataclasses import dataclass

from pedcorpus.plugins import Drop, Keep
from pedcorpus.records import Row
from pedcorpus.text import key


@dataclass(frozen=True, slots=True)
class EmptyFilter:
    """Drops rows in which a message says nothing: no letter, digit or Han character."""

    name = "empty"

    def check(self, row: Row) -> Keep | Drop:
        """Keep or drop ``row``."""
        if any(not key(content) for content in row.contents()) or not row.answers():
            return Drop("quality.empty", "a message without words")
        return Keep()
