"""The dataset in the forms that other trainers read, as JSON lines, streamed row group by row group."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pedcorpus.builddir import atomic, open_build, read_json, write_json
from pedcorpus.errors import BuildDirError, PedcorpusError, wrap_os_error
from pedcorpus.records import INSTRUCTION_TASKS

_BATCH = 2000


def export_build(root: Path, form: str, output: Path) -> dict[str, int]:
    """Write ``form`` to ``output``, a file a config and split; the answer is file name to rows.

    ``messages``, ``sharegpt`` and ``alpaca`` hold the instruction configs, ``dpo`` the preference pairs,
    ``llamafactory`` all of them and the CPT texts, with a ``dataset_info.json``.

    Raises:
        BuildDirError: no finished build, or ``output`` cannot be written.
        PedcorpusError: the build has no rows for this form.
    """
    open_build(root)
    dataset = read_json(root / "dataset" / "manifest.json")
    _refuse_full(output)
    written: dict[str, int] = {}
    info: dict[str, Any] = {}
    for task, by_split in dataset["rows"].items():
        convert = _converter(form, task)
        if convert is None:
            continue
        for split in by_split:
            name = f"{task}-{split}.jsonl"
            rows = _rows(root, dataset, task, split)
            written[name] = _write(output / name, (convert(row) for row in rows))
            if form == "llamafactory":
                info[f"{dataset['name']}_{task}_{split}".replace("-", "_")] = {"file_name": name, **_info(task)}
    if not written:
        raise PedcorpusError(f"{root} has no rows that {form} can hold", "choose another --format")
    if form == "llamafactory":
        write_json(output / "dataset_info.json", info)
        written["dataset_info.json"] = len(info)
    return written


def _refuse_full(output: Path) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
        if any(output.iterdir()):
            raise BuildDirError(f"{output} is not empty", "name a new folder with --output")
    except OSError as error:
        raise wrap_os_error(error, str(output)) from error


def _rows(root: Path, dataset: dict[str, Any], task: str, split: str) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    for shard in dataset["shards"]:
        if shard.startswith(f"data/{task}/{split}-"):
            with contextlib.closing(pq.ParquetFile(root / "dataset" / shard)) as reader:
                for batch in reader.iter_batches(batch_size=_BATCH):
                    yield from batch.to_pylist()


def _write(path: Path, rows: Iterator[dict[str, Any]]) -> int:
    count = 0
    with atomic(path) as temporary, temporary.open("w", encoding="utf-8") as handle:
        for row in rows:
            handle.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def _converter(form: str, task: str) -> Callable[[dict[str, Any]], dict[str, Any]] | None:
    instruction = task in INSTRUCTION_TASKS
    if form == "messages":
        return _messages if instruction else None
    if form == "sharegpt":
        return _sharegpt if instruction else None
    if form == "alpaca":
        return _alpaca if instruction else None
    if form == "dpo":
        return _dpo if task == "dfpo" else None
    return _sharegpt if instruction else _sharegpt_pair if task == "dfpo" else _text


def _messages(row: dict[str, Any]) -> dict[str, Any]:
    return {"id": row["id"], "messages": row["messages"]}


_SPEAKERS = {"user": "human", "assistant": "gpt", "system": "system"}


def _sharegpt(row: dict[str, Any]) -> dict[str, Any]:
    return {"id": row["id"], "conversations": _turns(row["messages"])}


def _turns(messages: list[dict[str, Any]]) -> list[dict[str, str]]:
    """A system message stays the first turn, as LLaMA-Factory reads it."""
    return [{"from": _SPEAKERS[message["role"]], "value": message["content"]} for message in messages]


def _sharegpt_pair(row: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": row["id"],
        "conversations": _turns(row["prompt"]),
        "chosen": {"from": "gpt", "value": row["chosen"][-1]["content"]},
        "rejected": {"from": "gpt", "value": row["rejected"][-1]["content"]},
    }


def _alpaca(row: dict[str, Any]) -> dict[str, Any]:
    """The last exchange as instruction and output, earlier ones as ``history`` pairs."""
    system = [message["content"] for message in row["messages"] if message["role"] == "system"]
    turns = [message["content"] for message in row["messages"] if message["role"] != "system"]
    pairs = [[turns[i], turns[i + 1]] for i in range(0, len(turns) - 1, 2)]
    question, answer = pairs.pop()
    return {
        "id": row["id"],
        "instruction": question,
        "input": "",
        "output": answer,
        "history": pairs,
        **({"system": "\n".join(system)} if system else {}),
    }


def _dpo(row: dict[str, Any]) -> dict[str, Any]:
    return {"id": row["id"], "prompt": row["prompt"], "chosen": row["chosen"], "rejected": row["rejected"]}


def _text(row: dict[str, Any]) -> dict[str, Any]:
    return {"id": row["id"], "text": row["text"]}


def _info(task: str) -> dict[str, Any]:
    """LLaMA-Factory's description of a file."""
    if task == "cpt":
        return {"columns": {"prompt": "text"}}
    if task == "dfpo":
        return {
            "formatting": "sharegpt",
            "ranking": True,
            "columns": {"messages": "conversations", "chosen": "chosen", "rejected": "rejected"},
        }
    return {"formatting": "sharegpt", "columns": {"messages": "conversations"}}
