"""Licenses as the Hub knows them, and the roll-up of a dataset's own with those of its sources."""

from __future__ import annotations

import re
from collections.abc import Iterable

UNKNOWN = "unknown"
HUB_LICENSES = frozenset(
    """afl-3.0 agpl-3.0 apache-2.0 apple-amlr apple-ascl artistic-2.0 bigcode-openrail-m bigscience-bloom-rail-1.0
    bigscience-openrail-m bsd bsd-2-clause bsd-3-clause bsd-3-clause-clear bsl-1.0 c-uda cc cc-by-2.0 cc-by-2.5
    cc-by-3.0 cc-by-4.0 cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0 cc-by-nc-sa-2.0
    cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0 cc-by-sa-4.0 cc0-1.0 cdla-permissive-1.0
    cdla-permissive-2.0 cdla-sharing-1.0 creativeml-openrail-m deepfloyd-if-license ecl-2.0 epl-1.0 epl-2.0 etalab-2.0
    eupl-1.1 eupl-1.2 fair-noncommercial-research-license gemma gfdl gpl gpl-2.0 gpl-3.0 h-research intel-research isc
    lgpl lgpl-2.1 lgpl-3.0 lgpl-lr llama2 llama3 llama3.1 llama3.2 llama3.3 llama4 lppl-1.3c mit mpl-2.0 ms-pl ncsa
    odbl odc-by ofl-1.1 open-mdw openrail openrail++ osl-3.0 pddl postgresql unlicense wtfpl zlib unknown""".split()
)
"""What ``license`` of a card's header may say, beside ``other`` with a ``license_name``."""
_ADDRESSES = {
    "apache-2.0": "https://www.apache.org/licenses/LICENSE-2.0",
    "mit": "https://opensource.org/license/mit",
    "cc0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "odc-by": "https://opendatacommons.org/licenses/by/1-0/",
    "odbl": "https://opendatacommons.org/licenses/odbl/1-0/",
}
_CREATIVE_COMMONS = re.compile(r"cc-(by(?:-nc)?(?:-nd|-sa)?)-(\d\.\d)")


def is_unknown(license_: str | None) -> bool:
    """Whether a license says nothing that would allow to pass a text on."""
    return not (license_ or "").strip() or (license_ or "").strip().lower() == UNKNOWN


def roll_up(licenses: Iterable[str]) -> tuple[list[str], list[str]]:
    """Hub ids in the order given, ``other`` last, and the names that ``other`` stands for."""
    ids: dict[str, None] = {}
    names: dict[str, None] = {}
    for license_ in licenses:
        known = license_.strip().lower()
        if is_unknown(license_):
            ids[UNKNOWN] = None
        elif known in HUB_LICENSES:
            ids[known] = None
        else:
            names[license_.strip()] = None
    return [*ids, *(["other"] if names else [])], list(names)


def license_slug(name: str) -> str:
    """A license's name as the header's ``license_name`` takes it."""
    return re.sub(r"[^a-z0-9.]+", "-", name.lower()).strip("-.") or "custom"


def license_address(license_: str) -> str:
    """The page of a license where it has a well-known one, else its name."""
    known = license_.strip().lower()
    if match := _CREATIVE_COMMONS.fullmatch(known):
        return f"https://creativecommons.org/licenses/{match[1]}/{match[2]}/"
    return _ADDRESSES.get(known, license_.strip())
