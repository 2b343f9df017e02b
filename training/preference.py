"""The DFPO stage: the loss is in `pedcorpus.training.dfpo`, the choice of the reference here."""

from __future__ import annotations

from typing import Any

from peft import LoraConfig

from pedcorpus.training.dfpo import DFPOConfig, DFPOTrainer
from pedcorpus.training.recipe import DfpoRecipe
from pedcorpus.training.rows import preference_rows
from pedcorpus.training.running import Job, arguments, finish, load_model, load_tokenizer, train


def run(job: Job) -> dict[str, Any]:
    """Train on the ``dfpo`` config; the stage's final metrics.

    With ``reference = "adapter-off"`` a LoRA is trained and merged at the end, so every reference leaves whole weights;
    they are held in float32 for that, since a merge into bfloat16 would round most of the update away.
    """
    settings = job.settings
    assert isinstance(settings, DfpoRecipe)
    tokenizer, gained = load_tokenizer(job.place, job.recipe)
    with_adapter = settings.reference == "adapter-off"
    model = load_model(job.place, job.recipe, tokenizer, gained)
    reference = None
    if settings.reference == "parent":
        reference = load_model(job.place, job.recipe, tokenizer, gained)
    prepared = preference_rows(job.dataset, tokenizer, settings.max_length, settings.rows, job.recipe.seed)
    config = DFPOConfig(
        **arguments(job),
        beta=settings.beta,
        mu=settings.mu,
        phi=settings.phi,
        label_smoothing=settings.label_smoothing,
        precompute_ref_log_probs=settings.reference == "precomputed",
        max_length=settings.max_length,
    )
    adapter = LoraConfig(r=settings.lora_rank, target_modules="all-linear", task_type="CAUSAL_LM")
    trainer = DFPOTrainer(
        model=model,
        ref_model=reference,
        args=config,
        train_dataset=prepared.rows,
        processing_class=tokenizer,
        peft_config=adapter if with_adapter else None,
    )
    metrics = train(job, trainer, prepared)
    if with_adapter:
        trainer.model = trainer.accelerator.unwrap_model(trainer.model).merge_and_unload()
    finish(job, trainer, tokenizer, metrics)
    return metrics
