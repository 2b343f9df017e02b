"""Questions of a played asker and answers of an expert who has the source alone."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from pedcorpus.generators.llm.common import choose_persona, leans_on_source, subject_of
from pedcorpus.generators.llm.roleplay import AskedQuestions, ExpertAnswer, RoleplayGenerator
from pedcorpus.llm.asking import CallFailedError
from pedcorpus.plugins import GenerateContext
from pedcorpus.records import RawRecord, Reject, Row
from pedcorpus.text import han_share
from pedcorpus.wording import load_wording
from tests.generators.llm.scripted import HOSTILE, ScriptedAsk, check_contained, check_prompt
from tests.making import ALL_TASKS, record

TEXT = "幼儿急疹多见于6个月至2岁的婴幼儿。起病急，高热持续3~5天，热退后全身出现玫瑰色斑丘疹，皮疹一般1~2天消退，不留色素沉着。"
PASSAGE = record(TEXT, path=["出疹性疾病", "幼儿急疹", "临床表现"], disease="幼儿急疹")
GRAPH = record(
    kind="knowledge_graph",
    disease="幼儿急疹",
    triples=[("症状", "高热"), ("症状", "皮疹"), ("症状", "烦躁"), ("检查", "血常规"), ("治疗方式", "对症治疗")],
)
CONTEXT = GenerateContext(seed=17, per_record=3, tasks=ALL_TASKS, fills={}, language="zh")
ASK, ANSWER = "llm/roleplay/ask", "llm/roleplay/answer"
SAID = {"source_says": True, "quotes": ["热退后全身出现玫瑰色斑丘疹"], "answer": "退烧以后全身会出玫瑰色的斑丘疹。"}
ABSENT = {"source_says": False, "quotes": [], "answer": ""}


def run(ask: ScriptedAsk, of: RawRecord = PASSAGE, context: GenerateContext = CONTEXT) -> list[Row | Reject]:
    return asyncio.run(RoleplayGenerator().generate(of, context, ask))


def answered(*replies: Any, questions: tuple[str, ...] = ("幼儿急疹什么时候出疹子？",)) -> list[Row | Reject]:
    return run(ScriptedAsk({ASK: {"questions": list(questions)}, ANSWER: list(replies)}))


def reason(item: Row | Reject) -> str:
    assert isinstance(item, Reject)
    return item.reason


def test_question_becomes_row_with_evidence() -> None:
    (row,) = answered(SAID)
    assert isinstance(row, Row)
    assert (row.task, row.disease, row.language) == ("medkqa", "幼儿急疹", "zh")
    assert [message.role for message in row.messages] == ["user", "assistant"]
    assert row.answers() == ["退烧以后全身会出玫瑰色的斑丘疹。"]
    (span,) = row.evidence
    assert span.quote == TEXT[span.start : span.end] == TEXT[TEXT.index("起病急") :]
    assert row.provenance.generator == "roleplay"
    assert row.provenance.prompt_id == "llm/roleplay/answer@1.1"
    assert (row.provenance.model, row.provenance.request_key) == ("scripted", "key-2")


def test_one_call_for_the_asker_and_one_a_question() -> None:
    ask = ScriptedAsk({ASK: {"questions": ["幼儿急疹多大的孩子得？", "幼儿急疹烧几天？"]}, ANSWER: SAID})
    assert len(run(ask)) == 2
    assert [call.prompt.id for call in ask.calls] == [ASK, ANSWER, ANSWER]
    assert [call.values["question"] for call in ask.asked(ANSWER)] == ["幼儿急疹多大的孩子得？", "幼儿急疹烧几天？"]
    assert {call.seed for call in ask.calls} == {17}
    assert {call.to for call in ask.calls} == {"generator"}


def test_no_more_questions_than_asked_for() -> None:
    ask = ScriptedAsk({ASK: {"questions": [f"幼儿急疹的第{place}个问题？" for place in range(5)]}, ANSWER: SAID})
    assert len(run(ask, context=replace(CONTEXT, per_record=2))) == 2
    assert len(ask.asked(ANSWER)) == 2


def test_repeated_question_is_dropped_before_it_is_paid_for() -> None:
    questions = ["幼儿急疹什么时候出疹子？", "请问医生，幼儿急疹什么时候出疹子呢", "幼儿急疹烧几天？"]
    ask = ScriptedAsk({ASK: {"questions": questions}, ANSWER: SAID})
    again, *rows = run(ask)
    assert reason(again) == "generate.shape"
    assert len(rows) == len(ask.asked(ANSWER)) == 2


@pytest.mark.parametrize(
    "question",
    ["根据资料，幼儿急疹有什么表现？", "上文说的皮疹多久消退？", "According to the source, what is it?", " "],
)
def test_question_that_needs_the_source_is_dropped_before_it_is_paid_for(question: str) -> None:
    ask = ScriptedAsk({ASK: {"questions": [question]}, ANSWER: SAID})
    (refused,) = run(ask)
    assert reason(refused) == "generate.shape"
    assert ask.asked(ANSWER) == []


def test_source_that_does_not_say_is_an_outcome() -> None:
    absent, kept = answered(ABSENT, SAID, questions=("幼儿急疹会传染吗？", "幼儿急疹什么时候出疹子？"))
    assert reason(absent) == "grounding.absent"
    assert isinstance(absent, Reject) and "幼儿急疹会传染吗？" in absent.detail and "幼儿急疹会传染吗？" in absent.row
    assert isinstance(kept, Row)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"quotes": ["热退后出现水疱"]}, "grounding.quote"),
        ({"quotes": []}, "grounding.quote"),
        ({"answer": " "}, "grounding.quote"),
        ({"answer": "资料中指出，热退后出疹。"}, "generate.shape"),
    ],
)
def test_answer_that_cannot_be_kept_is_refused(change: dict[str, Any], code: str) -> None:
    (refused,) = answered({**SAID, **change})
    assert reason(refused) == code
    assert isinstance(refused, Reject) and '"messages"' in refused.row


def test_quantity_cut_by_a_page_mark_is_refused() -> None:
    seam = TEXT.index("5天")
    cut = record(TEXT, path=["幼儿急疹"], disease="幼儿急疹", extra={"seams": [seam]})
    ask = ScriptedAsk({ASK: {"questions": ["幼儿急疹烧几天？"]}, ANSWER: {**SAID, "quotes": ["高热持续3~5天"]}})
    (refused,) = run(ask, cut)
    assert reason(refused) == "grounding.cut"


def test_one_question_that_fails_leaves_the_others() -> None:
    failed, kept = answered(
        CallFailedError("generate.reply", "no JSON"), SAID, questions=("幼儿急疹烧几天？", "幼儿急疹什么时候出疹子？")
    )
    assert reason(failed) == "generate.reply"
    assert isinstance(kept, Row)


def test_asker_that_fails_fails_the_record() -> None:
    with pytest.raises(CallFailedError):
        run(ScriptedAsk({ASK: CallFailedError("generate.reply", "no JSON")}))


def test_nothing_asked_is_in_the_ledger() -> None:
    (refused,) = run(ScriptedAsk({ASK: {"questions": []}}))
    assert reason(refused) == "generate.nothing"


def test_graph_neighbourhood_is_a_source() -> None:
    said = {"source_says": True, "quotes": ["症状：高热、皮疹、烦躁"], "answer": "常见高热、皮疹和烦躁。"}
    ask = ScriptedAsk({ASK: {"questions": ["幼儿急疹有哪些症状？"]}, ANSWER: said})
    (row,) = run(ask, GRAPH)
    assert isinstance(row, Row) and row.evidence[0].quote == "症状：高热、皮疹、烦躁"


def test_guideline_is_cited() -> None:
    guideline = record(TEXT, kind="guideline", title="儿童出疹性疾病诊疗指南", path=["临床表现"], disease="幼儿急疹")
    (row,) = run(ScriptedAsk({ASK: {"questions": ["幼儿急疹什么时候出疹子？"]}, ANSWER: SAID}), guideline)
    assert isinstance(row, Row) and row.answers()[0].startswith("根据《儿童出疹性疾病诊疗指南》：")


def test_what_is_taken() -> None:
    takes = RoleplayGenerator().takes
    assert takes(PASSAGE) and takes(GRAPH)
    assert not takes(replace(PASSAGE, era="historic"))
    assert not takes(replace(PASSAGE, source_kind="plain_text"))
    assert not takes(replace(PASSAGE, source_kind="conversation"))
    assert not takes(replace(PASSAGE, text="略。"))
    assert not takes(replace(PASSAGE, section_path=("幼儿急疹", "复习思考题")))


def test_personas_vary_by_record_and_stay_by_seed() -> None:
    records = [replace(PASSAGE, id=f"record-{place}") for place in range(60)]
    for language in ("zh", "en"):
        context = replace(CONTEXT, language=language)
        chosen = [choose_persona(item, context) for item in records]
        assert chosen == [choose_persona(item, context) for item in records]
        assert {persona.role for persona in chosen} == {"parent", "student", "doctor"}
        assert len({persona.age for persona in chosen}) > 6 and len({persona.tone for persona in chosen}) > 6
        assert {choose_persona(item, context, ("parent",)).role for item in records} == {"parent"}
    assert [choose_persona(item, replace(CONTEXT, seed=18)) for item in records] != [
        choose_persona(item, CONTEXT) for item in records
    ]


def test_languages_have_the_same_personas() -> None:
    chinese, english = (load_wording("llm/personas").data[language] for language in ("zh", "en"))
    assert len(chinese["ages"]) == len(english["ages"])
    assert [(item["role"], len(item["who"]), len(item["tone"])) for item in chinese["asker"]] == [
        (item["role"], len(item["who"]), len(item["tone"])) for item in english["asker"]
    ]


def test_english_dataset_asks_in_english() -> None:
    text = "Roseola mostly affects children between 6 months and 2 years. When the fever falls, a rose-coloured rash appears."
    english = record(text, title="Pediatrics", path=["Roseola"], disease="roseola", language="en")
    said = {"source_says": True, "quotes": ["When the fever falls, a rose-coloured rash appears"], "answer": "A rose-coloured rash appears when the fever falls."}  # fmt: skip
    ask = ScriptedAsk({ASK: {"questions": ["When does the rash of roseola appear?"]}, ANSWER: said})
    (row,) = run(ask, english, replace(CONTEXT, language="en"))
    assert isinstance(row, Row) and row.language == "en"
    assert all(call.prompt.language == "en" and han_share(call.text) == 0 for call in ask.calls)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_hostile_text_stays_between_its_marks(language: str) -> None:
    hostile = record(TEXT + HOSTILE, path=["幼儿急疹", HOSTILE], disease="幼儿急疹")
    asked = f"幼儿急疹烧几天？{HOSTILE.replace('资料', '问题').replace('source', 'question')}"
    ask = ScriptedAsk({ASK: {"questions": [asked]}, ANSWER: SAID})
    run(ask, hostile, replace(CONTEXT, language=language))
    assert len(ask.calls) == 2
    for call in ask.calls:
        check_contained(call)


def test_what_speaks_of_its_source() -> None:
    for text in (
        "原文说",
        "以上内容",
        "资料未提及",
        "as mentioned above",
        "The passage says",
        "the source does not say",
    ):
        assert leans_on_source(text), text
    for text in ("收集临床资料", "体温38.5℃以上", "出现上述症状", "感染的来源", "the source of infection", "passage of stool", "the passage of meconium"):  # fmt: skip
        assert leans_on_source(text) is None, text


def test_subject_names_the_disease_once() -> None:
    assert subject_of(PASSAGE) == "儿科学 / 出疹性疾病 / 幼儿急疹 / 临床表现"
    assert subject_of(GRAPH) == "儿科学 / 幼儿急疹"


def test_prompts() -> None:
    check_prompt("roleplay/ask", AskedQuestions, frozenset({"who", "tone", "age", "count"}))
    check_prompt("roleplay/answer", ExpertAnswer, frozenset({"audience"}))
