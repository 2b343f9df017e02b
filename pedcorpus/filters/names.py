"""Drugs and diseases that the evidence of a model's row does not name."""

from __future__ import annotations

from dataclasses import dataclass

from pedcorpus.grounding import load_names, ungrounded_names
from pedcorpus.plugins import Drop, Keep
from pedcorpus.records import Row


@dataclass(frozen=True, slots=True)
class NamesFilter:
    """Drops rows made with a model whose answer names a drug or disease that neither quotes nor graph name.

    ``path`` is the file of the build's own names; without it the built-in names and the endings of names decide.
    What the user's side says grounds nothing; the title of the source that an answer cites names nothing.
    """

    name = "names"

    path: str = ""

    def check(self, row: Row) -> Keep | Drop:
        """Keep or drop ``row``."""
        if row.provenance.model is None:
            return Keep()
        names = load_names(self.path)
        quotes = [item.quote for item in row.evidence]
        answers = [answer.replace(f"《{row.source_title}》", "") for answer in row.answers()]
        lost = [name for answer in answers for name in ungrounded_names(answer, quotes, row.disease, names)]
        if lost:
            return Drop("grounding.name", "not in the evidence: " + ", ".join(dict.fromkeys(lost)))
        return Keep()
