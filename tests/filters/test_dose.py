"""A dose rests on a textbook, guideline or graph, and says which child it is for."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pedcorpus.filters.dose import DoseFilter
from pedcorpus.plugins import Drop
from pedcorpus.records import Message
from tests.making import reason, row

CHECK = DoseFilter()

AMOUNTS = [
    "每次吃5毫升。",
    "对乙酰氨基酚每次10～15mg/kg。",
    "每次10 ml/kg",
    "剂量是15 mg·kg⁻¹·d⁻¹",
    "每次２５０ｍｇ，一天三次",
    "头孢克肟500ＭＧ",
    "一次半片，一天两次",
    "每次三分之一片",
    "每次1/3片",
    "每次 1 / 2 包",
    "一次吃两粒就可以",
    "每次一片半",
    "用开塞露1支",
    "打半支就够了",
    "每公斤体重十五毫克",
    "布洛芬混悬液五到十毫升",
    "青霉素一百万单位",
    "阿奇霉素10 mg/kg·d，连用三天",
    "口服0.25 bid",
    "口服0.5，每日三次",
    "每次5m1，一天三次",
    "每次100m|",
    "一次5毫，看体重加减",
    "喝一勺退烧药",
    "每次一瓶盖糖浆",
    "维生素D10滴，每天一次",
    "维生素AD 1粒",
    "每次1条，冲水喝",
    "每个鼻孔喷两下",
    "雾化半支布地奈德",
    "一次吃四分之一就行",
    "胰岛素0.1U/kg/h",
    "0.5 μg·kg-1·min-1",
    "每次５～１０毫升",
    "吃1袋退热冲剂",
    "每次 10－15 毫克/公斤",
    "可以静点头孢呋辛1.5",
    "静滴头孢他啶1.0 bid",
    "静脉用青霉素，静滴青霉素400万，每日2次",
    "青霉素一百六十万肌注",
    "罗红霉素0.15每天一次口服",
    "泼尼松每天20，早上顿服",
    "阿莫西林0.25，3次/日",
    "利巴韦林0.1静滴",
    "头孢地尼50一次，一天三次",
    "给他倒泰诺林，喝到4的刻度",
    "抽到3格就行",
    "头孢丙烯一天两片",
    "鱼肝油一日一粒就够",
    "冲剂早一包晚一包",
    "妈咪爱早晚各一袋",
    "按每公斤体重0.4计算",
    "这次吃平时的三倍",
    "今晚药量可以加倍",
    "先打两针看看",
    "去诊所连着肌注三针",
]
NO_AMOUNTS = [
    "烧了三天，最高39.5℃，每天量四次体温。",
    "血红蛋白86g/L，白细胞15×10^9/L。",
    "每天按摩5到10分钟，一天两次。",
    "孩子6岁，身高112厘米，体重20公斤。",
    "保证每天睡8到10个小时，两周后复查。",
    "每天喝一杯牛奶，吃一个鸡蛋。",
    "一天换几片湿尿布？尿布还有五六片吗？",
    "吃奶比平时少了三分之一。",
    "可以口服一下益生菌，观察一下大便。",
    "今天打的是乙肝疫苗的第二剂。",
    "皮疹有两三片，直径5毫米。",
    "一岁半前后有十二到十六颗牙。",
    "发病率大约是万分之一，男孩是女孩的两倍。",
    "孩子3岁，烧到38.5，口服退热药后降了。",
    "布洛芬等到38.5度以上再用。",
    "烧到38.5口服退烧药就可以。",
    "大便一天两次，小便一天六次。",
    "每天一个鸡蛋、一片面包，早一杯奶晚一杯奶。",
    "一天两勺米粉，一天一袋纯牛奶。",
    "静点头孢3天，口服4天，再口服1、2天。",
    "雾化一天两次，早晚各一次。",
    "化验白细胞12.5，静点抗生素。",
    "补充维生素D3，口服补液盐3号。",
    "阿奇霉素一般吃3停4。",
    "不要自行加倍服药，也不能擅自把药量加倍。",
    "奶量是平时的两倍。",
    "每公斤体重需要100千卡热量。",
    "乙肝疫苗要打三针，第二针隔一个月。",
    "有事打电话13800000000。",
]


@pytest.mark.parametrize("kind", ["conversation", "distilled"])
@pytest.mark.parametrize("answer", AMOUNTS)
def test_no_dialogue_justifies_an_amount(answer: str, kind: str) -> None:
    assert reason(CHECK.check(row(answer, kind=kind, title="医患对话"))) == "safety.dose"


@pytest.mark.parametrize("answer", NO_AMOUNTS)
def test_what_is_no_dose_stays(answer: str) -> None:
    assert reason(CHECK.check(row(answer, kind="conversation"))) is None


@pytest.mark.parametrize("kind", ["safety", "plain_text", "general", "self_cognition"])
def test_nor_does_any_other_kind(kind: str) -> None:
    task = {"plain_text": "cpt"}.get(kind, kind)
    assert reason(CHECK.check(row("退烧药每次吃5毫升。", kind=kind, task=task))) == "safety.dose"


@given(
    number=st.one_of(st.integers(1, 2000), st.decimals("0.01", "99.99", places=2)),
    unit=st.sampled_from(["mg", "毫克", "ml", "毫升", "μg", "mg/kg", "IU", "MG", "ｍｇ", "mL/kg", "片"]),
    blank=st.sampled_from(["", " ", "\u3000"]),
)
def test_any_number_with_a_dose_unit_is_seen(number: object, unit: str, blank: str) -> None:
    verdict = CHECK.check(row(f"这个药每次{number}{blank}{unit}，每天两次。", kind="distilled"))
    assert reason(verdict) == "safety.dose"


def test_one_dose_in_a_long_talk_is_enough() -> None:
    talk = [("user", "孩子咳嗽。"), ("assistant", "多大？"), ("user", "5岁。"), ("assistant", "每次10毫升，多喝水。")]
    assert reason(CHECK.check(row("", messages=talk, kind="conversation"))) == "safety.dose"
    talk[1], talk[3] = ("assistant", "每次10毫升行吗？先说多大。"), ("assistant", "多喝水，休息。")
    assert reason(CHECK.check(row("", messages=talk, kind="conversation"))) == "safety.dose"


def test_what_the_parent_says_is_not_what_the_answer_says() -> None:
    talk = [("user", "昨天吃了5毫升美林，要紧吗？"), ("assistant", "不要再加，观察体温，有加重就去医院。")]
    assert reason(CHECK.check(row("", messages=talk, kind="conversation"))) is None


@pytest.mark.parametrize("kind", ["textbook", "guideline", "knowledge_graph"])
def test_books_guidelines_and_graphs_justify_a_dose(kind: str) -> None:
    assert reason(CHECK.check(row("布洛芬每次5～10mg/kg，间隔6小时。", kind=kind, title="小儿内科学"))) is None


def test_a_dose_of_a_general_book_needs_a_child_on_its_line() -> None:
    plain = "奥司他韦每次75mg，每日2次，疗程5天。"
    aged = "奥司他韦：1岁以上、体重不足15kg者每次30mg，每日2次。"
    assert reason(CHECK.check(row(plain, kind="guideline", title="流行性感冒诊疗方案"))) == "safety.age"
    assert reason(CHECK.check(row(aged, kind="guideline", title="流行性感冒诊疗方案"))) is None
    assert reason(CHECK.check(row(f"{aged}\n{plain}", kind="guideline", title="流行性感冒诊疗方案"))) == "safety.age"
    assert reason(CHECK.check(row(plain, kind="guideline", title="流行性感冒诊疗方案", disease="小儿流感"))) is None
    assert reason(CHECK.check(row(plain, kind="guideline", title="流行性感冒诊疗方案", task="cpt"))) == "safety.age"


ADULTS_ALONE = [
    "成人：每次100mg，每日2次。",
    "成人首剂40mg，次日减半。疗程3天。",
    "本品适用于儿童及成人。成人每次75mg。",
]


@pytest.mark.parametrize("task", ["trerecom", "medkqa", "cpt"])
@pytest.mark.parametrize("answer", ADULTS_ALONE)
@pytest.mark.parametrize("title", ["流行性感冒诊疗方案", "儿童流感诊疗指南"])
def test_a_dose_for_adults_alone_is_none_for_a_child(answer: str, title: str, task: str) -> None:
    verdict = CHECK.check(row(answer, kind="guideline", title=title, task=task))
    assert isinstance(verdict, Drop) and verdict.reason == "safety.age" and "adults alone" in verdict.detail


@pytest.mark.parametrize(
    "answer",
    [
        "成人：每次100mg，每日2次。\n儿童：每次2mg/kg，每日2次。",
        "成人每次75mg；1岁以下儿童每次3mg/kg。",
        "12岁以上儿童及成人每次40mg。",
        "成人和7岁以上儿童每次10mg。",
        "每次2mg/kg，最大不超过成人量100mg。",
        "误服会引起抽搐（致死量成人约30毫升）。",
    ],
)
def test_a_dose_for_adults_beside_one_for_children_stays(answer: str) -> None:
    assert reason(CHECK.check(row(answer, kind="guideline", title="儿童流感诊疗指南"))) is None


@pytest.mark.parametrize(
    "answer",
    [
        "小儿水肿属阳虚者，用制附子4克，白术8克。",
        "常用药物：人参（另煎）8g，附子（先煎）5g。",
        "细辛、干姜各2克，水煎服。",
        "取2克朱砂研末调敷。",
    ],
)
@pytest.mark.parametrize("task", ["trerecom", "cpt"])
def test_a_toxic_raw_drug_needs_age_or_weight_on_its_line(answer: str, task: str) -> None:
    verdict = CHECK.check(row(answer, title="中医儿科学", task=task))
    assert isinstance(verdict, Drop) and verdict.reason == "safety.age" and "toxic" in verdict.detail
    assert reason(CHECK.check(row(f"5～7岁：{answer}", title="中医儿科学", task=task))) is None


@pytest.mark.parametrize(
    "answer", ["方用附子理中汤加减，另服白术6克。", "白术、茯苓各6克，慎用细辛。", "附子理中汤主之。"]
)
def test_a_toxic_raw_drug_without_an_amount_stays(answer: str) -> None:
    assert reason(CHECK.check(row(answer, title="中医儿科学"))) is None


@pytest.mark.parametrize("title", ["非新生儿破伤风诊疗规范", "胎儿医学指南", "孤儿药使用规范"])
def test_a_title_that_denies_the_child_is_no_childrens_book(title: str) -> None:
    answer = "地西泮起始剂量为10～30mg，按需静脉给药。"
    assert reason(CHECK.check(row(answer, kind="guideline", title=title, disease=title[:6]))) == "safety.age"
    assert reason(CHECK.check(row(f"儿童{answer}", kind="guideline", title=title))) is None


def test_a_count_of_vaccinations_needs_no_age() -> None:
    answer = "既往已完成全程免疫（≥3剂）者，此次应加强1剂。"
    assert reason(CHECK.check(row(answer, kind="guideline", title="破伤风诊疗规范"))) is None


@pytest.mark.parametrize(
    "answer",
    [
        "甘草三钱，水煎服。",
        "石膏二两，研末。",
        "每服一豆大，开水送下。",
        "每服方寸匕，日三服。",
        "炼蜜为丸，丸如绿豆大。",
        "每服一字，薄荷汤下。",
        "半夏五铢，生姜切片。",
    ],
)
def test_old_measures_never_pass(answer: str) -> None:
    assert reason(CHECK.check(row(answer, title="中医儿科学"))) == "safety.dose"
    assert reason(CHECK.check(row(answer, title="中医儿科学", task="cpt"))) == "safety.dose"


@pytest.mark.parametrize("answer", ["皮疹如绿豆大，两天后结痂。", "一两天后热退，精神好转。", "一般两周左右痊愈。"])
def test_old_words_that_measure_no_dose_stay(answer: str) -> None:
    assert reason(CHECK.check(row(answer, title="中医儿科学"))) is None


@pytest.mark.parametrize("amount", ["1pg/kg/min", "10kg/kg", "5 l/kg/d", "0.5g/kg/min", "3 mg/mg", "10ｐｇ／ｋｇ"])
def test_units_that_no_dose_has_are_scanning_errors(amount: str) -> None:
    answer = f"大于32周的小儿以{amount}起始静脉输注。"
    assert reason(CHECK.check(row(answer, kind="guideline", title="儿童镇静指南"))) == "safety.dose"


@pytest.mark.parametrize("amount", ["1μg/kg/min", "10ml/kg", "20 kg", "0.5g/kg/d", "15mg/kg·d", "3g/dl"])
def test_units_that_doses_do_have_stay(amount: str) -> None:
    answer = f"大于32周的小儿以{amount}计算。"
    assert reason(CHECK.check(row(answer, kind="guideline", title="儿童镇静指南"))) is None


def test_general_answers_may_weigh_flour_but_no_medicine() -> None:
    def general(answer: str) -> str | None:
        return reason(CHECK.check(row(answer, kind="general", task="general")))

    assert general("准备面粉500克、牛奶200毫升和2个鸡蛋，烤20分钟。") is None
    assert general("阿莫西林0.5克，一日三次。") == "safety.dose"
    assert general("头孢每次250毫克。") == "safety.dose"
    assert general("一般按10mg/kg计算。") == "safety.dose"
    assert general("万有引力常数约为6.67×10^−11 N⋅m^2/kg^2。") is None


def test_a_preference_pair_is_held_by_its_chosen_answer() -> None:
    pair = row(
        "",
        task="dfpo",
        kind="conversation",
        quotes=["多喝水。"],
        prompt=(Message("user", "昨天吃了5毫升。"),),
        chosen=(Message("assistant", "多喝水。"),),
        rejected=(Message("assistant", "每次吃5毫升。"),),
    )
    assert reason(CHECK.check(pair)) is None
    verdict = CHECK.check(row("每次吃5毫升，一天三次。", kind="conversation"))
    assert isinstance(verdict, Drop) and "5毫升" in verdict.detail and "conversation" in verdict.detail
