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
from pedcorpus.training.masking import IGNORED, encode, encode_answer, encode_prompt
from pedcorpus.training.recipe import RejectionSamplingRecipe
from pedcorpus.training.rows import Prepared, drawn, load_rows
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
    rows = rows.select(drawn(range(len(rows)), settings.rows, job.recipe.seed))
    start = turn * settings.prompts % len(rows)
    picked = [rows[(start + n) % len(rows)] for n in range(min(settings.prompts, len(rows)))]
    sampling = Sampling(settings.max_new_tokens, settings.temperature, settings.top_p, job.recipe.seed)
    wanted = [place for place in range(len(picked)) for _ in range(settings.samples)]
    state = PartialState()
    sampled: list[tuple[int, str, float | None]] = []
    for number, at in enumerate(range(0, len(wanted), settings.sampling_batch)):
        if number % state.num_processes != state.process_index:
            continue
        batch = wanted[at : at + settings.sampling_batch]
        seed = job.recipe.seed + 1_000_003 * turn + at
        said = answerer.sample([picked[place]["prompt"] for place in batch], sampling, seed)
        for place, (text, ended) in zip(batch, said, strict=True):
            score = None
            if text and ended:  # one that was cut off would teach to stop in mid-sentence
                score = reward_of(judge, answerer.tokenizer, picked[place]["prompt"], text, settings.max_length)
            sampled.append((place, text, score))
    if state.num_processes > 1:
        sampled = gather_object(sampled)
    kept, lines = [], []
    for place, row in enumerate(picked):
        own = [(text, score) for at, text, score in sampled if at == place]
        own.sort(key=lambda item: (item[1] is None, -(item[1] or 0.0), item[0]))
        for rank, (text, score) in enumerate(own):
            keep = rank < settings.keep and score is not None
            if keep:
                kept.append([*row["prompt"], {"role": "assistant", "content": text}])
            line = {"round": turn + 1, "row_id": row["id"], "answer": text, "kept": keep}
            lines.append({**line, "reward": score})
    if state.is_main_process:
        with (job.output / SAMPLES_FILE).open("w" if turn == 0 else "a", encoding="utf-8") as handle:
            handle.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    scores = [score for _, _, score in sampled if score is not None]
    say(f"rejection-sampling: {len(scores):,} of {len(sampled):,} answers came to an end and were ranked")
    if not kept:
        raise ConfigError(
            "the model ended none of its answers",
            "fine-tune it first (pedcorpus train sft), or raise rejection_sampling.max_new_tokens and max_length",
        )
    return kept, sum(scores) / len(scores)


def reward_of(judge: Any, tokenizer: Any, prompt: list[dict[str, Any]], answer: str, max_length: int) -> float | None:
    """The reward of an answer, over the ids that the reward model is trained on; None where they do not fit.

    The reward is read at the last token, so the ids end with the answer's end-of-turn token.
    """
    dialogue = [*prompt, {"role": "assistant", "content": answer}]
    ids = [*encode_prompt(tokenizer, prompt), *encode_answer(tokenizer, dialogue)]
    if len(ids) > max_length:
        return None
    with torch.inference_mode():
        return float(judge(input_ids=torch.tensor([ids], device=judge.device)).logits[0, 0])


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
