"""The dataset card, and the dataset as `datasets` loads it."""

from __future__ import annotations

from pathlib import Path

import yaml
from datasets import load_dataset

from pedcorpus.pipeline import BuildResult
from pedcorpus.reasons import explain
from tests.builds import rows

Sample = tuple[Path, BuildResult]


def test_every_config_loads(sample_build: Sample, tmp_path: Path) -> None:
    folder = sample_build[0] / "dataset"
    for task, by_split in sample_build[1].dataset["rows"].items():
        loaded = load_dataset(str(folder), task, cache_dir=str(tmp_path))
        assert {split: len(loaded[split]) for split in loaded} == by_split
        held = [row["id"] for split in ("train", "validation", "test") if split in loaded for row in loaded[split]]
        assert held == [row["id"] for row in rows(sample_build[0], task)]


def test_header_and_figures(sample_build: Sample) -> None:
    text = (sample_build[0] / "dataset" / "README.md").read_text(encoding="utf-8")
    header = yaml.safe_load(text.split("---\n")[1])
    tally = sample_build[1].dataset["rows"]
    assert [config["config_name"] for config in header["configs"]] == list(tally)
    for config in header["configs"]:
        assert [item["split"] for item in config["data_files"]] == list(tally[config["config_name"]])
    assert header["license"] == "apache-2.0"
    assert header["language"] == ["zh"]
    assert "Not medical advice" in text
    for task, by_split in tally.items():
        assert f"| `{task}` | " + " | ".join(f"{by_split.get(s, 0):,}" for s in ("train", "validation", "test")) in text
    for source in sample_build[1].dataset["sources"]:
        assert f"| `{source['id']}` |" in text
    for stage in sample_build[1].dataset["stages"]:
        for reason in stage["rejected"]:
            assert f"| `{reason}` |" in text
            assert explain(reason) in text
