"""Cleaning, keys and sentences: what an answer shows must lead back to the raw text to the character."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pedcorpus.text import clean, fold, han_share, key, sentences

BLANKS = " \t\u00a0\u2009\u3000"
UNSEEN = "\u200b\ufeff\u00ad\u2060\x00\x1b"
LINES = "\n\r\x0b\x0c\x85\u2028\u2029"
RAW = st.text(st.sampled_from("患儿体温mgkg0123456789.～/（），。！？”" + BLANKS + UNSEEN + LINES), max_size=60)
ANY = st.text(max_size=60)


@given(st.one_of(RAW, ANY))
def test_every_character_kept_stands_in_the_raw_text_at_its_origin(raw: str) -> None:
    cleaned = clean(raw)
    assert len(cleaned.origins) == len(cleaned.text)
    assert list(cleaned.origins) == sorted(set(cleaned.origins))
    for character, origin in zip(cleaned.text, cleaned.origins, strict=True):
        unseen = raw[origin].isspace() or unicodedata.category(raw[origin]) in ("Cc", "Cf")
        assert raw[origin] == character or (character in " \n" and unseen)


@given(st.one_of(RAW, ANY))
def test_only_blanks_and_unseen_characters_are_lost(raw: str) -> None:
    def seen(text: str) -> str:
        return "".join(c for c in text if not c.isspace() and unicodedata.category(c) not in ("Cc", "Cf"))

    assert seen(clean(raw).text) == seen(raw)


@given(st.one_of(RAW, ANY))
def test_clean_of_clean_is_clean(raw: str) -> None:
    once = clean(raw).text
    assert clean(once).text == once


@given(RAW, st.data())
def test_raw_spans_lead_back(raw: str, data: st.DataObject) -> None:
    cleaned = clean(raw)
    if not cleaned.text:
        assert not raw.strip(BLANKS + UNSEEN + LINES)
        return
    start = data.draw(st.integers(0, len(cleaned.text) - 1))
    end = data.draw(st.integers(start + 1, len(cleaned.text)))
    raw_start, raw_end = cleaned.raw_span(start, end)
    assert 0 <= raw_start < raw_end <= len(raw)
    assert "".join(clean(raw[raw_start:raw_end]).text.split()) == "".join(cleaned.text[start:end].split())
    assert cleaned.clean_offset(raw_start) == start
    assert cleaned.clean_offset(cleaned.origins[end - 1]) == end - 1


@given(RAW)
def test_clean_offset_is_the_first_kept_character_at_or_after(raw: str) -> None:
    cleaned = clean(raw)
    for raw_offset in range(len(raw) + 1):
        wanted = next((i for i, origin in enumerate(cleaned.origins) if origin >= raw_offset), len(cleaned.text))
        assert cleaned.clean_offset(raw_offset) == wanted


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("  口服\u3000\u3000５～１０ mg／（kg·d） \n", "口服 ５～１０ mg／（kg·d）"),
        ("剂量为0.5～1mg/(kg·次)", "剂量为0.5～1mg/(kg·次)"),
        ("发\u200b热\ufeff", "发热"),
        ("第一行\r\n\r\n  第二行", "第一行\n第二行"),
        ("小 儿 肺 炎 是一种病", "小儿肺炎 是一种病"),
        ("第 1 章 总 论", "第1章总论"),
        ("a  b", "a b"),
        ("", ""),
        ("\u200b \n", ""),
    ],
)
def test_clean(raw: str, shown: str) -> None:
    assert clean(raw).text == shown


@pytest.mark.parametrize("line", list("\n\r\x0b\x0c\x85\u2028\u2029"))
def test_no_line_or_page_break_ever_joins_two_figures(line: str) -> None:
    assert clean(f"每日3{line}10mg").text == "每日3\n10mg"


@pytest.mark.parametrize("raw", ["剂 量 5 8", "体 重 1 0 公 斤", "结 果 3 5 2"])
def test_closing_up_spaced_words_never_makes_a_new_number(raw: str) -> None:
    figures = "".join(character if character.isdigit() else " " for character in raw).split()
    shown = "".join(character if character.isdigit() else " " for character in clean(raw).text).split()
    assert shown == figures


@given(st.one_of(RAW, ANY))
def test_sentences_cover_the_text_and_hold_no_blanks_at_their_ends(text: str) -> None:
    rebuilt, position = "", 0
    for start, end in sentences(text):
        between = text[position:start]
        assert position <= start < end <= len(text)
        assert not between.strip()
        assert text[start:end] == text[start:end].strip()
        rebuilt += between + text[start:end]
        position = end
    assert not text[position:].strip()
    assert rebuilt + text[position:] == text


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("发热。咳嗽！", ["发热。", "咳嗽！"]),
        ("他说：“先退热。”再来。", ["他说：“先退热。”", "再来。"]),
        ("（每日3次。）饭后服。", ["（每日3次。）", "饭后服。"]),
        ("怎么办？！快来", ["怎么办？！", "快来"]),
        ("第一行\n 第二行 \n", ["第一行", "第二行"]),
        ("每次0.5mg，每日3次", ["每次0.5mg，每日3次"]),
        ("", []),
        (" \n", []),
    ],
)
def test_sentences(text: str, found: list[str]) -> None:
    assert [text[start:end] for start, end in sentences(text)] == found


@given(ANY)
def test_fold_has_no_blanks_and_folds_to_itself(text: str) -> None:
    assert not any(character.isspace() for character in fold(text))
    assert fold(f" {text}\t") == fold(text)


def test_fold_makes_widths_and_case_one() -> None:
    assert fold("５ ＭＧ／（Kg·D）") == "5mg/(kg·d)"


@given(st.text(st.sampled_from("儿童1234567890a. ,，。～-/%<≥（）\n"), max_size=40))
def test_key_of_a_key_is_the_key(text: str) -> None:
    assert key(key(text)) == key(text)


@given(st.text(st.sampled_from("儿童发热咳嗽abc"), max_size=20), st.sampled_from("，。、 \n（）《》“”-"))
def test_key_does_not_see_marks_between_words(text: str, mark: str) -> None:
    assert key(mark.join(text)) == key(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("１０ＭＧ", "10 mg"),
        ("1,000ml", "1000ml"),
        ("3～5天", "3-5天"),
        ("3 ~ 5天", "3—5天"),
        ("体温 ＜ 38℃", "体温<38℃"),
        ("5 %", "5％"),
        ("《肺炎》（一）", "肺炎一"),
        ("½片", "1/2片"),
    ],
)
def test_key_of_the_same_words(one: str, other: str) -> None:
    assert key(one) == key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("每次1.5mg", "每次15mg"),
        ("3～5天", "35天"),
        ("1/2片", "12片"),
        ("1/2片", "1-2片"),
        ("1:1000", "11000"),
        ("5%", "5‰"),
        ("5%", "5"),
        ("体温<38.5℃", "体温≥38.5℃"),
        ("2岁 3次", "23次"),
        ("5\n10", "510"),
        ("2×5", "25"),
    ],
)
def test_key_of_other_numbers_is_another_key(one: str, other: str) -> None:
    assert key(one) != key(other)


@pytest.mark.parametrize(
    ("text", "share"), [("", 0.0), ("，。", 0.0), ("儿科", 1.0), ("儿科ab", 0.5), ("儿1 2，3", 0.25)]
)
def test_han_share(text: str, share: float) -> None:
    assert han_share(text) == share
