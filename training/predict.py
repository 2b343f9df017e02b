"""Answers for the rows of a split, as JSON lines: in batches, always the same for a seed, going on where they stopped."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pedcorpus.errors import BuildDirError, wrap_os_error
from pedcorpus.training.answering import Sampling, load_answerer
from pedcorpus.training.handover import model_place, parent_line
from pedcorpus.training.rows import dataset_folder, load_rows, need


def predict(
    model: str,
    dataset: Path,
    config: str,
    split: str,
    output: Path,
    batch_size: int,
    sampling: Sampling,
    limit: int | None = None,
) -> tuple[int, int]:
    """Write one line a row: ``id``, ``config``, ``prompt``, ``prediction``, ``reference``, ``run``; (written, there before).

    Batches are cut from the whole split, and each is seeded by its place, so a run that was stopped gives the same
    answers in the end. ``run`` is a hash of the model and of how it was asked: a file holds the answers of one run.

    Raises:
        BuildDirError: the split has no rows of ``config``, or ``output`` holds other lines.
    """
    folder = dataset_folder(dataset)
    need(folder, [config], split)
    rows = load_rows(folder, config, split)
    if not {"messages", "prompt"} & set(rows.column_names):
        raise BuildDirError(f"rows of {config} hold no dialogue to answer", "name another --config")
    rows = rows.select(range(min(limit or len(rows), len(rows))))
    run = _run_hash(model_place(model), sampling, batch_size)
    there = _done(output)
    done = [line["id"] for line in there]
    if done != rows["id"][: len(done)] or any(line["config"] != config for line in there):
        raise BuildDirError(f"{output} holds answers to other rows", "name another file with --output, or delete it")
    if any(line["run"] != run for line in there):
        raise BuildDirError(
            f"{output} holds answers of another model, or sampled with other settings",
            "name another file with --output, or delete it",
        )
    if len(done) == len(rows):
        return 0, len(done)
    answerer = load_answerer(model)
    written = 0
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with output.open("a", encoding="utf-8") as handle:
            for start in range(len(done) // batch_size * batch_size, len(rows), batch_size):
                batch = [_turns(row) for row in rows.select(range(start, min(start + batch_size, len(rows))))]
                said = answerer.answer([prompt for _, prompt, _ in batch], sampling, sampling.seed + start)
                for place, ((row_id, prompt, reference), text) in enumerate(zip(batch, said, strict=True), start):
                    if place < len(done):
                        continue
                    line = {
                        "id": row_id, "config": config, "prompt": prompt, "prediction": text, "reference": reference,
                        "run": run,
                    }  # fmt: skip
                    handle.write(json.dumps(line, ensure_ascii=False) + "\n")
                    written += 1
                handle.flush()
                os.fsync(handle.fileno())
    except OSError as error:
        raise wrap_os_error(error, str(output)) from error
    return written, len(done)


def _run_hash(place: str, sampling: Sampling, batch_size: int) -> str:
    told = [parent_line(place)["sha256"] or place, asdict(sampling), batch_size]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]


def _turns(row: dict[str, Any]) -> tuple[str, list[dict[str, Any]], str]:
    """Id, prompt and reference answer of an instruction row or a preference pair."""
    if row.get("messages"):
        return row["id"], row["messages"][:-1], row["messages"][-1]["content"]
    return row["id"], row["prompt"], row["chosen"][-1]["content"]


def _done(output: Path) -> list[dict[str, Any]]:
    """The whole lines that are there; a line that a kill cut off is taken away."""
    if not output.exists():
        return []
    if not output.is_file():
        raise BuildDirError(f"{output} is no file", "name a file with --output")
    text = output.read_bytes()
    whole = text[: text.rfind(b"\n") + 1]
    try:
        found = [json.loads(line) for line in whole.splitlines()]
        for line in found:
            line["id"], line["config"], line["run"]
    except (ValueError, KeyError, TypeError) as error:
        raise BuildDirError(f"{output} holds something else than answers", "name another file with --output") from error
    if len(whole) < len(text):
        output.write_bytes(whole)
    return found
