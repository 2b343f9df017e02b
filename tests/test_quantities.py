"""Numbers with units. A dose that is read as another number, or not at all, is a dose that nobody checks."""

from __future__ import annotations

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pedcorpus.quantities import counted_out, doses, is_dose, missing, quantities, reading


def pairs(text: str) -> list[tuple[Fraction, str]]:
    return [quantity.pair for quantity in quantities(text)]


def values(*written: str) -> list[tuple[Fraction, str]]:
    """``0.5 mg/kg`` as `pairs` gives it."""
    return [(Fraction(number), unit) for number, _, unit in (item.partition(" ") for item in written)]


# --- reading ----------------------------------------------------------------------------------------

ONE_NUMBER = [
    # widths, blanks, case
    ("５mg", "5 mg"),
    ("0．5 ＭＧ", "0.5 mg"),
    ("5\u3000毫克", "5 mg"),
    ("1\u200b0mg", "10 mg"),
    ("5\nmg", "5 mg"),
    ("1,000ml", "1000 ml"),
    ("１，０００ｍｌ", "1000 ml"),
    ("1 000 ml", "1000 ml"),
    ("1000 000U", "1000000 iu"),
    ("40㎎", "40 mg"),
    ("5mL", "5 ml"),
    # numbers written in other ways
    (".5mg", "0.5 mg"),
    ("O.5mg", "0.5 mg"),
    ("0,5mg", "0.5 mg"),
    ("0、5mg", "0.5 mg"),
    ("0。5mg", "0.5 mg"),
    ("0·5mg", "0.5 mg"),
    ("1•5ml", "1.5 ml"),
    ("½片", "1/2 片"),
    ("1½片", "3/2 片"),
    ("1又1/2片", "3/2 片"),
    ("1 1/2片", "3/2 片"),
    ("3/4片", "3/4 片"),
    ("半片", "1/2 片"),
    ("一片半", "3/2 片"),
    ("1片半口服", "3/2 片"),
    ("二钱半", "5/2 钱"),
    ("1岁半宝宝", "3/2 岁"),
    ("两个半月", "5/2 月"),
    ("1个半小时", "3/2 h"),
    ("三分之一袋", "1/3 袋"),
    ("一又二分之一片", "3/2 片"),
    ("3分之2片", "2/3 片"),
    ("减为三分之一", "1/3 份"),
    ("百分之五", "5 %"),
    ("十五毫克", "15 mg"),
    ("一百二十毫升", "120 ml"),
    ("十万单位", "100000 iu"),
    ("二十五万单位", "250000 iu"),
    ("一万二千单位", "12000 iu"),
    ("三百零五天", "305 d"),
    ("二五〇毫升", "250 ml"),
    ("一点五毫克", "1.5 mg"),
    ("零点零五毫克", "0.05 mg"),
    ("两毫升", "2 ml"),
    ("二两", "2 两"),
    ("五千克", "5 kg"),
    ("10万U/kg", "100000 iu/kg"),
    ("3千单位", "3000 iu"),
    ("5百万单位", "5000000 iu"),
    ("5千卡", "5 kcal"),
    ("2×10^6U/kg", "2000000 iu/kg"),
    ("1×10⁶IU", "1000000 iu"),
    ("100多毫克", "100 mg"),
    ("20余毫升", "20 ml"),
    ("十几天", "10 d"),
    ("38度5", "38.5 ℃"),
    ("39度半", "39.5 ℃"),
    ("38.5摄氏度", "38.5 ℃"),
    # divisors
    ("5mg/kg·次", "5 mg/kg/次"),
    ("5 mg/(kg·次)", "5 mg/kg/次"),
    ("５ mg／（kg・d）", "5 mg/kg/d"),
    ("5mg/［kg•d］", "5 mg/kg/d"),
    ("5mg/kg/d", "5 mg/kg/d"),
    ("5mg/kg-d", "5 mg/kg/d"),
    ("5mg·kg-1·d-1", "5 mg/kg/d"),
    ("5mg·kg⁻¹·d⁻¹", "5 mg/kg/d"),
    ("5 mg kg-1 d-1", "5 mg/kg/d"),
    ("5mg/(kg·24h)", "5 mg/kg/24h"),
    ("5μg/(kg·min)", "5 ug/kg/min"),
    ("5ug/kg.min", "5 ug/kg/min"),
    ("5µg/kg", "5 ug/kg"),
    ("5毫克/公斤/次", "5 mg/kg/次"),
    ("5毫克每公斤", "5 mg/kg"),
    ("5毫克每公斤体重", "5 mg/kg"),
    ("三毫升每公斤", "3 ml/kg"),
    ("五毫克/公斤", "5 mg/kg"),
    ("每公斤体重20毫克", "20 mg/kg"),
    ("每千克体重0.1g", "0.1 g/kg"),
    ("每kg体重每次20ml", "20 ml/kg"),
    ("50mg/m²", "50 mg/m2"),
    ("50mg/㎡", "50 mg/m2"),
    ("50 mg/(m2·d)", "50 mg/m2/d"),
    ("50mg/m 2", "50 mg/m2"),
    ("50mg/m<sup>2</sup>", "50 mg/m2"),
    ("60次/分", "60 次/min"),
    ("10×10^9/L", "10000000000 /l"),
    ("10×109/L", "10000000000 /l"),
    ("10×10 9/L", "10000000000 /l"),
    ("10x10⁹/L", "10000000000 /l"),
    ("10×10<sup>9</sup>/L", "10000000000 /l"),
    ("5000/mm3", "5000 /mm3"),
    ("200个/μl", "200 /ul"),
    ("10万/kg", "100000 /kg"),
    ("342μmol/L", "342 umol/l"),
    ("5mmol/L", "5 mmol/l"),
    ("12mg%", "12 mg%"),
    ("12mg/100ml", "12 mg/dl"),
    # what stands close to a number
    ("SpO2 92%", "92 %"),
    ("SpO₂92%", "92 %"),
    ("PaO2 60mmHg", "60 mmhg"),
    ("维生素D3 400IU", "400 iu"),
    ("①5mg", "5 mg"),
    ("⒈5mg", "5 mg"),
    ("⑴5mg", "5 mg"),
    ("(1)5mg", "5 mg"),
    ("早产儿3\n10mg", "10 mg"),
    ("放开1. 3岁以上", "1.3 岁"),
    ("放开.3岁以上", "3 岁"),
    ("吃了...10mg", "10 mg"),
    ("10mg po", "10 mg"),
    ("5mg iv", "5 mg"),
    ("5mg tid以外", "5 mg"),
    ("**5**mg", "5 mg"),
    ("$0.5\\mathrm{mg}/\\mathrm{kg}$", "0.5 mg/kg"),
    ("q8h", "8 h"),
    ("1吸", "1 吸"),
    ("1小勺", "1 小勺"),
    ("2汤匙", "2 汤匙"),
    ("20 cm H2O", "20 cmh2o"),
    ("60 mm Hg", "60 mmhg"),
    ("1:1000", "1/1000 :"),
    ("1∶10 000肾上腺素", "1/10000 :"),
    ("5g半夏", "5 g"),
]


@pytest.mark.parametrize(("text", "value"), ONE_NUMBER)
def test_one_number(text: str, value: str) -> None:
    assert [pair for pair in pairs(text) if pair[1] != "次/d"] == values(value)


SEVERAL = [
    ("５～１０ mg／（kg·d）", "5 mg/kg/d", "10 mg/kg/d"),
    ("0.5～1mg/(kg·次)", "0.5 mg/kg/次", "1 mg/kg/次"),
    ("5~10万U", "50000 iu", "100000 iu"),
    ("5万~10万U/(kg·d)", "50000 iu/kg/d", "100000 iu/kg/d"),
    ("5000~1万U", "5000 iu", "10000 iu"),
    ("5mg/kg~10mg/kg", "5 mg/kg", "10 mg/kg"),
    ("(5～10)mg/kg", "5 mg/kg", "10 mg/kg"),
    ("10（5～15）mg/kg", "10 mg/kg", "5 mg/kg", "15 mg/kg"),
    ("4.0～10.0×10^9/L", "4000000000 /l", "10000000000 /l"),
    ("（15～20）×10⁹/L", "15000000000 /l", "20000000000 /l"),
    ("10～\n20mg", "10 mg", "20 mg"),
    ("5增至10mg", "5 mg", "10 mg"),
    ("5、10mg", "5 mg", "10 mg"),
    ("5或10mg", "5 mg", "10 mg"),
    ("5mg、10mg或15mg", "5 mg", "10 mg", "15 mg"),
    ("5/10mg", "5 mg", "10 mg"),
    ("0，1，6个月", "0 月", "1 月", "6 月"),
    ("0、1、6月龄", "0 月", "1 月", "6 月"),
    ("7、8、9三个月", "3 月"),
    ("120/80mmHg", "120 mmhg", "80 mmhg"),
    ("2×3cm", "2 cm", "3 cm"),
    ("2×100mg", "2 mg", "100 mg"),
    ("3mm 2mm", "3 mm", "2 mm"),
    ("0.25g×12片", "0.25 g", "12 片"),
    ("两三片", "2 片", "3 片"),
    ("二三十毫升", "20 ml", "30 ml"),
    ("十二三岁", "12 岁", "13 岁"),
    ("三两天", "3 d", "2 d"),
    ("一、二滴", "1 滴", "2 滴"),
    ("三至五毫升", "3 ml", "5 ml"),
    ("半～1片", "1/2 片", "1 片"),
    ("每次半片至1片", "1/2 片", "1 片"),
    ("1～半片", "1 片", "1/2 片"),
    ("1/3~1/2片", "1/3 片", "1/2 片"),
    ("1片半小时后", "1 片", "1/2 h"),
    ("38度5天", "38 ℃", "5 d"),
    ("2岁6个月", "2 岁", "6 月"),
    ("2～3岁5～10mg", "2 岁", "3 岁", "5 mg", "10 mg"),
    ("一日三次", "1 d", "3 次"),
    ("0.25g tid", "0.25 g", "3 次/d"),
    ("10mg,po,bid", "10 mg", "2 次/d"),
    ("2:3:1液", "2/3 :", "3 :"),
    ("0.5\n1mg", "1 mg"),
    ("\\(0.5\\sim1\\) mg", "0.5 mg", "1 mg"),
]


@pytest.mark.parametrize("case", SEVERAL, ids=[case[0] for case in SEVERAL])
def test_several_numbers(case: tuple[str, ...]) -> None:
    text, *wanted = case
    assert pairs(text) == values(*wanted)


@pytest.mark.parametrize(
    "dash", ["-", "－", "‐", "‑", "–", "—", "——", "−", "~", "～", "〜", "∼", "˜", "至", "到", "一", " - "]
)
def test_every_dash_makes_a_range(dash: str) -> None:
    assert pairs(f"每次5{dash}10mg") == values("5 mg", "10 mg")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2018年",
        "1985年版",
        "2018～2020年",
        "2016、2018年",
        "一九八五年",
        "第12页",
        "第12～13页",
        "12",
        "3.14",
        "IL-6",
        "CD4",
        "维生素B12",
        "百日咳",
        "万一咳嗽",
        "七星茶",
        "五倍子",
        "一回事",
        "单一支气管镜",
        "焦虑自评90量表",
        "每千克",
        "甲型H1N1",
    ],
)
def test_no_quantity(text: str) -> None:
    assert pairs(text) == []


@given(st.text(max_size=60))
def test_a_text_holds_all_its_own_quantities(text: str) -> None:
    assert missing(text, [text]) == []


QUANTITY_LIKE = st.text(
    st.sampled_from("0123456789.,/·~～-—()（）%×^:mgkuLl毫克升片半分之一二三十百万千两点又每公斤次日岁个月 \n①½"),
    max_size=30,
)


@given(QUANTITY_LIKE)
def test_every_quantity_stands_where_it_says(text: str) -> None:
    folded = reading(text)
    for quantity in quantities(text):
        assert folded[quantity.start : quantity.end] == quantity.shown
        assert quantity.value >= 0


@given(QUANTITY_LIKE, QUANTITY_LIKE)
def test_what_is_read_does_not_depend_on_blanks_around(before: str, after: str) -> None:
    assert pairs(f"  {before}。甲，{after}\n") == pairs(f"{before}。甲，{after}")


@pytest.mark.parametrize(
    "text", ["1," * 4000, "1,000" * 2000, "1-" * 4000, "一" * 4000, "1/" * 4000, "((" * 4000, "1)" * 4000]
)
def test_long_runs_of_figures_are_read_to_the_end(text: str) -> None:
    assert all(quantity.end <= len(text) for quantity in quantities(text))
    assert pairs(text + "。每次5mg")[-1] == values("5 mg")[0]


# --- a changed number is always found ---------------------------------------------------------------

HAN_FIGURES = "零一二三四五六七八九"


def han(number: int) -> str:
    """Chinese numerals of a number up to 999."""
    hundreds, tens, ones = number // 100, number // 10 % 10, number % 10
    text = f"{HAN_FIGURES[hundreds]}百" if hundreds else ""
    text += f"{HAN_FIGURES[tens]}十" if tens else ("零" if hundreds and ones else "")
    return text + (HAN_FIGURES[ones] if ones else "")


def full_width(text: str) -> str:
    return text.translate({code: code + 0xFEE0 for code in range(0x21, 0x7F)})


UNITS = {
    "mg": "毫克", "g": "克", "μg": "微克", "ml": "毫升", "U": "单位", "片": "片", "袋": "袋", "滴": "滴", "mg/kg": "毫克/公斤", "mg/(kg·d)": "毫克/公斤/日",
    "ml/kg": "毫升/千克", "mg/(kg·次)": "毫克/（千克·次）", "μg/(kg·min)": "微克/公斤/分钟", "mmol/L": "mmol/升", "岁": "周岁", "个月": "月", "kg": "公斤", "次": "次",
    "天": "日", "℃": "度", "%": "％", "mmHg": "毫米汞柱",
}  # fmt: skip
MEASURES = {unit for unit in UNITS if unit[0] in "mgμU" and unit != "mmHg"}
WHOLE = st.integers(1, 999)
TENTHS = st.integers(1, 9999).map(lambda number: Fraction(number, 100))


def decimal(value: Fraction) -> str:
    return f"{float(value):.2f}".rstrip("0").rstrip(".")


@st.composite
def written(draw: st.DrawFn, value: Fraction, unit: str) -> str:
    """``value`` with ``unit`` in one of the ways in which sources write it."""
    forms = [decimal(value), full_width(decimal(value)), f"{float(value):.2f}"]
    if value.denominator == 1:
        forms += [han(int(value))] if unit[0] not in "mgμUk%℃" else []
    elif unit in MEASURES and "." in decimal(value):
        forms += [decimal(value).replace(".", "·"), decimal(value).replace(".", "．")]
    if value < 1 and unit in MEASURES:
        forms.append(decimal(value).removeprefix("0"))
    number = draw(st.sampled_from(forms))
    shown = draw(st.sampled_from([unit, UNITS[unit], full_width(unit) if unit.isascii() else unit]))
    gap = draw(st.sampled_from(["", " ", "\u3000", "\n"]))
    return f"{number}{gap}{shown}"


@st.composite
def sentence(draw: st.DrawFn, dose: str) -> str:
    before = draw(st.sampled_from(["", "口服，", "布洛芬", "每次", "剂量为", "不超过", "（", "约", "对乙酰氨基酚 "]))
    after = draw(st.sampled_from(["", "。", "，饭后服", "）", "，疗程", "以内"]))
    return before + dose + after


@given(st.data(), st.one_of(WHOLE.map(Fraction), TENTHS), st.sampled_from(sorted(UNITS)))
def test_the_same_dose_in_other_writing_is_not_missing(data: st.DataObject, value: Fraction, unit: str) -> None:
    one = data.draw(written(value, unit).flatmap(sentence))
    other = data.draw(written(value, unit).flatmap(sentence))
    assert missing(one, [other]) == []
    assert (value, quantities(other)[0].unit) in pairs(one)


@given(
    st.data(),
    st.one_of(WHOLE.map(Fraction), TENTHS),
    st.one_of(WHOLE.map(Fraction), TENTHS),
    st.sampled_from(sorted(UNITS)),
)
def test_another_number_is_always_missing(data: st.DataObject, value: Fraction, changed: Fraction, unit: str) -> None:
    held = data.draw(written(value, unit).flatmap(sentence))
    answer = data.draw(written(changed, unit).flatmap(sentence))
    assert [item.value for item in missing(answer, [held])] == ([] if value == changed else [changed])


@given(st.data(), WHOLE, st.lists(st.sampled_from(sorted(UNITS)), min_size=2, max_size=2, unique=True))
def test_another_unit_is_always_missing(data: st.DataObject, number: int, units: list[str]) -> None:
    held = data.draw(written(Fraction(number), units[0]).flatmap(sentence))
    answer = data.draw(written(Fraction(number), units[1]).flatmap(sentence))
    assert len(missing(answer, [held])) == 1


FIGURE = re.compile(r"[\d. ]+")


def plain(figure: str) -> str:
    return figure.replace(" ", "").lstrip("0")


CHANGEABLE = [
    "每次0.5～1mg/(kg·次)，每日3次",
    "5、10或15mg",
    "首剂5mg/kg，维持2.5～3.75mg/(kg·d)，最大量60mg",
    "1:1000肾上腺素0.1ml/kg",
    "每公斤体重20毫克，q8h",
    "6～12月龄每次2.5ml，1～3岁每次4ml",
    "10万～20万U/(kg·d)，分2次静滴，疗程7～10天",
    "50mg/m²，最大100mg",
    "2×10^6U/kg",
    "白细胞（15～20）×10^9/L",
    "血压120/80mmHg",
    "1½片",
    "2/3片",
    "①3mg；②5mg",
    "38度5",
    "0、5mg",
    "1 500ml",
    "0.25g tid",
]


@pytest.mark.parametrize("text", CHANGEABLE)
def test_every_changed_figure_is_reported(text: str) -> None:
    figures = set(map(plain, FIGURE.findall(text)))
    for place, digit in enumerate(text):
        if digit not in "0123456789" or text[place + 1 :].startswith(("^", "0^")):
            continue
        for other in "0123456789":
            changed = text[:place] + other + text[place + 1 :]
            if not set(map(plain, FIGURE.findall(changed))) <= figures:
                assert missing(changed, [text]), changed


@pytest.mark.parametrize(
    ("answer", "evidence"),
    [
        ("1片", "1片半"),
        ("2片", "½片"),
        ("一袋", "三分之一袋"),
        ("5mg", "0·5mg"),
        ("5mg", "0、5mg"),
        ("5mg", ".5mg"),
        ("15mg", "①5mg"),
        ("310mg", "每日3\n10mg"),
        ("1克", "每千克"),
        ("20毫克", "每公斤体重20毫克"),
        ("20mg/kg", "20mg"),
        ("20mg/kg", "20mg/(kg·d)"),
        ("20mg", "20μg"),
        ("20mg", "20ml"),
        ("5～10mg", "5mg"),
        ("1/2片", "1~2片"),
        ("5%", "5‰"),
        ("10万U", "10U"),
        ("bid", "tid"),
        ("1:1000", "1:10000"),
        ("5mg", ""),
    ],
)
def test_what_only_looks_alike_is_missing(answer: str, evidence: str) -> None:
    assert missing(answer, [evidence])


def test_evidence_counts_together_and_a_text_without_numbers_lacks_nothing() -> None:
    assert missing("5mg，每日3次", ["每日3次", "5 mg"]) == []
    assert missing("多喝水", []) == []
    assert [item.shown for item in missing("5mg或10mg", ["5mg"])] == ["10mg"]


# --- doses ------------------------------------------------------------------------------------------

DOSES = [
    "5 mg/kg·次",
    "每次0.1ml/kg",
    "半片",
    "1/2片",
    "三分之一袋",
    "10万U/kg",
    "10万/kg",
    "0.5～1mg/(kg·次)",
    "2滴",
    "50mg/m²",
    "每次一袋",
    "吃两片",
    "服三粒",
    "给半包",
    "蒙脱石散1袋tid",
    "每次2吸",
    "一次1小勺",
    "甘草三钱",
    "10mg bid",
    "5ml/次",
    "15滴/min",
    "20ml·kg⁻¹·h⁻¹",
    "2mmol/kg",
    "40μg",
    "每公斤体重0.1克",
    "按体重每千克0.1克",
    "体重10kg给予1g",
    "体重20kg者，每次0.5g",
    "5%葡萄糖100ml",
    "维生素D400IU",
    "1g/支",
    "250mg/5ml",
]


@pytest.mark.parametrize("text", DOSES)
def test_dose(text: str) -> None:
    assert doses(text)


@pytest.mark.parametrize(
    "text",
    [
        "体重10kg",
        "出生体重<1500g",
        "体重3000克",
        "体重每日增加25～30g",
        "37.5℃",
        "38度5",
        "身高75cm",
        "2岁6个月",
        "6月龄",
        "疗程7～10天",
        "一日三次",
        "每8小时1次",
        "120次/分",
        "血红蛋白110g/L",
        "血糖2.2mmol/L",
        "5mg/dl",
        "12mg%",
        "12mg/100ml",
        "100U/L",
        "白细胞10×10^9/L",
        "CD4 200个/μl",
        "收缩压90mmHg",
        "吸氧1～2L/min",
        "90ml/(min·1.73m²)",
        "110kcal/(kg·d)",
        "5%",
        "1:1000",
        "三分之一",
        "一片红斑",
        "两支气管",
        "维生素B6片",
        "7.35",
    ],
)
def test_no_dose(text: str) -> None:
    assert doses(text) == []


def test_is_dose_looks_at_the_words_around() -> None:
    text = reading("皮肤一片潮红，每次服一片")
    first, second = quantities("皮肤一片潮红，每次服一片")
    assert (first.shown, second.shown) == ("一片", "一片")
    assert not is_dose(first, text[:6])
    assert is_dose(second, text)


def test_doses_are_quantities_in_their_order() -> None:
    text = "3岁，体重15kg，布洛芬5～10mg/kg，每6～8小时1次，最多4次/d"
    assert [dose.pair for dose in doses(text)] == values("5 mg/kg", "10 mg/kg")
    assert set(doses(text)) < set(quantities(text))


@pytest.mark.parametrize("text", ["一天两片", "一日一粒", "每晚半片", "早一袋晚一袋", "早上1包", "早晚各一支"])
def test_pieces_counted_by_the_day(text: str) -> None:
    assert counted_out(text)


@pytest.mark.parametrize(
    "text",
    ["一天两次", "一天一个鸡蛋", "一天一片面包", "早一勺奶粉", "一天两勺米粉", "一片红斑", "两天三片", "一天一瓶水"],
)
def test_pieces_of_food_and_other_counts_are_not(text: str) -> None:
    assert counted_out(text) == []
