"""The shape of ``manifest.json`` of a build and of the dataset in it."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict

SCHEMA_VERSION = 1

StageLine = TypedDict(
    "StageLine",
    {"name": str, "in": int, "kept": int, "records": NotRequired[int], "rejected": dict[str, int]},
)
"""One stage: ``in == kept + sum(rejected.values())``. ``records`` is what generate and derive read."""


class DatasetName(TypedDict):
    """Which dataset a build made."""

    name: str
    version: str


class SourceLine(TypedDict):
    """One source of a dataset. ``sha256`` is the hash over the names and hashes of its files."""

    id: str
    kind: str
    title: str | None
    edition: str | None
    license: str
    publishable: bool
    files: int
    sha256: str


class FileLine(TypedDict):
    """One file of the dataset."""

    sha256: str
    bytes: int


class BenchmarkLine(TypedDict):
    """One benchmark that rows were held against."""

    name: str
    items: int


class MadeLine(TypedDict):
    """Rows that one prompt or wording file shaped, with the model that wrote them; null where none did."""

    prompt_id: str | None
    prompt_sha256: str | None
    model: str | None
    rows: int


class BuildManifest(TypedDict):
    """``BUILD/manifest.json``."""

    schema_version: int
    pedcorpus: str
    dataset: DatasetName
    config_sha256: str
    seed: int
    versions: dict[str, str]
    stages: list[StageLine]
    rows: dict[str, dict[str, int]]
    sources: list[SourceLine]
    benchmarks: list[BenchmarkLine]


class DatasetManifest(TypedDict):
    """``BUILD/dataset/manifest.json``: names no machine and no time."""

    schema_version: int
    pedcorpus: str
    name: str
    pretty_name: str | None
    version: str
    language: str
    license: str
    deidentified: bool
    seed: int
    config_sha256: str
    versions: dict[str, str]
    rows: dict[str, dict[str, int]]
    excluded: dict[str, int]
    """Rows that were left out of a published copy, by the source that forbids it; empty in a build."""
    shards: dict[str, FileLine]
    files: dict[str, FileLine]
    """Every other file but this one: the card, its pictures, the metadata."""
    made_with: list[MadeLine]
    sources: list[SourceLine]
    stages: list[StageLine]
    benchmarks: list[BenchmarkLine]
