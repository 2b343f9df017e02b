"""Full-parameter supervised fine-tuning: L = -sum_i log p(y_i | x, y_<i) over answer tokens, end of turn included."""

from __future__ import annotations

from typing import Any

from trl import SFTConfig, SFTTrainer

from pedcorpus.training.recipe import SftRecipe
from pedcorpus.training.rows import sft_rows
from pedcorpus.training.running import Job, arguments, finish, load_model, load_tokenizer, train


def run(job: Job) -> dict[str, Any]:
    """Train all weights on the instruction configs; the stage's final metrics."""
    settings = job.settings
    assert isinstance(settings, SftRecipe)
    tokenizer, gained = load_tokenizer(job.place, job.recipe)
    model = load_model(job.place, job.recipe, tokenizer, gained)
    prepared = sft_rows(job.dataset, job.configs, tokenizer, settings.max_length, settings.rows, job.recipe.seed)
    config = SFTConfig(**arguments(job), max_length=settings.max_length)
    trainer = SFTTrainer(model=model, args=config, train_dataset=prepared.rows, processing_class=tokenizer)
    metrics = train(job, trainer, prepared)
    finish(job, trainer, tokenizer, metrics)
    return metrics
