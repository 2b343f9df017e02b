"""Quotes lead back to their record to the character; names that nobody told of are found."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from pedcorpus.grounding import Names, align, align_all, load_names, ungrounded_names
from tests.making import record

TEXT = "小儿发热时可用布洛芬，每次 5～10 mg/kg，\n间隔6小时；体温≥38.5℃时使用。“精神差”者应就诊……脱水者补液。"


# --- quotes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "quote",
    [
        "每次5~10mg/kg,间隔6小时",
        "每次５～１０ｍｇ／ｋｇ，间隔６小时；",
        "小儿\u200b发热时 可用布洛芬",
        "每次5-10MG/KG",
        '"精神差"者应就诊',
        "体温≥38.5°C时使用.",
        "可用布洛芬。",
    ],
)
def test_widths_blanks_case_and_forms_of_signs_do_not_matter(quote: str) -> None:
    span = align(quote, TEXT)
    assert span is not None
    said = TEXT[slice(*span)]
    assert said == said.strip()
    assert align(said, TEXT) == span


def test_the_span_is_the_quote_to_the_character() -> None:
    span = align("每次5~10mg/kg，间隔6小时", TEXT)
    assert span is not None
    assert TEXT[slice(*span)] == "每次 5～10 mg/kg，\n间隔6小时"


@pytest.mark.parametrize(
    ("quote", "text"),
    [
        ("口服05mg一次", "口服0.5mg一次"),
        ("口服15mg一次", "口服1.5mg一次"),
        ("每次510mg口服", "每次5~10mg口服"),
        ("每次58片口服", "每次5 8片口服"),
        ("年龄1.5岁以下", "年龄1. 5岁以下"),
        ("每次15mg口服", "每次①5mg口服"),
        ("共有106个细胞", "共有10⁶个细胞"),
        ("剂量11/2片口服", "剂量1½片口服"),
        ("体温38.5℃以上", "体温39.5℃以上"),
        ("每次5mg/kg口服", "每次5mg口服"),
        ("有效率为9%以上", "有效率为9‰以上"),
        ("温度为-5度以下", "温度为+5度以下"),
        ("不可以使用此药", "可以使用此药"),
        ("血糖≥11.1mmol/L", "血糖≤11.1mmol/L"),
        ("每次0.5mg口服", "每次0。5mg口服"),
        (".5mg口服一次", "5mg口服一次"),
        ("5mg口服一次", ".5mg口服一次"),
        ("气温为5~3度时", "气温为5~-3度时"),
        ("气温为5-3度时", "气温为5--3度时"),
    ],
)
def test_what_says_something_else_does_not_align(quote: str, text: str) -> None:
    assert align(quote, text) is None


@pytest.mark.parametrize(
    ("quote", "text"),
    [
        ("5mg口服", "每次15mg口服"),
        ("5mg口服", "每次1.5mg口服"),
        ("10mg口服", "每次5～10mg口服"),
        ("g/kg静脉滴注", "5mg/kg静脉滴注"),
        ("每次口服5", "每次口服5mg"),
        ("每次口服5", "每次口服5.5mg"),
        ("每次口服5mg", "每次口服5mg/kg"),
        ("每次口服5毫克", "每次口服5毫克/公斤"),
        ("五毫克口服", "十五毫克口服"),
        ("每次口服1片", "每次口服1片半"),
        ("38.5℃时用药", "≥38.5℃时用药"),
        ("给予ibu", "给予ibuprofen"),
        ("profen口服", "ibuprofen口服"),
        ("每日服用5", "每日服用5万单位"),
    ],
)
def test_no_span_cuts_a_number_a_unit_or_a_word(quote: str, text: str) -> None:
    assert align(quote, text) is None


def test_the_first_place_that_is_not_cut_counts() -> None:
    text = "旧法每次15mg口服。新法每次5mg口服，再次5mg口服。"
    place = text.index("5mg口服", text.index("新法"))
    assert align("5mg口服", text) == (place, place + 5)


@pytest.mark.parametrize("quote", ["", "发热", "发 热\n时", "……", "，。；！"])
def test_a_short_quote_aligns_to_nothing(quote: str) -> None:
    assert align(quote, TEXT) is None
    assert align_all(quote, TEXT) is None


def test_pieces_that_an_ellipsis_joins() -> None:
    spans = align_all("小儿发热时可用布洛芬……体温≥38.5℃时使用", TEXT)
    assert spans is not None
    assert [TEXT[start:end] for start, end in spans] == ["小儿发热时可用布洛芬", "体温≥38.5℃时使用"]
    assert align_all("小儿发热时可用布洛芬...体温≥38.5℃时使用...", TEXT) == spans
    assert align_all("体温≥38.5℃时使用……小儿发热时可用布洛芬", TEXT) is None
    assert align_all("小儿发热时可用布洛芬……不可使用阿司匹林", TEXT) is None
    assert align_all("小儿发热时可用布洛芬……间隔", TEXT) is None
    whole = align_all("“精神差”者应就诊……脱水者补液。", TEXT)
    assert whole is not None and len(whole) == 1


LETTERS = st.text(
    st.sampled_from("患儿发热咳嗽可用布洛芬，；（）“”～—%/·mgkg0123456789.ＭＧ５℃μ"), min_size=4, max_size=24
)
SENTENCE = st.builds(lambda text, end: "患儿" + text + "时" + end, LETTERS, st.sampled_from("。！？"))
WIDE = {**{chr(code): chr(code + 0xFEE0) for code in range(0x21, 0x7F) if chr(code) not in "\"'`"}, "～": "~", "“": '"'}


def respaced(text: str, data: st.DataObject) -> str:
    """``text`` with blanks put in where they part no number, and some characters of another width."""
    made = ""
    for place, character in enumerate(text):
        near = text[max(0, place - 1) : place + 1]
        if not any(unicodedata.normalize("NFKC", one)[0] in "0123456789." for one in near) and data.draw(st.booleans()):
            made += data.draw(st.sampled_from([" ", "\n", "\u3000", "\u200b"]))
        made += WIDE.get(character, character) if data.draw(st.booleans()) else character
    return made


def digits(text: str) -> str:
    return "".join(one for one in unicodedata.normalize("NFKC", text) if one.isdigit() or one in ".%")


@given(st.lists(SENTENCE, min_size=1, max_size=4), st.data())
def test_a_sentence_aligns_back_however_it_is_spaced(parts: list[str], data: st.DataObject) -> None:
    text = "\n".join(parts)
    which = data.draw(st.integers(0, len(parts) - 1))
    start = sum(len(part) + 1 for part in parts[:which])
    span = align(respaced(parts[which], data), text)
    assert span is not None
    assert span[0] <= start
    assert align(text[slice(*span)], parts[which]) == (0, len(parts[which]))


@given(SENTENCE, st.data())
def test_a_changed_digit_never_aligns(text: str, data: st.DataObject) -> None:
    places = [place for place, one in enumerate(text) if one in "0123456789"]
    assume(places)
    place = data.draw(st.sampled_from(places))
    other = data.draw(st.sampled_from([one for one in "0123456789" if one != text[place]]))
    assert align(text[:place] + other + text[place + 1 :], text) is None


@given(st.text(max_size=40), st.text(max_size=20), st.data())
@example("ﬁfth disease", "ifth", None)
def test_any_span_says_the_quote_and_is_no_wider(text: str, quote: str, data: st.DataObject | None) -> None:
    if data is not None and len(text) > 6 and data.draw(st.booleans()):
        start = data.draw(st.integers(0, len(text) - 5))
        quote = text[start : data.draw(st.integers(start + 4, len(text)))]
    span = align(quote, text)
    if span is None:
        return
    said = text[slice(*span)]
    assert said and said == said.strip()
    assert align(said, text) is not None
    assert digits(said) == digits(quote)


# --- names ------------------------------------------------------------------------------------------

GRAPH = [
    record(
        kind="knowledge_graph",
        disease="小儿支气管肺炎",
        triples=[("症状", "咳嗽"), ("并发症", "心力衰竭"), ("常用药物", "甲灵颗粒"), ("常用药物", "地高辛片")],
    ),
    record(kind="knowledge_graph", disease="川畸综合病", triples=[("症状", "发热"), ("简介", "一种" + "很" * 40)]),
]
NAMES = Names.collect(GRAPH)
NONE = Names()
EVIDENCE = (
    "支气管肺炎患儿有细菌感染时首选青霉素，过敏者改用红霉素。高热者给予对乙酰氨基酚。重者可并发心力衰竭。",
    "病毒性脑炎急性期可用甘露醇降颅压，惊厥时静脉注射地西泮。",
)


def lost(answer: str, *evidence: str, disease: str | None = None, names: Names = NAMES) -> list[str]:
    return ungrounded_names(answer, evidence or EVIDENCE, disease, names)


@pytest.mark.parametrize(
    "answer",
    [
        *EVIDENCE,
        "孩子得了支气管肺炎，如果是细菌引起的，可以选青霉素；对青霉素过敏就换红霉素。",
        "考虑肺炎，请注意有没有心力衰竭，也叫心衰。",
        "退热可以用扑热息痛。",
        "发烧、咳嗽、呕吐和皮疹都要留意，别自己用抗生素或者退热药。",
        "惊厥时医生会用安定，颅内压高时用甘露醇。",
        "病毒性脑炎的孩子要住院；脑炎恢复期注意康复。",
        "孩子生病时要及时看病，了解病情和症状，防止发炎和并发症。",
        "这种疾病没有后遗症，也不是老毛病。",
        "1.肺炎\n2.急性脑炎",
        "①肺炎：用青霉素",
        "**支气管肺炎**用**青霉素**。",
        "支 气 管 肺 炎",
    ],
)
def test_an_honest_paraphrase_names_nothing_new(answer: str) -> None:
    assert lost(answer) == []


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        ("可以用阿奇霉素。", "阿奇霉素"),
        ("可以用罗红霉素。", "罗红霉素"),
        ("不要用阿司匹林。", "阿司匹林"),
        ("首选青霉素，或头孢曲松。", "头孢曲松"),
        ("可以用苯巴比妥。", "苯巴比妥"),
        ("孩子得了毛细支气管炎。", "毛细支气管炎"),
        ("这是化脓性脑膜炎。", "化脓性脑膜炎"),
        ("这不是川崎病。", "川崎病"),
        ("其实只是感冒。", "感冒"),
        ("可以吃甲灵颗粒。", "甲灵颗粒"),
        ("这是川畸综合病。", "川畸综合病"),
        ("可以补充维生素D3。", "维生素d3"),
        ("可用对乙酰氨基酚颗粒。", "基酚颗粒"),
        ("give ibuprofen at home", "ibuprofen"),
        ("this is acute otitis media", "otitis"),
    ],
)
def test_a_name_that_nobody_told_of_is_found(answer: str, name: str) -> None:
    assert name in lost(answer)


@pytest.mark.parametrize(
    "answer",
    [
        "可以用新达霉素。",
        "可以用左安沙星。",
        "口服力尔西林。",
        "口服美妥洛芬。",
        "头孢力新每日一次。",
        "服用宁儿胶囊。",
        "服用小儿金铃口服液。",
        "煎服七味清儿汤。",
        "这是卡氏综合征。",
        "孩子患的是孢子虫肺炎。",
        "这是细菌性脑炎。",
        "这是慢性肺炎。",
        "要当心肠套梗阻。",
        "这是神经节胶质瘤。",
        "查出尿路真菌感染。",
        "有铊中毒的可能。",
        "有克氏病的可能。",
        "take flumoxicillin",
        "this is kawasaki disease",
    ],
)
def test_names_that_no_list_has_are_found_by_their_endings(answer: str) -> None:
    assert lost(answer)
    assert lost(answer, names=NONE)
    assert lost(answer, answer) == []


@pytest.mark.parametrize(
    ("answer", "evidence"),
    [
        ("用肾上腺素。", "用去甲肾上腺素。"),
        ("用红霉素。", "用罗红霉素。"),
        ("用泼尼松。", "用泼尼松龙。"),
        ("用氯雷他定。", "用地氯雷他定。"),
        ("用西替利嗪。", "用左西替利嗪。"),
        ("用布洛芬。", "用右布洛芬。"),
        ("用硝西泮。", "用氯硝西泮。"),
        ("用葡萄糖。", "用葡萄糖酸钙。"),
        ("用茶碱。", "用氨茶碱。"),
        ("用阿莫西林。", "用阿莫西林克拉维酸钾。"),
        ("用麻黄。", "用麻黄汤。"),
        ("用维生素B1。", "用维生素B12。"),
        ("这是麻疹。", "这是荨麻疹。"),
        ("这是流感。", "感染流感嗜血杆菌。"),
        ("这是伤寒。", "这是副伤寒。"),
        ("这是气管炎。", "这是支气管炎。"),
        ("这是肺炎。", "感染肺炎链球菌。"),
    ],
)
def test_a_part_of_another_name_is_not_that_name(answer: str, evidence: str) -> None:
    assert lost(answer, evidence, names=NONE)
    assert lost(evidence, evidence, names=NONE) == []


@pytest.mark.parametrize(
    ("answer", "evidence"),
    [
        ("用布洛芬。", "布洛芬混悬液口服。"),
        ("用盐酸氨溴索。", "氨溴索口服。"),
        ("这是肺炎。", "小儿肺炎支原体肺炎。"),
        ("这是急性支气管炎。", "急性或慢性支气管炎。"),
        ("这是流行性感冒。", "流感是传染病。"),
        ("这是甲亢。", "甲状腺功能亢进症要长期服药。"),
        ("小儿肺炎要休息。", "肺炎患儿应休息。"),
        ("阿斯匹林不能用。", "阿司匹林禁用于水痘患儿。"),
        ("这是抽动秽语综合症。", "抽动秽语综合征。"),
        ("用红霉素软膏。", "外涂红霉素软膏。"),
    ],
)
def test_another_way_to_say_the_same_name(answer: str, evidence: str) -> None:
    assert lost(answer, evidence, names=NONE) == []


def test_the_graph_and_the_disease_of_the_row_ground_names() -> None:
    answer = "支气管肺炎可以用地高辛，也可以用甲灵颗粒，当心心衰。"
    assert lost(answer, "咳嗽要休息。") == ["支气管肺炎", "地高辛", "甲灵颗粒", "心衰"]
    assert lost(answer, "咳嗽要休息。", disease="小儿支气管肺炎") == []
    assert lost(answer, "咳嗽要休息。", disease="小儿支气管肺炎", names=NONE) == ["地高辛", "甲灵颗粒", "心衰"]
    assert lost("这是川畸综合病。", "发热。", disease="川畸综合病") == []


def test_names_of_a_build() -> None:
    assert {"小儿支气管肺炎", "支气管肺炎", "川畸综合病"} == NAMES.diseases
    assert {"甲灵颗粒", "地高辛片", "地高辛"} == NAMES.drugs
    assert NAMES.around["川畸综合病"] == {"发热"}
    assert Names.collect([record("发热", disease="发热"), record("概述", disease="概述")]) == NONE
    assert Names.collect([record("脑热症见抽搐", disease="脑热痫症", era="historic")]) == NONE
    assert "脑热痫症" in Names.collect([record("脑热症见抽搐", disease="脑热痫症")]).diseases


def test_names_go_to_a_file_and_come_back(tmp_path: Path) -> None:
    parts = [Names.collect([one]) for one in GRAPH]
    assert parts[0].merge(parts[1]) == parts[1].merge(parts[0]) == NAMES
    assert parts[1].merge(parts[0]).to_json() == NAMES.to_json()
    assert Names.from_json(NAMES.to_json()) == NAMES
    path = tmp_path / "names.json"
    path.write_text(NAMES.to_json(), encoding="utf-8")
    assert load_names(str(path)) == NAMES
    assert load_names(str(path)) is load_names(str(path))
    path.write_text(NONE.to_json(), encoding="utf-8")
    os.utime(path, ns=(1, 1))
    assert load_names(str(path)) == load_names("") == NONE


# --- what the graph speaks for ----------------------------------------------------------------------

REYE = record(
    kind="knowledge_graph",
    disease="瑞氏综合征",
    triples=[
        ("病因", "阿司匹林"),
        ("治疗方式", "避免使用布洛芬"),
        ("治疗方式", "甘露醇降颅压"),
        ("常用药物", "呋塞米片"),
        ("并发症", "脑疝"),
    ],
)


@pytest.mark.parametrize(
    ("answer", "names"),
    [("可以吃阿司匹林。", ["阿司匹林"]), ("可以用布洛芬。", ["布洛芬"]), ("可以用甘露醇、呋塞米，当心脑疝。", [])],
)
def test_the_graph_speaks_for_a_drug_only_as_a_treatment(answer: str, names: list[str]) -> None:
    known = Names.collect([REYE])
    assert lost(answer, "卧床休息。", disease="瑞氏综合征", names=known) == names
    assert lost(answer, "卧床休息。", disease="瑞氏综合征", names=Names.from_json(known.to_json())) == names
    assert Names().merge(known).to_json() == known.merge(Names()).to_json() == known.to_json()


@pytest.mark.parametrize(
    "name",
    "顺尔宁 希刻劳 开瑞坦 仙特明 信必可 辅舒良 世福素 雷诺考特 万托林 爱全乐 可必特 再林 艾畅 护彤 惠菲宁 易坦静 莱特灵 阿奇 氯化铵 碘化钾 雄黄 硼砂 多囊肾 脑震荡 心肌损害 胃肠功能紊乱 脱臼 ADHD SMA".split(),
)
def test_common_names_are_known(name: str) -> None:
    assert lost(f"孩子可以服用{name}。", "注意多喝水。") == [name.lower()]


def test_brands_are_grounded_by_their_drug() -> None:
    assert lost("可以用顺尔宁和阿奇。", "给予孟鲁司特、阿奇霉素。") == []
    assert lost("多动症的孩子要看医生。", "ADHD患儿应就诊。") == []
