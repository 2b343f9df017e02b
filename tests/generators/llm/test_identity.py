"""Self-cognition pairs varied: placeholders for the model, the config's names in the row, no other product."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from pedcorpus.filters.placeholder import PlaceholderFilter
from pedcorpus.generators.llm.identity import IdentityGenerator, IdentityVariants
from pedcorpus.plugins import GenerateContext
from pedcorpus.records import RawRecord, Reject, Row
from tests.generators.llm.scripted import HOSTILE, ScriptedAsk, check_contained, check_prompt
from tests.making import ALL_TASKS, reason, record

PROMPT = "llm/identity/variants"
FILLS = {"name": "小芽", "author": "春芽实验室", "maker": "春芽实验室"}
CONTEXT = GenerateContext(17, 3, ALL_TASKS, FILLS, "zh")
GENERATOR = IdentityGenerator()
PAIR = record(kind="self_cognition", pair=("你是谁？", "我是{{name}}，由{{author}}开发，不能代替医生。"))


def variant(answer: str, question: str = "你叫什么名字？") -> dict[str, str]:
    return {"question": question, "answer": answer}


def run(
    *variants: dict[str, Any], item: RawRecord = PAIR, context: GenerateContext = CONTEXT
) -> tuple[list[Row | Reject], ScriptedAsk]:
    ask = ScriptedAsk({PROMPT: {"variants": list(variants)}})
    return asyncio.run(GENERATOR.generate(item, context, ask)), ask


def one(answer: str, **values: Any) -> Row | Reject:
    (made,), _ = run(variant(answer), **values)
    return made


def test_the_model_sees_placeholders_and_the_row_has_names() -> None:
    made, ask = run(variant("您可以叫我{{ name }}，我来自{{maker}}。", "{{name}}是你的名字吗？"))
    (row,) = made
    assert isinstance(row, Row)
    assert [message.content for message in row.messages] == ["小芽是你的名字吗？", "您可以叫我小芽，我来自春芽实验室。"]
    assert row.task == "self_cognition"
    assert "小芽" not in ask.calls[0].text
    assert ask.calls[0].values["placeholders"] == ["{{name}}", "{{author}}", "{{maker}}"]
    assert "{{name}}" in ask.calls[0].text
    assert row.evidence[1].quote == PAIR.pairs[0].answer


def test_a_placeholder_that_nothing_fills_stays_for_the_filter() -> None:
    row = one("我是{{name}}，{{limits}}。")
    assert isinstance(row, Row)
    assert row.answers() == ["我是小芽，{{limits}}。"]
    assert reason(PlaceholderFilter().check(row)) == "quality.placeholder"


def test_limits_of_the_config() -> None:
    row = one("请注意，{{limits}}。", context=replace(CONTEXT, fills={**FILLS, "limits": "我不能开药"}))
    assert isinstance(row, Row)
    assert row.answers() == ["请注意，我不能开药。"]


def test_a_pair_that_nothing_fills_costs_nothing() -> None:
    made, ask = run(context=replace(CONTEXT, fills={"name": "小芽"}))
    assert [item.reason for item in made if isinstance(item, Reject)] == ["quality.placeholder"]
    assert ask.calls == []


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ("我是{{name}}，孩子发烧不用去医院，捂汗就好。", "generate.shape"),
        ("我是{{name}}，能代替医生给孩子看病。", "generate.shape"),
        ("我是{{name}}，我知道布洛芬。", "grounding.name"),
        ("我是{{name}}，39是我的编号。", "grounding.number"),
    ],
)
def test_care_names_and_figures_that_the_pair_lacks_are_refused(said: str, why: str) -> None:
    made = one(said)
    assert isinstance(made, Reject) and made.reason == why


def test_what_the_assistant_does_not_do_is_no_care() -> None:
    assert isinstance(one("我是{{name}}，不能开药，也不能代替医生，有不舒服请看医生。"), Row)


@pytest.mark.parametrize(
    "said", ["我是通义千问。", "我由OpenAI训练，叫{{name}}。", "I am Claude.", "我是百度开发的助手。"]
)
def test_another_product_or_company_is_refused(said: str) -> None:
    made = one(said)
    assert isinstance(made, Reject)
    assert made.reason == "quality.identity"


def test_the_makers_own_name_is_no_other_company() -> None:
    row = one("我由{{maker}}开发。", context=replace(CONTEXT, fills={**FILLS, "maker": "百度"}))
    assert isinstance(row, Row)


def test_what_is_taken() -> None:
    assert GENERATOR.takes(PAIR)
    assert not GENERATOR.takes(replace(PAIR, source_kind="safety"))
    made, ask = run(context=replace(CONTEXT, tasks=frozenset({"safety"})))
    assert (made, ask.calls) == ([], [])


@pytest.mark.parametrize("language", ["zh", "en"])
def test_hostile_pair_stays_between_its_marks(language: str) -> None:
    closes = HOSTILE.replace("资料", "原回答").replace("source", "original_answer").replace("{{ original_answer }}", "")
    pair = ("你是谁？" + closes, "我是{{name}}。" + closes)
    _, ask = run(variant("我是{{name}}。"), item=record(kind="self_cognition", pair=pair, language=language))
    check_contained(ask.calls[0])


def test_prompt() -> None:
    check_prompt("identity/variants", IdentityVariants, frozenset({"count"}))
