"""Denials: what changes the meaning of an answer and leaves its words alone."""

from __future__ import annotations

import pytest

from pedcorpus.medical_names import Names
from pedcorpus.said import denied_drugs, forbids, lost_denial, lost_warning, new_frequency, resolved

NONE = Names()


@pytest.mark.parametrize(
    ("answer", "quote", "found"),
    [
        ("可以使用阿司匹林退热。", "儿童不应使用阿司匹林退热。", ["阿司匹林"]),
        ("脱水的孩子可以用布洛芬。", "脱水患儿禁用布洛芬。", ["布洛芬"]),
        ("脱水的孩子可以用布洛芬。", "脱水患儿布洛芬慎用。", ["布洛芬"]),
        ("脱水的孩子不要用布洛芬。", "脱水患儿禁用布洛芬。", []),
        ("阿司匹林可能引起瑞氏综合征。", "儿童应避免使用阿司匹林。", []),
        ("高热可用布洛芬。", "高热用布洛芬，脱水患儿禁用布洛芬。", []),
        ("可以用红霉素。", "不能用青霉素者用红霉素。", []),
        ("可以用布洛芬。", "布洛芬不宜超过3天。", []),
        ("Give the child aspirin.", "Children should not be given aspirin.", ["aspirin"]),
        ("Give the child ibuprofen.", "Do not give aspirin. Ibuprofen may be used.", []),
        (
            "For fever, give aspirin to children every day.",
            "Aspirin must not be given to children with fever.",
            ["aspirin"],
        ),
        ("Give ibuprofen to the child.", "Give ibuprofen 10 mg/kg to children every 6 hours.", []),
    ],
)
def test_a_drug_that_every_quote_forbids(answer: str, quote: str, found: list[str]) -> None:
    assert denied_drugs(answer, [quote], NONE) == found


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [
        ("多喝水，不要吃美林。", "请多喝水，可以吃美林。", "美林"),
        ("青霉素过敏不要用阿莫西林，改用红霉素。", "可以用阿莫西林和红霉素。", "阿莫西林"),
        ("加重时去医院。", "请放心，不用去医院的。", "医院"),
        ("多喝水，不要吃美林。", "请多喝水，美林先不要吃。", None),
        ("美林和泰诺林别一起吃。", "请不要把美林和泰诺林一起吃。", None),
        ("蒙脱石散停了。", "请停用蒙脱石散。", None),
        ("不见好转要去医院。", "如果没有好转，请去医院。", None),
        ("不用禁食，尿少去医院。", "不用禁食。如果尿少，请去医院。", None),
        ("要不要去医院看孩子精神。", "去不去医院要看孩子的精神。", None),
    ],
)
def test_lost_denials(before: str, after: str, word: str | None) -> None:
    found = lost_denial(before, after, NONE)
    assert (found is None) if word is None else (found is not None and word in (found, "医院"))


def test_new_frequency() -> None:
    assert new_frequency("美林一天吃4次。", ["可以吃美林。"]) == "一天吃4次"
    assert new_frequency("美林每天吃三次。", ["美林3次/日"]) is None
    assert new_frequency("一天拉了4次，是腹泻。", ["腹泻。"]) is None


def test_what_only_the_other_side_named() -> None:
    heard = ["宝宝脸上湿疹，能吃布洛芬吗？会不会是水痘"]
    assert resolved("湿疹", "湿疹要保湿。", "要保湿", heard, NONE)
    assert not resolved("水痘", "是水痘。", "是的", heard, NONE)
    assert resolved("布洛芬", "布洛芬不能吃。", "不能", heard, NONE)
    assert not resolved("布洛芬", "布洛芬可以吃。", "不能", heard, NONE)
    assert not resolved("布洛芬", "布洛芬不能吃。", "可以", heard, NONE)


def test_forbidden_words() -> None:
    text = "布洛芬每次5~10mg/kg，每6~8小时1次，静脉滴注禁用，6个月以下儿童禁用。"
    assert forbids(text, "静脉滴注") and forbids(text, "6个月以下儿童")
    assert not forbids(text, "布洛芬") and not forbids(text, "每次5～10 mg/kg")


@pytest.mark.parametrize(
    ("after", "lost"),
    [
        ("多半是急性喉炎。含可待因的药孩子不能用，喘得厉害要叫救护车。", None),
        ("多半是急性喉炎。含可待因的药孩子不能用。", "a doctor"),
        ("多半是急性喉炎，要去医院看医生。", "可待因"),
    ],
)
def test_a_warning_that_is_left_out(after: str, lost: str | None) -> None:
    before = "多半是急性喉炎。含可待因的药物禁止用于儿童。尽快去医院，喉鸣时叫救护车。"
    assert lost_warning(before, after, NONE) == lost
