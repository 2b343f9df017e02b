"""Rows of a built dataset as token ids: what each stage trains on, and how many rows were cut or left out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pedcorpus.errors import BuildDirError, ConfigError
from pedcorpus.records import TASKS
from pedcorpus.sources import hash_file
from pedcorpus.training.masking import IGNORED, encode, encode_answer, encode_prompt, encode_text

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Prepared:
    """Token rows of a stage. ``cut`` rows lost their last turns, ``left_out`` ones did not fit at all.

    ``supervised`` counts the tokens that are learned, of ``tokens`` in all; ``sample`` is one learned span, decoded.
    """

    rows: Dataset
    given: int
    cut: int
    left_out: int
    tokens: int
    supervised: int
    sample: str

    def summary(self) -> dict[str, int]:
        """The counts, for the stage's papers."""
        return {
            "rows": self.given, "cut": self.cut, "left_out": self.left_out, "tokens": self.tokens,
            "supervised_tokens": self.supervised,
        }  # fmt: skip


def dataset_folder(path: Path) -> Path:
    """The dataset's folder: ``path`` itself, or ``path/dataset`` where ``path`` is a build directory.

    Raises:
        BuildDirError: neither holds a dataset.
    """
    for folder in (path, path / "dataset"):
        if (folder / "data").is_dir():
            return folder
    raise BuildDirError(
        f"{path} holds no dataset (no data/ folder)", "name BUILD/dataset, which `pedcorpus build` writes"
    )


def shards_of(folder: Path, config: str, split: str) -> list[Path]:
    """The Parquet files of one config and split, in order."""
    return sorted((folder / "data" / config).glob(f"{split}-*.parquet"))


def need(folder: Path, configs: Iterable[str], split: str = "train") -> list[str]:
    """The configs of ``configs`` that are there; refuses when none is.

    Raises:
        BuildDirError: the dataset has none of them.
        ConfigError: a name that no dataset has.
    """
    wanted = list(configs)
    unknown = [config for config in wanted if config not in TASKS]
    if unknown:
        raise ConfigError(f"no config is called {', '.join(unknown)}", f"known: {', '.join(TASKS)}")
    found = [config for config in wanted if shards_of(folder, config, split)]
    if not found:
        held = sorted(path.name for path in (folder / "data").iterdir() if path.is_dir())
        raise BuildDirError(
            f"{folder}: no {split} rows of {', '.join(wanted)}; the dataset has {', '.join(held) or 'no configs'}",
            "build it with sources that feed this config",
        )
    return found


def config_hashes(folder: Path, configs: Iterable[str]) -> dict[str, str]:
    """Config to the SHA-256 over the names and hashes of its shards, all splits."""
    found = {}
    for config in configs:
        total = hashlib.sha256()
        for path in sorted((folder / "data" / config).glob("*.parquet")):
            total.update(f"{path.name}\0{hash_file(path)}\n".encode())
        found[config] = total.hexdigest()
    return found


def load_rows(folder: Path, config: str, split: str = "train", columns: Sequence[str] = ()) -> Dataset:
    """One config and split; memory-mapped. ``columns`` are those that must be there.

    Raises:
        BuildDirError: a shard is damaged or missing, or lacks a column.
    """
    from datasets import disable_progress_bars, load_dataset
    from datasets.exceptions import DatasetGenerationError

    disable_progress_bars()
    files = [str(path) for path in shards_of(folder, config, split)]
    if not files:
        raise BuildDirError(f"{folder}: no {split} rows of {config}", "name another --config or --split")
    try:
        rows = load_dataset("parquet", data_files={split: files}, split=split)
    except (DatasetGenerationError, OSError, ValueError) as error:
        raise BuildDirError(f"cannot read {config} of {folder}: {error}", "run `pedcorpus verify`") from error
    for column in columns:
        if column not in rows.column_names:
            raise BuildDirError(
                f"{config} of {folder} has no column {column}; it has {', '.join(rows.column_names)}",
                "name a dataset that `pedcorpus build` wrote",
            )
    return rows


def cpt_rows(
    folder: Path, tokenizer: PreTrainedTokenizerBase, share: float | None, most: int | None, seed: int
) -> Prepared:
    """Documents of continued pre-training: all tokens count, each document ends with the end-of-sequence token.

    ``share`` is the share of instruction texts among the documents; the larger side is thinned out to reach it.
    """
    rows = load_rows(folder, "cpt", columns=("text", "provenance"))
    kinds = [item["generator"] == "instruction" for item in rows["provenance"]]
    picked = _mixed(kinds, share, most, seed)
    end = tokenizer.eos_token_id
    ids = [[*encode_text(tokenizer, text), end] for text in rows.select(picked)["text"]]
    tokens = sum(map(len, ids))
    sample = tokenizer.decode(ids[0][:80]) if ids else ""
    return Prepared(_table({"input_ids": ids}), len(ids), 0, 0, tokens, tokens, sample)


def _mixed(instructions: Sequence[bool], share: float | None, most: int | None, seed: int) -> list[int]:
    """Indexes of at most ``most`` documents such that ``share`` of them are instructions; as they come for None."""
    everything = range(len(instructions))
    if share is None:
        return drawn(everything, most, seed)
    told = [index for index in everything if instructions[index]]
    plain = [index for index in everything if not instructions[index]]
    if not 0 < share < 1:
        kept = drawn(told if share else plain, most, seed)
    else:
        total = min(len(told) / share, len(plain) / (1 - share), most or len(everything))
        kept = drawn(told, round(total * share), seed) + drawn(plain, round(total * (1 - share)), seed)
    if not kept:
        raise ConfigError(
            f"cpt.instruction_share = {share}: no document is left of {len(told):,} instructions and {len(plain):,} "
            "passages",
            "leave it out to take the documents as they are",
        )
    return sorted(kept)


def drawn(indexes: Sequence[int], most: int | None, seed: int) -> list[int]:
    """At most ``most`` of ``indexes``, drawn by the seed, in their order."""
    if most is None or most >= len(indexes):
        return list(indexes)
    drawn = sorted(indexes, key=lambda index: hashlib.sha256(f"{seed}\0{index}".encode()).digest())
    return sorted(drawn[:most])


def sft_rows(
    folder: Path,
    configs: Iterable[str],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    most: int | None,
    seed: int,
    split: str = "train",
) -> Prepared:
    """Dialogues with labels: answers and their end-of-turn token are learned, nothing else.

    A dialogue that is too long loses whole turns at its end; one whose first answer does not fit is left out.
    ``most`` counts rows of all configs together.

    Raises:
        BuildDirError: no row, or no learned token, is left.
    """
    picked: list[list[dict[str, Any]]] = []
    for config in configs:
        picked += load_rows(folder, config, split, columns=["messages"])["messages"]
    picked = [picked[index] for index in drawn(range(len(picked)), most, seed)]
    ids, labels, cut, left_out = [], [], 0, 0
    for messages in picked:
        fitting = next(_fitting(tokenizer, messages, max_length), None)
        if fitting is None:
            left_out += 1
            continue
        ids.append(fitting[0])
        labels.append(fitting[1])
        cut += fitting[2] < len(messages)
    supervised = sum(label != IGNORED for row in labels for label in row)
    if not supervised:
        raise BuildDirError(
            f"no token to learn: no answer of {len(picked):,} rows fits into max_length = {max_length} tokens",
            "raise max_length, or look into the rows",
        )
    return Prepared(
        _table({"input_ids": ids, "labels": labels}), len(picked), cut, left_out, sum(map(len, ids)), supervised,
        _first_span(tokenizer, ids[0], labels[0]),
    )  # fmt: skip


def _fitting(
    tokenizer: PreTrainedTokenizerBase, messages: list[dict[str, Any]], max_length: int
) -> Iterator[tuple[list[int], list[int], int]]:
    """The dialogue, then shorter ones that end with an earlier answer: ids, labels, messages kept; those that fit."""
    for end in range(len(messages), 0, -1):
        if messages[end - 1]["role"] != "assistant":
            continue
        ids, labels = encode(tokenizer, messages[:end])
        if len(ids) <= max_length and any(label != IGNORED for label in labels):
            yield ids, labels, end


def _first_span(tokenizer: PreTrainedTokenizerBase, ids: list[int], labels: list[int]) -> str:
    learned = [token for token, label in zip(ids, labels, strict=True) if label != IGNORED]
    first = next((index for index, label in enumerate(labels) if label != IGNORED), 0)
    length = next((n for n, label in enumerate(labels[first:]) if label == IGNORED), len(learned))
    return str(tokenizer.decode(ids[first : first + length]))


def preference_rows(
    folder: Path,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    most: int | None,
    seed: int,
    split: str = "train",
) -> Prepared:
    """Pairs as ``prompt_ids``, ``chosen_ids`` and ``rejected_ids``; a pair that is too long is left out.

    Raises:
        BuildDirError: no pair is left.
    """
    rows = load_rows(folder, "dfpo", split, columns=("prompt", "chosen", "rejected"))
    columns: dict[str, list[list[int]]] = {"prompt_ids": [], "chosen_ids": [], "rejected_ids": []}
    picked = drawn(range(len(rows)), most, seed)
    left_out = 0
    for row in rows.select(picked):
        prompt = encode_prompt(tokenizer, row["prompt"])
        chosen = encode_answer(tokenizer, [*row["prompt"], *row["chosen"]])
        rejected = encode_answer(tokenizer, [*row["prompt"], *row["rejected"]])
        if len(prompt) + max(len(chosen), len(rejected)) > max_length:
            left_out += 1
            continue
        for name, ids in zip(columns, (prompt, chosen, rejected), strict=True):
            columns[name].append(ids)
    if not columns["prompt_ids"]:
        raise BuildDirError(
            f"none of {len(picked):,} pairs fits into max_length = {max_length} tokens", "raise max_length"
        )
    tokens = sum(len(ids) for values in columns.values() for ids in values)
    learned = sum(len(ids) for name in ("chosen_ids", "rejected_ids") for ids in columns[name])
    sample = tokenizer.decode(columns["chosen_ids"][0])
    return Prepared(_table(columns), len(picked), 0, left_out, tokens, learned, str(sample))


def _table(columns: dict[str, list[list[int]]]) -> Dataset:
    from datasets import Dataset

    return Dataset.from_dict(columns)


def card_facts(folder: Path) -> dict[str, Any]:
    """Name, version and license of the dataset, from its manifest; empty where it has none."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    names = ("name", "version", "license", "language") if isinstance(manifest, dict) else ()
    return {name: manifest.get(name) for name in names}
