"""Numbers that the evidence does not hold."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pedcorpus.plugins import Drop, Keep
from pedcorpus.quantities import missing, reading
from pedcorpus.records import Row

_FIGURE = re.compile(r"\d+(?:\.\d+)?")
_OWN_FIGURE = re.compile(r"(?<![a-z0-9.])\d+(?:\.\d+)?(?!\.?\d)")
"""A figure that is no part of a word such as CO2 or B12."""
_SPELLED_OUT = re.compile(
    r"\b(?:half|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty|sixty|seventy|eighty"
    r"|ninety|hundred|thousand)[ -](?:(?:and|a|an|half|to|or|of|one|two|three|four|five|six|seven|eight|nine|ten|hundred|thousand)[ -]){0,3}"
    r"(?:mgs?|mcgs?|mls?|kgs?|g|iu|units?|(?:milli|micro|kilo)?gram(?:me)?s?|(?:milli)?lit(?:re|er)s?|tab(?:let)?s?|capsules?|drops?|puffs?"
    r"|sachets?|(?:tea|table)spoon(?:ful)?s?|hours?|days?|weeks?|months?|years?|minutes?|times)\b"
)
"""An English amount whose number is a word; it must stand in a quote as it is."""
_LIST_MARK = re.compile(r"(?m)^\s*[（(]?\d{1,2}(?:[.．、](?!\d)|[)）])")
CITED = re.compile(r"^根据《[^》\n]{1,60}》(?:[（(][^）)\n]{1,20}[）)])?[：:]")


@dataclass(frozen=True, slots=True)
class NumberFilter:
    """Drops rows whose answer has a number that is in none of the row's quotes.

    A number with a unit must be there with that unit. A figure without one must be there too, marks of a list and
    the citation before an answer left out; the headings of a completion text are not in its quotes, so there only
    numbers with a unit count.
    """

    name = "number"

    def check(self, row: Row) -> Keep | Drop:
        """Keep or drop ``row``."""
        held = [item.quote for item in row.evidence]
        lost = [quantity.shown for answer in row.answers() for quantity in missing(answer, held)]
        if not lost and row.task not in ("cpt", "self_cognition"):
            known = {_plain(figure) for quote in held for figure in _FIGURE.findall(reading(quote))}
            for answer in row.answers():
                said = reading(_LIST_MARK.sub("", CITED.sub("", answer)))
                lost += [figure for figure in _OWN_FIGURE.findall(said) if _plain(figure) not in known]
        told = [" ".join(quote.lower().split()) for quote in held]
        lost += [
            match.group()
            for answer in row.answers()
            for match in _SPELLED_OUT.finditer(" ".join(answer.lower().split()))
            if not any(match.group() in quote for quote in told)
        ]
        if lost:
            return Drop("grounding.number", "not in the evidence: " + ", ".join(dict.fromkeys(lost)))
        return Keep()


def _plain(figure: str) -> str:
    """A figure without zeros that say nothing: 0.50 and 0.5 are one."""
    return figure.rstrip("0").rstrip(".") if "." in figure else figure
