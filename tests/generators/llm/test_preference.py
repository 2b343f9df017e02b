"""Preference pairs: a warmer chosen answer that keeps every fact, and a worse one that says what is wrong with it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pedcorpus.generators.llm.preference import ColdAnswer, PreferenceGenerator, RephrasedAnswer
from pedcorpus.generators.llm.worse import shift_dose, swap_name
from pedcorpus.llm import asking_parts
from pedcorpus.llm.asking import CallFailedError, ReplyModel
from pedcorpus.llm.prompts import load_prompt
from pedcorpus.llm.session import Session
from pedcorpus.medical_names import Names
from pedcorpus.plugins import GenerateContext
from pedcorpus.quantities import doses, quantities
from pedcorpus.records import Message, RawRecord, Reject, Row, Version
from tests.generators.llm.scripted import HOSTILE, ScriptedAsk, check_contained, check_prompt
from tests.making import ALL_TASKS, record, row

REPHRASE, ASSISTANT = "llm/preference/rephrase", "llm/preference/assistant"
CURT, TEDIOUS = "llm/preference/curt", "llm/preference/tedious"
CONTEXT = GenerateContext(17, 3, ALL_TASKS, {}, "zh")
OWN = "小儿肺炎用阿莫西林，每次10mg/kg，每日3次，发热时多喝水。"
WARM = "我理解您的担心。小儿肺炎用阿莫西林，每次10mg/kg，每日3次；发热时让孩子多喝水就好。"
ROW = row(OWN, question="小儿肺炎用什么药？", disease="小儿肺炎")
REPLIES: dict[str, Any] = {
    REPHRASE: {"answer": WARM},
    CURT: {"answer": "吃药，多喝水。"},
    TEDIOUS: {"answer": "关于用药，应当用药。" * 12},
}
GRAPH = [
    record(
        kind="knowledge_graph",
        disease="小儿肺炎",
        triples=[("常用药物", "阿莫西林颗粒"), ("症状", "发热"), ("并发症", "脓胸")],
    ),
    record(
        kind="knowledge_graph", disease="急性肾小球肾炎", triples=[("常用药物", "呋塞米片"), ("常用药物", "硝苯地平片")]
    ),
]
NAMES = Names.collect(GRAPH)


def run(
    item: Row = ROW,
    *,
    assistant: bool = False,
    names: Names | None = None,
    source: RawRecord | None = None,
    seed: int = 17,
    assistant_reply: Any = "吃点药吧。",
    **replies: Any,
) -> tuple[Row | None, ScriptedAsk]:
    said = {f"llm/preference/{name}": reply for name, reply in replies.items()}
    ask = ScriptedAsk({**REPLIES, ASSISTANT: assistant_reply, **said})
    made = PreferenceGenerator().pair(item, source, replace(CONTEXT, seed=seed), ask, assistant=assistant, names=names)
    return asyncio.run(made), ask


def pairs(count: int = 40, **values: Any) -> list[Row]:
    made = [run(seed=seed, **values)[0] for seed in range(count)]
    return [pair for pair in made if pair is not None]


def of_length(values: Any) -> str:
    """What an assistant says that keeps to the length it is told."""
    return "好" * int(values["length"])


def note(pair: Row) -> tuple[float | None, str | None]:
    (found,) = [item for item in pair.quality if item.check == "preference.rephrased"]
    return found.score, found.detail


def test_chosen_is_the_warmer_answer() -> None:
    pair, _ = run()
    assert pair is not None
    assert (pair.task, pair.chosen, pair.chosen_from) == ("dfpo", (Message("assistant", WARM),), "rephrased")
    assert (pair.prompt, pair.messages, pair.evidence) == (ROW.messages[:-1], (), ROW.evidence)
    assert pair.id != ROW.id
    assert pair.rejected[0].role == "assistant"
    assert pair.provenance.generator == "preference"
    assert pair.provenance.version_trail[0] == Version("answer", OWN)
    assert note(pair) == (1.0, None)


@pytest.mark.parametrize(
    "warm",
    [
        WARM.replace("10mg", "100mg"),
        WARM.replace("，每日3次", ""),
        WARM + "先观察2天。",
        WARM + "记住第4点。",
        "多喝水。",
        WARM * 3,
    ],
    ids=["changed", "lost", "added", "bare", "short", "long"],
)
def test_a_rephrasing_that_changes_facts_is_not_used(warm: str) -> None:
    pair, _ = run(rephrase={"answer": warm})
    assert pair is not None
    assert (pair.chosen[0].content, pair.chosen_from) == (OWN, "source")
    assert note(pair)[0] == 0.0
    assert note(pair)[1]


def test_a_rephrasing_that_names_another_drug_is_not_used() -> None:
    pair, _ = run(rephrase={"answer": WARM + "也可以用布洛芬。"}, names=NAMES)
    assert pair is not None
    assert (pair.chosen_from, note(pair)) == ("source", (0.0, "name added: 布洛芬"))


CARED = "青霉素过敏的孩子不要用阿莫西林，可以改用红霉素，并到医院复查。"


@pytest.mark.parametrize(
    ("warm", "fault"),
    [
        ("我理解您的担心，青霉素过敏的孩子可以用阿莫西林和红霉素，并到医院复查哦。", "denial lost or added: 阿莫西林"),
        ("我理解您的担心，青霉素过敏的孩子不要用阿莫西林，请到医院复查哦。", "name lost: 红霉素"),
        ("青霉素过敏的孩子不要用阿莫西林，可以改用红霉素，请放心，不用去医院复查。", "denial lost or added: 医院"),
        ("青霉素过敏的孩子不要用阿莫西林，可以改用红霉素或布洛芬，请到医院复查。", "name added: 布洛芬"),
    ],
)
def test_a_rephrasing_that_turns_a_fact_round_is_not_used(warm: str, fault: str) -> None:
    pair, _ = run(row(CARED, question="能用阿莫西林吗？能用布洛芬吗？"), rephrase={"answer": warm})
    assert pair is not None
    assert (pair.chosen[0].content, note(pair)) == (CARED, (0.0, fault))


def test_a_rephrasing_that_swaps_doses_is_not_used() -> None:
    own = "孩子可以用阿莫西林每次40mg/kg，也可以用红霉素每次10mg/kg。"
    warm = "请放心，孩子可以用红霉素每次40mg/kg，也可以用阿莫西林每次10mg/kg。"
    pair, _ = run(row(own), rephrase={"answer": warm})
    assert pair is not None
    assert note(pair) == (0.0, "dose moved: 40mg/kg: no quote gives it for 红霉素")


def test_a_rejected_text_leaves_the_columns_of_its_own_row() -> None:
    model = replace(ROW, provenance=replace(ROW.provenance, model="own", prompt_id="own@1.0", request_key="own-key"))
    for seed in range(20):
        pair, _ = run(model, seed=seed, rephrase={"answer": "多喝水。"})
        assert pair is not None
        found = pair.provenance
        assert (found.model, found.prompt_id, found.request_key) == ("own", "own@1.0", "own-key")
        if pair.rejected_from == "rephrased":
            assert [step.step for step in found.version_trail] == ["rejected"]
            return
    pytest.fail("never cold")


def test_a_rephrasing_that_parts_a_dose_from_its_age_is_not_used() -> None:
    own = "2岁以上每次5ml，饭后服，多喝水，注意观察孩子的精神。"
    pair, _ = run(
        row(own, title="药物手册"), rephrase={"answer": "适合2岁以上。\n每次5ml，饭后服，多喝水，注意观察精神。"}
    )
    assert pair is not None
    assert (pair.chosen_from, note(pair)) == ("source", (0.0, "no age or weight beside 5ml"))


def test_a_long_answer_is_not_rephrased() -> None:
    pair, ask = run(row("多喝水，注意休息。" * 120))
    assert pair is not None
    assert (pair.chosen_from, ask.asked(REPHRASE)) == ("source", [])


@pytest.mark.parametrize(("kind", "chosen_from"), [("knowledge_graph", "kg"), ("conversation", "doctor")])
def test_the_rows_own_answer_says_where_it_is_from(kind: str, chosen_from: str) -> None:
    pair, _ = run(row(OWN, kind=kind), rephrase=CallFailedError("generate.schema", "no"))
    assert pair is not None
    assert (pair.chosen_from, note(pair)) == (chosen_from, (0.0, "generate.schema"))


def test_a_citation_before_the_answer_stays() -> None:
    cited = "根据《儿童社区获得性肺炎诊疗规范（2019年版）》："
    item = row(cited + OWN, quotes=[OWN])
    pair, ask = run(item, rephrase={"answer": WARM})
    assert pair is not None
    assert pair.chosen[0].content == cited + WARM
    assert ask.asked(REPHRASE)[0].values["answer"] == OWN


def test_every_kind_is_used_and_says_what_it_is() -> None:
    found = {(pair.rejected_from, (pair.reason or "").split(":")[0]) for pair in pairs(assistant=True, names=NAMES)}
    assert found == {
        ("assistant", "assistant"),
        ("rule", "dose_shifted"),
        ("kg", "kg_contradicted"),
        ("rephrased", "cold"),
    }


def test_the_assistant_writes_about_half_and_only_when_there_is_one() -> None:
    written = Counter(pair.rejected_from for pair in pairs(200, assistant=True, assistant_reply=of_length))
    assert 80 <= written["assistant"] <= 120
    assert "assistant" not in {pair.rejected_from for pair in pairs()}
    _, ask = run(seed=17)
    assert not ask.asked(ASSISTANT)


def test_the_assistant_is_asked_at_its_own_endpoint() -> None:
    for seed in range(10):
        pair, ask = run(seed=seed, assistant=True, assistant_reply=of_length)
        for call in ask.asked(ASSISTANT):
            assert call.to == "assistant"
        if pair is not None and pair.rejected_from == "assistant":
            assert pair.provenance.prompt_id == f"{REPHRASE}@1.0"
            step = pair.provenance.version_trail[-1]
            assert (step.step, step.content) == (
                "rejected",
                f"{ASSISTANT}@1.0 {load_prompt('preference/assistant', 'zh').sha256} key-2 scripted",
            )
            return
    pytest.fail("never used")


def test_length_does_not_tell_which_was_chosen() -> None:
    made = pairs(200, assistant=True, item=row("多喝水，注意休息，精神差就去医院看医生。"), assistant_reply=of_length)
    longer = sum(len(pair.chosen[0].content) > len(pair.rejected[0].content) for pair in made)
    assert 70 <= longer <= 130


def test_a_worse_answer_that_says_the_same_is_no_pair() -> None:
    plain = row("多喝水，注意休息。")
    same = {"answer": "多喝水，注意休息！"}
    made, _ = run(plain, rephrase=same, curt=same, tedious=same)
    assert made is None


def test_what_sends_to_a_doctor_is_not_the_worse_answer() -> None:
    plain = row("多喝水，注意休息。")
    careful = {"answer": "多喝水，注意休息。孩子精神差时请带孩子去医院看医生。" * 2}
    made, _ = run(plain, rephrase={"answer": "多喝水，注意休息。"}, curt=careful, tedious=careful)
    assert made is None
    pair, _ = run(row("多喝水，精神差就去医院。"), curt=careful, tedious=careful)
    assert pair is not None


def test_failures_are_done_without() -> None:
    lost = CallFailedError("generate.refused", "no")
    plain = row("多喝水，注意休息。")
    assert run(plain, rephrase=lost, curt=lost, tedious=lost, assistant_reply=lost, assistant=True)[0] is None
    pair, _ = run(rephrase=lost, curt=lost, tedious=lost)
    assert pair is not None
    assert (pair.rejected_from, pair.provenance.model) == ("rule", None)


def test_a_row_without_a_pair_is_in_the_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = row("多休息，多喝水。", question="感冒怎么办？")
    copied = {name: {"answer": "多休息，多喝水。"} for name in (REPHRASE, CURT, TEDIOUS)}
    monkeypatch.setattr(asking_parts, "Asker", lambda *_: ScriptedAsk(copied))
    session = cast(Session, SimpleNamespace(endpoints={"generator": None}))
    (found,) = asyncio.run(asking_parts.pair_row((plain, None), CONTEXT, session, None))
    assert isinstance(found, Reject)
    assert (found.stage, found.reason, found.row_id) == ("derive", "generate.nothing", plain.id)
    assert found.detail.startswith("preference: ")


def test_what_a_later_build_may_get_is_not_done_without() -> None:
    with pytest.raises(CallFailedError):
        run(rephrase=CallFailedError("generate.unanswered", "no"))


def test_other_rows_make_no_pair() -> None:
    assert run(row(OWN, task="safety"))[0] is None
    assert run(row(OWN, task="cpt"))[0] is None


def test_the_same_seed_gives_the_same_pair() -> None:
    assert run(names=NAMES, assistant=True) == run(names=NAMES, assistant=True)


# --- worse by rule ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "changes"),
    [
        ("每次5mg/kg，每日3次。", {"5mg -> 50mg", "5mg -> 0.5mg", "5mg -> 5g"}),
        ("每次0.1～0.2 g，口服。", {"0.1～0.2 g -> 1～2 g", "0.1～0.2 g -> 0.01～0.02 g", "0.1～0.2 g -> 0.1～0.2 mg"}),
        ("每次250毫克。", {"250毫克 -> 2500毫克", "250毫克 -> 25毫克", "250毫克 -> 250克"}),
    ],
)
def test_shifted_doses(text: str, changes: set[str]) -> None:
    made = [shift_dose(text, random.Random(seed), seed % 2 == 0) for seed in range(40)]
    assert {item.reason for item in made if item} == {f"dose_shifted: {change}" for change in changes}


@pytest.mark.parametrize(
    "text",
    ["多喝水。", "体温38.5℃，持续3天。", "白细胞15×10^9/L，血红蛋白110g/L。", "血糖3.9mmol/L。", "体重10kg的孩子。"],
)
def test_what_is_no_dose_is_not_shifted(text: str) -> None:
    assert all(shift_dose(text, random.Random(seed)) is None for seed in range(8))


NUMBER = st.one_of(
    st.integers(1, 3000).map(str),
    st.decimals("0.01", "99", places=2).map(lambda value: format(value.normalize(), "f")),
)
DOSE = st.builds(
    lambda low, high, gap, unit, per: f"每次{low}{f'-{high}' if high else ''}{gap}{unit}{per}",
    NUMBER,
    st.one_of(st.just(""), NUMBER),
    st.sampled_from(["", " "]),
    st.sampled_from(["mg", "g", "ug", "ml", "毫克", "克", "毫升", "微克", "万单位", "片", "滴"]),
    st.sampled_from(["", "/kg", "/(kg·d)"]),
)
OTHER = st.sampled_from(["每日3次", "体温38.5℃", "疗程7天", "血红蛋白110g/L", "6个月以上", "多喝水", "白细胞12×10^9/L"])


@given(st.lists(st.one_of(DOSE, OTHER), min_size=1, max_size=5), st.integers(), st.booleans())
def test_a_shift_changes_a_dose_and_nothing_else(parts: list[str], seed: int, shorter: bool) -> None:
    text = "，".join(parts) + "。"
    worse = shift_dose(text, random.Random(seed), shorter)
    if worse is None:
        return
    before, after = (worse.reason.removeprefix("dose_shifted: ")).split(" -> ")
    place = next(i for i in range(len(text)) if text[:i] + after + text[i + len(before) :] == worse.text)
    assert text[place : place + len(before)] == before
    assert [item.pair for item in doses(text)] != [item.pair for item in doses(worse.text)]
    assert len(quantities(text)) == len(quantities(worse.text))
    changed = [
        (old.pair, new.pair)
        for old, new in zip(quantities(text), quantities(worse.text), strict=True)
        if old.pair != new.pair
    ]
    given_doses = {item.pair for item in doses(text)}
    assert changed
    assert all(old in given_doses for old, _ in changed)


def test_a_name_is_swapped_for_one_the_graph_does_not_state() -> None:
    made = [swap_name(OWN, ROW, None, NAMES, random.Random(seed)) for seed in range(20)]
    found = {item.reason for item in made if item}
    assert found <= {
        f"kg_contradicted: {old} -> {new}"
        for old, new in [
            ("阿莫西林", "呋塞米片"),
            ("阿莫西林", "呋塞米"),
            ("阿莫西林", "硝苯地平片"),
            ("阿莫西林", "硝苯地平"),
            ("小儿肺炎", "急性肾小球肾炎"),
            ("发热", "急性肾小球肾炎"),
        ]
    }
    assert len(found) > 2
    for item in made:
        assert item is not None
        assert item.source == "kg"
        assert item.text != OWN


def test_no_swap_where_the_graph_knows_nothing() -> None:
    chance = random.Random(1)
    assert swap_name(OWN, replace(ROW, disease="水痘"), None, NAMES, chance) is None
    assert swap_name(OWN, replace(ROW, disease=None), None, NAMES, chance) is None
    assert swap_name("多喝水。", row("多喝水。", disease="小儿肺炎"), None, NAMES, chance) is None


def test_the_records_own_statements_are_no_contradiction() -> None:
    source = record(
        kind="knowledge_graph",
        disease="小儿肺炎",
        triples=[("常用药物", "呋塞米片"), ("常用药物", "硝苯地平片"), ("并发症", "急性肾小球肾炎")],
    )
    assert all(swap_name(OWN, ROW, source, NAMES, random.Random(seed)) is None for seed in range(8))


def test_another_name_of_a_drug_in_the_answer_is_no_contradiction() -> None:
    names = Names(NAMES.diseases, frozenset({"扑热息痛"}), {"小儿肺炎": frozenset({"发热"})})
    text = "可以用布洛芬，也可以用对乙酰氨基酚。"
    assert swap_name(text, row(text, disease="小儿肺炎"), None, names, random.Random(1)) is None


# --- prompts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("language", ["zh", "en"])
def test_hostile_text_stays_between_its_marks(language: str) -> None:
    closes = HOSTILE.replace("资料", "原回答").replace("source", "original_answer")
    item = row("多喝水。" + closes, question="发烧怎么办？" + closes, language=language)
    asked: set[str] = set()
    for seed in range(12):
        _, ask = run(item, seed=seed, assistant=True)
        asked |= {call.prompt.id for call in ask.calls}
        for call in ask.calls:
            check_contained(call)
    assert asked == {REPHRASE, ASSISTANT, CURT, TEDIOUS}


@pytest.mark.parametrize(
    ("name", "model"), [("rephrase", RephrasedAnswer), ("curt", ColdAnswer), ("tedious", ColdAnswer)]
)
def test_prompts(name: str, model: type[ReplyModel]) -> None:
    check_prompt(f"preference/{name}", model, frozenset({"length"}))


def test_assistant_prompt() -> None:
    both = [load_prompt("preference/assistant", language) for language in ("zh", "en")]
    assert {prompt.reply for prompt in both} == {""}
    assert {prompt.variables for prompt in both} == {frozenset({"conversation", "length"})}
    assert all("conversation | data(" in prompt.parts[-1][1] for prompt in both)
