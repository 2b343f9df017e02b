"""What a dataset's rows look like in figures, counted from its shards alone. The card and its pictures show them."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pedcorpus.builddir import read_batches
from pedcorpus.deidentify import ACCOUNT, ADDRESS, EMAIL, HOSPITAL, ID_CARD, NAME, NUMBER, PHONE
from pedcorpus.records import REJECTED_STEP

if TYPE_CHECKING:
    import pyarrow as pa

MASKS = (NAME, PHONE, ADDRESS, HOSPITAL, NUMBER, ACCOUNT, ID_CARD, EMAIL)
BINS = (50, 100, 200, 400, 800, 1600)
"""Borders of answer lengths, in characters; the last bin is open."""
_TEXTS = {"cpt": ("text",), "dfpo": ("prompt", "chosen", "rejected")}


@dataclass(slots=True)
class ConfigFigures:
    """One config. Lengths are characters of the answer: the last message, ``chosen``, or the CPT text."""

    rows: int = 0
    multi_turn: int = 0
    spans: int = 0
    lengths: array[int] = field(default_factory=lambda: array("L"))

    def bins(self) -> list[int]:
        """Rows by length: below each border of `BINS`, and above the last."""
        counts = [0] * (len(BINS) + 1)
        for length in self.lengths:
            counts[sum(length >= border for border in BINS)] += 1
        return counts

    def percentile(self, share: float) -> int:
        """The length that ``share`` of the rows does not pass."""
        ordered = sorted(self.lengths)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0


@dataclass(slots=True)
class Statistics:
    """A dataset. Tallies are rows by source, department, disease and license, and masks by label."""

    configs: dict[str, ConfigFigures] = field(default_factory=dict)
    sources: Counter[str] = field(default_factory=Counter)
    departments: Counter[str] = field(default_factory=Counter)
    diseases: Counter[str] = field(default_factory=Counter)
    licenses: Counter[str] = field(default_factory=Counter)
    masks: Counter[str] = field(default_factory=Counter)
    made_with: Counter[tuple[str | None, str | None, str | None]] = field(default_factory=Counter)
    """Rows by prompt, its hash and model; a pair whose ``rejected`` a model wrote counts for that one as well."""

    @property
    def rows(self) -> int:
        """Rows of all configs."""
        return sum(figures.rows for figures in self.configs.values())


def dataset_statistics(folder: Path, shards: Iterable[str]) -> Statistics:
    """Figures of the shards in ``folder``, named as in the manifest. Memory holds one number a row and no text.

    Raises:
        BuildDirError: a shard is missing or damaged.
    """
    found = Statistics()
    for shard in shards:
        task = shard.split("/")[1]
        figures = found.configs.setdefault(task, ConfigFigures())
        texts = _TEXTS.get(task, ("messages",))
        names = ["source_id", "department", "disease", "license", "evidence", "provenance", *texts]
        for table in read_batches(folder / shard, names):
            _count(found, figures, table, texts)
    return found


def _count(found: Statistics, figures: ConfigFigures, table: pa.Table, texts: tuple[str, ...]) -> None:
    import pyarrow.compute as pc

    figures.rows += table.num_rows
    figures.spans += pc.sum(pc.list_value_length(table.column("evidence"))).as_py() or 0
    for tally, name in (
        (found.sources, "source_id"),
        (found.departments, "department"),
        (found.diseases, "disease"),
        (found.licenses, "license"),
    ):
        tally.update(value for value in table.column(name).to_pylist() if value)
    held = table.column("provenance")
    parts = (pc.struct_field(held, name).to_pylist() for name in ("prompt_id", "prompt_sha256", "model"))
    found.made_with.update(zip(*parts, strict=True))
    if "rejected" in texts:
        trails = pc.struct_field(held, "version_trail").to_pylist()
        written = [step["content"] for trail in trails for step in trail or () if step["step"] == REJECTED_STEP]
        for prompt, sha256, _, model in (content.split(" ", 3) for content in written):
            found.made_with[(prompt, sha256, model)] += 1
    for row in table.select(list(texts)).to_pylist():
        said = _said(row)
        figures.lengths.append(len(said["text" if "text" in row else "chosen" if "chosen" in row else "messages"][-1]))
        figures.multi_turn += len(row.get("messages") or row.get("prompt") or ()) > 2
        for text in (text for contents in said.values() for text in contents if "[" in text):
            for label in MASKS:
                if times := text.count(label):
                    found.masks[label] += times


def _said(row: Mapping[str, Any]) -> dict[str, list[str]]:
    """Column to the texts in it."""
    return {
        name: [value or ""] if name == "text" else [message["content"] for message in value]
        for name, value in row.items()
    }


def top(tally: Counter[str], most: int) -> list[tuple[str, int]]:
    """The commonest, equal counts by name, so that the order never depends on the order of reading."""
    return sorted(tally.items(), key=lambda item: (-item[1], item[0]))[:most]
