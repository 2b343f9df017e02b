"""Shards: the same rows give the same files, however they arrive."""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pedcorpus.errors import BuildDirError, DiskFullError
from pedcorpus.records import TASKS, Evidence, Message, Provenance, Row, columns, row_schema, rows_from_table, to_table
from pedcorpus.shards import shard_name, write_shards, write_tables

SCHEMA = pa.schema([pa.field("text", pa.string()), pa.field("number", pa.int32())])


def table(values: list[tuple[str | None, int | None]]) -> pa.Table:
    return pa.Table.from_pylist([{"text": text, "number": number} for text, number in values], schema=SCHEMA)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


VALUES = st.lists(
    st.tuples(st.one_of(st.none(), st.sampled_from(["", "甲", "乙" * 30])), st.one_of(st.none(), st.integers(0, 9))),
    max_size=25,
)


@settings(max_examples=60)
@given(VALUES, st.integers(1, 9), st.lists(st.integers(0, 25), max_size=6), st.booleans())
def test_any_cut_of_the_input_gives_the_same_bytes(
    values: list[tuple[str | None, int | None]], limit: int, cuts: list[int], sliced: bool
) -> None:
    borders = [0, *sorted(min(cut, len(values)) for cut in cuts), len(values)]
    whole = table(values)
    pieces = [
        whole.slice(start, end - start) if sliced else table(values[start:end]) for start, end in pairwise(borders)
    ]
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        names = write_tables(Path(one), "train", [whole], len(values), limit, SCHEMA)
        assert write_tables(Path(other), "train", pieces, len(values), limit, SCHEMA) == names
        assert contents(Path(one)) == contents(Path(other))
        read = [pq.read_table(Path(one) / name) for name in names]
    assert pa.concat_tables(read).to_pylist() == whole.to_pylist()
    assert [part.num_rows for part in read[:-1]] == [limit] * (len(names) - 1)
    assert len(names) == max(1, -(-len(values) // limit))


def test_names_count_from_zero_and_sort_in_order(tmp_path: Path) -> None:
    names = write_tables(tmp_path, "train", [table([("甲", 1)] * 12)], 12, 1, SCHEMA)
    assert names[0] == "train-00000-of-00012.parquet" == shard_name("train", 0, 12)
    assert names == sorted(names) == sorted(path.name for path in tmp_path.iterdir())


def test_no_rows_make_one_empty_file_with_the_schema(tmp_path: Path) -> None:
    names = write_shards(tmp_path / "deep" / "down", "cpt", "test", [], 0, 5)
    assert names == ["test-00000-of-00001.parquet"]
    empty = pq.read_table(tmp_path / "deep" / "down" / names[0])
    assert empty.num_rows == 0
    assert empty.schema.equals(row_schema("cpt"))


def row(task: str, number: int) -> Row:
    return Row(
        f"{number}", task, "textbook", "s", "书", "apache-2.0", None, "肺炎", "zh", (Evidence("r", 3, 0, 1, "文"),), Provenance("e", "g"),
        messages=(Message("user", "问"), Message("assistant", f"答{number}")), prompt=(Message("user", "问"),), chosen=(Message("assistant", "好"),),
        rejected=(Message("assistant", "坏"),), chosen_from="a", rejected_from="b", reason="c", text="文",
    )  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
def test_a_shard_has_the_columns_of_its_config_alone(tmp_path: Path, task: str) -> None:
    rows = [row(task, number) for number in range(5)]
    names = write_shards(
        tmp_path, task, "train", [to_table(rows[:2], row_schema()), to_table(rows[2:], row_schema())], 5, 2
    )
    read = pa.concat_tables([pq.read_table(tmp_path / name) for name in names])
    assert read.schema.equals(row_schema(task))
    for written, kept in zip(rows, rows_from_table(read), strict=True):
        assert [getattr(kept, name) for name in columns(task)] == [getattr(written, name) for name in columns(task)]


def test_the_input_is_read_no_further_ahead_than_a_shard(tmp_path: Path) -> None:
    taken = 0

    def feed() -> Iterator[pa.Table]:
        nonlocal taken
        for number in range(6):
            done = len(list(tmp_path.glob("*.parquet")))
            assert taken <= (done + 1) * 2
            taken += 1
            yield table([("甲", number)])

    assert len(write_tables(tmp_path, "train", feed(), 6, 2, SCHEMA)) == 3
    assert taken == 6


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(BuildDirError, match="cannot write under"):
        write_tables(tmp_path / "file" / "below", "train", [], 0, 1, SCHEMA)


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    def feed() -> Iterator[pa.Table]:
        yield table([("甲", 1)])
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(DiskFullError):
        write_tables(tmp_path, "train", feed(), 2, 2, SCHEMA)
