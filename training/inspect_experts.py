"""Which expert serves which task: the mean router weights of a trained adapter (figure 8b of PediatricsGPT)."""

from __future__ import annotations

from pathlib import Path

from pedcorpus.errors import ConfigError
from pedcorpus.training.answering import load_answerer
from pedcorpus.training.experts import routing_by_task
from pedcorpus.training.handover import model_place
from pedcorpus.training.pictures import expert_map
from pedcorpus.training.recipe import MoeLoraRecipe
from pedcorpus.training.rows import dataset_folder, need


def inspect_experts(model: str, dataset: Path, output: Path, rows: int, split: str) -> dict[str, list[float]]:
    """Draw the heat map and give its numbers: config to the mean weight of each specific expert.

    Raises:
        ConfigError: the model has no router.
    """
    folder = dataset_folder(dataset)
    configs = need(folder, MoeLoraRecipe().configs, split)
    place = model_place(model)
    if Path(place).is_dir() and not (Path(place) / "adapter_config.json").exists():
        raise ConfigError(f"{model} has no router", "name the directory of a moe-lora stage")
    answerer = load_answerer(model)
    most = getattr(answerer.model.config, "max_position_embeddings", 4096)
    try:
        found = routing_by_task(answerer.model, answerer.tokenizer, folder, configs, rows, most, split)
    except ValueError as error:
        raise ConfigError(f"{model} has no router: {error}", "name the directory of a moe-lora stage") from error
    expert_map(found, output)
    return found
