"""What all stages share: load a parent, check the machine, train with care, write the directory and its papers."""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import json
import operator
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback, Trainer

from pedcorpus.builddir import read_json, write_json
from pedcorpus.errors import NO_SPACE, BuildDirError, ConfigError, PedcorpusError, wrap_os_error
from pedcorpus.training import masking
from pedcorpus.training.handover import (
    CHECKPOINTS,
    STAGE_FILE,
    TrainingError,
    check_parent,
    is_finished,
    model_place,
    parent_line,
    read_stage,
    versions,
    write_directory,
)
from pedcorpus.training.model_card import model_card
from pedcorpus.training.pictures import loss_curve
from pedcorpus.training.recipe import LaunchRecipe, Recipe, StageRecipe
from pedcorpus.training.rows import Prepared, config_hashes
from pedcorpus.training.watch import METRICS_FILE, LossGuard, MetricsWriter, Teller, read_metrics

SAMPLES_FILE = "samples.jsonl"
TENSORBOARD = "tensorboard"
RUN_FILE = "run.json"
"""In the folder of checkpoints: which run they are of."""
_FREE = ("save_steps", "logging_steps", "gradient_checkpointing")
"""Settings that may change when a run goes on; so may ``batch_size`` and ``accumulation`` when their product stays."""

_MODES = {"NO": "single", "MULTI_CPU": "ddp", "MULTI_GPU": "ddp", "FSDP": "fsdp2", "DEEPSPEED": "zero3"}


@dataclass
class Job:
    """One stage to run: its recipe, the parent it starts from and where it writes; ``reward`` ranks sampled answers."""

    stage: str
    recipe: Recipe
    settings: StageRecipe
    place: str
    dataset: Path
    output: Path
    resume: bool = False
    configs: list[str] = field(default_factory=list)
    reward: str | None = None

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """The stage's settings, the seed and the precision, as they go into ``stage.json``."""
        return {
            **self.settings.model_dump(mode="json"),
            "seed": self.recipe.seed,
            "precision": self.recipe.precision,
            "template": self.recipe.model.template,
            "processes": self.recipe.launch.processes,
            "mode": self.recipe.launch.mode,
            **({"reward_model": parent_line(self.reward)["sha256"] or self.reward} if self.reward else {}),
        }

    def done_before(self) -> bool:
        """Whether ``output`` holds this stage already, of this parent, this dataset and these settings."""
        found = read_stage(self.output)
        if found is None or found["dataset"] != config_hashes(self.dataset, self.configs):
            return False
        return is_finished(self.output, self.stage, parent_line(self.place), self.hyperparameters)

    def run_line(self) -> dict[str, Any]:
        """What a run must have in common with the checkpoints that it goes on from."""
        settings = {name: value for name, value in self.hyperparameters.items() if name not in _FREE}
        settings["step_rows"] = settings.pop("batch_size") * settings.pop("accumulation")
        line = {
            "stage": self.stage,
            "parent": parent_line(self.place)["sha256"] or self.place,
            "dataset": config_hashes(self.dataset, self.configs),
            "settings": settings,
        }
        told: dict[str, Any] = json.loads(json.dumps(line))
        return told


def say(text: str) -> None:
    """A line from the first process."""
    if PartialState().is_main_process:
        print(text, flush=True)


def check_launch(launch: LaunchRecipe) -> None:
    """Hold the processes that are there against the recipe.

    Raises:
        ConfigError: another number of processes, or another way to spread the model, than the recipe names.
    """
    # this call joins the processes; without cpu=True those of a machine that has no GPU would each be alone
    state = PartialState(cpu=not torch.cuda.is_available())
    kind = str(state.distributed_type).rsplit(".", 1)[-1]
    if os.environ.get("ACCELERATE_USE_DEEPSPEED", "").lower() == "true":
        kind = "DEEPSPEED"
    elif os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true" and kind != "NO":
        kind = "FSDP" if torch.cuda.is_available() else kind
    mode = _MODES.get(kind, kind)
    if mode == "ddp" and state.num_processes == 1:
        mode = "single"
    if (state.num_processes, mode) != (launch.processes, launch.mode):
        raise ConfigError(
            f"the recipe wants {launch.processes} process(es), {launch.mode}; "
            f"this run has {state.num_processes}, {mode} ({kind})",
            "start it with accelerate launch --config_file and a file of training/launch, or set launch.processes and "
            "launch.mode",
        )


def check_libraries() -> None:
    """Look for what is needed at the end of a run before it begins.

    Raises:
        PedcorpusError: a package of the extra is missing.
    """
    for name in ("trl", "matplotlib", "tensorboard"):
        if importlib.util.find_spec(name) is None:
            raise PedcorpusError(
                f"training needs the package {name}", "install the extra: pip install 'pedcorpus[train]'"
            )


def load_tokenizer(place: str, recipe: Recipe, template: bool = True) -> tuple[Any, int]:
    """Tokenizer of a parent, with the recipe's template where ``template`` says so, and how many tokens it gained.

    A base model or one after CPT takes the recipe's template; a later stage's parent keeps its own.

    Raises:
        ConfigError: it cannot be loaded, was changed since it was written, or speaks with another template.
    """
    tokenizer = load_parent(AutoTokenizer.from_pretrained, place, recipe)
    if not tokenizer.is_fast:
        raise ConfigError(f"{place} has no fast tokenizer", "convert it with transformers, or take another base model")
    if tokenizer.eos_token is None:
        raise ConfigError(f"the tokenizer of {place} has no end-of-sequence token", "set eos_token in its config")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    check_parent(place, tokenizer)
    if not template:
        return tokenizer, 0
    before = tokenizer.chat_template
    gained = masking.set_template(tokenizer, recipe.model.template)
    stage = read_stage(Path(place)) if Path(place).is_dir() else None
    if stage is not None and stage["stage"] != "cpt" and before != tokenizer.chat_template:
        raise ConfigError(
            f"{place} was trained with another chat template than {recipe.model.template!r}",
            "set model.template to the parent's, or to own",
        )
    return tokenizer, gained


def load_model(place: str, recipe: Recipe, tokenizer: Any, gained: int = 0, frozen: bool = False) -> Any:
    """The parent's weights, with room for tokens that the template brought and its ends set as the tokenizer has them."""
    model = load_parent(AutoModelForCausalLM.from_pretrained, place, recipe, dtype=weights_kind(recipe, frozen))
    rows = model.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        say(f"{gained} tokens of the template added to a vocabulary of {rows:,}")
        torch.manual_seed(recipe.seed)  # the new rows are drawn: the same in every process and for the reference
        model.resize_token_embeddings(len(tokenizer))
    for config in (model.config, model.generation_config):
        if config is not None:
            config.eos_token_id = tokenizer.eos_token_id
            config.pad_token_id = tokenizer.pad_token_id
    return model


def weights_kind(recipe: Recipe, frozen: bool = False) -> torch.dtype:
    """The type that weights are held in.

    Trained weights stay in float32, or steps smaller than their last bit are lost; FSDP2 and ZeRO-3 keep such a copy
    themselves.
    """
    small = frozen or recipe.launch.mode in ("fsdp2", "zero3")
    return torch.bfloat16 if recipe.precision == "bf16" and small else torch.float32


def load_parent(load: Any, place: str, recipe: Recipe, **options: Any) -> Any:
    """``load(place, ...)`` with errors in the words of who must mend them: ``from_pretrained`` of some class."""
    place = model_place(place)
    try:
        return load(place, trust_remote_code=recipe.model.trust_remote_code, **options)
    except (OSError, ValueError, KeyError, ImportError, SafetensorError) as error:
        told = str(error).strip().split("\n")[0]
        hint = "check the directory or the Hub id; with HF_HUB_OFFLINE=1 the model must be in the cache"
        if "trust_remote_code" in str(error) or "remote code" in str(error):
            hint = "read that code; then allow it with --set model.trust_remote_code=true"
        raise ConfigError(f"cannot load {place}: {told}", hint) from error


def arguments(job: Job) -> dict[str, Any]:
    """Arguments that every trainer of a stage gets."""
    settings = job.settings
    on_gpu = torch.cuda.is_available()
    return {
        "output_dir": str(job.output / CHECKPOINTS),
        "num_train_epochs": settings.epochs,
        "max_steps": settings.max_steps,
        "per_device_train_batch_size": settings.batch_size,
        "gradient_accumulation_steps": settings.accumulation,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": "constant_with_warmup" if settings.scheduler == "constant" else settings.scheduler,
        "warmup_steps": settings.warmup_steps,
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "activation_checkpointing": settings.gradient_checkpointing,
        "logging_steps": settings.logging_steps,
        "logging_nan_inf_filter": False,
        "save_strategy": "steps" if settings.save_steps else "no",
        "save_steps": settings.save_steps or 500,
        "save_total_limit": 2,
        "seed": job.recipe.seed,
        "data_seed": job.recipe.seed,
        "bf16": job.recipe.precision == "bf16",
        "use_cpu": not on_gpu,
        "dataloader_pin_memory": on_gpu,
        "ddp_find_unused_parameters": False,
        "disable_tqdm": True,
        "report_to": "none",
    }


def check_output(output: Path, stage: str, resume: bool) -> None:
    """Refuse a folder with something else in it, such as another stage, or that cannot be written.

    Raises:
        BuildDirError: it holds other files or a finished stage, or cannot be written.
    """
    if output.exists() and not output.is_dir():
        raise BuildDirError(f"{output} is a file", "name a folder with --output")
    found = read_stage(output) if output.exists() else None
    if found is not None and found["stage"] != stage:
        raise BuildDirError(f"{output} holds a finished {found['stage']} stage", "name another folder with --output")
    if found is not None and not resume:
        raise BuildDirError(
            f"{output} holds a finished {stage} stage",
            "add --resume to keep it where nothing changed, name another folder, or delete it",
        )
    try:
        held = {path.name for path in output.iterdir() if not path.name.startswith(".")} if output.exists() else set()
        ours = {CHECKPOINTS, TENSORBOARD, SAMPLES_FILE}
        if not (output / STAGE_FILE).exists() and METRICS_FILE not in held and not held <= ours:
            raise BuildDirError(
                f"{output} holds other files ({', '.join(sorted(held - ours)[:3])})", "name an empty or new folder"
            )
        output.mkdir(parents=True, exist_ok=True)
        probe = output / f".probe-{os.getpid()}"
        probe.write_text("writable")
        probe.unlink()
    except OSError as error:
        raise wrap_os_error(error, str(output)) from error


def clear(job: Job) -> None:
    """Take away what an earlier run left, unless this one goes on with it."""
    checkpoints = job.output / CHECKPOINTS
    run_file = checkpoints / RUN_FILE
    state = PartialState()
    if state.is_main_process:
        line = job.run_line()
        if not (job.resume and run_file.is_file() and read_json(run_file) == line):
            if job.resume and last_checkpoint(checkpoints):
                say(f"{job.stage}: parent, dataset or settings are not those of the checkpoints: begins anew")
            for folder in (checkpoints, job.output / TENSORBOARD):
                shutil.rmtree(folder, ignore_errors=True)
            (job.output / STAGE_FILE).unlink(missing_ok=True)
            (job.output / METRICS_FILE).write_text("", encoding="utf-8")  # an empty one marks the folder as ours
            checkpoints.mkdir()
            write_json(run_file, line)
    state.wait_for_everyone()


def last_checkpoint(folder: Path) -> Path | None:
    """The newest whole checkpoint: the trainer's state is written last, so one without it was cut off."""
    found = []
    for path in folder.glob("checkpoint-*"):
        try:
            found.append((json.loads((path / "trainer_state.json").read_text("utf-8"))["global_step"], path))
        except (OSError, ValueError, KeyError):
            continue
    return max(found)[1] if found else None


def train(job: Job, trainer: Trainer, prepared: Prepared, before: int = 0) -> dict[str, Any]:
    """Run the trainer, from the last checkpoint where the job says so; the stage's final metrics.

    ``before`` counts the steps of earlier rounds.

    Raises:
        TrainingError: the loss is no number; the last good checkpoint stays.
    """
    if not before:
        clear(job)
    guard = LossGuard()
    teller = Teller(job.stage)
    for callback in (MetricsWriter(job.output / METRICS_FILE, before), guard, teller, *_tensorboard(job)):
        trainer.add_callback(callback)
    trainer.remove_callback(PrinterCallback)
    checkpoints = job.output / CHECKPOINTS
    last = last_checkpoint(checkpoints) if job.resume else None
    if last:
        say(f"{job.stage}: goes on from {last.name}")
    say(f"{job.stage}: {prepared.given:,} rows, {prepared.left_out:,} left out and {prepared.cut:,} cut for length; "
        f"{prepared.supervised:,} of {prepared.tokens:,} tokens are learned")  # fmt: skip
    say(f"{job.stage}: one learned span: {prepared.sample!r}")
    try:
        result = trainer.train(resume_from_checkpoint=str(last) if last else None)
    finally:
        teller.close()
    if guard.broken_at is not None:
        good = last_checkpoint(checkpoints)
        raise TrainingError(
            f"{job.stage}: the loss is no finite number at step {guard.broken_at}",
            f"lower {_section(job)}.learning_rate" + (f"; the last good state is {good}" if good else ""),
        )
    lines = [line for line in read_metrics(job.output / METRICS_FILE) if "loss" in line]
    losses = [line["loss"] for line in lines]
    steps = [line["step"] for line in lines]
    weights = [step - earlier for earlier, step in zip([0, *steps], steps, strict=False)]
    tenth = max(1, len(losses) // 10)
    first, last = (sum(part) / tenth if losses else None for part in (losses[:tenth], losses[-tenth:]))
    if first is not None and last is not None:
        say(f"{job.stage}: loss {first:.4f} → {last:.4f} (means of the first and the last tenth of the steps)")
    return {
        "steps": before + result.global_step,
        # the trainer's own mean leaves out what came before a resume
        "train_loss": sum(map(operator.mul, losses, weights)) / sum(weights) if steps else None,
        "first_loss": first,
        "last_loss": last,
        **prepared.summary(),
    }


def _tensorboard(job: Job) -> list[Any]:
    if not PartialState().is_main_process:
        return []
    from torch.utils.tensorboard import SummaryWriter
    from transformers.integrations import TensorBoardCallback

    return [TensorBoardCallback(SummaryWriter(str(job.output / TENSORBOARD)))]


@contextlib.contextmanager
def mended(job: Job) -> Iterator[None]:
    """Errors of a run in the words of who must mend them.

    Raises:
        PedcorpusError: memory or disk ran out.
    """
    try:
        yield
    except PedcorpusError:
        raise
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _no_memory(job) from error
    except Exception as error:  # safetensors and torch tell a full disk in errors of their own
        told = str(error)
        if isinstance(error, RuntimeError) and ("allocate memory" in told or "out of memory" in told):
            raise _no_memory(job) from error
        full = isinstance(error, OSError) and error.errno in NO_SPACE
        if full or "No space left" in told or "PytorchStreamWriter failed" in told:
            raise wrap_os_error(OSError(errno.ENOSPC, told), str(job.output)) from error
        raise


def _section(job: Job) -> str:
    return job.stage.replace("-", "_")


def _no_memory(job: Job) -> PedcorpusError:
    section = _section(job)
    return PedcorpusError(
        f"{job.stage}: memory ran out",
        f"lower {section}.batch_size and raise {section}.accumulation as much, or set "
        f"{section}.gradient_checkpointing=true, then run again with --resume; or lower {section}.max_length",
    )


def finish(job: Job, trainer: Trainer, tokenizer: Any, metrics: dict[str, Any], keep: Any = None) -> None:
    """Write weights, tokenizer, template, picture, card and ``stage.json``; take the checkpoints away.

    ``keep`` is called with the new directory, for files of the stage's own.
    """
    stage = {
        "stage": job.stage,
        "parent": parent_line(job.place),
        "dataset": config_hashes(job.dataset, job.configs),
        "template_sha256": masking.template_hash(tokenizer),
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
        "hyperparameters": job.hyperparameters,
        "versions": versions(),
        "metrics": metrics,
    }

    def write(folder: Path) -> None:
        trainer.save_model(str(folder))
        (folder / "training_args.bin").unlink(missing_ok=True)  # a pickle, and it names this machine
        tokenizer.save_pretrained(str(folder))
        loss_curve(read_metrics(job.output / METRICS_FILE), job.stage, folder / "loss.png")
        (folder / "README.md").write_text(model_card(stage, job.recipe, job.dataset), encoding="utf-8")
        if keep is not None:
            keep(folder)

    state = PartialState()
    if trainer.is_fsdp_enabled:  # checkpoints are written in shards, the result is one
        trainer.accelerator.state.fsdp_plugin.set_state_dict_type("FULL_STATE_DICT")
    if state.is_main_process:
        write_directory(job.output, write, stage)
        shutil.rmtree(job.output / CHECKPOINTS, ignore_errors=True)
    else:  # shards are gathered by all processes together
        trainer.save_model(str(job.output / ".new"))
    state.wait_for_everyone()
    say(f"{job.stage}: {job.output}")
    sys.stdout.flush()
