"""Rows that are not in the language of the dataset."""

from __future__ import annotations

from dataclasses import dataclass

from pedcorpus.plugins import Drop, Keep
from pedcorpus.records import Row
from pedcorpus.text import han_share, key


@dataclass(frozen=True, slots=True)
class LanguageFilter:
    """For a Chinese row: at least ``han_min`` of the letters, digits and Han characters of its answers are Han."""

    han_min: float = 0.3
    language: str = "zh"

    name = "language"

    def check(self, row: Row) -> Keep | Drop:
        """Keep or drop ``row``."""
        if not self.language.startswith("zh"):
            return Keep()
        if not row.language.startswith("zh"):
            return Drop("quality.language", f"the row is {row.language}")
        answers = "".join(row.answers())
        share = han_share(answers)
        if len(key(answers)) >= 10 and share < self.han_min:
            return Drop("quality.language", f"{share:.0%} Han characters, at least {self.han_min:.0%}")
        return Keep()
