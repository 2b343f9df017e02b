"""Stages chain through directories: weights, tokenizer, chat template and ``stage.json``, which says what made them."""

from __future__ import annotations

import errno
import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pedcorpus.builddir import read_json, write_json
from pedcorpus.errors import ConfigError, PedcorpusError, wrap_os_error
from pedcorpus.sources import hash_file
from pedcorpus.training.masking import template_hash

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

STAGE_FILE = "stage.json"
CHECKPOINTS = "checkpoints"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)
_LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "tokenizers", "safetensors")


class TrainingError(PedcorpusError):
    """A run ended with something wrong: the loss is no number."""

    exit_code = 1


def model_place(name: str) -> str:
    """``name`` as a directory or a Hub id, checked before anything is loaded.

    Raises:
        ConfigError: it is neither.
    """
    path = Path(name)
    if path.is_dir():
        if not any((path / file).exists() for file in ("config.json", "adapter_config.json")):
            raise ConfigError(
                f"{path} holds no model (no config.json)", "name a directory that a stage or save_pretrained wrote"
            )
        return str(path.resolve())
    if path.exists():
        raise ConfigError(f"{path} is a file, a model is a directory", "name the directory it lies in")
    if not _HUB_ID.fullmatch(name):
        raise ConfigError(f"{name} is neither a folder nor a Hub id (OWNER/NAME)", "check the path")
    return name


def directory_hash(folder: Path) -> str:
    """SHA-256 over the sorted names and hashes of the files in ``folder``, ``stage.json`` left out."""
    total = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name != STAGE_FILE:
            total.update(f"{path.name}\0{hash_file(path)}\n".encode())
    return total.hexdigest()


def read_stage(folder: Path) -> dict[str, Any] | None:
    """``stage.json`` of a directory, or None where it has none: a base model."""
    path = folder / STAGE_FILE
    return read_json(path) if path.is_file() else None


def parent_line(place: str) -> dict[str, Any]:
    """The ``parent`` entry of ``stage.json``; a Hub id has no hash."""
    folder = Path(place)
    return {"path": place, "sha256": directory_hash(folder) if folder.is_dir() else None}


def check_parent(place: str, tokenizer: PreTrainedTokenizerBase) -> None:
    """Refuse a parent whose tokenizer or end of generation is not the one that its stage was trained with.

    Raises:
        ConfigError: chat template, end or padding token differ from ``stage.json``.
    """
    folder = Path(place)
    stage = read_stage(folder) if folder.is_dir() else None
    if stage is None:
        return
    held = {
        "template_sha256": template_hash(tokenizer),
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    for name, value in held.items():
        if stage.get(name) != value:
            raise ConfigError(
                f"{place}: {name} is {value}, but its stage.json says {stage.get(name)}",
                "this directory was changed after training: train the parent again, or restore its tokenizer files",
            )
    generation = folder / "generation_config.json"
    stops = read_json(generation).get("eos_token_id") if generation.is_file() else None
    if stops is not None and stage["eos_token_id"] not in (stops if isinstance(stops, list) else [stops]):
        raise ConfigError(
            f"{place}: generation_config.json stops at {stops}, but stage.json says {stage['eos_token_id']}",
            "restore generation_config.json of the parent",
        )


def is_finished(folder: Path, stage: str, parent: dict[str, Any], hyperparameters: dict[str, Any]) -> bool:
    """Whether ``folder`` holds this stage, made from this parent with these hyper-parameters."""
    found = read_stage(folder)
    if found is None:
        return False
    same = found.get("stage") == stage and found.get("parent", {}).get("sha256") == parent["sha256"]
    return same and found.get("hyperparameters") == json.loads(json.dumps(hyperparameters))


def versions() -> dict[str, str]:
    """Versions of the libraries that a stage was run with."""
    from importlib.metadata import version

    return {name: version(name) for name in _LIBRARIES}


def write_directory(output: Path, write: Callable[[Path], None], about: dict[str, Any]) -> None:
    """Write a model beside its place and move its files there; ``stage.json`` comes last and says that it is whole.

    Raises:
        PedcorpusError: no space left, or no right to write.
    """
    new = output / ".new"
    try:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        write(new)
        (output / STAGE_FILE).unlink(missing_ok=True)
        for old in output.glob("*.safetensors*"):  # an earlier run may have cut its weights into other files
            old.unlink()
        for path in sorted(new.iterdir()):
            target = output / path.name
            if target.is_dir():
                shutil.rmtree(target)
            path.replace(target)
        write_json(output / STAGE_FILE, about)
    except OSError as error:
        raise wrap_os_error(error, str(output)) from error
    except Exception as error:  # safetensors tells a full disk in an error of its own
        if "no space left" in str(error).lower():
            raise wrap_os_error(OSError(errno.ENOSPC, str(error)), str(output)) from error
        raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
