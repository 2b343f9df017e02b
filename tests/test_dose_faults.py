"""Doses of an answer held to those of its quotes: whose, for whom, how counted, how given."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pedcorpus.dose_faults import bound_faults, dose_faults
from pedcorpus.medical_names import Names

NONE = Names()
TWO = "阿莫西林每次40mg/kg，每日3次口服；红霉素每次10mg/kg，每日4次口服。"
FEVER = "2月龄以上患儿可口服对乙酰氨基酚，每次10～15mg/kg，24小时内不超过4次。"


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
        ("阿莫西林每次90mg/kg，每日3次口服。", ["儿童阿莫西林每日90mg/kg，分3次口服。"]),
        ("阿莫西林：30mg/kg。", ["阿莫西林每日30mg/kg，分3次口服。"]),
        ("阿莫西林30mg/kg，每日3次。", ["阿莫西林每日30mg/kg，分3次口服。"]),
        ("西替利嗪（2~6岁）：每次5ml。", ["西替利嗪2~6岁每次2.5ml，6岁以上每次5ml。"]),
        ("1岁以下每次10mg，1岁以上每次5mg。", ["1岁以下每次5mg，1岁以上每次10mg。"]),
        ("1岁以下的宝宝每次10mg。", ["每次5mg（1岁以下），每次10mg（1岁以上）。"]),
        ("孩子发热，布洛芬每次0.4g口服，每日3次。", ["成年人布洛芬每次0.4g口服，每日3次。"]),
        ("孩子可以服布洛芬0.4g。", ["大人可服布洛芬0.4g，孩子慎用。"]),
        ("可以口服对乙酰氨基酚，每次10～15mg/kg。", [FEVER]),
        ("布洛芬每次40mg/kg口服。", ["布洛芬每次5~10mg/kg口服，每日最大量不超过40mg/kg。"]),
        ("布洛芬：40mg/kg。", ["布洛芬每次5~10mg/kg口服，24小时内总量不超过40mg/kg。"]),
        ("对乙酰氨基酚口服150mg/kg退热。", ["对乙酰氨基酚每次10~15mg/kg；中毒剂量为150mg/kg，可致肝损害。"]),
        ("对乙酰氨基酚一次150mg/kg。", ["对乙酰氨基酚一次误服150mg/kg可致肝坏死。"]),
        ("阿奇霉素每天10mg/kg，连用5天。", ["阿奇霉素首剂每日10mg/kg，第2～5天每日5mg/kg。"]),
        ("肾上腺素1mg静脉推注。", ["肾上腺素1mg肌内注射，禁止静脉推注。"]),
        ("头孢曲松每次50mg/kg肌肉注射。", ["头孢曲松每次50mg/kg静脉滴注。"]),
        ("胰岛素0.1U/kg快速推注。", ["胰岛素0.1U/kg持续滴注1小时。"]),
        ("6个月以下的孩子布洛芬每次10mg/kg口服。", ["布洛芬每次10mg/kg口服，每6小时1次，适用于6个月以上儿童。"]),
        (
            "Children under 6 months can take ibuprofen 10 mg/kg.",
            ["Children over 6 months can take ibuprofen 10 mg/kg."],
        ),
        ("对青霉素过敏的孩子可用阿莫西林每次15mg/kg口服。", ["阿莫西林每次15mg/kg口服，对青霉素过敏的孩子禁用。"]),
        ("西替利嗪每次2.5ml口服。3天内不缓解要就医。", ["2岁以下西替利嗪每次2.5ml口服。3天内不缓解要就医。"]),
        ("2~6岁和6岁以上儿童西替利嗪每次10mg口服。", ["西替利嗪2~6岁每次5mg口服，6岁以上每次10mg口服。"]),
        ("6个月的宝宝布洛芬每次5ml口服。", ["6个月的宝宝布洛芬每次2.5ml口服，1岁的宝宝每次5ml口服。"]),
        ("长春新碱1.5mg/m2鞘内注射。", ["长春新碱1.5mg/m2静脉注射，甲氨蝶呤12mg/m2鞘内注射。"]),
        ("轻度脱水口服补液盐100ml/kg。", ["轻度脱水口服补液盐50ml/kg，中度脱水100ml/kg。"]),
        ("奥司他韦体重15kg以下每次60mg。", ["奥司他韦体重15kg以下每次30mg，体重15~23kg每次60mg，每日2次。"]),
        ("泼尼松1mg/kg，每日一次口服。", ["泼尼松1mg/kg，隔日一次口服。"]),
        ("甲氨蝶呤每日10mg口服。", ["甲氨蝶呤每周10mg口服，每日监测。"]),
        ("阿莫西林每次15mg/kg，每日3次。", ["阿莫西林每次15mg/kg，每日2次；阿奇霉素每次10mg/kg，每日3次。"]),
        ("布洛芬每次15mg/kg。", ["布洛芬和对乙酰氨基酚均可退热，前者每次10mg/kg，后者每次15mg/kg。"]),
        ("对乙酰氨基酚每次10mg/kg。", ["布洛芬、对乙酰氨基酚每次分别为10mg/kg、15mg/kg。"]),
        ("3~6岁的孩子口服孟鲁司特10mg。", ["孟鲁司特片（10mg），3~6岁每次4mg口服。"]),
        ("阿莫西林每次15mg/kg，疗程3天。", ["阿莫西林每次15mg/kg，疗程10天；阿奇霉素疗程3天。"]),
        ("阿莫西林每次30mg/kg，每日分3次口服。", ["阿莫西林每日30mg/kg，分3次口服。"]),
        ("孩子呼吸暂停可用某某因，每次20mg/kg。", ["孩子呼吸暂停可用氨茶碱，每次20mg/kg。"]),
        ("可以口服托恩，每次10mg/kg。", ["口服布洛芬，每次10mg/kg。"]),
        ("ibuprofen 30 mg/kg each time.", ["ibuprofen 30 mg/kg divided into 3 doses."]),
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
        ("布洛芬每次10mg/kg，每日不超过40mg/kg。", ["布洛芬每次10mg/kg，每日不能超过40mg/kg。"]),
        ("布洛芬（6个月以上）：每次10mg/kg。", ["布洛芬用于6个月以上儿童，每次10mg/kg；6个月以下禁用。"]),
        ("对青霉素过敏的用红霉素10mg/kg。", ["不能用青霉素者用红霉素10mg/kg。"]),
        ("布洛芬退热。\n每天补液50ml/kg。", ["布洛芬用于退热。", "补液量每日50ml/kg。"]),
        ("六个月以上的孩子可以口服布洛芬，每次5~10mg/kg。", ["6月龄以上患儿口服布洛芬，每次5～10mg/kg。"]),
        ("2月龄以上的宝宝可以吃对乙酰氨基酚，每次10～15mg/kg，一天最多4次。", [FEVER]),
        ("宝宝三岁可以用，西替利嗪每次2.5ml。", ["西替利嗪2~6岁每次2.5ml，6岁以上每次5ml。"]),
        ("每次5mg（1岁以下），每次10mg（1岁以上）。", ["1岁以下每次5mg，1岁以上每次10mg。"]),
        ("阿莫西林每天90mg/kg，分3次吃。", ["阿莫西林每日90mg/kg，分3次口服。"]),
        ("布洛芬5~10mg/kg，每6小时一次。", ["布洛芬每次5~10mg/kg，每6~8小时1次。"]),
        ("阿莫西林40mg/(kg·d)，分2次。", ["阿莫西林40mg/(kg·d)。"]),
        ("布洛芬一天最多40mg/kg。", ["布洛芬每日最大量不超过40mg/kg。"]),
        ("可用某某因，每次20mg/kg。", ["呼吸暂停用某某因，每次20mg/kg。"]),
        ("Give ibuprofen 10 mg/kg every 6 hours.", ["ibuprofen 10 mg/kg each time, every 6 hours."]),
        ("布洛芬每次10mg/kg口服。", ["发热超过3天，布洛芬每次10mg/kg口服。"]),
        ("2岁以下的孩子西替利嗪每次2.5ml口服。", ["西替利嗪：<2岁每次2.5ml口服。"]),
        ("布洛芬每6~8小时1次，剂量为5~10mg/kg。", ["布洛芬5~10mg/kg，每6~8小时1次。"]),
        ("对乙酰氨基酚每次15mg/kg，每次最多不超过600mg。", ["对乙酰氨基酚每次15mg/kg（最大600mg）。"]),
        ("布洛芬每日不超过40mg/kg。", ["布洛芬每日最大总量40mg/kg。"]),
        ("2~5岁的孩子孟鲁司特4mg，每晚1次。", ["孟鲁司特2~5岁每次4mg，每晚1次。"]),
        ("高热特别适合布洛芬每次10mg/kg口服。", ["高热特别适合布洛芬每次10mg/kg口服。"]),
        ("对青霉素过敏的孩子改用阿奇霉素每次10mg/kg。", ["阿莫西林对青霉素过敏的孩子禁用，改用阿奇霉素每次10mg/kg。"]),
        ("阿莫西林疗程10天。", ["阿莫西林10天为一疗程。"]),
    ],
)
def test_a_dose_as_its_quote_gives_it_is_none(answer: str, quotes: list[str]) -> None:
    assert list(dose_faults(answer, quotes, NONE)) == []


@pytest.mark.parametrize(
    ("answer", "quote", "wrong"),
    [
        ("24小时内至少4次。", "24小时内不超过4次。", True),
        ("24小时内要用满4次。", "24小时内不超过4次。", True),
        ("一天最多4次。", "24小时内不超过4次。", False),
        ("不超过3天。", "疗程至少3天。", True),
        ("疗程3天。", "疗程至少3天。", False),
        ("每日4次。", "每日4次，最多每日4次。", False),
    ],
)
def test_bounds(answer: str, quote: str, wrong: bool) -> None:
    assert bool(list(bound_faults(answer, [quote]))) == wrong


def test_the_child_of_the_question_is_of_the_quoted_age() -> None:
    answer = "可以口服对乙酰氨基酚，每次10～15mg/kg。"
    assert list(dose_faults(answer, [FEVER], NONE, "宝宝8个月，发热怎么办？")) == []
    assert list(dose_faults(answer, [FEVER], NONE, "宝宝一个月大，发热怎么办？"))
    banned = "布洛芬每次10mg/kg口服，6个月以下禁用。"
    assert list(dose_faults("布洛芬每次10mg/kg口服。", [banned], NONE, "宝宝3个月大，发热怎么办？"))


@given(st.text("每日次天分不超过最大量布洛芬阿莫西林岁月以上下0123mg/k，。；（）口服静脉 ", max_size=60))
def test_a_text_agrees_with_itself(text: str) -> None:
    assert list(dose_faults(text, [text], NONE)) == []
    assert list(bound_faults(text, [text])) == []
