"""Answers that say the same over and over."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from pedcorpus.plugins import Drop, Keep
from pedcorpus.records import Row
from pedcorpus.text import key, sentences


@dataclass(frozen=True, slots=True)
class RepetitionFilter:
    """Drops an answer whose sentences, or whose character n-grams, are mostly repeats.

    The n-gram share is the repeated n-grams over all of them; the score kept is the largest share seen.
    """

    ngram: int = 8
    ngram_max: float = 0.4
    sentence_max: float = 0.5

    name = "repetition"

    def check(self, row: Row) -> Keep | Drop:
        """Keep or drop ``row``."""
        worst = 0.0
        for answer in row.answers():
            text = key(answer)
            total = len(text) - self.ngram + 1
            if total >= 20:
                grams = {text[i : i + self.ngram] for i in range(total)}
                share = 1 - len(grams) / total
                worst = max(worst, share)
                if share > self.ngram_max:
                    return Drop("quality.repetition", f"{share:.0%} of {self.ngram}-grams are repeats")
            said = Counter(key(answer[start:end]) for start, end in sentences(answer) if end - start >= 4)
            count = sum(said.values())
            if count >= 4 and 1 - len(said) / count > self.sentence_max:
                return Drop("quality.repetition", f"{count - len(said)} of {count} sentences are repeats")
        return Keep(round(worst, 4)) if worst else Keep()
