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


class ShardLine(TypedDict):
    """One shard file."""

    sha256: str
    bytes: int


class BenchmarkLine(TypedDict):
    """One benchmark that rows were held against."""

    name: str
    items: int


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
    version: str
    language: str
    license: str
    seed: int
    config_sha256: str
    rows: dict[str, dict[str, int]]
    shards: dict[str, ShardLine]
    card_sha256: str
    sources: list[SourceLine]
    stages: list[StageLine]
    benchmarks: list[BenchmarkLine]
