"""The directory between two stages: what counts as one, what is checked of a parent, and how one is written."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="training needs the [train] extra")
pytest.importorskip("transformers", reason="training needs the [train] extra")

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from pedcorpus.errors import BuildDirError, ConfigError, DiskFullError
from pedcorpus.training import handover
from pedcorpus.training.handover import (
    STAGE_FILE,
    check_parent,
    directory_hash,
    is_finished,
    model_place,
    parent_line,
    read_stage,
    versions,
    write_directory,
)
from pedcorpus.training.masking import set_template, template_hash

ABOUT = {"stage": "sft", "parent": {"path": "/x", "sha256": "ab"}, "hyperparameters": {"epochs": 1.0, "configs": ["a"]}}


def make_tokenizer(template: str = "chatml") -> Any:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<eos>", pad_token="<pad>")
    set_template(tokenizer, template)
    return tokenizer


def write_model(folder: Path, size: int = 8, tokenizer: Any = None) -> None:
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(size))
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)
        stops = {"eos_token_id": tokenizer.eos_token_id}
        (folder / "generation_config.json").write_text(json.dumps(stops))


@pytest.fixture
def parent(tmp_path: Path) -> Path:
    """The directory of a stage, as one leaves it."""
    tokenizer = make_tokenizer()
    papers = {
        **ABOUT,
        "template_sha256": template_hash(tokenizer),
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    write_directory(tmp_path / "parent", lambda folder: write_model(folder, tokenizer=tokenizer), papers)
    return tmp_path / "parent"


# --- where a model lies -----------------------------------------------------------------------------


def test_a_folder_with_a_model_or_an_adapter_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, file in (("whole", "config.json"), ("adapter", "adapter_config.json")):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text("{}")
        assert model_place(str(tmp_path / name)) == str(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    assert model_place("./whole") == model_place("whole") == str(tmp_path / "whole")


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")

    with pytest.raises(ConfigError, match="holds no model") as error:
        model_place(str(tmp_path))

    assert "save_pretrained" in error.value.hint


def test_a_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"x")

    with pytest.raises(ConfigError, match="is a file"):
        model_place(str(file))


@pytest.mark.parametrize(
    "name",
    ["./nope", "../nope", "nope", "a/b/c", "/nope/model", "~/model", "a/", "/b", "a//b", "a b/c", "模型/基座", "a/b\n",
     "-a/b", "https://huggingface.co/a/b", "."],
)  # fmt: skip
def test_what_is_neither_a_folder_nor_a_hub_id_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ConfigError, match="neither a folder nor a Hub id" if name != "." else "holds no model"):
        model_place(name)


@pytest.mark.parametrize("name", ["Qwen/Qwen2.5-7B", "baichuan-inc/Baichuan2-7B-Base", "a/b", "0x_1/y.z-2"])
def test_a_hub_id_passes(name: str) -> None:
    assert model_place(name) == name
    assert parent_line(name) == {"path": name, "sha256": None}


# --- hashes and papers ------------------------------------------------------------------------------


def test_the_hash_is_of_the_files_that_make_the_model(parent: Path) -> None:
    before = directory_hash(parent)

    (parent / "checkpoints").mkdir()
    (parent / "checkpoints" / "weights").write_text("x")
    (parent / STAGE_FILE).write_text("{}")
    assert directory_hash(parent) == before
    assert parent_line(str(parent)) == {"path": str(parent), "sha256": before}

    weights = parent / "model.safetensors"
    weights.write_bytes(b"\1" + weights.read_bytes()[1:])
    changed = directory_hash(parent)
    assert changed != before
    weights.rename(parent / "other.safetensors")
    assert directory_hash(parent) not in (before, changed)


def test_a_base_model_has_no_papers(tmp_path: Path) -> None:
    assert read_stage(tmp_path) is None
    (tmp_path / STAGE_FILE).write_text("[")
    with pytest.raises(BuildDirError, match=STAGE_FILE):
        read_stage(tmp_path)


def test_finished_means_this_stage_from_this_parent_with_these_settings(parent: Path, tmp_path: Path) -> None:
    line, settings = {"path": "/elsewhere", "sha256": "ab"}, {"epochs": 1.0, "configs": ("a",)}

    assert is_finished(parent, "sft", line, settings)
    assert not is_finished(parent, "dfpo", line, settings)
    assert not is_finished(parent, "sft", {**line, "sha256": "cd"}, settings)
    assert not is_finished(parent, "sft", line, {**settings, "epochs": 2.0})
    assert not is_finished(tmp_path, "sft", line, settings)
    (parent / STAGE_FILE).write_text("{}")
    assert not is_finished(parent, "sft", line, settings)


def test_versions_name_the_libraries() -> None:
    assert {"torch", "transformers", "trl", "peft"} <= set(versions())


# --- the parent is as it was trained ----------------------------------------------------------------


def test_an_untouched_parent_passes(parent: Path, tmp_path: Path) -> None:
    check_parent(str(parent), AutoTokenizer.from_pretrained(parent))
    check_parent("owner/name", make_tokenizer())
    check_parent(str(tmp_path), make_tokenizer())  # no papers: a base model


def test_a_list_of_stops_passes(parent: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(parent)
    (parent / "generation_config.json").write_text(json.dumps({"eos_token_id": [900, tokenizer.eos_token_id]}))
    check_parent(str(parent), tokenizer)
    (parent / "generation_config.json").unlink()
    check_parent(str(parent), tokenizer)


def other_template(folder: Path, tokenizer: Any) -> None:
    tokenizer.chat_template += " "


def other_end(folder: Path, tokenizer: Any) -> None:
    tokenizer.eos_token = "<eos>"


def other_padding(folder: Path, tokenizer: Any) -> None:
    tokenizer.pad_token = tokenizer.eos_token


def other_stop(folder: Path, tokenizer: Any) -> None:
    (folder / "generation_config.json").write_text('{"eos_token_id": 0}')


def other_stops(folder: Path, tokenizer: Any) -> None:
    (folder / "generation_config.json").write_text('{"eos_token_id": [0, 900]}')


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (other_template, "template_sha256"),
        (other_end, "eos_token_id"),
        (other_padding, "pad_token_id"),
        (other_stop, "generation_config.json stops at 0"),
        (other_stops, r"generation_config.json stops at \[0, 900\]"),
    ],
)
def test_a_parent_that_was_changed_is_refused(parent: Path, change: Callable[[Path, Any], None], told: str) -> None:
    tokenizer = AutoTokenizer.from_pretrained(parent)
    change(parent, tokenizer)

    with pytest.raises(ConfigError, match=told) as error:
        check_parent(str(parent), tokenizer)

    assert str(parent) in str(error.value)
    assert "restore" in error.value.hint


def test_a_template_that_was_edited_on_disk_is_refused(parent: Path) -> None:
    file = parent / "chat_template.jinja"
    file.write_text(file.read_text().replace("<|im_start|>", "<start>"))

    with pytest.raises(ConfigError, match="template_sha256"):
        check_parent(str(parent), AutoTokenizer.from_pretrained(parent))


# --- writing ----------------------------------------------------------------------------------------


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_papers_come_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = tmp_path / "out"
    there: list[list[str]] = []
    write_json = handover.write_json

    def watched(path: Path, value: Any) -> None:
        there.append(names(output))
        write_json(path, value)

    monkeypatch.setattr(handover, "write_json", watched)

    def write(folder: Path) -> None:
        assert not (output / STAGE_FILE).exists()
        write_model(folder)
        (folder / "sub").mkdir()
        (folder / "sub" / "file").write_text("x")

    write_directory(output, write, ABOUT)

    assert [[name for name in found if not name.startswith(".")] for found in there] == [
        ["config.json", "model.safetensors", "sub"]
    ]
    assert names(output) == ["config.json", "model.safetensors", STAGE_FILE, "sub"]
    assert read_stage(output) == ABOUT


def test_a_second_write_takes_the_place_of_the_first(tmp_path: Path) -> None:
    """Also where the weights lie in other files: transformers reads model.safetensors before any index."""
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "metrics.jsonl").write_text("{}")
    write_directory(tmp_path, write_model, ABOUT)

    def in_parts(folder: Path) -> None:
        (folder / "config.json").write_text('{"new": 1}')
        (folder / "model-00001-of-00001.safetensors").write_bytes(b"x")
        (folder / "model.safetensors.index.json").write_text("{}")

    write_directory(tmp_path, in_parts, {"stage": "dfpo"})
    kept = ["checkpoints", "config.json", "metrics.jsonl"]
    weights = ["model-00001-of-00001.safetensors", "model.safetensors.index.json"]
    assert names(tmp_path) == sorted([*kept, *weights, STAGE_FILE])
    assert (tmp_path / "config.json").read_text() == '{"new": 1}'
    assert read_stage(tmp_path) == {"stage": "dfpo"}

    write_directory(tmp_path, write_model, ABOUT)
    assert names(tmp_path) == sorted([*kept, "model.safetensors", STAGE_FILE])


class SafetensorError(Exception):
    """As safetensors raises it: no OSError."""


FULL = [
    OSError(errno.ENOSPC, "No space left on device"),
    OSError(errno.EDQUOT, "Disk quota exceeded"),
    SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)"),
]


@pytest.mark.parametrize("error", FULL, ids=["ENOSPC", "EDQUOT", "safetensors"])
def test_a_full_disk_leaves_nothing_half_written(tmp_path: Path, error: Exception) -> None:
    output = tmp_path / "out"

    def write(folder: Path) -> None:
        write_model(folder)
        raise error

    with pytest.raises(DiskFullError, match="no space left while writing under") as told:
        write_directory(output, write, ABOUT)

    assert str(output) in str(told.value)
    assert told.value.hint
    assert names(output) == []


@pytest.mark.parametrize("error", FULL, ids=["ENOSPC", "EDQUOT", "safetensors"])
def test_a_full_disk_leaves_an_earlier_model_as_it_was(parent: Path, error: Exception) -> None:
    before, papers, hashed = names(parent), read_stage(parent), directory_hash(parent)

    def write(folder: Path) -> None:
        write_model(folder, size=64)
        raise error

    with pytest.raises(DiskFullError):
        write_directory(parent, write, ABOUT)

    assert (names(parent), read_stage(parent), directory_hash(parent)) == (before, papers, hashed)


def test_a_disk_that_fills_up_while_files_are_moved_leaves_no_papers(
    parent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    move = Path.replace

    def replace(path: Path, target: Path) -> Path:
        if path.name == "model.safetensors":
            raise OSError(errno.ENOSPC, "No space left on device")
        return move(path, target)

    monkeypatch.setattr(Path, "replace", replace)

    with pytest.raises(DiskFullError):
        write_directory(parent, write_model, ABOUT)

    assert read_stage(parent) is None
    assert ".new" not in names(parent)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")

    with pytest.raises(BuildDirError, match="cannot write under"):
        write_directory(tmp_path / "file" / "out", write_model, ABOUT)


def test_other_errors_pass_as_they_are(tmp_path: Path) -> None:
    def write(folder: Path) -> None:
        write_model(folder)
        raise RuntimeError("CUDA error: device-side assert triggered in another address space")

    with pytest.raises(RuntimeError, match="device-side"):
        write_directory(tmp_path, write, ABOUT)

    assert names(tmp_path) == []


def test_what_an_interrupted_write_left_is_taken_away(tmp_path: Path) -> None:
    (tmp_path / ".new").mkdir()
    (tmp_path / ".new" / "model.safetensors").write_bytes(b"half")

    write_directory(tmp_path, lambda folder: None, ABOUT)

    assert names(tmp_path) == [STAGE_FILE]
