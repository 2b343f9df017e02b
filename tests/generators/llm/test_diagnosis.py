"""Consultations that a model writes: their order, their evidence, what a doctor must say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from pedcorpus.filters.number import NumberFilter
from pedcorpus.generators.llm.diagnosis import DiagnosisGenerator, DiagnosticCase, concludes
from pedcorpus.llm.asking import CallFailedError
from pedcorpus.plugins import GenerateContext, Keep
from pedcorpus.records import QualityNote, RawRecord, Reject, Row
from tests.generators.llm.scripted import HOSTILE, ScriptedAsk, check_contained, check_prompt
from tests.making import ALL_TASKS, record

TEXT = (
    "肠套叠多见于2岁以下婴幼儿，主要表现为阵发性哭闹、呕吐、果酱样血便，腹部可触及腊肠样包块。"
    "腹部超声可见同心圆征，是首选的检查方法。出现血便、精神萎靡者应立即转诊至有条件的医院。"
)
PASSAGE = record(TEXT, path=["消化系统疾病", "肠套叠", "临床表现"], disease="肠套叠")
MILD = record(
    "鹅口疮的口腔黏膜表面覆盖白色乳凝块样物，不易拭去，周围无炎症反应，患儿不痛、不流涎，一般不影响吃奶。",
    path=["口腔疾病", "鹅口疮", "临床表现"],
    disease="鹅口疮",
)
CONTEXT = GenerateContext(seed=17, per_record=3, tasks=ALL_TASKS, fills={}, language="zh")
PROMPT = "llm/diagnosis/case"


def turn(speaker: str, kind: str, text: str, *quotes: str) -> dict[str, Any]:
    return {"speaker": speaker, "kind": kind, "quotes": list(quotes), "text": text}


CASE = {
    "source_says": True,
    "turns": [
        turn("patient", "complaint", "医生，孩子一阵一阵地哭，哄不住，这是怎么了？"),
        turn("doctor", "ask", "您别急。孩子吐了吗？"),
        turn("patient", "reply", "吐了两次。"),
        turn("doctor", "ask", "大便是什么样子的？"),
        turn("patient", "reply", "刚才拉了一点，像果酱，发红。"),
        turn(
            "doctor",
            "request_test",
            "这是危险信号，请马上带孩子去医院，先做腹部超声，看看肠子有没有套在一起。",
            "首选的检查方法",
        ),
        turn("patient", "results", "到医院做了，报告写着可见同心圆征。"),
        turn("doctor", "interpret", "超声看到同心圆征，说明一段肠子套进了另一段。", "腹部超声可见同心圆征"),
        turn("patient", "reply", "那现在怎么办？"),
        turn(
            "doctor",
            "conclude",
            "考虑是肠套叠。依据是：阵发性哭闹、呕吐、果酱样血便，超声可见同心圆征。请由医生当面确认；有血便要立即转诊到有条件的医院。",
            "主要表现为阵发性哭闹、呕吐、果酱样血便",
            "腹部超声可见同心圆征",
            "应立即转诊至有条件的医院",
        ),
    ],
}
"""A case as it should be."""
SHORT = {
    "source_says": True,
    "turns": [
        turn("patient", "complaint", "医生，宝宝嘴里有白色的东西。"),
        turn("doctor", "ask", "用棉签擦得掉吗？"),
        turn("patient", "reply", "擦不掉。"),
        turn("doctor", "ask", "影响吃奶吗？"),
        turn("patient", "reply", "不影响。"),
        turn(
            "doctor",
            "conclude",
            "考虑是鹅口疮，依据是白色乳凝块样物不易拭去，也不影响吃奶。",
            "白色乳凝块样物，不易拭去",
        ),
    ],
}


def run(reply: Any, of: RawRecord = PASSAGE, context: GenerateContext = CONTEXT) -> Row | Reject:
    (made,) = asyncio.run(DiagnosisGenerator().generate(of, context, ScriptedAsk({PROMPT: reply})))
    return made


def changed(change: Callable[[list[dict[str, Any]]], object], case: dict[str, Any] = CASE) -> dict[str, Any]:
    copy = deepcopy(case)
    change(copy["turns"])
    return copy


def test_case_becomes_row_of_many_turns() -> None:
    row = run(CASE)
    assert isinstance(row, Row)
    assert (row.task, row.disease) == ("evidiag", "肠套叠")
    assert [message.role for message in row.messages] == ["user", "assistant"] * 5
    assert [span.quote for span in row.evidence] == [TEXT]  # whole sentences, neighbours joined
    assert all(TEXT[span.start : span.end] == span.quote for span in row.evidence)
    assert (row.provenance.generator, row.provenance.prompt_id) == ("diagnosis", "llm/diagnosis/case@1.0")
    assert row.quality == (QualityNote("ask_advise", 2 / 3, "2 ask, 1 advise"),)
    assert isinstance(NumberFilter().check(row), Keep)


def test_advice_on_the_way_counts_beside_the_conclusion() -> None:
    def advise(turns: list[dict[str, Any]]) -> None:
        turns[5].update(kind="advise", quotes=["应立即转诊至有条件的医院"])
        turns[6].update(kind="reply")
        turns[7].update(kind="advise")

    row = run(changed(advise))
    assert isinstance(row, Row)
    assert row.quality == (QualityNote("ask_advise", 0.4, "2 ask, 3 advise"),)


@pytest.mark.parametrize(
    "text",
    [
        "考虑是急性阑尾炎。有血便要立即转诊到有条件的医院。",
        "不是肠套叠，也不要紧。有血便要立即转诊到有条件的医院。",
    ],
)
def test_conclusion_must_name_the_disease(text: str) -> None:
    made = run(changed(lambda turns: turns[-1].update(text=text)))
    assert isinstance(made, Reject)
    assert (made.reason, made.detail) == ("generate.shape", "the conclusion does not name 肠套叠")


@pytest.mark.parametrize(
    ("disease", "text", "named"),
    [
        ("小儿支气管肺炎", "考虑是肺炎。", True),
        ("流行性感冒", "考虑是流感。", True),
        ("肺炎", "考虑是肺结核。", False),
        ("肺炎", "要与肺炎鉴别，排除肺炎后考虑别的。", False),
    ],
)
def test_other_names_of_the_disease(disease: str, text: str, named: bool) -> None:
    assert concludes(text, replace(PASSAGE, disease=disease, section_path=())) is named


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"text": "超声看到同心圆征，可能是阑尾炎。"}, "grounding.name"),
        ({"text": "超声看到2处同心圆征。"}, "grounding.number"),
    ],
)
def test_claim_rests_on_its_own_quotes(change: dict[str, Any], reason: str) -> None:
    passage = replace(PASSAGE, text=TEXT + "应与阑尾炎鉴别。")
    made = run(changed(lambda turns: turns[7].update(change)), passage)
    assert isinstance(made, Reject) and made.reason == reason and made.detail.startswith("turn 8 (interpret)")


def test_results_come_before_their_meaning() -> None:
    def skip(turns: list[dict[str, Any]]) -> None:
        turns[5].update(kind="ask", text="请马上去医院急诊。还有别的吗？")
        turns[6].update(kind="reply")

    made = run(changed(skip))
    assert isinstance(made, Reject) and made.detail == "turn 8 interprets results that nobody reported"


def test_parent_asks_in_one_call() -> None:
    ask = ScriptedAsk({PROMPT: CASE})
    asyncio.run(DiagnosisGenerator().generate(PASSAGE, CONTEXT, ask))
    (call,) = ask.calls
    assert (call.seed, call.to) == (17, "generator")
    assert "肠套叠" in call.values["subject"]


def test_source_that_does_not_say_is_an_outcome() -> None:
    refused = run({"source_says": False, "turns": []})
    assert isinstance(refused, Reject) and refused.reason == "grounding.absent"


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        (lambda turns: turns.clear(), "no turn at all"),
        (lambda turns: turns.pop(0), "turn 1 is the doctor's"),
        (lambda turns: turns.pop(2), "turn 3 is the doctor's"),
        (lambda turns: turns.pop(), "the last turn is reply"),
        (lambda turns: turns[9].update(kind="advise"), "the last turn is advise"),
        (lambda turns: turns[7].update(kind="conclude"), "turn 8 concludes before the end"),
        (lambda turns: turns[2].update(kind="ask"), "turn 3: the patient has no ask"),
        (lambda turns: turns[3].update(kind="reply"), "turn 4: the doctor has no reply"),
        (lambda turns: turns[0].update(kind="reply"), "turn 1 is a reply"),
        (lambda turns: turns[4].update(kind="complaint"), "turn 5 is a complaint"),
        (lambda turns: turns[3].update(text="大便怎样？发热吗？"), "turn 4 asks with 2 question marks"),
        (lambda turns: turns[3].update(text="说说大便。"), "turn 4 asks with 0 question marks"),
        (lambda turns: turns[3].update(kind="advise", quotes=["腹部超声可见同心圆征"]), "1 ask, at least 2"),
        (lambda turns: turns[4].update(kind="results"), "turn 5 reports results that nobody requested"),
        (lambda turns: turns[7].update(kind="ask", text="还吐吗？"), "turn 8 does not interpret"),
        (lambda turns: turns[8].update(text=" "), "turn 9 is empty"),
        (lambda turns: turns[7].update(text="资料显示，超声看到同心圆征。"), "turn 8 speaks of its source"),
    ],
)
def test_case_out_of_shape_is_refused(change: Callable[[list[dict[str, Any]]], object], detail: str) -> None:
    refused = run(changed(change))
    assert isinstance(refused, Reject)
    assert refused.reason == "generate.shape"
    assert detail in refused.detail


def test_danger_without_a_word_on_care_is_refused() -> None:
    def keep_silent(turns: list[dict[str, Any]]) -> None:
        turns[5].update(text="先做腹部超声，看看肠子有没有套在一起。")
        turns[9].update(text="考虑是肠套叠，依据是哭闹、呕吐和同心圆征。")

    refused = run(changed(keep_silent))
    assert isinstance(refused, Reject) and refused.reason == "generate.shape"
    assert "when to seek care" in refused.detail


def test_danger_that_only_the_parent_tells_counts_too() -> None:
    assert isinstance(run(SHORT, MILD), Row)
    refused = run(changed(lambda turns: turns[4].update(text="不影响，就是刚才抽搐了。"), SHORT), MILD)
    assert isinstance(refused, Reject) and "抽搐" in refused.detail


@pytest.mark.parametrize("place", [7, 9])
def test_claim_without_quote_is_refused(place: int) -> None:
    refused = run(changed(lambda turns: turns[place].update(quotes=[])))
    assert isinstance(refused, Reject) and refused.reason == "grounding.quote"
    assert f"turn {place + 1}" in refused.detail and '"messages"' in refused.row


@pytest.mark.parametrize("place", [1, 5, 9])
def test_quote_that_the_source_lacks_is_refused(place: int) -> None:
    refused = run(changed(lambda turns: turns[place].update(quotes=["腹部X线可见气液平面"])))
    assert isinstance(refused, Reject) and refused.reason == "grounding.quote"


def test_failure_is_the_records() -> None:
    with pytest.raises(CallFailedError):
        run(CallFailedError("generate.reply", "no JSON"))


def test_what_is_taken() -> None:
    takes = DiagnosisGenerator().takes
    graph = record(
        kind="knowledge_graph", disease="肠套叠", triples=[("症状", "哭闹"), ("症状", "呕吐"), ("症状", "血便")]
    )
    assert takes(PASSAGE) and takes(graph)
    assert takes(replace(PASSAGE, section_path=("肠套叠",)))
    assert takes(replace(PASSAGE, source_kind="guideline"))
    assert not takes(replace(graph, triples=graph.triples[:2]))
    assert not takes(replace(PASSAGE, era="historic"))
    assert not takes(replace(graph, era="historic"))
    assert not takes(replace(PASSAGE, disease=None))
    assert not takes(replace(PASSAGE, source_kind="distilled"))
    assert not takes(replace(PASSAGE, text="略。"))
    for heading in ("治疗", "病因", "预后", "预防", "流行病学"):
        assert not takes(replace(PASSAGE, section_path=("肠套叠", heading))), heading


@pytest.mark.parametrize("language", ["zh", "en"])
def test_hostile_text_stays_between_its_marks(language: str) -> None:
    hostile = replace(PASSAGE, text=TEXT + HOSTILE, section_path=("肠套叠", HOSTILE))
    ask = ScriptedAsk({PROMPT: CASE})
    asyncio.run(DiagnosisGenerator().generate(hostile, replace(CONTEXT, language=language), ask))
    check_contained(ask.calls[0])


def test_prompt() -> None:
    check_prompt("diagnosis/case", DiagnosticCase, frozenset({"who", "tone", "age"}))
