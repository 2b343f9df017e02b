"""Distilled pairs reconstructed step by step, kept to the pair and judged by the model itself."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from pedcorpus.generators.llm.reconstruct import (
    AnswerGaps,
    DraftedAnswer,
    EnrichedAnswer,
    ReconstructGenerator,
    RestructuredAnswer,
    SelfCheck,
)
from pedcorpus.llm.asking import CallFailedError, ReplyModel
from pedcorpus.plugins import GenerateContext
from pedcorpus.records import RawRecord, Reject, Row
from tests.generators.llm.scripted import HOSTILE, ScriptedAsk, check_contained, check_prompt
from tests.making import ALL_TASKS, record

CONTEXT = GenerateContext(17, 3, ALL_TASKS, {}, "zh")
GENERATOR = ReconstructGenerator()
STEPS = ("draft", "gaps", "restructure", "enrich", "check")
QUESTION = "8个月的宝宝拉肚子怎么护理？"
ANSWER = "不用禁食，继续喂奶；口服补液盐；每天测2次体温，尿少、眼窝凹陷去医院。"
PAIR = record(kind="distilled", pair=(QUESTION, ANSWER))
FINAL = "宝宝拉肚子不用禁食，可以继续喂奶，并喝口服补液盐。每天测2次体温；如果尿少、眼窝凹陷，请去医院。"
QUOTES = ["不用禁食，继续喂奶", "口服补液盐", "每天测2次体温，尿少、眼窝凹陷去医院"]
REPLIES: dict[str, Any] = {
    "draft": {"answer": "不用禁食，继续喂奶。"},
    "gaps": {"missing": ["没有说口服补液盐"], "misplaced": ["没有先说什么时候去医院"]},
    "restructure": {"answer": "不用禁食，继续喂奶，喝口服补液盐。"},
    "enrich": {"answer": FINAL, "quotes": QUOTES},
    "check": {"problems": [], "keep": True},
}


def run(
    item: RawRecord = PAIR, context: GenerateContext = CONTEXT, **replies: Any
) -> tuple[list[Row | Reject], ScriptedAsk]:
    ask = ScriptedAsk({f"llm/reconstruct/{step}": reply for step, reply in {**REPLIES, **replies}.items()})
    return asyncio.run(GENERATOR.generate(item, context, ask)), ask


def refused(**replies: Any) -> Reject:
    (made,), _ = run(**replies)
    assert isinstance(made, Reject)
    return made


def test_every_version_is_kept() -> None:
    made, ask = run()
    (row,) = made
    assert isinstance(row, Row)
    assert [message.content for message in row.messages] == [QUESTION, FINAL]
    assert row.task == "trerecom"
    assert [(version.step, version.content) for version in row.provenance.version_trail] == [
        ("source", ANSWER),
        ("draft", "不用禁食，继续喂奶。"),
        ("gaps", "没有说口服补液盐\n没有先说什么时候去医院"),
        ("restructure", "不用禁食，继续喂奶，喝口服补液盐。"),
        ("enrich", FINAL),
    ]
    assert [call.prompt.id for call in ask.calls] == [f"llm/reconstruct/{step}" for step in STEPS]
    assert (row.provenance.prompt_id, row.provenance.request_key) == ("llm/reconstruct/enrich@1.0", "key-4")
    assert [evidence.quote for evidence in row.evidence] == [ANSWER]
    assert all(PAIR.text[evidence.start : evidence.end] == evidence.quote for evidence in row.evidence)


def test_each_step_sees_what_the_last_one_made() -> None:
    _, ask = run()
    assert ask.calls[1].values["draft"] == REPLIES["draft"]["answer"]
    assert ask.calls[2].values["missing"] == REPLIES["gaps"]["missing"]
    assert ask.calls[3].values["draft"] == REPLIES["restructure"]["answer"]
    assert ask.calls[4].values["final"] == FINAL
    assert all(call.values["answer"] == ANSWER for call in ask.calls)


def test_a_failed_self_check_is_refused_with_its_reasons() -> None:
    made = refused(check={"problems": ["建议了原文没有的药", "没有回答问题"], "keep": False})
    assert (made.reason, made.detail) == ("quality.self_check", "建议了原文没有的药; 没有回答问题")
    assert FINAL in made.row


def test_a_quote_that_the_pair_does_not_have_is_refused() -> None:
    assert refused(enrich={"answer": FINAL, "quotes": ["多吃蔬菜和水果"]}).reason == "grounding.quote"


@pytest.mark.parametrize("answer", [f"{FINAL}每次喝50毫升。", FINAL.replace("2次", "3次"), f"{FINAL}共4点。"])
def test_a_number_that_the_pair_does_not_have_is_refused(answer: str) -> None:
    assert refused(enrich={"answer": answer, "quotes": QUOTES}).reason == "grounding.number"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("支气管炎可以用利巴韦林，多喝水，咳嗽加重时去医院。", "grounding.name"),
        ("可以用阿莫西林，多喝水，咳嗽加重时去医院。", "grounding.said"),
        ("不要用阿莫西林，多喝水，不用去医院。", "grounding.said"),
    ],
)
def test_what_only_the_question_says_grounds_nothing(answer: str, why: str) -> None:
    pair = record(
        kind="distilled",
        pair=("支气管炎能用利巴韦林吗？", "不要用阿莫西林，注意多喝水，咳嗽加重时去医院。"),
    )
    (made,), _ = run(pair, enrich={"answer": answer, "quotes": ["注意多喝水，咳嗽加重时去医院"]})
    assert isinstance(made, Reject) and made.reason == why


def test_a_number_outside_the_quotes_makes_the_pair_the_evidence() -> None:
    (row,), _ = run(enrich={"answer": f"8个月的{FINAL}", "quotes": QUOTES})
    assert isinstance(row, Row)
    assert [evidence.quote for evidence in row.evidence] == [QUESTION, ANSWER]


def test_what_is_taken() -> None:
    assert GENERATOR.takes(PAIR)
    assert not GENERATOR.takes(replace(PAIR, source_kind="general"))
    assert not GENERATOR.takes(record(kind="distilled", pair=(QUESTION, "好" * 1501)))
    assert not GENERATOR.takes(record(kind="distilled", pair=(QUESTION, " ")))
    assert not GENERATOR.takes(record(kind="distilled", turns=[("user", "问"), ("assistant", "答")]))


def test_a_task_that_is_not_wanted_costs_nothing() -> None:
    made, ask = run(context=replace(CONTEXT, tasks=frozenset({"medkqa"})))
    assert (made, ask.calls) == ([], [])


def test_a_call_that_fails_is_the_records() -> None:
    with pytest.raises(CallFailedError):
        run(gaps=CallFailedError("generate.schema", "no"))


@pytest.mark.parametrize("language", ["zh", "en"])
def test_hostile_pair_stays_between_its_marks(language: str) -> None:
    closes = HOSTILE.replace("资料", "原回答").replace("source", "original_answer")
    said: dict[str, Any] = {step: {"answer": FINAL + closes} for step in ("draft", "restructure")}
    _, ask = run(record(kind="distilled", pair=(QUESTION + closes, ANSWER + closes), language=language), **said)
    assert len(ask.calls) == 5
    for call in ask.calls:
        check_contained(call)


def test_prompts() -> None:
    models: tuple[type[ReplyModel], ...] = (DraftedAnswer, AnswerGaps, RestructuredAnswer, EnrichedAnswer, SelfCheck)
    for step, model in zip(STEPS, models, strict=True):
        check_prompt(f"reconstruct/{step}", model)
