"""Write the dataset's Parquet shards: fixed order, fixed borders, pinned writer options."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pedcorpus.builddir import ParquetFile
from pedcorpus.errors import wrap_os_error
from pedcorpus.records import columns, row_schema

if TYPE_CHECKING:
    import pyarrow as pa


def shard_name(split: str, number: int, count: int) -> str:
    """``train-00000-of-00003.parquet``."""
    return f"{split}-{number:05d}-of-{count:05d}.parquet"


def write_shards(folder: Path, config: str, split: str, tables: Iterable[pa.Table], rows: int, limit: int) -> list[str]:
    """Write ``rows`` rows of one config and split as shards of ``limit`` rows; the answer is their names.

    ``tables`` are Arrow tables with every column, in row order; only a shard's worth is held at a time.
    """
    schema = row_schema(config)
    chosen = (table.select(list(columns(config))) for table in tables)
    return write_tables(folder, split, chosen, rows, limit, schema)


def write_tables(
    folder: Path, stem: str, tables: Iterable[pa.Table], rows: int, limit: int, schema: pa.Schema
) -> list[str]:
    """Write ``rows`` rows as files ``STEM-00000-of-00001.parquet`` of ``limit`` rows each; at least one file."""
    count = max(1, -(-rows // limit))
    names = [shard_name(stem, number, count) for number in range(count)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        cut = _cut(tables, limit)
        for name in names:
            writer = ParquetFile(folder / name, schema)
            try:
                table = next(cut, None)
                writer.write(table.cast(schema) if table is not None else schema.empty_table())
            finally:
                writer.close()
    except OSError as error:
        raise wrap_os_error(error, str(folder)) from error
    return names


def _cut(tables: Iterable[pa.Table], limit: int) -> Iterator[pa.Table]:
    """Tables of exactly ``limit`` rows, the last one of the rest."""
    import pyarrow as pa

    waiting: list[pa.Table] = []
    held = 0
    for table in tables:
        waiting.append(table)
        held += table.num_rows
        while held >= limit:
            joined = pa.concat_tables(waiting).combine_chunks()
            yield joined.slice(0, limit)
            waiting = [joined.slice(limit)]
            held -= limit
    if held:
        yield pa.concat_tables(waiting).combine_chunks()
