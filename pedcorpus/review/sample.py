"""Which rows are reviewed: the same sample for every reviewer, in an order of each reviewer's own."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pedcorpus.builddir import read_batches, read_json
from pedcorpus.errors import PedcorpusError
from pedcorpus.records import TASKS, Row, columns, digest, row_from_dict

if TYPE_CHECKING:
    import pyarrow as pa

NOT_BY_DEFAULT = frozenset({"cpt"})
"""Configs that are reviewed only when named: their text is the source's own, or other rows' over again."""


@dataclass(frozen=True, slots=True)
class Item:
    """One row of the sample, and where it lies."""

    row: Row
    split: str
    shard: str


def choose_tasks(root: Path, named: Sequence[str]) -> list[str]:
    """The configs to review: those named, else all but ``cpt``.

    Raises:
        PedcorpusError: a named one is not in the build, or none is left.
    """
    rows = read_json(root / "dataset" / "manifest.json")["rows"]
    there: list[str] = [task for task in TASKS if sum(rows.get(task, {}).values())]
    for name in named:
        if name not in there:
            raise PedcorpusError(f"{root} has no rows of the config {name!r}", f"it has: {', '.join(there) or 'none'}")
    chosen = (
        [task for task in there if task in named] if named else [task for task in there if task not in NOT_BY_DEFAULT]
    )
    if not chosen:
        raise PedcorpusError(f"{root} has no rows to review", "name a config with --config")
    return chosen


def load_sample(root: Path, tasks: Sequence[str], count: int, seed: int) -> list[Item]:
    """``count`` rows of each config (all, where there are fewer), by the hash of seed and id.

    Rows that leave the dataset make room for the next ones; the others of the sample stay in it.

    Raises:
        BuildDirError: a shard is missing or damaged.
    """
    ids: dict[str, list[str]] = {task: [] for task in tasks}
    for _, task, _, path in _shards(root, tasks):
        for table in read_batches(path, ["id"]):
            ids[task] += table.column("id").to_pylist()
    wanted = {
        row_id
        for found in ids.values()
        for row_id in sorted(found, key=lambda row_id: digest("review sample", str(seed), row_id))[:count]
    }
    items = []
    for shard, task, split, path in _shards(root, tasks):
        for table in read_batches(path, columns(task)):
            for data in _with_ids(table, wanted):
                items.append(Item(row_from_dict(data), split, shard))
    return items


def in_order(items: Iterable[Item], reviewer: str, seed: int) -> list[Item]:
    """The sample in one reviewer's order; the configs are mixed, so that who stops early has seen some of each."""
    return sorted(items, key=lambda item: digest("review order", str(seed), reviewer, item.row.id))


def load_records(root: Path, items: Iterable[Item]) -> dict[str, dict[str, Any]]:
    """The records that evidence of the sample points into, by id, ``extra`` parsed.

    Raises:
        BuildDirError: a file of records is damaged.
    """
    wanted = {evidence.record_id for item in items for evidence in item.row.evidence}
    found = {}
    for path in sorted((root / "records").glob("*.parquet")):
        for table in read_batches(path):
            for record in _with_ids(table, wanted):
                record["extra"] = json.loads(record["extra"])
                found[record["id"]] = record
    return found


def row_ids(root: Path) -> set[str]:
    """The id of every row of the dataset."""
    tasks = list(read_json(root / "dataset" / "manifest.json")["rows"])
    return {
        row_id
        for _, _, _, path in _shards(root, tasks)
        for table in read_batches(path, ["id"])
        for row_id in table.column("id").to_pylist()
    }


def _shards(root: Path, tasks: Sequence[str]) -> Iterator[tuple[str, str, str, Path]]:
    """(name, config, split, path) of every shard of ``tasks``."""
    for shard in read_json(root / "dataset" / "manifest.json")["shards"]:
        parts = shard.split("/")
        if len(parts) == 3 and parts[1] in tasks:
            yield shard, parts[1], parts[2].split("-", 1)[0], root / "dataset" / shard


def _with_ids(table: pa.Table, wanted: set[str]) -> list[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.compute as pc

    mask = pc.is_in(table.column("id"), value_set=pa.array(sorted(wanted), pa.string()))
    found: list[dict[str, Any]] = table.filter(mask).to_pylist()
    return found
