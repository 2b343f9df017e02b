"""What a run tells while it goes: metrics as JSON lines, a bar or lines, and an end when the loss is no number."""

from __future__ import annotations

import json
import logging
import math
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.utils import logging as transformers_logging

METRICS_FILE = "metrics.jsonl"


def quiet() -> None:
    """Only errors of the libraries; our own lines tell the rest."""
    for kind in (FutureWarning, DeprecationWarning, UserWarning):
        warnings.filterwarnings("ignore", category=kind, module=r"(transformers|trl|peft|accelerate|torch)\.")
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    for name in ("trl", "peft", "accelerate", "datasets"):
        logging.getLogger(name).setLevel(logging.ERROR)


class MetricsWriter(TrainerCallback):  # type: ignore[misc]
    """One JSON object a logged step: ``step``, ``epoch``, ``loss`` and what else the trainer logs.

    A resumed run drops the lines beyond the checkpoint first, so that each step is there once. ``before`` counts the
    steps of earlier rounds, whose lines stay.
    """

    def __init__(self, path: Path, before: int = 0) -> None:
        self.path = path
        self.before = before

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Keep the lines up to where the run goes on."""
        if state.is_world_process_zero:
            reached = self.before + state.global_step
            kept = [line for line in read_metrics(self.path) if line["step"] <= reached and "loss" in line]
            self.path.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Add a line."""
        if state.is_world_process_zero and logs and "train_runtime" not in logs:
            line = {"step": self.before + state.global_step, **logs}
            with self.path.open("a", encoding="utf-8") as handle:
                handle.write(json.dumps(line) + "\n")


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """The lines of a metrics file; a line that a kill cut off is left out."""
    found = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


class LossGuard(TrainerCallback):  # type: ignore[misc]
    """Stops the run when the loss is no finite number, before that state is saved."""

    def __init__(self) -> None:
        self.broken_at: int | None = None

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Log before a state is saved, or it would be saved unseen.

        The last state is no checkpoint: the stage's directory follows, and a run that goes on from the end would take
        one step too many.
        """
        done = state.global_step >= state.max_steps
        if control.should_save or done:
            control.should_log = True
        if done:
            control.should_save = False

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Look at the loss and the gradient."""
        for name in ("loss", "grad_norm"):
            value = (logs or {}).get(name)
            if value is not None and not math.isfinite(float(value)) and self.broken_at is None:
                self.broken_at = state.global_step
        if self.broken_at is not None:
            control.should_training_stop = True
            control.should_save = False


class Teller(TrainerCallback):  # type: ignore[misc]
    """A bar on a terminal, a line at each logged step elsewhere; only the first process speaks."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.began = 0.0
        self.bars: Any = None
        self.task: Any = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Start the clock."""
        self.began = time.monotonic()
        if state.is_world_process_zero and sys.stdout.isatty():
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self.bars = Progress(
                TextColumn("{task.description:<10}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
            )  # fmt: skip
            self.task = self.bars.add_task(self.stage, total=state.max_steps, note="", completed=state.global_step)
            self.bars.start()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Tell step and loss."""
        if not state.is_world_process_zero or not logs or "loss" not in logs:
            return
        note = f"loss {float(logs['loss']):.4f}"
        if self.bars is not None:
            self.bars.update(self.task, completed=state.global_step, note=note)
        else:
            seconds = time.monotonic() - self.began
            print(
                f"{seconds:7.1f} s  {self.stage:<10} step {state.global_step:>5}/{state.max_steps}  {note}", flush=True
            )

    def close(self) -> None:
        """Take the bar down, also after an error."""
        if self.bars is not None:
            self.bars.stop()
            self.bars = None
