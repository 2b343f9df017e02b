"""The reward model of ChiMed-GPT's route: a scalar head on the fine-tuned model, trained on pairs.

L = -log sigmoid(r(x, y_w) - r(x, y_l)), on the same rows as DFPO.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers import AutoModelForSequenceClassification
from trl import RewardConfig, RewardTrainer

from pedcorpus.training.recipe import RewardRecipe
from pedcorpus.training.rows import Prepared, preference_rows
from pedcorpus.training.running import Job, arguments, finish, load_parent, load_tokenizer, train, weights_kind


def run(job: Job) -> dict[str, Any]:
    """Train a reward model from a fine-tuned parent; the stage's final metrics."""
    settings = job.settings
    assert isinstance(settings, RewardRecipe)
    tokenizer, _ = load_tokenizer(job.place, job.recipe)
    torch.manual_seed(job.recipe.seed)  # the head starts at random
    model = load_parent(
        AutoModelForSequenceClassification.from_pretrained,
        job.place,
        job.recipe,
        num_labels=1,
        dtype=weights_kind(job.recipe),
    )
    model.config.pad_token_id = tokenizer.pad_token_id
    prepared = preference_rows(job.dataset, tokenizer, settings.max_length, settings.rows, job.recipe.seed)
    trainer = RewardTrainer(
        model=model,
        args=RewardConfig(**arguments(job), max_length=settings.max_length),
        train_dataset=whole_answers(prepared),
        processing_class=tokenizer,
    )
    metrics = train(job, trainer, prepared)
    finish(job, trainer, tokenizer, metrics)
    return metrics


def whole_answers(prepared: Prepared) -> Any:
    """Rows whose ``chosen_ids`` and ``rejected_ids`` begin with the prompt: a reward is of question and answer."""

    def join(row: dict[str, list[int]]) -> dict[str, list[int]]:
        return {name: [*row["prompt_ids"], *row[name]] for name in ("chosen_ids", "rejected_ids")}

    return prepared.rows.map(join, remove_columns=["prompt_ids"])
