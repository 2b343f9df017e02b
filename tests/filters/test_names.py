"""A model's row names no drug and no disease that its evidence does not name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pedcorpus.filters.names import NamesFilter
from pedcorpus.grounding import Names
from pedcorpus.plugins import Drop, Keep
from pedcorpus.records import Row
from tests.making import record, row

QUOTE = "手足口病患儿高热时可给予布洛芬，疱疹破溃时保持局部清洁。"


def made(answer: str, model: str | None = "some-model", quotes: Sequence[str] = (QUOTE,), **values: str) -> Row:
    plain = row(answer, quotes=quotes, **values)  # type: ignore[arg-type]
    return replace(plain, provenance=replace(plain.provenance, model=model))


def test_names_of_the_evidence_pass() -> None:
    assert NamesFilter().check(made("手足口病的孩子高热可以用布洛芬。")) == Keep()


def test_other_names_are_dropped_and_told() -> None:
    verdict = NamesFilter().check(made("疱疹性咽峡炎的孩子可以用利巴韦林。"))
    assert verdict == Drop("grounding.name", "not in the evidence: 疱疹性咽峡炎, 利巴韦林")


def test_rows_made_without_a_model_are_not_looked_at() -> None:
    assert NamesFilter(path="no/such/file.json").check(made("可以用利巴韦林。", model=None)) == Keep()


def test_what_the_user_says_grounds_nothing() -> None:
    assert isinstance(NamesFilter().check(made("可以吃阿司匹林。", question="能吃阿司匹林吗？")), Drop)


def test_the_disease_of_the_row_and_the_cited_title_may_be_named() -> None:
    quote = "高热时可给予布洛芬。"
    answer = "根据《川崎病诊治指南》：高热时用布洛芬。"
    assert NamesFilter().check(made(answer, quotes=[quote], title="川崎病诊治指南")) == Keep()
    assert isinstance(NamesFilter().check(made(answer, quotes=[quote])), Drop)
    assert NamesFilter().check(made("手足口病高热时用布洛芬。", quotes=[quote], disease="手足口病")) == Keep()


@pytest.mark.parametrize(("disease", "reason"), [("手足口病", Keep), (None, Drop)])
def test_the_graph_speaks_for_the_disease_of_the_row(tmp_path: Path, disease: str, reason: type) -> None:
    graph = record(
        kind="knowledge_graph", disease="手足口病", triples=[("并发症", "脑干脑炎"), ("常用药物", "安抚宁液")]
    )
    path = tmp_path / "names.json"
    path.write_text(Names.collect([graph]).to_json(), encoding="utf-8")
    answer = "要当心脑干脑炎，可以用安抚宁液。"
    assert isinstance(NamesFilter(path=str(path)).check(made(answer, disease=disease)), reason)
