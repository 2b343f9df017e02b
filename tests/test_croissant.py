"""``croissant.json``: against the shards it describes, and where mlcroissant is installed against that."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from pedcorpus.records import TASKS, columns
from pedcorpus.run import BuildResult
from tests.builds import hashes, rows

Sample = tuple[Path, BuildResult]


def read(build: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((build / "dataset" / "croissant.json").read_text(encoding="utf-8"))
    return found


def test_it_names_every_shard_with_its_hash_and_every_column(sample_build: Sample) -> None:
    about, folder = read(sample_build[0]), sample_build[0] / "dataset"
    files = {item["contentUrl"]: item for item in about["distribution"] if item["@type"] == "cr:FileObject"}
    held = {name: sha256 for name, sha256 in hashes(folder).items() if name.startswith("data/")}
    assert {name: item["sha256"] for name, item in files.items()} == held
    assert all(item["contentSize"] == f"{(folder / name).stat().st_size} B" for name, item in files.items())
    for item in about["distribution"]:
        if item["@type"] == "cr:FileSet":
            assert list(folder.glob(item["includes"]))
    sets = {item["name"]: item for item in about["recordSet"]}
    tasks = [task for task in TASKS if task in sample_build[1].dataset["rows"]]
    assert list(sets) == [name for task in tasks for name in (f"{task}_splits", task)]
    for task in tasks:
        assert [field["name"] for field in sets[task]["field"]] == ["split", *columns(task)]
        splits = [row[f"{task}_splits/split_name"] for row in sets[f"{task}_splits"]["data"]]
        assert splits == list(sample_build[1].dataset["rows"][task])


def test_papers_of_the_dataset(sample_build: Sample) -> None:
    about, manifest = read(sample_build[0]), sample_build[1].dataset
    assert (about["name"], about["version"], about["inLanguage"]) == (manifest["name"], manifest["version"], "zh")
    assert about["license"] == ["https://www.apache.org/licenses/LICENSE-2.0"]
    assert about["citeAs"] in (sample_build[0] / "dataset" / "README.md").read_text(encoding="utf-8")
    assert "Not medical advice" in about["description"]


def test_mlcroissant_validates_and_reads_it(sample_build: Sample) -> None:
    mlc = pytest.importorskip("mlcroissant")
    build = sample_build[0]
    dataset = mlc.Dataset(str(build / "dataset" / "croissant.json"))
    issues = dataset.metadata.ctx.issues
    assert not issues.errors
    assert all("datePublished" in warning for warning in issues.warnings)  # a build tells no time
    for task in sample_build[1].dataset["rows"]:
        by_id = {row["id"]: row for row in rows(build, task)}
        for record in islice(dataset.records(task), 20):
            row = by_id[record[f"{task}/id"].decode()]
            assert record[f"{task}/source_id"].decode() == row["source_id"]
            assert record[f"{task}/split"].decode() in sample_build[1].dataset["rows"][task]
            quotes = [item[f"{task}/evidence/quote"].decode() for item in record[f"{task}/evidence"]]
            assert quotes == [item["quote"] for item in row["evidence"]]
            if "messages" in row:
                said = [item[f"{task}/messages/content"].decode() for item in record[f"{task}/messages"]]
                assert said == [message["content"] for message in row["messages"]]
