"""Doses and drugs of a model's row that its evidence gives otherwise: of another drug, for adults, or forbidden."""

from __future__ import annotations

from dataclasses import dataclass

from pedcorpus.dose_faults import bound_faults, dose_faults
from pedcorpus.grounding import load_names
from pedcorpus.plugins import Drop, Keep
from pedcorpus.records import MEDICAL_TASKS, Row
from pedcorpus.said import denied_drugs


@dataclass(frozen=True, slots=True)
class SaidFilter:
    """Drops medical rows made with a model whose answer changes what a quote says of a dose or drug.

    A dose must stand in one quote beside the same drug, for the same ages, counted and given in the same way; one for
    adults must be called so, one that the quote forbids is none. A drug that every quote forbids must not be given.
    ``path`` is the file of the build's own names.
    """

    name = "said"

    path: str = ""

    def check(self, row: Row) -> Keep | Drop:
        """Keep or drop ``row``."""
        if row.provenance.model is None or row.task not in MEDICAL_TASKS | {"dfpo"}:
            return Keep()
        names = load_names(self.path)
        quotes = [item.quote for item in row.evidence]
        answers = [answer.replace(f"《{row.source_title}》", "") for answer in row.answers()]
        asked = "\n".join(row.questions())
        wrong = [fault for answer in answers for fault in dose_faults(answer, quotes, names, asked)]
        wrong += [fault for answer in answers for fault in bound_faults(answer, quotes)]
        if wrong:
            return Drop("grounding.said", "; ".join(dict.fromkeys(wrong)))
        denied = [name for answer in answers for name in denied_drugs(answer, quotes, names)]
        if denied:
            return Drop("grounding.said", "every quote forbids " + ", ".join(dict.fromkeys(denied)))
        return Keep()
