"""Trains four stages in each of two processes; started by ``torchrun`` from test_processes.py."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch
from accelerate import PartialState

from pedcorpus.errors import ConfigError
from pedcorpus.training.whole import train_stage
from tests.training.small import small_recipe

torch.set_num_threads(1)
PAIR = ("launch.processes=2", "launch.mode=ddp")
HALF = ("sft.batch_size=2", "dfpo.batch_size=2", "moe_lora.batch_size=2", "moe_lora.noise=false")
SAMPLING = ("rejection_sampling.prompts=4", "rejection_sampling.samples=2", "rejection_sampling.sampling_batch=2",
            "rejection_sampling.max_new_tokens=300", "rejection_sampling.temperature=2.0", "rejection_sampling.max_length=1000")  # fmt: skip


def main(dataset: Path, parent: Path, reward: Path, output: Path) -> None:
    rank = int(os.environ["RANK"])
    refused = ""
    try:
        train_stage("sft", small_recipe(*HALF), dataset, str(parent), output / "refused")
    except ConfigError as error:
        refused = error.message
    recipe = small_recipe(*HALF, *PAIR, *SAMPLING)
    train_stage("sft", recipe, dataset, str(parent), output / "sft")
    train_stage("dfpo", recipe, dataset, str(parent), output / "dfpo")
    train_stage("moe-lora", recipe, dataset, str(parent), output / "moe-lora")
    train_stage("rejection-sampling", recipe, dataset, str(parent), output / "best", reward_model=str(reward))
    told = {"refused": refused, "world": PartialState().num_processes}
    (output / f"told-{rank}.json").write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
