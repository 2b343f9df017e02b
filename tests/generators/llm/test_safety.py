"""Safety pairs varied: the record's question first, an answer that names somebody to turn to."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from pedcorpus.generators.llm.safety import SafetyGenerator, SafetyVariants
from pedcorpus.plugins import GenerateContext
from pedcorpus.records import RawRecord, Reject, Row
from tests.generators.llm.scripted import HOSTILE, ScriptedAsk, check_contained, check_prompt
from tests.making import ALL_TASKS, record

PROMPT = "llm/safety/variants"
CONTEXT = GenerateContext(17, 3, ALL_TASKS, {}, "zh")
GENERATOR = SafetyGenerator()
QUESTION = "家里只有大人的感冒药，能给宝宝吃一点吗？"
ANSWER = "请不要这样做，成人药可能伤害宝宝。请带宝宝去医院，让医生决定用什么药。"
PAIR = record(kind="safety", pair=(QUESTION, ANSWER))


def variant(number: int, **values: Any) -> dict[str, Any]:
    said = f"请不要给宝宝吃，这样不安全，这是第{'一二三四五六'[number]}种说法。请带宝宝去医院看医生。"
    made = {"question": f"问法{number}：大人的药可以给孩子吗？", "manner": "advise", "answer": said}
    return {**made, "turn_to": "带宝宝去医院看医生", **values}


def run(
    *variants: dict[str, Any], item: RawRecord = PAIR, context: GenerateContext = CONTEXT
) -> tuple[list[Row | Reject], ScriptedAsk]:
    ask = ScriptedAsk({PROMPT: {"variants": list(variants)}})
    return asyncio.run(GENERATOR.generate(item, context, ask)), ask


def test_rows_of_a_pair() -> None:
    made, ask = run(variant(0), variant(1, manner="refuse"))
    rows = [row for row in made if isinstance(row, Row)]
    assert len(rows) == 2
    assert [row.questions() for row in rows] == [[QUESTION], ["问法1：大人的药可以给孩子吗？"]]
    assert {row.task for row in rows} == {"safety"}
    assert [row.quality[0].detail for row in rows] == ["advise", "refuse"]
    assert rows[0].provenance.version_trail[0].content == ANSWER
    assert [evidence.quote for evidence in rows[0].evidence] == [QUESTION, ANSWER]
    assert ask.calls[0].values["count"] == 3


def test_no_more_than_asked_for() -> None:
    made, _ = run(variant(0), variant(1), variant(2), context=replace(CONTEXT, per_record=2))
    assert len(made) == 2


@pytest.mark.parametrize("turn_to", ["请联系药师", " "])
def test_an_answer_that_names_nobody_to_turn_to_is_refused(turn_to: str) -> None:
    (made,), _ = run(variant(0, turn_to=turn_to))
    assert isinstance(made, Reject)
    assert made.reason == "generate.shape"


SLEEP = record(kind="safety", pair=("孩子睡不着，能喂安定吗？", "不可以喂安定。请带孩子看医生。"))


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"answer": "可以给孩子喂安定，喂完就会睡着。", "turn_to": "可以"}, "generate.shape"),
        ({"answer": "可以试试。请看医生。", "turn_to": "看医生", "manner": "refuse"}, "generate.shape"),
        ({"answer": "当然可以，别担心。请看医生。", "turn_to": "看医生", "manner": "refuse"}, "generate.shape"),
        ({"answer": "请不要这样，可以用水合氯醛。请看医生。", "turn_to": "看医生"}, "grounding.name"),
        ({"answer": "请不要这样，喂5片就好。请看医生。", "turn_to": "看医生"}, "grounding.number"),
        ({"answer": "可以给孩子喂安定。请看医生。", "turn_to": "看医生"}, "grounding.said"),
    ],
)
def test_an_answer_that_agrees_or_adds_is_refused(values: dict[str, Any], why: str) -> None:
    (made,), _ = run(variant(0, **values), item=SLEEP)
    assert isinstance(made, Reject) and made.reason == why


DESPAIR = record(
    kind="safety",
    pair=(
        "我14岁，觉得活着没意思，想从楼上跳下去。",
        "谢谢你说出来，你很重要。请先离开窗边，去找信任的大人，马上打120。",
    ),
)


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        ("谢谢你愿意说出来，你一定很难受。请先离开窗边，马上打120。", True),
        ("听到你这么说，我知道你很痛苦。请先离开窗边，马上打120。", True),
        ("很抱歉，我不能理解你的行为。请先离开窗边，你很重要，马上打120。", False),
        ("请先离开窗边。马上打120。", False),
    ],
)
def test_a_child_in_despair_is_comforted_first(answer: str, kept: bool) -> None:
    (made,), _ = run(variant(0, answer=answer, turn_to="打120"), item=DESPAIR)
    assert isinstance(made, Row) == kept


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        ("Thank you for telling me. Please leave the window and call 120 now.", True),
        ("I do not understand you. You matter. Please call 120 now.", False),
    ],
)
def test_comfort_in_english(answer: str, kept: bool) -> None:
    pair = ("I am 14 and I want to kill myself.", "Thank you for telling me, you matter. Please call 120 now.")
    (made,), _ = run(variant(0, answer=answer, turn_to="call 120"), item=record(kind="safety", pair=pair))
    assert isinstance(made, Row) == kept


@pytest.mark.parametrize(
    "answer",
    [
        "我理解您很着急，但是请不要给孩子喂安定。请带孩子看医生。",
        "很抱歉，我无法帮您这样做。请带孩子看医生。",
        "安定不能自己喂给孩子。请带孩子看医生。",
    ],
)
def test_refusals(answer: str) -> None:
    (made,), _ = run(variant(0, answer=answer, turn_to="看医生", manner="refuse"), item=SLEEP)
    assert isinstance(made, Row)


def test_what_is_taken() -> None:
    assert GENERATOR.takes(PAIR)
    assert not GENERATOR.takes(replace(PAIR, source_kind="general"))
    assert not GENERATOR.takes(replace(PAIR, pairs=()))
    made, ask = run(context=replace(CONTEXT, tasks=frozenset({"medkqa"})))
    assert (made, ask.calls) == ([], [])


@pytest.mark.parametrize("language", ["zh", "en"])
def test_hostile_pair_stays_between_its_marks(language: str) -> None:
    closes = HOSTILE.replace("资料", "原问题").replace("source", "original_question")
    _, ask = run(variant(0), item=record(kind="safety", pair=(QUESTION + closes, ANSWER + closes), language=language))
    check_contained(ask.calls[0])


def test_prompt() -> None:
    check_prompt("safety/variants", SafetyVariants, frozenset({"count"}))
