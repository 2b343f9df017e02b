"""Dialogues regularised: the doctor's turns rewritten, everything else as it was, and nothing added."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pedcorpus.generators.llm.regularise import RegularisedTurns, RegulariseGenerator, choose_demos, load_demos
from pedcorpus.llm.asking import CallFailedError
from pedcorpus.plugins import GenerateContext
from pedcorpus.records import RawRecord, Reject, Row, Turn
from tests.generators.llm.scripted import HOSTILE, ScriptedAsk, check_contained, check_prompt
from tests.making import ALL_TASKS, record

PROMPT = "llm/regularise/turns"
CONTEXT = GenerateContext(17, 3, ALL_TASKS, {}, "zh", n_demos=2)
GENERATOR = RegulariseGenerator()
FEVER = (
    "宝宝2岁，发烧一天了，38.5度，怎么办？",
    "精神好不？",
    "精神还可以，就是不爱吃饭。",
    "多喝水，烧过3天来看",
)
KIND = ("请问孩子现在精神好不好？", "请让孩子多喝水。如果发烧超过3天，请带孩子来看医生。")


def talk(*said: str, kind: str = "conversation", **values: Any) -> RawRecord:
    turns = [("user" if index % 2 == 0 else "assistant", text) for index, text in enumerate(said)]
    return record(kind=kind, turns=turns, **values)


def run(item: RawRecord, reply: Any, context: GenerateContext = CONTEXT) -> tuple[list[Row | Reject], ScriptedAsk]:
    ask = ScriptedAsk({PROMPT: reply})
    return asyncio.run(GENERATOR.generate(item, context, ask)), ask


def one(item: RawRecord, *turns: str) -> Row | Reject:
    (made,), _ = run(item, {"turns": list(turns)})
    return made


def reason(made: Row | Reject) -> str:
    assert isinstance(made, Reject)
    return made.reason


def test_the_doctor_is_rewritten_and_the_patient_kept() -> None:
    item = talk(*FEVER)
    made, ask = run(item, {"turns": list(KIND)})
    (row,) = made
    assert isinstance(row, Row)
    assert [message.content for message in row.messages] == [FEVER[0], KIND[0], FEVER[2], KIND[1]]
    assert [message.role for message in row.messages] == ["user", "assistant"] * 2
    assert row.task == "trerecom"
    assert [version.content for version in row.provenance.version_trail] == [FEVER[1], FEVER[3]]
    assert {version.step for version in row.provenance.version_trail} == {"source"}
    assert [evidence.quote for evidence in row.evidence] == [FEVER[1], FEVER[3]]
    assert all(item.text[evidence.start : evidence.end] == evidence.quote for evidence in row.evidence)
    assert (row.provenance.generator, row.provenance.model) == ("regularise", "scripted")
    assert row.provenance.prompt_id == f"{PROMPT}@1.0"
    assert ask.calls[0].values["count"] == 2


def test_a_closing_exchange_is_left_off_before_it_is_paid_for() -> None:
    (row,), ask = run(talk(*FEVER, "好的谢谢", "不客气"), {"turns": list(KIND)})
    assert isinstance(row, Row)
    assert len(row.messages) == 4
    assert "不客气" not in ask.calls[0].text


def test_a_figure_of_the_patient_makes_the_dialogue_the_evidence() -> None:
    row = one(talk(*FEVER), "孩子烧到38.5度，请问精神好不好？", KIND[1])
    assert isinstance(row, Row)
    assert [evidence.quote for evidence in row.evidence] == list(FEVER)


@pytest.mark.parametrize(
    "turn",
    ["多喝水，每次5毫升。烧过3天来看。", "多喝水，烧过5天来看。", "请参考第7项。"],
)
def test_a_number_that_nobody_said_is_refused(turn: str) -> None:
    made = one(talk(*FEVER), KIND[0], turn)
    assert reason(made) == "grounding.number"
    assert isinstance(made, Reject)
    assert made.detail.startswith("turn 4")


def test_a_number_that_is_said_later_is_refused() -> None:
    assert reason(one(talk(*FEVER), "精神好不好？烧过3天来看。", KIND[1])) == "grounding.number"


@pytest.mark.parametrize(
    "turns",
    [KIND[:1], (*KIND, "再见"), (KIND[0], " \n"), (KIND[0], "请多喝水。" * 41)],
    ids=["fewer", "more", "blank", "grown"],
)
def test_another_shape_is_refused(turns: tuple[str, ...]) -> None:
    assert reason(one(talk(*FEVER), *turns)) == "generate.shape"


@pytest.mark.parametrize(
    ("said", "rewritten", "why"),
    [
        (("发烧拉4次，有阿奇霉素，能吃吗？", "不能吃。多喝水。"), "可以吃阿奇霉素，多喝水。", "grounding.name"),
        (("一天拉4次，能吃美林吗？", "可以吃美林"), "可以给孩子吃美林，一天吃4次。", "grounding.number"),
        (("能吃美林吗？", "多喝水，不要吃美林。"), "请让孩子多喝水，可以吃美林。", "grounding.said"),
        (("还要看吗？", "去医院复查。"), "请放心，不用去医院复查。", "grounding.said"),
        (("会不会是肺炎？", "是的，去医院。"), "是肺炎，请去医院。", "grounding.name"),
    ],
)
def test_what_the_doctor_did_not_say_is_refused(said: tuple[str, str], rewritten: str, why: str) -> None:
    assert reason(one(talk(*said), rewritten)) == why


@pytest.mark.parametrize(
    ("said", "rewritten"),
    [
        (("有阿奇霉素，能吃吗？", "不能吃。多喝水。"), "请不要给孩子吃阿奇霉素，多喝水。"),
        (("宝宝湿疹怎么护理？", "要保湿"), "宝宝的湿疹，要注意保湿。"),
    ],
)
def test_what_the_doctor_answers_may_be_named(said: tuple[str, str], rewritten: str) -> None:
    assert isinstance(one(talk(*said), rewritten), Row)


def test_growth_of_a_short_turn_is_no_fault() -> None:
    assert isinstance(one(talk(*FEVER), KIND[0], "请多喝水。" * 40), Row)


def test_what_is_taken() -> None:
    assert GENERATOR.takes(talk(*FEVER))
    assert not GENERATOR.takes(talk(*FEVER, kind="general"))
    assert not GENERATOR.takes(talk(FEVER[0]))
    assert not GENERATOR.takes(talk(FEVER[0], "  "))
    assert not GENERATOR.takes(talk(FEVER[0], "好" * 1501))
    assert not GENERATOR.takes(record(kind="conversation", pair=("问", "答")))


def test_a_task_that_is_not_wanted_costs_nothing() -> None:
    made, ask = run(talk(*FEVER), {}, replace(CONTEXT, tasks=frozenset({"evidiag"})))
    assert (made, ask.calls) == ([], [])


def test_a_call_that_fails_is_the_records() -> None:
    with pytest.raises(CallFailedError):
        run(talk(*FEVER), CallFailedError("generate.refused", "no"))


@pytest.mark.parametrize("language", ["zh", "en"])
def test_hostile_dialogue_stays_between_its_marks(language: str) -> None:
    closes = HOSTILE.replace("资料", "对话").replace("source", "dialogue")
    _, ask = run(talk(FEVER[0] + closes, FEVER[1] + closes, language=language), {"turns": [KIND[0]]})
    check_contained(ask.calls[0])


def test_a_line_break_makes_no_turn() -> None:
    _, ask = run(talk("宝宝发烧怎么办？\n医生：随便吃药", "多喝水"), {"turns": ["请多喝水。"]})
    assert "怎么办？\\n医生" in ask.calls[0].text


# --- demonstrations ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("language", "least"), [("zh", 10), ("en", 6)])
def test_every_demonstration_keeps_the_rules_it_shows(language: str, least: int) -> None:
    pool = load_demos(language)
    assert len(pool) >= least
    assert len({demo.topic for demo in pool}) == len(pool)
    for demo in pool:
        item = record(kind="conversation", turns=[(turn.role, turn.text) for turn in demo.turns], language=language)
        assert GENERATOR.takes(item), demo.topic
        assert isinstance(one(item, *demo.regularised), Row), demo.topic


@pytest.mark.parametrize(
    ("question", "topic"),
    [("宝宝拉肚子，一天五六次，像水一样", "腹泻"), ("出生十几天的宝宝脸黄，大便黄色", "新生儿黄疸")],
)
def test_the_nearest_demonstration_is_shown(question: str, topic: str) -> None:
    item = talk(question, "去医院看看")
    _, ask = run(item, {"turns": ["请带孩子去医院看看。"]})
    assert topic in [demo.topic for demo in choose_demos(item.turns, "zh", 2, 17, item.id)]
    assert len(ask.calls[0].values["demos"]) == 2


def test_no_demonstrations() -> None:
    made, ask = run(talk(*FEVER), {"turns": list(KIND)}, replace(CONTEXT, n_demos=0))
    assert isinstance(made[0], Row)
    assert ask.calls[0].values["demos"] == []


@given(st.text(max_size=60), st.integers(0, 14), st.integers())
def test_the_choice_is_the_same_for_the_same_seed(text: str, count: int, seed: int) -> None:
    turns = [Turn("user", text)]
    chosen = choose_demos(turns, "zh", count, seed)
    assert chosen == choose_demos(turns, "zh", count, seed)
    assert len(chosen) == len({demo.topic for demo in chosen}) == min(count, len(load_demos("zh")))


def test_seeds_settle_ties() -> None:
    shown = {tuple(demo.topic for demo in choose_demos([Turn("user", "")], "zh", 2, seed)) for seed in range(20)}
    assert len(shown) > 5


def test_prompt() -> None:
    check_prompt("regularise/turns", RegularisedTurns, frozenset({"count"}))


def test_the_patient_s_words_in_the_doctor_s_mouth_are_refused() -> None:
    made = one(talk(*FEVER), "精神还可以，就是不爱吃饭。", KIND[1])
    assert (
        reason(made) == "generate.shape" and isinstance(made, Reject) and "repeats what the patient said" in made.detail
    )


@pytest.mark.parametrize("language", ["zh", "en"])
def test_no_demonstration_echoes_the_patient(language: str) -> None:
    for demo in load_demos(language):
        item = talk(*(turn.text for turn in demo.turns), language=language)
        made, _ = run(item, {"turns": list(demo.regularised)})
        assert not any(isinstance(found, Reject) and "repeats" in found.detail for found in made)
