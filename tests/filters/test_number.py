"""Every number of an answer stands in its quotes."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pedcorpus.filters.number import NumberFilter
from tests.making import reason, row

CHECK = NumberFilter()
QUOTE = "布洛芬每次5～10mg/kg，间隔6小时，24小时内不超过4次；体温38.5℃以上时使用。"


def verdict(answer: str, *quotes: str, task: str = "trerecom") -> str | None:
    return reason(CHECK.check(row(answer, quotes=quotes or (QUOTE,), task=task)))


@pytest.mark.parametrize(
    "answer",
    [
        QUOTE,
        "每次５～１０ mg／kg。",
        "体温38.5°C以上时使用。",
        "每次5-10毫克/公斤，间隔6小时。",
        "多喝水，注意休息。",
        "根据《儿童发热指南（2019年版）》：每次5～10mg/kg。",
        "根据《儿科学》（第9版）：间隔6小时。",
        "1.每次5～10mg/kg。\n2.间隔6小时。\n（3）24小时内不超过4次。",
    ],
)
def test_what_the_quote_says_may_be_said(answer: str) -> None:
    assert verdict(answer) is None


@pytest.mark.parametrize(
    "answer",
    [
        "布洛芬每次5～15mg/kg。",
        "布洛芬每次5～10g/kg。",
        "布洛芬每次5～10mg，间隔6小时。",
        "布洛芬每次50mg/kg。",
        "布洛芬每次0.5mg/kg。",
        "间隔8小时。",
        "间隔六天。",
        "24小时内不超过6次。",
        "体温39.5℃以上时使用。",
        "每次用三分之一片。",
        "每次10支。",
        "有效率95%。",
    ],
)
def test_a_changed_number_or_unit_is_dropped(answer: str) -> None:
    assert verdict(answer) == "grounding.number"


@pytest.mark.parametrize("answer", ["每次7，间隔6小时。", "口服0.25 tid。", "体温38.9时用药。", "评分大于12者。"])
def test_a_figure_without_a_unit_must_be_there_too(answer: str) -> None:
    assert verdict(answer) == "grounding.number"


def test_a_figure_may_stand_with_another_ending_or_more_zeros() -> None:
    assert verdict("按 0.50 计算，体温38.5就用。", "按0.5计算，体温38.5℃。") is None
    assert verdict("血氧为CO2 35、IL6升高。", "血氧为CO2 35，IL6升高。") is None


def test_numbers_of_any_quote_count_and_no_quote_holds_nothing() -> None:
    assert verdict("间隔6小时，每天4次。", "间隔6小时。", "每天4次。") is None
    assert reason(CHECK.check(row("间隔6小时。", quotes=()))) == "grounding.number"


def test_headings_of_a_completion_text_need_no_quote() -> None:
    body = "口服补液，少量多次。"
    assert verdict(f"第3章 2.1 腹泻\n{body}", body, task="cpt") is None
    assert verdict(f"第3章 腹泻\n{body}每次50毫升。", body, task="cpt") == "grounding.number"


def test_every_answer_of_a_talk_is_held() -> None:
    talk = [("user", "烧"), ("assistant", "烧了7天要去医院。"), ("user", "好"), ("assistant", "好的。")]
    assert reason(CHECK.check(row("", messages=talk, quotes=["烧了3天要去医院。"]))) == "grounding.number"


@given(st.integers(1, 999), st.integers(1, 999), st.sampled_from(["毫升", "mg", "岁", "天", "次", "小时", "%"]))
def test_no_other_number_passes(said: int, held: int, unit: str) -> None:
    assume(said != held)
    assert verdict(f"大约{said}{unit}左右。", f"大约{held}{unit}左右。") == "grounding.number"
    assert verdict(f"大约{held}{unit}左右。", f"大约{held}{unit}左右。") is None
