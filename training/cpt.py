"""Continued pre-training with the hybrid instruction mechanism of PediatricsGPT (arXiv 2405.19266).

Plain passages and instructions rewritten as completion text are one stream of documents. Every token counts:
L = -sum_i log p(t_i | t_0 .. t_{i-1}). Documents are packed without loss and do not see one another.
"""

from __future__ import annotations

from typing import Any

from trl import SFTConfig, SFTTrainer

from pedcorpus.training.recipe import CptRecipe
from pedcorpus.training.rows import cpt_rows
from pedcorpus.training.running import Job, arguments, finish, load_model, load_tokenizer, train


def run(job: Job) -> dict[str, Any]:
    """Train on the ``cpt`` config; the stage's final metrics."""
    settings = job.settings
    assert isinstance(settings, CptRecipe)
    tokenizer, gained = load_tokenizer(job.place, job.recipe, template=False)
    model = load_model(job.place, job.recipe, tokenizer, gained)
    prepared = cpt_rows(job.dataset, tokenizer, settings.instruction_share, settings.rows, job.recipe.seed)
    config = SFTConfig(
        **arguments(job),
        max_length=settings.max_length,
        packing=True,
        packing_strategy="bfd_split",
    )
    trainer = SFTTrainer(model=model, args=config, train_dataset=prepared.rows, processing_class=tokenizer)
    metrics = train(job, trainer, prepared)
    finish(job, trainer, tokenizer, metrics)
    return metrics
