"""Answers of a model that say mostly what their evidence does not."""

from __future__ import annotations

from dataclasses import dataclass

from pedcorpus.plugins import Drop, Keep
from pedcorpus.records import Row
from pedcorpus.text import key, sentences

_REWRITING = frozenset({"regularise", "reconstruct"})
_GENERATORS = frozenset({"roleplay", "treatment", *_REWRITING})
"""Those whose every sentence is the source's; a case's questions and a warm word of a rephrasing are nobody's."""
_SHORTEST = 6


@dataclass(frozen=True, slots=True)
class CoverageFilter:
    """Drops rows of a model whose answer is for the larger part in other words than evidence and question.

    A sentence is covered when at least ``sentence_min`` of its pairs of characters stand in a quote or, where the
    model answers a question and rewrites nothing, in the question; ``uncovered_max`` is the largest share of the
    answers that may stand in sentences which are not. It sees invention, not every bent sense.
    """

    name = "coverage"

    sentence_min: float = 0.4
    uncovered_max: float = 0.4

    def check(self, row: Row) -> Keep | Drop:
        """Keep or drop ``row``; the score is the share that is covered."""
        if row.provenance.model is None or row.provenance.generator not in _GENERATORS:
            return Keep()
        held = [item.quote for item in row.evidence]
        if row.provenance.generator not in _REWRITING:
            held += row.questions()
        known = {pair for text in held for pair in _pairs(key(text))}
        whole = lost = 0
        worst = ""
        for answer in row.answers():
            for start, end in sentences(answer):
                said = key(answer[start:end])
                whole += len(said)
                pairs = _pairs(said)
                if len(said) >= _SHORTEST and sum(pair in known for pair in pairs) < self.sentence_min * len(pairs):
                    lost += len(said)
                    worst = worst or answer[start:end]
        if whole and lost > self.uncovered_max * whole:
            return Drop("grounding.coverage", f"{lost} of {whole} characters are in no quote: {worst[:80]}")
        return Keep(round(1 - lost / whole, 4) if whole else None)


def _pairs(text: str) -> list[str]:
    return [text[place : place + 2] for place in range(len(text) - 1)]
