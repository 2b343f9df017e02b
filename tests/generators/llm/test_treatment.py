"""Recommendations put together from items that each have their quote."""

from __future__ import annotations

import asyncio
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from pedcorpus.filters.dose import DoseFilter
from pedcorpus.filters.number import NumberFilter
from pedcorpus.generators.llm.treatment import TreatmentAdvice, TreatmentGenerator
from pedcorpus.llm.asking import CallFailedError
from pedcorpus.llm.prompts import load_prompt
from pedcorpus.plugins import GenerateContext, Keep
from pedcorpus.records import RawRecord, Reject, Row
from tests.generators.llm.scripted import HOSTILE, ScriptedAsk, check_contained, check_prompt
from tests.making import ALL_TASKS, record

TEXT = (
    "发热伴明显不适时可使用退热药，并鼓励多饮水。布洛芬用于6个月以上儿童，每次5~10 mg/kg，每6~8小时1次，24小时内不超过4次。"
    "脱水患儿禁用布洛芬。用药3天仍发热者应复诊。精神反应差或出现惊厥者应立即就医。"
)
PASSAGE = record(TEXT, path=["发热", "治疗"], disease="发热")
CONTEXT = GenerateContext(seed=17, per_record=3, tasks=ALL_TASKS, fills={}, language="zh")
PROMPT = "llm/treatment/advise"
REPLY: dict[str, Any] = {
    "source_says": True,
    "question": "孩子三岁半，发热，不太舒服，该怎么处理，能吃什么药？",
    "treatment": [
        {"point": "发热又明显不舒服时可以用退热药。", "quote": "发热伴明显不适时可使用退热药"},
        {"point": "要鼓励孩子多喝水。", "quote": "鼓励多饮水"},
    ],
    "doses": [
        {
            "drug": "布洛芬",
            "for_whom": "6个月以上儿童",
            "amount": "每次5~10mg/kg，每6~8小时1次",
            "maximum": "24小时内不超过4次",
            "quotes": ["布洛芬用于6个月以上儿童，每次5～10 mg/kg，每6~8小时1次，24小时内不超过4次"],
        }
    ],
    "contraindications": [{"point": "脱水的孩子不能用布洛芬。", "quote": "脱水患儿禁用布洛芬"}],
    "follow_up": [{"point": "用药3天还发热就要复诊。", "quote": "用药3天仍发热者应复诊"}],
    "seek_care": [{"point": "精神差或惊厥时立即就医。", "quote": "精神反应差或出现惊厥者应立即就医"}],
}
ABSENT = {**{name: [] for name in REPLY}, "source_says": False, "question": ""}


def run(reply: Any = REPLY, of: RawRecord = PASSAGE, context: GenerateContext = CONTEXT) -> Row | Reject:
    (made,) = asyncio.run(TreatmentGenerator().generate(of, context, ScriptedAsk({PROMPT: reply})))
    return made


def refused(reply: dict[str, Any], of: RawRecord = PASSAGE) -> Reject:
    made = run(reply, of)
    assert isinstance(made, Reject)
    return made


def with_dose(**change: Any) -> dict[str, Any]:
    copy = deepcopy(REPLY)
    copy["doses"][0].update(change)
    return copy


def test_items_become_one_answer() -> None:
    row = run()
    assert isinstance(row, Row)
    assert (row.task, row.disease) == ("trerecom", "发热")
    assert row.questions() == [REPLY["question"]]
    assert row.answers()[0].split("\n") == [
        "治疗与处理：",
        "①发热又明显不舒服时可以用退热药。",
        "②要鼓励孩子多喝水。",
        "用法用量：布洛芬（6个月以上儿童）：每次5~10mg/kg，每6~8小时1次；上限：24小时内不超过4次。",
        "禁忌与注意：脱水的孩子不能用布洛芬。",
        "观察与复诊：用药3天还发热就要复诊。",
        "及时就医：精神差或惊厥时立即就医。",
    ]
    assert all(TEXT[span.start : span.end] == span.quote for span in row.evidence)
    assert "".join(span.quote for span in row.evidence).count("布洛芬") == 2
    assert (row.provenance.generator, row.provenance.prompt_id) == ("treatment", "llm/treatment/advise@1.1")


def test_answer_passes_the_hard_checks() -> None:
    row = run(of=replace(PASSAGE, source_title="全科手册"))
    assert isinstance(row, Row)
    assert isinstance(NumberFilter().check(row), Keep)
    assert isinstance(DoseFilter().check(row), Keep)


def test_guideline_is_cited_and_its_figures_are_no_dose() -> None:
    row = run(of=replace(PASSAGE, source_kind="guideline", source_title="儿童发热诊治指南（2016年版）"))
    assert isinstance(row, Row)
    assert row.answers()[0].startswith("根据《儿童发热诊治指南（2016年版）》：\n治疗与处理：")
    assert isinstance(NumberFilter().check(row), Keep)


def test_groups_that_the_source_lacks_are_left_out() -> None:
    row = run({**REPLY, "doses": [], "contraindications": [], "follow_up": [], "seek_care": []})
    assert isinstance(row, Row) and row.answers()[0].startswith("治疗与处理：") and "用法" not in row.answers()[0]


def test_dose_without_group_or_limit() -> None:
    row = run(with_dose(for_whom="", maximum=""))
    assert isinstance(row, Row) and "\n用法用量：布洛芬：每次5~10mg/kg，每6~8小时1次。\n" in row.answers()[0]


def test_source_that_does_not_say_is_an_outcome() -> None:
    assert refused(ABSENT).reason == "grounding.absent"


@pytest.mark.parametrize(
    "change",
    [
        {"amount": "每次15mg/kg"},
        {"amount": "每次5~10mg/kg，每日3次"},
        {"maximum": "每日不超过40mg/kg"},
        {"for_whom": "3个月以上儿童"},
        {"drug": "对乙酰氨基酚"},
        {"quotes": []},
    ],
)
def test_dose_that_is_not_word_for_word_is_refused(change: dict[str, Any]) -> None:
    made = refused(with_dose(**change))
    assert made.reason == "grounding.quote"
    assert "not word for word" in made.detail and '"messages"' in made.row


FORMS = "布洛芬混悬液用于儿童退热。阿莫西林每次40mg/kg，每日3次口服。成人布洛芬每次0.4g，每日3次。"
FORBIDDEN = "布洛芬每次10mg/kg，6个月以下儿童禁用，静脉滴注禁用。"


@pytest.mark.parametrize(
    ("text", "change"),
    [
        (
            FORMS,
            {
                "drug": "布洛芬混悬液",
                "for_whom": "儿童",
                "amount": "每次40mg/kg，每日3次",
                "quotes": ["布洛芬混悬液用于儿童退热", "阿莫西林每次40mg/kg，每日3次口服"],
            },
        ),
        (
            FORMS,
            {
                "for_whom": "儿童",
                "amount": "每次0.4g，每日3次",
                "quotes": ["成人布洛芬每次0.4g，每日3次", "布洛芬混悬液用于儿童退热"],
            },
        ),
        (FORBIDDEN, {"for_whom": "6个月以下儿童", "amount": "每次10mg/kg", "quotes": [FORBIDDEN]}),
        (FORBIDDEN, {"for_whom": "", "amount": "静脉滴注", "quotes": [FORBIDDEN]}),
        (
            "布洛芬每次10mg/kg。阿莫西林每日最大量2g。",
            {
                "for_whom": "",
                "amount": "每次10mg/kg",
                "maximum": "每日最大量2g",
                "quotes": ["布洛芬每次10mg/kg", "阿莫西林每日最大量2g"],
            },
        ),
    ],
    ids=["another drug", "adults", "forbidden age", "forbidden route", "another limit"],
)
def test_dose_must_be_of_this_drug_and_for_these_children(text: str, change: dict[str, Any]) -> None:
    reply = {**ABSENT, "source_says": True, "question": "怎么用药？"}
    reply["doses"] = with_dose(**{"maximum": "", **change})["doses"]
    assert refused(reply, record(text, path=["发热", "治疗"], disease="发热")).reason == "grounding.quote"


@pytest.mark.parametrize(
    ("point", "quote"),
    [
        ("脱水的孩子可以用布洛芬。", "脱水患儿禁用布洛芬"),
        ("布洛芬每次10mg/kg。", "每次5~10 mg/kg"),
        ("可以使用布洛芬。", "用布洛芬"),
    ],
)
def test_point_that_gives_a_dose_or_what_is_forbidden_is_refused(point: str, quote: str) -> None:
    text = "脱水患儿禁用布洛芬。" if "mg" not in quote else TEXT
    reply = {**REPLY, "doses": [], "treatment": [{"point": point, "quote": quote}], "contraindications": []}
    reply |= {"follow_up": [], "seek_care": []}
    made = refused(reply, record(text + "多喝水，注意休息和保暖。", path=["发热", "治疗"], disease="发热"))
    assert made.reason in ("generate.shape", "grounding.quote")


def test_limit_may_stand_in_another_sentence() -> None:
    text = "布洛芬每次10mg/kg。多饮水。每日最大量不超过40mg/kg。"
    quotes = ["布洛芬每次10mg/kg", "每日最大量不超过40mg/kg"]
    reply = {**ABSENT, "source_says": True, "question": "怎么用药？"}
    reply["doses"] = with_dose(for_whom="", amount="每次10mg/kg", maximum="不超过40mg/kg", quotes=quotes)["doses"]
    assert isinstance(run(reply, record(text, path=["发热", "治疗"], disease="发热")), Row)


def test_part_of_a_figure_is_no_quote_of_it() -> None:
    text = "布洛芬用于6个月以上儿童，每次15mg/kg。"
    made = refused(
        with_dose(amount="5mg/kg", maximum="", quotes=[text]),
        record(text + TEXT, path=["发热", "治疗"], disease="发热"),
    )
    assert made.reason == "grounding.quote"


def test_figure_of_a_point_must_stand_in_its_own_quote() -> None:
    reply = {**REPLY, "follow_up": [{"point": "4次用药后要复诊。", "quote": "用药3天仍发热者应复诊"}]}
    made = refused(reply)
    assert made.reason == "grounding.quote" and "4次" in made.detail


def test_quote_that_the_source_lacks_is_refused() -> None:
    reply = {**REPLY, "seek_care": [{"point": "呼吸困难要立即就医。", "quote": "呼吸困难者应立即就医"}]}
    assert refused(reply).reason == "grounding.quote"


def test_nothing_said_is_no_answer() -> None:
    assert refused({**ABSENT, "source_says": True, "question": "孩子发热怎么办？"}).reason == "grounding.quote"


def test_quantity_cut_by_a_page_mark_is_refused() -> None:
    cut = record(TEXT, path=["发热", "治疗"], disease="发热", extra={"seams": [TEXT.index("10 mg")]})
    assert refused(REPLY, cut).reason == "grounding.cut"


@pytest.mark.parametrize(
    "change",
    [
        {"question": ""},
        {"question": "根据资料，孩子发热怎么办？"},
        {"treatment": [{"point": "原文建议使用退热药。", "quote": "可使用退热药"}]},
    ],
)
def test_row_that_leans_on_its_source_is_refused(change: dict[str, Any]) -> None:
    assert refused({**REPLY, **change}).reason == "generate.shape"


def test_graph_neighbourhood_is_a_source() -> None:
    graph = record(
        kind="knowledge_graph",
        disease="幼儿急疹",
        triples=[("症状", "高热"), ("治疗方式", "对症治疗"), ("常用药物", "布洛芬混悬液")],
    )
    assert TreatmentGenerator().takes(graph)
    reply = {
        **ABSENT,
        "source_says": True,
        "question": "孩子得了幼儿急疹怎么治？",
        "treatment": [{"point": "以对症治疗为主。", "quote": "治疗方式：对症治疗"}],
    }
    row = run(reply, graph)
    assert isinstance(row, Row) and row.answers() == ["治疗与处理：以对症治疗为主。"]


def test_asker_is_a_parent_or_a_doctor() -> None:
    seen = set()
    for place in range(20):
        ask = ScriptedAsk({PROMPT: REPLY})
        asyncio.run(TreatmentGenerator().generate(replace(PASSAGE, id=f"record-{place}"), CONTEXT, ask))
        seen.add(ask.calls[0].values["audience"].split("：")[0])
    assert {words.split("，")[0] for words in seen} == {"家长", "基层医生"}


def test_english_answer() -> None:
    example = TreatmentAdvice.model_validate_json(load_prompt("treatment/advise", "en").example)
    english = record(". ".join(example.quotes()), title="Fever", path=["Fever"], disease="fever", language="en")
    row = run(example.model_dump(), english, replace(CONTEXT, language="en"))
    assert isinstance(row, Row)
    assert "Dose: ibuprofen (children over 6 months): 5-10 mg/kg each time; limit:" in row.answers()[0]


def test_failure_is_the_records() -> None:
    with pytest.raises(CallFailedError):
        run(CallFailedError("generate.reply", "no JSON"))


def test_what_is_taken() -> None:
    takes = TreatmentGenerator().takes
    assert takes(PASSAGE)
    for heading in ("护理", "预防", "转诊指征", "用药原则"):
        assert takes(replace(PASSAGE, section_path=("发热", heading))), heading
    for heading in ("病因", "临床表现", "诊断标准"):
        assert not takes(replace(PASSAGE, section_path=("发热", heading))), heading
    assert not takes(replace(PASSAGE, era="historic"))
    assert not takes(replace(PASSAGE, disease=None))
    assert not takes(replace(PASSAGE, source_kind="conversation"))
    assert not takes(record(kind="knowledge_graph", disease="发热", triples=[("症状", "高热"), ("治疗周期", "3天")]))


@pytest.mark.parametrize("language", ["zh", "en"])
def test_hostile_text_stays_between_its_marks(language: str) -> None:
    hostile = replace(PASSAGE, text=TEXT + HOSTILE, section_path=("发热", "治疗", HOSTILE))
    ask = ScriptedAsk({PROMPT: REPLY})
    asyncio.run(TreatmentGenerator().generate(hostile, replace(CONTEXT, language=language), ask))
    check_contained(ask.calls[0])


def test_prompt() -> None:
    check_prompt("treatment/advise", TreatmentAdvice, frozenset({"who", "tone", "age", "audience"}))
