"""Small recipes, and runs that are stopped or poisoned at a step, for the tests of the stages."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pedcorpus.training.recipe import Recipe, load_recipe

SECTIONS = ("cpt", "sft", "dfpo", "moe_lora", "reward", "rejection_sampling")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads on matrices this small wait for each other more than they compute, most of all on a busy machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small_recipe(*overrides: str, steps: int = 4, rows: int = 32) -> Recipe:
    """The tiny recipe with few rows and steps; ``overrides`` are those of ``--set``."""
    fewer = ["model.random.hidden=64", "model.random.intermediate=128", "model.random.vocabulary=512"]
    for section in SECTIONS:
        fewer += [f"{section}.max_steps={steps}", f"{section}.rows={rows}", f"{section}.max_length=512"]
        fewer += [f"{section}.logging_steps=1", f"{section}.warmup_steps=0"]
        fewer += [f"{section}.batch_size={4 if section in ('sft', 'moe_lora') else 2}"]
    fewer += ["sft.learning_rate=2e-3", "dfpo.learning_rate=5e-4"]
    return load_recipe("tiny", [*fewer, *overrides])


def set_options(recipe_overrides: dict[str, Any]) -> list[str]:
    """``--set`` options of the command line."""
    return [part for name, value in recipe_overrides.items() for part in ("--set", f"{name}={value}")]


def metrics(folder: Path) -> list[dict[str, Any]]:
    """The lines of ``metrics.jsonl`` that hold a loss."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]
    return [line for line in lines if "loss" in line]


def at_step(monkeypatch: pytest.MonkeyPatch, step: int, act: Callable[[Any], None]) -> None:
    """Call ``act(model)`` when ``step`` steps are done, before the next one begins."""
    from transformers import Trainer

    plain = Trainer.training_step

    def training_step(self: Any, model: Any, *arguments: Any, **named: Any) -> Any:
        if self.state.global_step == step:
            act(model)
        return plain(self, model, *arguments, **named)

    monkeypatch.setattr(Trainer, "training_step", training_step)


def stop(model: Any) -> None:
    """As a user stops a run."""
    raise KeyboardInterrupt
