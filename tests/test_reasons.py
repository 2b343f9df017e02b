"""The closed list of drop reasons: what the code says and what the list says are the same."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import pedcorpus
from pedcorpus.reasons import CHOSEN_AWAY, REASONS, explain, is_broken, is_known

PACKAGE = Path(pedcorpus.__file__).resolve().parent
FAMILIES = "|".join(sorted({reason.split(".")[0] for reason in REASONS}))
CODE = re.compile(rf"(?:{FAMILIES})\.[a-z_]+")


def used() -> dict[str, set[str]]:
    """Reason to the modules that name it, `pedcorpus.reasons` itself left out."""
    found: dict[str, set[str]] = {}
    for path in {file.resolve() for folder in (PACKAGE, PACKAGE / "extractors") for file in folder.rglob("*.py")}:
        if path.name == "reasons.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
                found.setdefault(node.value, set()).add(path.name)
    return found


def test_every_reason_in_the_code_is_in_the_list() -> None:
    assert {reason: sorted(places) for reason, places in used().items() if reason not in REASONS} == {}


def test_every_reason_in_the_list_is_in_the_code() -> None:
    assert sorted(set(REASONS) - set(used())) == []


def test_the_search_sees_the_extractors() -> None:
    assert any(path.name == "knowledge_graph.py" for path in (PACKAGE / "extractors").rglob("*.py"))
    assert "knowledge_graph.py" in used()["kg.contradiction"]


def test_explanations_are_one_line_each_and_differ() -> None:
    assert all(text and "\n" not in text for text in REASONS.values())
    assert len(set(REASONS.values())) == len(REASONS)
    assert all(explain(reason) == text for reason, text in REASONS.items())
    assert explain("decontaminate.cmexam") == "overlaps the benchmark cmexam"


@pytest.mark.parametrize("reason", [*REASONS, "decontaminate.cmexam", "decontaminate.a-b_1"])
def test_known(reason: str) -> None:
    assert is_known(reason)


@pytest.mark.parametrize("reason", ["", "decontaminate.", "decontaminate", "safety", "safety.unknown", " safety.dose"])
def test_unknown(reason: str) -> None:
    assert not is_known(reason)


def test_broken_is_what_could_not_be_read() -> None:
    assert is_broken("extract.json")
    assert is_broken("extract.lfs_pointer")
    assert not any(is_broken(reason) for reason in CHOSEN_AWAY)
    assert not any(is_broken(reason) for reason in REASONS if not reason.startswith("extract."))
    assert set(REASONS) >= CHOSEN_AWAY
