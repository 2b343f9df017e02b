"""The last stage: a mixture of universal and specific experts on the frozen model (see `pedcorpus.training.moe_lora`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from peft import get_peft_model
from trl import SFTConfig, SFTTrainer

from pedcorpus.errors import ConfigError
from pedcorpus.training.masking import encode
from pedcorpus.training.moe_lora import MoeLoraConfig, record_routing
from pedcorpus.training.pictures import expert_map
from pedcorpus.training.recipe import MoeLoraRecipe
from pedcorpus.training.rows import load_rows, sft_rows
from pedcorpus.training.running import Job, arguments, finish, load_model, load_tokenizer, say, train
from pedcorpus.training.watch import METRICS_FILE

ROUTED_ROWS = 16
"""Rows of each task whose router weights are logged at the end of training."""


def run(job: Job) -> dict[str, Any]:
    """Train the adapter on the three tasks and general instructions; the stage's final metrics."""
    settings = job.settings
    assert isinstance(settings, MoeLoraRecipe)
    tokenizer, gained = load_tokenizer(job.place, job.recipe)
    base = load_model(job.place, job.recipe, tokenizer, gained, frozen=True)
    prepared = sft_rows(job.dataset, job.configs, tokenizer, settings.max_length, settings.rows, job.recipe.seed)
    torch.manual_seed(job.recipe.seed)
    targets = settings.target_modules
    experts = MoeLoraConfig(
        r=settings.r,
        num_experts=settings.num_experts,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules=targets if isinstance(targets, str) else list(targets),
        noise=settings.noise,
        task_type="CAUSAL_LM",
    )
    try:
        model = get_peft_model(base, experts)
    except (ValueError, TypeError) as error:
        reason = str(error).split("\n")[0]
        raise ConfigError(
            f"moe_lora.target_modules = {targets!r}: {reason}",
            'give a list of names of linear layers, such as ["q_proj", "v_proj"], or all-linear',
        ) from error
    trained, whole = model.get_nb_trainable_parameters()
    say(f"moe-lora: {trained:,} of {whole:,} parameters are trained ({trained / whole:.2%})")
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(**arguments(job), max_length=settings.max_length),
        train_dataset=prepared.rows,
        processing_class=tokenizer,
    )
    metrics = {**train(job, trainer, prepared), "trainable_parameters": trained, "parameters": whole}
    weights: dict[str, list[float]] = {}
    if settings.num_experts and PartialState().num_processes == 1:
        weights = routing_by_task(model, tokenizer, job.dataset, job.configs, ROUTED_ROWS, settings.max_length)
        metrics["router"] = weights
        with (job.output / METRICS_FILE).open("a", encoding="utf-8") as handle:
            handle.write(json.dumps({"step": metrics["steps"], "router": weights}) + "\n")
        for task, told in weights.items():
            say(f"moe-lora: router on {task:<10} " + "  ".join(f"{weight:.3f}" for weight in told))

    def pictures(folder: Path) -> None:
        if weights:
            expert_map(weights, folder / "experts.png")

    finish(job, trainer, tokenizer, metrics, keep=pictures)
    return metrics


def routing_by_task(
    model: Any, tokenizer: Any, dataset: Path, configs: list[str], rows: int, max_length: int, split: str = "train"
) -> dict[str, list[float]]:
    """Config to the mean router weight of each specific expert, over the tokens of its first rows and over all layers."""
    model.eval()
    with torch.no_grad(), record_routing(model) as record:
        for config in configs:
            for messages in load_rows(dataset, config, split)[:rows]["messages"]:
                ids, _ = encode(tokenizer, messages)
                batch = torch.tensor([ids[:max_length]], device=model.device)
                with record.counting({config: torch.ones_like(batch)}):
                    model(input_ids=batch)
    return {
        config: [sum(column) / len(layers) for column in zip(*layers.values(), strict=True)]
        for config, layers in record.means().items()
    }
