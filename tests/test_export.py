"""The forms that other trainers read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pedcorpus.errors import BuildDirError
from pedcorpus.export import export_build
from pedcorpus.records import INSTRUCTION_TASKS
from tests.builds import rows


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def exported(build: Path, form: str, output: Path, task: str) -> list[dict[str, Any]]:
    export_build(build, form, output)
    return [
        row
        for split in ("train", "validation", "test")
        for path in output.glob(f"{task}-{split}.jsonl")
        for row in lines(path)
    ]


def test_messages(sample_build: tuple[Path, object], tmp_path: Path) -> None:
    written = export_build(sample_build[0], "messages", tmp_path / "o")
    assert {name.split("-")[0] for name in written} == set(INSTRUCTION_TASKS)
    for task in INSTRUCTION_TASKS:
        found = {row["id"]: row["messages"] for row in exported(sample_build[0], "messages", tmp_path / task, task)}
        assert found == {row["id"]: row["messages"] for row in rows(sample_build[0], task)}


def test_sharegpt(sample_build: tuple[Path, object], tmp_path: Path) -> None:
    found = exported(sample_build[0], "sharegpt", tmp_path / "o", "evidiag")
    expected = rows(sample_build[0], "evidiag")
    names = {"user": "human", "assistant": "gpt", "system": "system"}
    assert [[(turn["from"], turn["value"]) for turn in row["conversations"]] for row in found] == [
        [(names[message["role"]], message["content"]) for message in row["messages"]] for row in expected
    ]


def test_alpaca_loses_no_turn(sample_build: tuple[Path, object], tmp_path: Path) -> None:
    found = exported(sample_build[0], "alpaca", tmp_path / "o", "evidiag")
    expected = rows(sample_build[0], "evidiag")
    assert any(row["history"] for row in found)
    for row, source in zip(found, expected, strict=True):
        told = [text for pair in row["history"] for text in pair] + [row["instruction"], row["output"]]
        assert told == [message["content"] for message in source["messages"] if message["role"] != "system"]


def test_dpo(sample_build: tuple[Path, object], tmp_path: Path) -> None:
    found = exported(sample_build[0], "dpo", tmp_path / "o", "dfpo")
    names = ("id", "prompt", "chosen", "rejected")
    assert found == [{name: row[name] for name in names} for row in rows(sample_build[0], "dfpo")]
    assert sorted(path.name.split("-")[0] for path in (tmp_path / "o").iterdir()) == ["dfpo"] * 3


def test_llamafactory_describes_every_file(sample_build: tuple[Path, object], tmp_path: Path) -> None:
    output = tmp_path / "o"
    export_build(sample_build[0], "llamafactory", output)
    info = json.loads((output / "dataset_info.json").read_text(encoding="utf-8"))
    files = {path.name for path in output.glob("*.jsonl")}
    assert {about["file_name"] for about in info.values()} == files
    for about in info.values():
        for row in lines(output / about["file_name"]):
            for column in about["columns"].values():
                assert row[column]
            if about.get("formatting") == "sharegpt":
                tags = [turn["from"] for turn in row["conversations"] if turn["from"] != "system"]
                wanted = ["human", "gpt"] * (len(tags) // 2 + 1)
                assert tags == wanted[: len(tags)]
                assert len(tags) % 2 == (1 if about.get("ranking") else 0)


def test_a_full_folder_is_refused(sample_build: tuple[Path, object], tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(BuildDirError, match="not empty"):
        export_build(sample_build[0], "messages", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


# --- read by their consumers ---


def test_trl_reads_messages_sharegpt_and_pairs(sample_build: tuple[Path, object], tmp_path: Path) -> None:
    """TRL's own conversion: what its SFT and DPO trainers take."""
    trl = pytest.importorskip("trl.data_utils", reason="the train extra is not installed")
    from datasets import load_dataset

    for form, task in (("messages", "evidiag"), ("sharegpt", "evidiag"), ("dpo", "dfpo")):
        export_build(sample_build[0], form, tmp_path / form)
        file = str(tmp_path / form / f"{task}-train.jsonl")
        held = load_dataset("json", data_files=file, split="train", cache_dir=str(tmp_path / "cache"))
        source = {row["id"]: row for row in rows(sample_build[0], task)}
        for row in held.select(range(min(20, len(held)))):
            found = trl.maybe_convert_to_chatml(row)
            assert trl.is_conversational(found)
            for name in ("chosen", "rejected") if form == "dpo" else ("messages",):
                said = [message["content"] for message in found[name]]
                assert said == [message["content"] for message in source[row["id"]][name]]
