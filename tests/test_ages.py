"""The age of a question's child, and doses for other ages."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pedcorpus.ages import Ages, child_of, misplaced_doses

FEVER = (
    "2月龄以上患儿可口服对乙酰氨基酚，每次10～15mg/kg，24小时内不超过4次。"
    "6月龄以上患儿也可口服布洛芬，每次5～10mg/kg。发热超过3天应就医。"
)


@pytest.mark.parametrize(
    ("question", "months"),
    [
        ("孩子出生十几天，体温38.5℃，怎么办？", Fraction(1, 3)),
        ("我家宝宝八个月，发热三天了", 8),
        ("宝宝刚满两个月", 2),
        ("一岁半孩子咳嗽两个月了", 18),
        ("三岁半，发热，精神还好", 42),
        ("５个月大，拉肚子", 5),
        ("7月龄患儿，体重8kg，发热2天", 7),
        ("My baby is ten days old and has a fever.", Fraction(1, 3)),
        ("a boy three and a half years old", 42),
        ("Our 8-month-old daughter", 8),
    ],
)
def test_the_age_of_the_child(question: str, months: int) -> None:
    assert child_of(question) == Ages(Fraction(months), Fraction(months))


@pytest.mark.parametrize(
    "question",
    [
        "孩子咳嗽两周了",
        "发热3天、腹泻两个月怎么办",
        "2月龄以下婴儿发热怎么办",
        "6~12月龄婴儿怎么补锌",
        "6岁以上儿童用什么药",
        "3岁及以下的孩子可以用吗",
        "满6个月可以吃吗",
        "哥哥7岁，弟弟2岁，都发热",
        "children 6 years old and over",
        "",
    ],
)
def test_no_age_or_several(question: str) -> None:
    assert child_of(question) is None


def test_an_age_not_reached_is_a_range() -> None:
    assert child_of("不满三个月的宝宝发热") == Ages(Fraction(0), Fraction(3))
    assert child_of("新生儿发热怎么办") == Ages(Fraction(0), Fraction(1))


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("孩子出生十几天，发热怎么办？", FEVER),
        ("新生儿发热怎么办", FEVER),
        ("宝宝5个月大，拉肚子", "1～3岁每次5ml，4～6岁每次10ml。"),
        ("宝宝5个月大，拉肚子", "6月龄至3岁每次2.5ml"),
        ("孩子十岁了", "<6个月者每日10mg；1岁以内每日20mg"),
        ("My baby is ten days old", "Ibuprofen, children over 6 months: 5-10 mg/kg each time."),
        ("My son is two years old", "children 5 to 12 years: 5 mg/kg"),
        ("my son is 9 years old", "under 6 months of age 10 mg a day"),
    ],
)
def test_doses_that_are_all_for_others(question: str, answer: str) -> None:
    assert misplaced_doses(question, answer)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("宝宝三个月大，发热怎么办？", FEVER),
        ("发热怎么办？", FEVER),
        ("孩子出生十几天，发热怎么办？", "立即去医院。2月龄以上才可以考虑退热药。"),
        ("宝宝5岁", "1～3岁每次5ml，4～6岁每次10ml"),
        ("宝宝5个月大", "婴儿每次2.5ml，1～3岁5ml"),
        ("宝宝5个月大", "儿童每次2.5ml/kg，最大量同6岁以上儿童"),
        ("宝宝两岁", "每次10mg/kg"),
        ("宝宝两岁", "<6个月者每日10mg，≥6个月者每日20mg"),
        ("孩子三岁半", "3岁每次5ml"),
        ("My baby is eight months old", "Ibuprofen, children 6 months and older: 5-10 mg/kg."),
        ("My son is six years old", "from 2 to 12 years: 5 mg/kg"),
    ],
)
def test_a_dose_for_the_child_or_for_anyone(question: str, answer: str) -> None:
    assert misplaced_doses(question, answer) is None


@given(st.integers(0, 215), st.integers(1, 17))
def test_only_those_below_a_limit_are_kept_from_it(months: int, years: int) -> None:
    found = misplaced_doses(f"宝宝{months}个月大，发热", f"{years}岁以上每次5mg/kg。")
    assert bool(found) == (months < 12 * years)


@given(st.text("宝孩岁个月日天大龄以上下0123456789一二三半~-，。≥<mg/k每次 ", max_size=40), st.text(max_size=40))
def test_any_text_is_read(one: str, other: str) -> None:
    misplaced_doses(one, other)
    misplaced_doses(other, one)
    misplaced_doses(f"宝宝5个月大{other}", f"{one}每次5mg/kg")
