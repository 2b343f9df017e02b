"""A record as a generator reads it: every span of the cleaned text leads back to the record's own characters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pedcorpus.generators.passage import Passage, cite, illness_of
from pedcorpus.wording import load_wording
from tests.making import record

WORDING = load_wording("extractive/sections")


@given(
    st.text(alphabet="病热咳，。 \u3000\t\n\u200b5mgＡ（）", min_size=1, max_size=60),
    st.integers(0, 59),
    st.integers(1, 60),
)
def test_evidence_is_what_the_record_says_there(text: str, start: int, length: int) -> None:
    passage = Passage(record(text))
    end = min(start + length, len(passage.text))
    if start >= end:
        return
    found = passage.evidence(start, end)
    assert found.quote == text[found.start : found.end]
    without_blanks = "".join(passage.text[start:end].split())
    assert "".join(found.quote.split()).replace("\u200b", "") == without_blanks


def test_the_page_of_a_span_is_the_one_it_starts_on() -> None:
    text = "第一页的话。第二页的话。第三页的话。"
    made = record(text, page=7, extra={"page_starts": [[8, 6], [9, 12]]})
    passage = Passage(made)
    assert [passage.evidence(start, start + 4).page for start in (0, 5, 6, 11, 12)] == [7, 7, 8, 8, 9]
    assert Passage(record(text)).evidence(0, 3).page is None


@pytest.mark.parametrize(
    "cut",
    [
        "每次1|0mg，一日两次",
        "每次10|mg，一日两次",
        "每次0.|5mg，一日两次",
        "每次10 |mg，一日两次",
        "每次5～|10mg，一日两次",
        "每次10mg/|kg，一日两次",
        "每次10mg|/kg，一日两次",
        "每次10mg|（kg·d），一日两次",
        "每次２|０毫升，一日两次",
        "每次二十|五毫升，一日两次",
        "每次十|毫升，一日两次",
        "年龄3|个月以内，忌用",
        "浓度0.9|%的盐水",
        "间隔6|小时再用",
        "体温38|.5℃以上",
        "青霉素10|万单位",
    ],
)
def test_a_page_mark_inside_a_quantity_is_found(cut: str) -> None:
    seam = cut.index("|")
    text = cut.replace("|", "")
    passage = Passage(record(text, extra={"seams": [seam]}))
    assert passage.cut_quantity(0, len(text))
    assert passage.cut_quantity(0, seam) is None, "a span that ends at the seam is whole"
    assert Passage(record(text)).cut_quantity(0, len(text)) is None


@pytest.mark.parametrize(
    "cut",
    ["每次10mg。|一日两次", "咳嗽3天，|发热", "退热|药每次10mg", "病因有二，|一是感染", "表1|所示的原则"],
)
def test_a_page_mark_elsewhere_is_none(cut: str) -> None:
    seam = cut.index("|")
    text = cut.replace("|", "")
    assert Passage(record(text, extra={"seams": [seam]})).cut_quantity(0, len(text)) is None


def test_lines_and_rows_of_tables_are_told_apart() -> None:
    text = "正文一。\n药物：布洛芬；用法：口服\n正文二。"
    start = text.index("药物")
    passage = Passage(record(text, extra={"tables": [[start, start + len("药物：布洛芬；用法：口服")]]}))
    assert [line.text for line in passage.lines()] == ["正文一。", "正文二。"]
    assert [line.text for line in passage.lines(tables=True)] == ["药物：布洛芬；用法：口服"]
    for line in (*passage.lines(), *passage.lines(tables=True)):
        assert passage.text[line.start : line.end] == line.text


def test_a_long_span_ends_with_a_whole_sentence() -> None:
    text = "第一句话。第二句话。第三句话很长很长很长很长。"
    passage = Passage(record(text))
    assert text[: passage.shorten(0, len(text), 10)] == "第一句话。第二句话。"
    assert text[: passage.shorten(0, len(text), 9)] == "第一句话。"
    assert passage.shorten(0, len(text), len(text)) == len(text)
    assert passage.shorten(0, len(text), 3) == len(text), "rather too long than cut"


def test_a_citation_names_guideline_or_dated_book() -> None:
    guideline = record("文", kind="guideline", title="儿童腹泻病诊疗指南（2024年版）", edition="2024年版")
    book = record("文", title="中医儿科学", edition="1985年")
    assert cite(WORDING, guideline, "medkqa") == "根据《儿童腹泻病诊疗指南（2024年版）》："
    assert cite(WORDING, record("文", kind="guideline", title="腹泻指南", edition="2024年版"), "medkqa") == (
        "根据《腹泻指南》（2024年版）："
    )
    assert cite(WORDING, book, "trerecom") == "根据《中医儿科学》（1985年）："
    assert cite(WORDING, book, "medkqa") == ""
    assert cite(WORDING, record("文"), "trerecom") == ""


@pytest.mark.parametrize(
    ("disease", "illness"),
    [("小儿肺炎", "肺炎"), ("儿童支气管哮喘", "支气管哮喘"), ("小儿麻痹症", "小儿麻痹症"), ("新生儿黄疸", "新生儿黄疸"), ("小儿疝", "小儿疝"), ("儿童期肥胖", "儿童期肥胖")],
)  # fmt: skip
def test_a_child_gets_an_illness_and_not_a_childs_illness(disease: str, illness: str) -> None:
    assert illness_of(disease) == illness
