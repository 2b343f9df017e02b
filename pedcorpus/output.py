"""What lies in the build directory in the end: records, ledger, dataset, manifests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pedcorpus import __version__
from pedcorpus.builddir import BuildDir, Parts, write_json, write_table, write_text
from pedcorpus.card import dataset_card
from pedcorpus.config import LoadedConfig
from pedcorpus.croissant import croissant
from pedcorpus.errors import wrap_os_error
from pedcorpus.figures import lengths_picture, rows_picture, stages_picture
from pedcorpus.manifests import (
    SCHEMA_VERSION,
    BenchmarkLine,
    BuildManifest,
    DatasetManifest,
    FileLine,
    MadeLine,
    StageLine,
)
from pedcorpus.records import SPLITS, TASKS, digest, record_schema, row_schema
from pedcorpus.shards import write_shards, write_tables
from pedcorpus.sources import SourceFile, SourceInfo, hash_file
from pedcorpus.statistics import Statistics, dataset_statistics

if TYPE_CHECKING:
    import pyarrow as pa

_RECORDS_PER_FILE = 20_000


class _Source(Protocol):
    @property
    def info(self) -> SourceInfo: ...
    @property
    def files(self) -> Sequence[SourceFile]: ...


def write_ledger(home: BuildDir, keys: Mapping[str, Sequence[str]]) -> None:
    """One file a stage, from the parts of ``keys``; the file of a stage that dropped nothing goes."""
    import pyarrow as pa

    home.rejects.mkdir(exist_ok=True)
    for stage, own in keys.items():
        target = home.rejects / f"{stage}.parquet"
        tables = [table for key in own if (table := home.parts(stage).rejects(key)).num_rows]
        if tables:
            write_table(target, pa.concat_tables(tables).combine_chunks())
        else:
            target.unlink(missing_ok=True)


def write_records(home: BuildDir, keys: Sequence[str]) -> None:
    """The raw records of every part, in order, as files of equal size."""
    parts = home.parts("extract")
    rows = sum(parts.count(key) for key in keys)
    tables = (parts.kept(key) for key in keys)
    replace_folder(
        home.records, lambda folder: write_tables(folder, "records", tables, rows, _RECORDS_PER_FILE, record_schema())
    )


def dataset_manifest(
    loaded: LoadedConfig, sources: Sequence[_Source], stages: list[StageLine], benchmarks: list[BenchmarkLine]
) -> DatasetManifest:
    """The dataset's manifest, as yet without rows and shards."""
    dataset = loaded.config.dataset
    return {
        "schema_version": SCHEMA_VERSION,
        "pedcorpus": __version__,
        "name": dataset.name,
        "pretty_name": dataset.pretty_name,
        "version": dataset.version,
        "language": dataset.language,
        "license": dataset.license,
        "deidentified": loaded.config.deidentify.enabled,
        "seed": dataset.seed,
        "config_sha256": loaded.sha256,
        "versions": library_versions(),
        "rows": {},
        "excluded": {},
        "shards": {},
        "files": {},
        "made_with": [],
        "sources": [
            {
                "id": source.info.id,
                "kind": source.info.kind,
                "title": source.info.title,
                "edition": source.info.edition,
                "license": source.info.license,
                "publishable": source.info.publishable,
                "files": len(source.files),
                "sha256": digest("source", *(f"{file.name}\0{file.sha256}" for file in source.files), length=64),
            }
            for source in sources
        ],
        "stages": stages,
        "benchmarks": benchmarks,
    }


def build_manifest(loaded: LoadedConfig, dataset: DatasetManifest) -> BuildManifest:
    """The build's manifest, of the finished dataset's."""
    return {
        "schema_version": SCHEMA_VERSION,
        "pedcorpus": __version__,
        "dataset": {"name": dataset["name"], "version": dataset["version"]},
        "config_sha256": loaded.sha256,
        "seed": dataset["seed"],
        "versions": dataset["versions"],
        "stages": dataset["stages"],
        "rows": dataset["rows"],
        "sources": dataset["sources"],
        "benchmarks": dataset["benchmarks"],
    }


def write_dataset(
    home: BuildDir,
    loaded: LoadedConfig,
    manifest: DatasetManifest,
    keys: Sequence[str],
    splits: Sequence[Sequence[tuple[str, str]]],
) -> None:
    """Write shards and papers; fill the rows, shards, files and makers of ``manifest``.

    ``keys`` are parts of the derive stage in order, ``splits`` the (task, split) of each of their rows.
    """
    tally: dict[str, dict[str, int]] = {}
    for chosen in splits:
        for task, split in chosen:
            by_split = tally.setdefault(task, {})
            by_split[split] = by_split.get(split, 0) + 1
    manifest["rows"] = {
        task: {split: tally[task][split] for split in SPLITS if split in tally[task]} for task in TASKS if task in tally
    }
    parts = home.parts("derive")

    def write(folder: Path) -> None:
        manifest["shards"] = {}
        for task in sorted(manifest["rows"]):
            for split, number in sorted(manifest["rows"][task].items()):
                tables = _rows_of((task, split), parts, keys, splits)
                target = folder / "data" / task
                for name in write_shards(target, task, split, tables, number, loaded.config.shards.rows):
                    manifest["shards"][f"data/{task}/{name}"] = file_line(target / name)
        write_papers(folder, manifest)

    replace_folder(home.dataset, write)


def write_papers(folder: Path, manifest: DatasetManifest) -> None:
    """Write card, pictures, metadata and manifest beside the shards that ``manifest`` names; fill what it says of them."""
    statistics = dataset_statistics(folder, manifest["shards"])
    manifest["made_with"] = _made_with(statistics)
    pictures = {
        "rows.png": rows_picture(manifest["rows"]),
        "lengths.png": lengths_picture(statistics),
        "stages.png": stages_picture(manifest["stages"]),
    }
    (folder / "assets").mkdir()
    for name, picture in pictures.items():
        (folder / "assets" / name).write_bytes(picture)
    write_json(folder / "croissant.json", croissant(manifest, statistics))
    write_text(folder / "README.md", dataset_card(manifest, statistics))
    names = ["README.md", *(f"assets/{name}" for name in pictures), "croissant.json"]
    manifest["files"] = {name: file_line(folder / name) for name in names}
    write_json(folder / "manifest.json", manifest)


def file_line(path: Path) -> FileLine:
    """Hash and size of a file of the dataset."""
    return {"sha256": hash_file(path), "bytes": path.stat().st_size}


def _made_with(statistics: Statistics) -> list[MadeLine]:
    """What the rows were made with, the commonest first."""
    ordered = sorted(statistics.made_with.items(), key=lambda item: (-item[1], *(part or "" for part in item[0])))
    return [
        {"prompt_id": prompt, "prompt_sha256": sha256, "model": model, "rows": count}
        for (prompt, sha256, model), count in ordered
    ]


def _rows_of(
    wanted: tuple[str, str], parts: Parts, keys: Sequence[str], splits: Sequence[Sequence[tuple[str, str]]]
) -> Iterator[pa.Table]:
    import pyarrow as pa

    for key, chosen in zip(keys, splits, strict=True):
        mask = [item == wanted for item in chosen]
        if any(mask):
            yield parts.kept(key).filter(pa.array(mask)).cast(row_schema())


def replace_folder(target: Path, write: Callable[[Path], object]) -> None:
    """Write a folder beside ``target`` and put it in its place, so that a half-written one is never seen there."""
    new, old = target.with_name(f".{target.name}.new"), target.with_name(f".{target.name}.old")
    try:
        for path in (new, old):
            if path.exists():
                shutil.rmtree(path)
        new.mkdir(parents=True)
        write(new)
        for path in new.rglob("*"):
            if path.is_file():
                with path.open("rb+") as handle:
                    os.fsync(handle.fileno())
        if target.exists():
            target.replace(old)
        new.replace(target)
        if old.exists():
            shutil.rmtree(old)
    except OSError as error:
        raise wrap_os_error(error, str(target.parent)) from error


def library_versions() -> dict[str, str]:
    """Versions of the libraries that what is written depends on."""
    from importlib.metadata import version

    names = ("pyarrow", "pydantic", "jinja2", "pdfplumber", "pypdfium2", "networkx", "rapidfuzz", "numpy", "pillow")
    return {name: version(name) for name in names}
