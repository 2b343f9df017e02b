"""The card's pictures and the figures they show."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from pedcorpus.figures import lengths_picture, rows_picture, stages_picture
from pedcorpus.manifests import StageLine
from pedcorpus.run import BuildResult
from pedcorpus.statistics import BINS, ConfigFigures, Statistics, dataset_statistics, top
from tests.builds import rows

Sample = tuple[Path, BuildResult]


def opened(picture: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(picture))
    assert image.format == "PNG" and image.info == {}  # no clock, no program's name
    return image.convert("RGB")


def test_figures_are_those_of_the_rows(sample_build: Sample) -> None:
    build, manifest = sample_build[0], sample_build[1].dataset
    found = dataset_statistics(build / "dataset", manifest["shards"])
    held = {task: rows(build, task) for task in manifest["rows"]}
    everything = [row for items in held.values() for row in items]
    assert found.rows == len(everything)
    assert found.sources == Counter(row["source_id"] for row in everything)
    assert found.diseases == Counter(row["disease"] for row in everything if row["disease"])
    for task, items in held.items():
        figures = found.configs[task]
        answers = [row.get("text") or (row.get("chosen") or row["messages"])[-1]["content"] for row in items]
        assert sorted(figures.lengths) == sorted(map(len, answers))
        assert figures.spans == sum(len(row["evidence"]) for row in items)
        assert sum(figures.bins()) == figures.rows == len(items)
        assert figures.percentile(0.5) == sorted(map(len, answers))[len(answers) // 2]
    names = sum(
        message["content"].count("[姓名]")
        for row in everything
        for column in ("messages", "prompt", "chosen", "rejected")
        for message in row.get(column) or ()
    ) + sum((row.get("text") or "").count("[姓名]") for row in everything)
    assert found.masks["[姓名]"] == names > 0


def test_bins_and_ties() -> None:
    figures = ConfigFigures(rows=3)
    figures.lengths.extend([0, BINS[0] - 1, BINS[0], BINS[-1]])
    assert figures.bins() == [2, 1, 0, 0, 0, 0, 1]
    assert ConfigFigures().percentile(0.5) == 0
    assert top(Counter({"b": 2, "a": 2, "c": 3}), 2) == [("c", 3), ("a", 2)]


def test_equal_figures_give_equal_bytes_and_others_do_not(sample_build: Sample) -> None:
    held = sample_build[1].dataset["rows"]
    assert rows_picture(held) == rows_picture(held)
    assert rows_picture(held) != rows_picture({**held, "medkqa": {"train": 1}})
    for name in ("rows", "lengths", "stages"):
        image = opened((sample_build[0] / "dataset" / "assets" / f"{name}.png").read_bytes())
        assert image.width == 1440 and image.getpixel((3, 3)) == (255, 255, 255)


@pytest.mark.parametrize("count", [0, 1, 7, 123_456_789])
def test_labels_stay_on_the_sheet(count: int) -> None:
    stages: list[StageLine] = [
        {"name": "decontaminate", "in": count, "kept": count - count // 3, "rejected": {"dedup.near": count // 3}}
    ]
    statistics = Statistics(configs={"self_cognition": ConfigFigures(rows=0)})
    rows_ = {"self_cognition": {"train": count, "validation": count, "test": count}}
    for picture in (stages_picture(stages), rows_picture(rows_), lengths_picture(statistics)):
        image = opened(picture)
        margin = image.crop((image.width - 30, 0, image.width, image.height))
        assert margin.getcolors() == [(margin.width * margin.height, (255, 255, 255))]
