"""The JSON Schemas are those of the models, and the data fits them."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pedcorpus.jsonschemas import json_schemas
from pedcorpus.records import TASKS
from tests.builds import records, rejects, rows
from tests.conftest import ROOT, SAMPLE


def validator(name: str) -> Draft202012Validator:
    schema = json.loads((ROOT / "schemas" / name).read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def fits(name: str, values: list[Any]) -> None:
    check = validator(name)
    for value in values:
        errors = [error.message for error in check.iter_errors(value)]
        assert not errors, errors[:3]


def test_files_are_in_step_with_the_models() -> None:
    made = json_schemas()
    assert {path.name for path in (ROOT / "schemas").glob("*.json")} == set(made)
    for name, schema in made.items():
        held = json.loads((ROOT / "schemas" / name).read_text(encoding="utf-8"))
        assert held == schema, f"{name} is old: run `make schemas`"


@pytest.mark.parametrize("task", TASKS)
def test_rows(task: str, sample_build: tuple[Path, object]) -> None:
    found = rows(sample_build[0], task)
    fits(f"row-{task}.schema.json", found)
    broken = {**found[0], "evidence": None}
    assert list(validator(f"row-{task}.schema.json").iter_errors(broken))
    assert list(validator(f"row-{task}.schema.json").iter_errors({**found[0], "surprise": 1}))


def test_records_rejects_and_manifests(sample_build: tuple[Path, object]) -> None:
    build = sample_build[0]
    fits("record.schema.json", records(build))
    fits("reject.schema.json", [entry for stage in ("screen", "filter") for entry in rejects(build, stage)])
    fits("manifest.schema.json", [json.loads((build / "manifest.json").read_text(encoding="utf-8"))])
    fits(
        "dataset-manifest.schema.json", [json.loads((build / "dataset" / "manifest.json").read_text(encoding="utf-8"))]
    )


def test_configs() -> None:
    for path in (SAMPLE / "pedcorpus.toml", ROOT / "examples" / "real.toml"):
        fits("config.schema.json", [tomllib.loads(path.read_text(encoding="utf-8"))])
    assert list(validator("config.schema.json").iter_errors({"dataset": {"name": "x", "nmae": "y"}, "sources": []}))
