"""Recipes: every number of a training run in one TOML file, checked as a whole.

A value that the paper or its code does not give says so: ``[fidelity]`` marks each of them ``paper``, ``code``,
``inferred`` or ``ours``. Precedence: ``--set`` over the file over the defaults here.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pedcorpus.errors import ConfigError
from pedcorpus.toml_files import explain, read_toml

STAGES = ("cpt", "sft", "dfpo", "moe-lora", "reward", "rejection-sampling")
"""Stages that `pedcorpus train` runs one at a time; ``all`` runs the first four."""

Fidelity = Literal["paper", "code", "inferred", "ours"]
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class RandomModel(_Section):
    """A Qwen3-like model with random weights, and a byte-level BPE tokenizer trained on the dataset: no download."""

    vocabulary: Annotated[int, Field(ge=300)] = 1024
    layers: Positive = 2
    hidden: Positive = 128
    heads: Positive = 4
    intermediate: Positive = 256
    context: Positive = 1024


class OtherBase(_Section):
    """A base model that the recipe fits as well."""

    base: str
    trust_remote_code: bool = False
    architecture: dict[str, Any] = {}
    note: str = ""


class ModelRecipe(_Section):
    """The model a run starts from, and how it is spoken to.

    ``template`` is a name of ``training/templates`` or ``own`` for the one that the tokenizer brings. ``architecture``
    holds the arguments of the model's config; it is used to count parameters without a download.
    """

    base: str | None = None
    random: RandomModel | None = None
    template: str = "chatml"
    trust_remote_code: bool = False
    architecture: dict[str, Any] = {}
    also: tuple[OtherBase, ...] = ()

    @model_validator(mode="after")
    def _one_start(self) -> ModelRecipe:
        if self.base is not None and self.random is not None:
            raise ValueError("base and random: name one of them")
        return self


class LaunchRecipe(_Section):
    """How many processes a run must find, and how the model lies on them; checked when the run starts."""

    processes: Positive = 1
    mode: Literal["single", "ddp", "fsdp2", "zero3"] = "single"

    @model_validator(mode="after")
    def _one_process(self) -> LaunchRecipe:
        if (self.mode == "single") != (self.processes == 1):
            raise ValueError("mode single goes with one process, every other mode with more")
        return self


class StageRecipe(_Section):
    """What all stages that train by gradient descent have in common. ``batch_size`` is rows a process and micro-batch."""

    epochs: Annotated[float, Field(gt=0)] = 1.0
    max_steps: Annotated[int, Field(ge=-1)] = -1
    batch_size: Positive = 1
    accumulation: Positive = 1
    learning_rate: Annotated[float, Field(gt=0)] = 1e-5
    scheduler: Literal["constant", "linear", "cosine"] = "cosine"
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    max_length: Positive = 1024
    gradient_checkpointing: bool = False
    logging_steps: Positive = 1
    save_steps: Annotated[int, Field(ge=0)] = 0
    rows: Positive | None = None


class CptRecipe(StageRecipe):
    """Continued pre-training; ``instruction_share`` is the share of instruction texts among the documents."""

    instruction_share: Share | None = None


class SftRecipe(StageRecipe):
    """Full-parameter fine-tuning on ``configs`` of the dataset."""

    configs: tuple[str, ...] = ("medkqa", "evidiag", "trerecom", "safety", "self_cognition", "general")


class DfpoRecipe(StageRecipe):
    """Preference optimisation: see `pedcorpus.training.dfpo` for the formula.

    ``reference``: ``parent`` loads the saved parent again; ``precomputed`` runs it once before training; ``adapter-off``
    trains a LoRA of rank ``lora_rank`` and takes the model without it.
    """

    beta: Annotated[float, Field(gt=0)] = 0.1
    mu: Annotated[float, Field(ge=0)] = 1.0
    phi: Literal["sequence", "token"] = "sequence"
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    reference: Literal["parent", "precomputed", "adapter-off"] = "parent"
    lora_rank: Positive = 16


class MoeLoraRecipe(SftRecipe):
    """The mixture of one universal and ``num_experts`` specific experts."""

    configs: tuple[str, ...] = ("medkqa", "evidiag", "trerecom", "general")
    r: Positive = 8
    num_experts: Annotated[int, Field(ge=0)] = 3
    lora_alpha: Annotated[float, Field(gt=0)] = 16
    lora_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    target_modules: str | tuple[str, ...] = "all-linear"
    noise: bool = True


class RewardRecipe(StageRecipe):
    """The pairwise reward model."""


class RejectionSamplingRecipe(StageRecipe):
    """Sample ``samples`` answers a prompt, keep the ``keep`` best by reward, fine-tune on them; ``rounds`` times."""

    samples: Positive = 4
    keep: Positive = 1
    rounds: Positive = 1
    prompts: Positive = 512
    temperature: Annotated[float, Field(gt=0)] = 0.8
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95
    max_new_tokens: Positive = 512
    sampling_batch: Positive = 8

    @model_validator(mode="after")
    def _fewer_kept(self) -> RejectionSamplingRecipe:
        if self.keep > self.samples:
            raise ValueError("keep is at most samples")
        return self


class Recipe(_Section):
    """A whole recipe."""

    name: Annotated[str, Field(min_length=1)]
    description: str = ""
    run: bool = True
    seed: int = 17
    precision: Literal["fp32", "bf16"] = "fp32"
    model: ModelRecipe = ModelRecipe()
    launch: LaunchRecipe = LaunchRecipe()
    cpt: CptRecipe = CptRecipe()
    sft: SftRecipe = SftRecipe()
    dfpo: DfpoRecipe = DfpoRecipe()
    moe_lora: MoeLoraRecipe = MoeLoraRecipe()
    reward: RewardRecipe = RewardRecipe()
    rejection_sampling: RejectionSamplingRecipe = RejectionSamplingRecipe()
    fidelity: dict[str, Fidelity] = {}


def shipped() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(
        path.name.removesuffix(".toml")
        for path in files("pedcorpus.training").joinpath("recipes").iterdir()
        if path.name.endswith(".toml")
    )


def load_recipe(name: str | None, overrides: Sequence[str] = ()) -> Recipe:
    """A recipe by its file or its shipped name, with ``key=value`` overrides such as ``sft.learning_rate=2e-5``.

    Raises:
        ConfigError: no such recipe, no TOML, or a key or value that cannot be; every mistake is listed.
    """
    path, data, text = Path("--set"), {"name": "defaults"}, ""
    if name:
        path = _path(name)
        data, text = read_toml(path, f"shipped recipes: {', '.join(shipped())}")
    recipe = _checked(data, path, text)
    for override in overrides:
        _set(data, override)
    return _checked(data, Path("--set"), "") if overrides else recipe


def _checked(data: dict[str, Any], path: Path, text: str) -> Recipe:
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        raise ConfigError(explain(error, Recipe, path, text), "see docs/training.md for every key") from None


def _path(name: str) -> Path:
    if name in shipped():
        return Path(str(files("pedcorpus.training").joinpath("recipes", f"{name}.toml")))
    return Path(name)


def _set(data: dict[str, Any], override: str) -> None:
    key, equals, written = override.partition("=")
    names = key.strip().replace("-", "_").split(".")
    if not equals or not all(names):
        raise ConfigError(f"--set {override}: expected key=value", "for example --set sft.learning_rate=2e-5")
    try:
        value = tomllib.loads(f"value = {written}")["value"]
    except tomllib.TOMLDecodeError:
        value = written
    for name in names[:-1]:
        inner = data.setdefault(name, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {override}: {name} is no section", "for example --set sft.learning_rate=2e-5")
        data = inner
    data[names[-1]] = value
