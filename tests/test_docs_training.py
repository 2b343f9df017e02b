"""docs/training.md against the code: stages, recipes, keys and their defaults."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

pytest.importorskip("torch", reason="the train extra is not installed")

from pedcorpus.train_cli import _STAGES
from pedcorpus.training import masking, recipe
from tests.test_docs import bare, codes, read, section, tables

PAGE = "docs/training.md"


def shown(value: Any) -> str:
    if value is None:
        return "–"
    return f"`{json.dumps(list(value) if isinstance(value, tuple) else value)}`"


def test_stages() -> None:
    [table] = tables(section(read(PAGE), "Stages"))
    assert [bare(cells[0]) for cells in table] == list(_STAGES)


def test_recipes_and_templates() -> None:
    text = section(read(PAGE), "Recipes")
    [table] = tables(text)
    assert sorted(bare(cells[0]) for cells in table) == recipe.shipped()
    for name, _, run in table:
        assert run.startswith("yes") == recipe.load_recipe(bare(name)).run
    assert set(masking.shipped()) | {"own"} <= set(codes(text))


def test_keys_and_defaults() -> None:
    common, own = tables(section(read(PAGE), "Recipe keys"))
    assert [(bare(cells[0]), cells[1]) for cells in common] == [
        (name, shown(field.default)) for name, field in recipe.StageRecipe.model_fields.items()
    ]
    wanted = [
        (f"{title}.{name}", shown(field.default))
        for title, section_field in recipe.Recipe.model_fields.items()
        if isinstance(section_field.default, recipe.StageRecipe)
        for name, field in type(section_field.default).model_fields.items()
        if name not in recipe.StageRecipe.model_fields
    ]
    assert [(bare(cells[0]), cells[1]) for cells in own] == wanted
    rest = section(read(PAGE), "Recipe keys").split("Top level:")[1]
    named = set(re.findall(r"`([a-z_]+)`", rest))
    assert set(recipe.ModelRecipe.model_fields) | set(recipe.LaunchRecipe.model_fields) <= named
