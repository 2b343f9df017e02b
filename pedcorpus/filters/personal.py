"""Rows with personal data that masking has missed, such as a name that two masked pieces make together."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

from pedcorpus.deidentify import ID_CARD, NAME, PHONE, residue
from pedcorpus.plugins import Drop, Keep
from pedcorpus.records import Row

_DIGITS = str.maketrans("〇○零一二三四五六七八九幺", "0001234567891")
_PHONE = re.compile(r"(?<!\d)1[3-9]\d([ .·_—-]?)\d{4}\1\d{4}(?!\d)|(?<!\d)1([ .·_—-])[3-9](?:\2\d){9}(?!\d)")
_CARD = re.compile(
    r"(?<!\d)[1-9]\d{5}([ .·_-])(?:19|20)\d{2}\1?(?:0[1-9]|1[0-2])\1?(?:[0-2]\d|3[01])\1\d{3}[\dXx](?!\d)"
)


@dataclass(frozen=True, slots=True)
class PersonalFilter:
    """Drops rows in which masking would still change something, and numbers of persons written apart or in words.

    The assistant's own name is no personal data.
    """

    name = "personal"

    def check(self, row: Row) -> Keep | Drop:
        """Keep or drop ``row``."""
        found = {label for content in row.contents() for label in (*residue(content), *_apart(content))}
        if row.task == "self_cognition":
            found.discard(NAME)
        return Drop("safety.personal", "unmasked: " + ", ".join(sorted(found))) if found else Keep()


def _apart(content: str) -> list[str]:
    """Labels of phone and card numbers such as ``138.0013.8000`` or ``一三八零零一三八零零零``."""
    digits = unicodedata.normalize("NFKC", content).translate(_DIGITS)
    return [label for pattern, label in ((_PHONE, PHONE), (_CARD, ID_CARD)) if pattern.search(digits)]
