"""The dataset card, and the dataset as `datasets` loads it."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from pathlib import Path

import pytest
import yaml
from datasets import load_dataset
from huggingface_hub import DatasetCard, DatasetCardData

from pedcorpus.card import ABOUT, RECALL, dataset_card
from pedcorpus.licenses import HUB_LICENSES, is_unknown, license_address, license_slug, roll_up
from pedcorpus.manifests import DatasetManifest
from pedcorpus.reasons import explain
from pedcorpus.records import TASKS
from pedcorpus.run import BuildResult
from pedcorpus.statistics import Statistics, dataset_statistics
from tests.builds import rows
from tests.conftest import ROOT
from tests.hub_answers import card_errors

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


# --- other datasets than the sample -----------------------------------------------------------------


@pytest.fixture
def made(sample_build: Sample) -> tuple[DatasetManifest, Statistics]:
    manifest = deepcopy(sample_build[1].dataset)
    return manifest, dataset_statistics(sample_build[0] / "dataset", manifest["shards"])


def header_of(card: str) -> dict[str, object]:
    found: dict[str, object] = yaml.safe_load(card.split("---\n")[1])
    assert card_errors(card) == []
    parsed = DatasetCard(card).data
    assert isinstance(parsed, DatasetCardData)
    assert all(parsed.get(name) == value for name, value in found.items())
    return found


def test_the_card_is_what_manifest_and_shards_say(
    sample_build: Sample, made: tuple[DatasetManifest, Statistics]
) -> None:
    text = (sample_build[0] / "dataset" / "README.md").read_text(encoding="utf-8")
    assert dataset_card(*made) == text
    assert list(ABOUT) == list(TASKS)
    header = header_of(text)
    assert header["tags"] == [
        "medical",
        "pediatrics",
        "instruction-tuning",
        "chinese",
        "preference",
        "dpo",
        "pedcorpus",
    ]
    for picture in re.findall(r"!\[[^]]+\]\(([^)]+)\)", text):
        assert (sample_build[0] / "dataset" / picture).is_file()
    for link in re.findall(r"(?<!!)\[[^]]+\]\(([^)]+)\)", text):
        assert (sample_build[0] / "dataset" / link).is_file()
    for words in (
        "## Quality",
        "## Known limits",
        "## The same bytes again",
        "```bibtex",
        "3 nearly the same",
        "12 items): 3",
    ):
        assert words in text
    assert made[0]["config_sha256"] in text and f"pyarrow {made[0]['versions']['pyarrow']}" in text
    assert "Left out" not in text
    for line in text.split("\n"):
        assert not line.startswith("|") or line.endswith("|")


def test_what_models_wrote_is_said(made: tuple[DatasetManifest, Statistics]) -> None:
    manifest, statistics = made
    manifest["made_with"][0]["model"] = "gpt-x | new"
    card = dataset_card(manifest, statistics)
    assert "by rule and by language models" in card and "`gpt-x \\| new`" in card and "--offline" in card
    header = header_of(card)
    assert header["language_creators"] == ["found", "machine-generated"] and "synthetic" in header["tags"]  # type: ignore[operator]


def test_licenses_of_sources_stand_in_the_header(made: tuple[DatasetManifest, Statistics]) -> None:
    manifest, statistics = made
    statistics.licenses.clear()
    statistics.licenses.update({"CC-BY-4.0": 3, "国家标准": 2, "apache-2.0": 1})
    header = header_of(dataset_card(manifest, statistics))
    assert (header["license"], header["license_name"]) == (["apache-2.0", "cc-by-4.0", "other"], "custom")
    manifest["license"] = "unknown"
    statistics.licenses.clear()
    assert header_of(dataset_card(manifest, statistics))["license"] == "unknown"


def test_other_languages_masking_off_and_nothing_known(made: tuple[DatasetManifest, Statistics]) -> None:
    manifest, statistics = made
    manifest |= {"language": "en", "deidentified": False, "benchmarks": [], "pretty_name": None}
    statistics.diseases.clear()
    statistics.departments.clear()
    card = dataset_card(manifest, statistics)
    assert "Masking was switched off" in card and "Held against no benchmark" in card
    assert "### Diseases" not in card and "# pedcorpus-sample\n" in card
    header_of(card)


def test_titles_cannot_break_a_table(made: tuple[DatasetManifest, Statistics]) -> None:
    manifest, statistics = made
    manifest["sources"][0]["title"] = "a|b\n`c` <img src=x> [d](e)"
    card = dataset_card(manifest, statistics)
    assert "a\\|b \\`c\\` &lt;img src=x> \\[d\\](e)" in card


def test_the_recall_is_the_documented_one() -> None:
    found = re.search(r"of (\d+) planted pieces[^,]*, (\d+) were masked", " ".join(
        (ROOT / "docs" / "how-it-works.md").read_text(encoding="utf-8").split()
    ))  # fmt: skip
    assert found and (int(found[2]), int(found[1])) == RECALL


def test_papers_name_no_machine_and_no_time(sample_build: Sample) -> None:
    folder = sample_build[0] / "dataset"
    for name in ("README.md", "croissant.json", "manifest.json"):
        text = (folder / name).read_text(encoding="utf-8")
        assert str(sample_build[0].parent) not in text and str(ROOT) not in text
        assert not re.search(r"\d{4}-\d\d-\d\dT", text)
    assert set(json.loads((folder / "manifest.json").read_text())["files"]) == {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".parquet" and path.name != "manifest.json"
    }


def test_licenses() -> None:
    assert roll_up(["MIT", "mit", "", "unknown", "某协议"]) == (["mit", "unknown", "other"], ["某协议"])
    assert is_unknown(None) and is_unknown(" Unknown ") and not is_unknown("mit")
    assert (license_slug("My License 2.0"), license_slug("国标")) == ("my-license-2.0", "custom")
    assert license_address("CC-BY-NC-4.0") == "https://creativecommons.org/licenses/by-nc/4.0/"
    assert license_address("某协议") == "某协议"
    assert {"apache-2.0", "cc-by-4.0", "cc0-1.0", "unknown"} <= HUB_LICENSES
