"""Denials, and doses beside their drug: what changes the meaning of an answer and leaves its words alone."""

from __future__ import annotations

import pytest

from pedcorpus.medical_names import Names
from pedcorpus.said import denied_drugs, dose_faults, forbids, lost_denial, new_frequency, resolved

NONE = Names()
TWO = "阿莫西林每次40mg/kg，每日3次口服；红霉素每次10mg/kg，每日4次口服。"


@pytest.mark.parametrize(
    ("answer", "quotes"),
    [
        ("可用红霉素每次40mg/kg，每日4次口服。", [TWO]),
        ("可用红霉素。每次40mg/kg，每日4次口服。", [TWO]),
        ("可用红霉素每次50ml/kg。", ["红霉素可用于治疗。", "补液每次50ml/kg。"]),
        ("孩子用布洛芬，每次0.4g，每日3次。", ["成人布洛芬每次0.4g，每日3次。"]),
        ("孩子用布洛芬，每次0.4g，每日3次。", ["布洛芬每次0.4g（成人），每日3次。"]),
        ("布洛芬（6个月以下儿童）：每次10mg/kg。", ["布洛芬每次10mg/kg，6个月以下儿童禁用。"]),
        ("布洛芬（<6个月）：每次10mg/kg。", ["布洛芬每次10mg/kg，6个月以下儿童禁用。"]),
        ("阿司匹林每次10mg/kg退热。", ["不可用阿司匹林每次10mg/kg退热。"]),
        ("布洛芬用于6个月以下儿童，每次10mg/kg。", ["布洛芬用于6个月以上儿童，每次10mg/kg。"]),
        ("去甲肾上腺素每次0.1mg/kg。", ["肾上腺素每次0.1mg/kg。"]),
    ],
)
def test_a_dose_of_another_drug_or_for_others_is_a_fault(answer: str, quotes: list[str]) -> None:
    assert list(dose_faults(answer, quotes, NONE))


@pytest.mark.parametrize(
    ("answer", "quotes"),
    [
        ("红霉素每次10mg/kg，阿莫西林每次40mg/kg。", [TWO]),
        ("红霉素每次10mg/kg。", ["阿莫西林或红霉素每次10mg/kg。"]),
        ("阿莫西林每次10mg/kg。", ["阿莫西林或红霉素每次10mg/kg。"]),
        ("扑热息痛每次10mg/kg。", ["对乙酰氨基酚每次10mg/kg。"]),
        ("布地奈德每次0.5mg。", ["布地奈德混悬液每次0.5mg雾化。"]),
        ("静脉给10mg/kg的红霉素。", ["静脉给10mg/kg红霉素。"]),
        ("成人布洛芬每次0.4g。", ["成人布洛芬每次0.4g，每日3次。"]),
        ("布洛芬每次10mg/kg，每日不超过40mg/kg。", ["布洛芬每次10mg/kg，不能超过40mg/kg。"]),
        ("布洛芬（6个月以上）：每次10mg/kg。", ["布洛芬用于6个月以上儿童，每次10mg/kg；6个月以下禁用。"]),
        ("对青霉素过敏的用红霉素10mg/kg。", ["不能用青霉素者用红霉素10mg/kg。"]),
        ("布洛芬退热。\n每天补液50ml/kg。", ["布洛芬用于退热。", "补液量每日50ml/kg。"]),
    ],
)
def test_a_dose_as_its_quote_gives_it_is_none(answer: str, quotes: list[str]) -> None:
    assert list(dose_faults(answer, quotes, NONE)) == []


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
