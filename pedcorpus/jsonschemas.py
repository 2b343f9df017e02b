"""JSON Schemas of what people and models write and read: config, raw record, rows, ledger entry, manifests, replies.

They are made from the models; ``python -m pedcorpus.jsonschemas DIRECTORY`` writes them.
"""

from __future__ import annotations

import json
import pkgutil
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from pedcorpus.config import Config
from pedcorpus.llm.asking import ReplyModel
from pedcorpus.llm.prompts import load_prompt, prompt_files
from pedcorpus.llm.request import reply_schema, schema_name
from pedcorpus.manifests import BuildManifest, DatasetManifest
from pedcorpus.records import TASKS, RawRecord, Reject, Row, columns

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schemas() -> dict[str, dict[str, Any]]:
    """File name to schema."""
    models: dict[str, Any] = {
        "config": Config,
        "record": RawRecord,
        "reject": Reject,
        "manifest": BuildManifest,
        "dataset-manifest": DatasetManifest,
    }
    found = {f"{name}.schema.json": TypeAdapter(model).json_schema() for name, model in models.items()}
    found |= {f"row-{task}.schema.json": _row_schema(task) for task in TASKS}
    found |= {f"reply-{name}.schema.json": json.loads(schema) for name, schema in map(reply_schema, replies())}
    return {name: {"$schema": _DIALECT, **schema} for name, schema in found.items()}


def replies() -> list[type[ReplyModel]]:
    """Every reply that a prompt asks for, by name."""
    import pedcorpus.generators.llm as room
    import pedcorpus.judge  # noqa: F401  it defines one

    for module in pkgutil.iter_modules(room.__path__, f"{room.__name__}."):
        import_module(module.name)
    asked = {prompt.reply for prompt in map(load_prompt, *zip(*prompt_files(), strict=True))}
    found = [model for model in ReplyModel.__subclasses__() if schema_name(model) in asked]
    return sorted(found, key=lambda model: model.__name__)


def _row_schema(task: str) -> dict[str, Any]:
    """The row as a shard of ``task`` holds it: its own columns, each of them present."""
    schema = TypeAdapter(Row).json_schema()
    names = columns(task)
    properties = {name: schema["properties"][name] for name in names}
    properties["task"] = {"const": task}
    for name in ("chosen_from", "rejected_from", "reason", "text"):
        if name in properties:
            properties[name] = {"type": "string"}
    own = {
        "title": f"Row of {task}",
        "type": "object",
        "properties": properties,
        "required": list(names),
        "additionalProperties": False,
    }
    used = json.dumps(properties)
    defined = {name: value for name, value in schema["$defs"].items() if f"#/$defs/{name}" in used or name == "Version"}
    return {"$defs": defined, **own}


def write_schemas(folder: Path) -> list[Path]:
    """Write every schema to ``folder``; the answer is their paths."""
    written = []
    for name, schema in json_schemas().items():
        path = folder / name
        path.write_text(json.dumps(schema, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        written.append(path)
    return written


if __name__ == "__main__":
    for written in write_schemas(Path(sys.argv[1])):
        print(written)
