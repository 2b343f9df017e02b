"""Markdown: the markup goes, no word and no number goes with it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.extractors.reading import Read, read


def md(text: str) -> Read:
    return read("textbook", "book.md", f"# 甲病\n\n{text}\n")


def body(text: str) -> str:
    """The text below the one heading."""
    found = md(text)
    assert not found.rejects
    assert found.only.section_path == ("甲病",)
    return found.only.text


# --- numbers and comparisons survive ----------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "年龄<3岁，体重>10kg者每次5mg。",
        "体温<38.5℃且>37.5℃不用药。",
        "体重<w>者慎用",
        "<w>",
        "血小板<100×10^9/L或>450×10^9/L",
        "每日3*2*5mg",
        "共2*3*4片，每次0.5*2片",
        "5_10_20mg",
        "[用法]: 每次5mg",
        "[1]: 见下文",
        "剂量~5~10mg",
        "a|b 不是表",
        "100% ± 5%，pH 7.35–7.45",
        "①每次5mg；②每次10mg。",
    ],
)
def test_signs_that_only_look_like_markup_stay(text: str) -> None:
    assert body(text) == text


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("首剂5<br>10mg维持", "首剂5 10mg维持"),
        ("体温38.5  \n39.0以上", "体温38.5 39.0以上"),
        ("体温38.5\\\n39.0以上", "体温38.5 39.0以上"),
        ("白细胞15×10<sup>9</sup>/L", "白细胞15×10⁹/L"),
        ("每次20mg/m<sup>2</sup>", "每次20mg/m²"),
        ("CO<sub>2</sub>", "CO2"),
        ("**每次***5mg*/kg", "每次5mg/kg"),
        ("&lt;3岁 &amp; &gt;1岁&nbsp;用", "<3岁 & >1岁\u00a0用"),
        ("1\\*2\\_3", "1*2_3"),
        ("`0.1ml/kg` 肌注", "0.1ml/kg 肌注"),
        ("见[说明](http://x.y/z)与![图](a.png)正文", "见说明与正文"),
        ("前<!-- 注 -->后", "前后"),
        ("患儿应卧床\n休息，多饮水", "患儿应卧床休息，多饮水"),
        ("take 5 mg\nper day", "take 5 mg per day"),
        ("> 引文5mg\n> 续行", "引文5mg续行"),
    ],
)
def test_markup_goes_and_words_stay_apart(text: str, wanted: str) -> None:
    assert body(text) == wanted


def test_a_rule_below_a_paragraph_makes_it_no_heading() -> None:
    assert (
        body("每次5mg，每日三次，饭后服用。\n---\n\n3月龄以下禁用。")
        == "每次5mg，每日三次，饭后服用。\n3月龄以下禁用。"
    )


def test_underlined_headings_are_headings() -> None:
    found = read("textbook", "book.md", "甲病\n====\n\n治疗\n----\n\n多饮水。\n")
    assert found.only.section_path == ("甲病", "治疗")


def test_text_between_two_rules_is_no_front_matter() -> None:
    found = read("textbook", "book.md", "---\n第一段，每次5mg。\n\n# 甲病\n\n内容。\n---\n\n第二段。\n")
    assert "".join(found.texts).startswith("第一段，每次5mg。")
    found = read("textbook", "book.md", "---\n注意: 新生儿禁用\n---\n\n# 甲病\n\n内容。\n")
    assert "新生儿禁用" in "".join("".join(record.section_path) + record.text for record in found.records)


def test_front_matter_is_no_text() -> None:
    found = read("textbook", "book.md", "---\ntitle: 某书\ntags: [a, b]\n---\n# 甲病\n\n内容。\n")
    assert found.only.text == "内容。"


def test_a_list_of_link_targets_is_no_text() -> None:
    assert body("见文献[1]。\n\n[1]: https://example.org/a") == "见文献[1]。"


# --- tables and HTML --------------------------------------------------------------------------------


def test_each_row_of_a_table_reads_by_itself() -> None:
    found = md("| 药物 | 剂量 |\n|---|:-:|\n| 甲药 | 5<br>10mg |\n| 乙药\\|丙药 | |\n\n表后。")
    text = found.only.text
    assert text == "药物：甲药；剂量：5 10mg\n药物：乙药|丙药\n表后。"
    (span,) = found.only.extras()["tables"]
    assert text[span[0] : span[1]] == "药物：甲药；剂量：5 10mg\n药物：乙药|丙药"


def test_a_table_of_one_row_is_not_lost() -> None:
    assert body("| 甲药 | 5mg |\n|---|---|\n\n表后。") == "甲药；5mg\n表后。"


def test_a_table_in_html_is_a_table() -> None:
    """As converters of scanned books write them; a dose table must not vanish."""
    html = (
        "<table><thead><tr><th>年龄</th><th colspan='2'>剂量</th></tr></thead>"
        "<tr><td rowspan=2>&lt;1岁</td><td>首剂</td><td>5<br/>10mg</td></tr><tr><td>维持</td><td>2mg</td></tr>"
        "<tr><td>1～3岁</td><td>首剂</td><td>1×10<sup>9</sup></td></tr></table>"
    )
    wanted = (
        "年龄：<1岁；剂量：首剂；剂量：5 10mg\n年龄：<1岁；剂量：维持；剂量：2mg\n年龄：1～3岁；剂量：首剂；剂量：1×10⁹"
    )
    found = md(f"{html}\n\n表后。")
    assert found.only.text == f"{wanted}\n表后。"
    assert found.only.extras()["tables"] == [[0, len(wanted)]]
    spread = html.replace("><", ">\n<").replace("<table>", "<html><body><table border=1>") + "</body></html>"
    assert md(f"{spread}\n\n表后。").only.text == found.only.text


def test_paragraphs_in_html_are_paragraphs() -> None:
    text = "<div align=center>新生儿禁用。</div>\n\n<p>每次5mg，\n饭后。</p><ul><li>甲</li><li>乙</li></ul>\n<style>p {color: red}</style>\n\n正文。"
    assert body(text) == "新生儿禁用。\n每次5mg， 饭后。\n甲\n乙\n正文。"


def test_html_that_is_never_closed_loses_nothing() -> None:
    found = md("<table><tr><td>药物</td><td>剂量</td></tr><tr><td>甲药</td><td>5mg\n\n正文在后。")
    assert found.only.text == "药物：甲药；剂量：5mg\n正文在后。"
    assert body("<div>禁用于新生儿\n\n正文。") == "禁用于新生儿\n正文。"


# --- headings and lists -----------------------------------------------------------------------------


def test_headings_make_paths() -> None:
    found = read(
        "textbook",
        "book.md",
        "# 第一章 总论\n\n引言。\n\n## 一、病因\n\n病毒。\n\n### （一）*病毒*\n\n鼻病毒。\n\n## 二、治疗\n\n【一般治疗】多饮水。\n\n【药物】\n\n退热药。\n\n# 第二章 各论\n\n正文。\n",
    )
    assert [(record.section_path, record.text) for record in found.records] == [
        (("第一章 总论",), "引言。"),
        (("第一章 总论", "一、病因"), "病毒。"),
        (("第一章 总论", "一、病因", "（一）病毒"), "鼻病毒。"),
        (("第一章 总论", "二、治疗", "一般治疗"), "多饮水。"),
        (("第一章 总论", "二、治疗", "药物"), "退热药。"),
        (("第二章 各论",), "正文。"),
    ]


def test_a_list_of_short_items_is_text_not_headings() -> None:
    """The items have no full stop and nothing below them: as headings they would all be lost."""
    found = read(
        "textbook", "book.md", "# 甲药\n\n## 禁忌\n\n1. 新生儿禁用\n2. 肝病禁用\n3. 过敏者禁用\n\n## 预防\n\n洗手。\n"
    )
    assert found.at("甲药", "禁忌") == "1.新生儿禁用\n2.肝病禁用\n3.过敏者禁用"
    assert found.at("甲药", "预防") == "洗手。"


def test_headings_with_nothing_below_them_are_lines_of_their_section() -> None:
    found = read(
        "textbook",
        "book.md",
        "# 用药\n\n## 退热\n\n### 对乙酰氨基酚15mg/kg\n\n### 布洛芬10mg/kg\n\n## 预防\n\n洗手。\n",
    )
    assert found.at("用药", "退热") == "对乙酰氨基酚15mg/kg\n布洛芬10mg/kg"


def test_a_line_does_not_join_the_section_before_it() -> None:
    found = md("## 一般治疗\n\n### 休息\n\n卧床。\n\n### 吸氧\n\n## 药物\n\n布洛芬。")
    assert found.at("甲病", "一般治疗", "休息") == "卧床。"
    assert found.at("甲病", "一般治疗") == "吸氧"


def test_numbers_of_nested_lists_stay() -> None:
    found = md("用药：\n\n1. 第一步，评估。\n   - 看精神；\n   - 看尿量。\n2. 第二步，补液。\n\n   续段。")
    assert "1.第一步，评估。\n看精神；\n看尿量。\n2.第二步，补液。\n续段。" in "\n".join(found.texts)


def test_a_book_of_headings_alone_is_told() -> None:
    found = read("textbook", "book.md", "# 总论\n\n## 第一章 绪论\n")
    assert not found.records
    assert found.reject.reason == "extract.no_text"


# --- nothing is lost --------------------------------------------------------------------------------

WORDS = st.text(
    st.sampled_from("患儿发热咳嗽每次用药剂量岁0123456789mgkg，；（）<>*_~%℃.·≥"), min_size=3, max_size=40
).map(lambda text: f"句{text}句。")
HEADS = st.tuples(st.integers(2, 4), st.text(st.sampled_from("病因治疗用药预防诊断"), min_size=2, max_size=8))
PIECES = st.one_of(
    WORDS,
    st.lists(WORDS, min_size=1, max_size=4).map(lambda items: "\n".join(f"- {item}" for item in items)),
    st.lists(WORDS, min_size=2, max_size=3).map("\n".join),
    HEADS.map(lambda head: f"{'#' * head[0]} {head[1]}"),
    WORDS.map(lambda text: f"> {text}"),
    st.tuples(WORDS, WORDS).map(
        lambda pair: f"<p>{pair[0].replace('<', '&lt;')}</p>\n<div>{pair[1].replace('<', '&lt;')}</div>"
    ),
)


@given(st.lists(PIECES, min_size=1, max_size=12))
def test_no_character_is_lost(pieces: list[str]) -> None:
    """Every character but marks of emphasis stands in a record, its headings or the ledger, in order."""
    # no two headings alike, so that the paths tell where each begins
    pieces = [f"{piece}{chr(0x5000 + i)}" if piece.startswith("#") else piece for i, piece in enumerate(pieces)]
    found = read("textbook", "book.md", "# 甲病\n\n" + "\n\n".join([*pieces, "尾句。"]), deidentify=False)
    assert not found.rejects
    kept = ""
    path: tuple[str, ...] = ()
    for record in found.records:
        shared = next(
            (i for i, (a, b) in enumerate(zip(path, record.section_path, strict=False)) if a != b),
            min(len(path), len(record.section_path)),
        )
        kept += "".join(record.section_path[shared:]) + record.text
        path = record.section_path
    marks = str.maketrans("", "", " \n#->*_" + "~")
    source = "甲病" + "".join(pieces) + "尾句。"
    for tag in ("<p>", "</p>", "<div>", "</div>"):
        source = source.replace(tag, "")
    assert kept.translate(marks) == source.replace("&lt;", "<").translate(marks)


@given(st.lists(st.text(st.sampled_from("# -*_>|`~<>&;:\\[]()!1.甲乙0\n\t\"'=+"), max_size=30), max_size=8))
def test_whatever_is_written_is_read_without_a_crash(lines: list[str]) -> None:
    found = read("textbook", "book.md", "开头。\n\n" + "\n".join(lines))
    assert found.records
