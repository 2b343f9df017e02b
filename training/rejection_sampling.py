"""Rejection sampling, ChiMed-GPT's way: sample answers, rank them by reward, fine-tune on the best; repeatable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import gather_object
from datasets import Dataset
from transformers import AutoModelForSequenceClassification
from trl import SFTConfig, SFTTrainer

from pedcorpus.errors import ConfigError
from pedcorpus.training.answering import Answerer, Sampling
from pedcorpus.training.handover import check_parent, parent_line, read_stage
from pedcorpus.training.masking import IGNORED, encode
from pedcorpus.training.recipe import RejectionSamplingRecipe
from pedcorpus.training.rows import Prepared, load_rows
from pedcorpus.training.running import (
    SAMPLES_FILE,
    Job,
    arguments,
    finish,
    load_model,
    load_parent,
    load_tokenizer,
    say,
    train,
)


def run(job: Job) -> dict[str, Any]:
    """One or more rounds from the model at ``job.place``, ranked by the model at ``job.reward``; the final metrics.

    Every sampled answer is written to ``samples.jsonl`` with its reward and whether it was kept.

    Raises:
        ConfigError: the reward model speaks with another template, or no answer was sampled.
    """
    settings = job.settings
    assert isinstance(settings, RejectionSamplingRecipe)
    tokenizer, gained = load_tokenizer(job.place, job.recipe)
    device = PartialState().device
    judge = load_judge(job, tokenizer).to(device)
    model = load_model(job.place, job.recipe, tokenizer, gained).to(device)
    metrics: dict[str, Any] = {}
    rewards: list[float] = []
    for turn in range(settings.rounds):
        say(f"rejection-sampling: round {turn + 1} of {settings.rounds}")
        kept, mean = _best(job, settings, Answerer(model.eval(), tokenizer), judge, turn)
        rewards.append(mean)
        prepared = _rows(tokenizer, kept, settings.max_length)
        trainer = SFTTrainer(
            model=model.train(),
            args=SFTConfig(**arguments(job), max_length=settings.max_length),
            train_dataset=prepared.rows,
            processing_class=tokenizer,
        )
        metrics = train(job, trainer, prepared, metrics.get("steps", 0))
        model = trainer.accelerator.unwrap_model(trainer.model)
    metrics |= {"rounds": settings.rounds, "mean_reward": rewards, "reward_model": parent_line(str(job.reward))}
    finish(job, trainer, tokenizer, metrics)
    return metrics


def check_reward(place: str) -> None:
    """Refuse a stage that is no reward model.

    Raises:
        ConfigError: it is another stage.
    """
    stage = read_stage(Path(place)) if Path(place).is_dir() else None
    if stage is not None and stage["stage"] != "reward":
        raise ConfigError(
            f"{place} is a {stage['stage']} model, no reward model", "train one with pedcorpus train reward"
        )


def load_judge(job: Job, tokenizer: Any) -> Any:
    """The reward model, checked against the policy's tokenizer."""
    place = str(job.reward)
    check_parent(place, tokenizer)
    model = load_parent(AutoModelForSequenceClassification.from_pretrained, place, job.recipe, num_labels=1)
    return model.eval()


def _best(
    job: Job, settings: RejectionSamplingRecipe, answerer: Answerer, judge: Any, turn: int
) -> tuple[list[list[dict[str, Any]]], float]:
    """Dialogues with the answers that were kept, and the mean reward of all answers."""
    rows = load_rows(job.dataset, "dfpo")
    start = turn * settings.prompts % len(rows)
    picked = [rows[(start + n) % len(rows)] for n in range(min(settings.prompts, len(rows)))]
    sampling = Sampling(settings.max_new_tokens, settings.temperature, settings.top_p, job.recipe.seed)
    wanted = [place for place in range(len(picked)) for _ in range(settings.samples)]
    state = PartialState()
    sampled: list[tuple[int, str, float]] = []
    for number, at in enumerate(range(0, len(wanted), settings.sampling_batch)):
        if number % state.num_processes != state.process_index:
            continue
        batch = wanted[at : at + settings.sampling_batch]
        seed = job.recipe.seed + 1_000_003 * turn + at
        said = answerer.answer([picked[place]["prompt"] for place in batch], sampling, seed)
        for place, text in zip(batch, said, strict=True):
            dialogue = [*picked[place]["prompt"], {"role": "assistant", "content": text}]
            score = _score(judge, answerer.tokenizer, dialogue, settings.max_length) if text else float("-inf")
            sampled.append((place, text, score))
    if state.num_processes > 1:
        sampled = gather_object(sampled)
    kept, lines = [], []
    for place, row in enumerate(picked):
        ranked = sorted((item for item in sampled if item[0] == place), key=lambda item: (-item[2], item[1]))
        for rank, (_, text, score) in enumerate(ranked):
            keep = rank < settings.keep and bool(text)
            if keep:
                kept.append([*row["prompt"], {"role": "assistant", "content": text}])
            line = {"round": turn + 1, "row_id": row["id"], "answer": text, "kept": keep}
            lines.append({**line, "reward": score if text else None})
    if state.is_main_process:
        with (job.output / SAMPLES_FILE).open("w" if turn == 0 else "a", encoding="utf-8") as handle:
            handle.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    if not kept:
        raise ConfigError("the model gave no answer at all", "fine-tune it first: pedcorpus train sft")
    scores = [score for _, text, score in sampled if text]
    return kept, sum(scores) / len(scores)


def _score(judge: Any, tokenizer: Any, dialogue: list[dict[str, Any]], max_length: int) -> float:
    ids, _ = encode(tokenizer, dialogue)
    batch = torch.tensor([ids[:max_length]], device=judge.device)
    with torch.inference_mode():
        return float(judge(input_ids=batch).logits[0, 0])


def _rows(tokenizer: Any, dialogues: list[list[dict[str, Any]]], max_length: int) -> Prepared:
    """The kept answers as training rows: the last answer alone is learned, what came before it is context."""
    ids, labels, left_out = [], [], 0
    for dialogue in dialogues:
        row, told = encode(tokenizer, dialogue)
        begin = max(n for n, label in enumerate(told) if label != IGNORED and (n == 0 or told[n - 1] == IGNORED))
        if len(row) > max_length:
            left_out += 1
            continue
        ids.append(row)
        labels.append([IGNORED] * begin + told[begin:])
    if not ids:
        raise ConfigError(f"no sampled answer fits into max_length = {max_length}", "raise it, or lower max_new_tokens")
    learned = sum(label != IGNORED for row in labels for label in row)
    sample = tokenizer.decode([label for label in labels[0] if label != IGNORED])
    rows = Dataset.from_dict({"input_ids": ids, "labels": labels})
    return Prepared(rows, len(dialogues), 0, left_out, sum(map(len, ids)), learned, sample)
