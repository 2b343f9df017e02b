"""Pictures of a run, as PNG: the loss of a stage, and which expert serves which task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pedcorpus.errors import wrap_os_error


def _figure(width: float, height: float) -> tuple[Any, Any]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot.subplots(figsize=(width, height), layout="constrained")


def _save(figure: Any, target: Path) -> None:
    from matplotlib import pyplot

    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(target, dpi=144, format="png", metadata={"Software": None})
    except OSError as error:
        raise wrap_os_error(error, str(target)) from error
    finally:
        pyplot.close(figure)


def loss_curve(lines: Sequence[Mapping[str, Any]], stage: str, target: Path) -> None:
    """The logged losses of a stage over its steps; ``lines`` are those of ``metrics.jsonl``."""
    told = [(line["step"], line["loss"]) for line in lines if "loss" in line]
    figure, axes = _figure(6, 3.5)
    axes.plot([step for step, _ in told], [loss for _, loss in told], color="#2b6cb0", linewidth=1.5, marker=".")
    axes.set(xlabel="step", ylabel="loss", title=stage)
    axes.grid(alpha=0.3)
    _save(figure, target)


def expert_map(weights: Mapping[str, Sequence[float]], target: Path) -> None:
    """Tasks down, experts across: the mean router weight of each expert, 1/T where the router has no preference."""
    tasks = list(weights)
    values = [list(weights[task]) for task in tasks]
    experts = len(values[0])
    figure, axes = _figure(1.6 + 1.1 * experts, 1.2 + 0.55 * len(tasks))
    even = 1 / experts
    spread = max(0.02, *(abs(value - even) for told in values for value in told))
    shown = axes.imshow(values, cmap="RdBu_r", aspect="auto", vmin=even - spread, vmax=even + spread)
    axes.set_xticks(range(experts), [f"expert {number + 1}" for number in range(experts)])
    axes.set_yticks(range(len(tasks)), tasks)
    for row, told in enumerate(values):
        for column, value in enumerate(told):
            strong = abs(value - even) > 0.6 * spread
            axes.text(column, row, f"{value:.3f}", ha="center", va="center", color="white" if strong else "black")
    axes.set_title("mean router weight by task")
    figure.colorbar(shown, ax=axes, shrink=0.8)
    _save(figure, target)
