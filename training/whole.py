"""One stage, or all of them in a row: base → CPT → SFT → DFPO → MoE-LoRA, each in a directory of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from accelerate import PartialState

from pedcorpus.builddir import read_json
from pedcorpus.errors import ConfigError
from pedcorpus.training import cpt, experts, preference, rejection_sampling, reward, sft
from pedcorpus.training.handover import model_place, read_stage
from pedcorpus.training.recipe import STAGES, Recipe, SftRecipe, StageRecipe
from pedcorpus.training.rows import config_hashes, dataset_folder, need
from pedcorpus.training.running import Job, check_launch, check_libraries, check_output, mended, say
from pedcorpus.training.tiny import RANDOM_FILE, write_random_model
from pedcorpus.training.watch import quiet

WHOLE = ("cpt", "sft", "dfpo", "moe-lora")
"""The stages of `train_all`, in order."""
_RUN: dict[str, Callable[[Job], dict[str, Any]]] = {
    "cpt": cpt.run,
    "sft": sft.run,
    "dfpo": preference.run,
    "moe-lora": experts.run,
    "reward": reward.run,
    "rejection-sampling": rejection_sampling.run,
}


def settings_of(recipe: Recipe, stage: str) -> StageRecipe:
    """The section of ``stage``."""
    section: StageRecipe = getattr(recipe, stage.replace("-", "_"))
    return section


def configs_of(recipe: Recipe, stage: str) -> tuple[str, ...]:
    """The configs of the dataset that ``stage`` reads."""
    settings = settings_of(recipe, stage)
    if isinstance(settings, SftRecipe):
        return settings.configs
    return ("cpt",) if stage == "cpt" else ("dfpo",)


def train_stage(
    stage: str,
    recipe: Recipe,
    dataset: Path,
    model: str | None,
    output: Path,
    resume: bool = False,
    reward_model: str | None = None,
) -> dict[str, Any]:
    """Run one stage and give its final metrics.

    Raises:
        PedcorpusError: what the user must mend, told before any weights are loaded where that is possible.
    """
    if stage not in STAGES:
        raise ConfigError(f"no stage {stage!r}", f"known: {', '.join(STAGES)}, all")
    quiet()
    check_libraries()
    check_launch(recipe.launch)
    folder = dataset_folder(dataset)
    wanted = configs_of(recipe, stage)
    configs = need(folder, wanted)
    if len(configs) < len(wanted):
        say(f"{stage}: the dataset has no {', '.join(config for config in wanted if config not in configs)}")
    if stage == "rejection-sampling" and recipe.launch.mode in ("fsdp2", "zero3"):
        raise ConfigError(
            f"rejection sampling cannot sample from a model that is cut up by {recipe.launch.mode}",
            "set launch.mode to single or ddp",
        )
    reward_place = _reward(stage, reward_model)
    check_output(output, stage, resume)
    place = _start(stage, recipe, folder, model, output)
    job = Job(stage, recipe, settings_of(recipe, stage), place, folder, output, resume, configs, reward_place)
    if resume and job.done_before():
        say(f"{stage}: {output} is there already, from this parent and these settings")
        return {}
    if stage == "rejection-sampling":
        job.resume = False  # a round cannot go on in its middle: its samples are of weights that are gone
    with mended(job):
        return _RUN[stage](job)


def train_all(recipe: Recipe, dataset: Path, model: str | None, output: Path, resume: bool = False) -> None:
    """Run the four stages in a row, each from the directory of the one before it.

    Raises:
        PedcorpusError: see `train_stage`; also when the dataset lacks a config that a later stage needs.
    """
    folder = dataset_folder(dataset)
    for stage in WHOLE:
        need(folder, configs_of(recipe, stage))
        check_output(output / stage, stage, resume)
    place = model
    for stage in WHOLE:
        train_stage(stage, recipe, folder, place, output / stage, resume)
        place = str(output / stage)


def _start(stage: str, recipe: Recipe, folder: Path, model: str | None, output: Path) -> str:
    """Where the stage's parent lies: what was named, the recipe's base, or a new random model beside the output."""
    name = model or recipe.model.base
    if name is not None:
        place = model_place(name)
        _refuse_kind(place)
        if Path(place) == output.resolve():
            raise ConfigError(f"{output} is the parent itself", "name another folder with --output")
        return place
    if recipe.model.random is None:
        raise ConfigError("no model to start from", "name one with --model, or set model.base in the recipe")
    if stage != "cpt":
        raise ConfigError(f"{stage} starts from a trained model", "name the parent's directory with --model")
    return _random_base(recipe, folder, output.parent / "base")


def _refuse_kind(place: str) -> None:
    """Refuse a parent whose weights no stage can go on with: an adapter, or a reward model."""
    folder = Path(place)
    if (folder / "adapter_config.json").is_file():
        raise ConfigError(
            f"{place} is an adapter, a stage starts from whole weights",
            "name the model that the adapter was trained on",
        )
    stage = read_stage(folder) if folder.is_dir() else None
    if stage is not None and stage["stage"] == "reward":
        raise ConfigError(f"{place} is a reward model and gives no text", "name the model that it was trained from")


def _reward(stage: str, reward_model: str | None) -> str | None:
    if stage != "rejection-sampling":
        return None
    if reward_model is None:
        raise ConfigError("rejection sampling needs a reward model", "name one with --reward-model DIR")
    place = model_place(reward_model)
    rejection_sampling.check_reward(place)
    return place


def _random_base(recipe: Recipe, folder: Path, target: Path) -> str:
    """A random model at ``target``: the one that is there where it was made of the same dataset, shape and seed."""
    shape = recipe.model.random
    assert shape is not None
    made_of = {
        "dataset": config_hashes(folder, sorted(path.name for path in (folder / "data").iterdir())),
        "shape": shape.model_dump(),
        "seed": recipe.seed,
    }
    state = PartialState()
    if state.is_main_process:
        known = read_json(target / RANDOM_FILE) if (target / RANDOM_FILE).is_file() else None
        if known is None and target.exists() and any(target.iterdir()):
            raise ConfigError(
                f"{target} holds other files, and the random model would go there", "name another folder with --output"
            )
        if known != made_of:
            say(f"writes a random model to {target}")
            write_random_model(folder, target, shape, recipe.seed, made_of)
    state.wait_for_everyone()
    return model_place(str(target))
