"""Encodings are found, not assumed: what was written is what is read, and what is broken is said to be."""

from __future__ import annotations

import codecs
import random
import re
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pedcorpus.extractors.encoding import DAMAGED, decode, detect, is_binary, is_lfs_pointer, unify_lines
from tests.extractors.reading import read, read_all

PROSE = (
    "支气管肺炎是婴幼儿时期的常见病，以发热、咳嗽、气促和肺部固定的中细湿啰音为主要表现。\n"
    "对乙酰氨基酚每次10～15mg/kg，间隔4～6小时，24小时内不超过4次。\n"
    "新生儿和小婴儿的症状不典型，可以没有发热和咳嗽，应注意呼吸的次数和节律。\n"
)
TRADITIONAL = "小兒發熱的原因很多，以感染最為常見，家長應注意觀察精神狀態與體溫的變化，必要時就醫。\n"
UNICODE = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
PHRASES = [
    "患儿发热三天，", "每次5mg/kg，", "每日3次；", "咳嗽有痰", "（见表2）", "注意事项：", "a.b-c ", "不宜使用。", "血常规检查", "\n", "一",
    "蔴疹", "𠮷", "㕮咀", "°C", "≥38.5", "\u3000",
]  # fmt: skip


@pytest.mark.parametrize("encoding", [*UNICODE, "gb18030", "gbk"])
def test_prose_is_read_back(encoding: str) -> None:
    data = PROSE.encode(encoding)
    assert not is_binary(data)
    found = decode(data)
    assert (found.text.lstrip("\ufeff"), found.damaged) == (PROSE, False)


def test_big5_is_told_from_gb18030() -> None:
    assert decode((TRADITIONAL * 3).encode("big5")).text == TRADITIONAL * 3


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16-le", "utf-16-be", "utf-8"])
@given(parts=st.lists(st.sampled_from(PHRASES), min_size=1, max_size=30))
def test_any_mixture_of_clinical_phrases_is_read_back(encoding: str, parts: list[str]) -> None:
    text = PROSE[:40] + "".join(parts)
    data = text.encode(encoding)
    assert not is_binary(data)
    found = decode(data)
    assert (found.text, found.damaged) == (unify_lines(text), False)


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8", "utf-16", "utf-16-le"])
@given(seed=st.integers(0, 10_000))
def test_characters_that_no_list_holds_are_read_back(encoding: str, seed: int) -> None:
    """Rare characters only, as in a list of drugs or plants: the fit rests on the absence of damage."""
    rare = random.Random(seed)
    text = "".join(chr(rare.randint(0x4E00, 0x9FA5)) for _ in range(400))
    assert decode(text.encode(encoding)).text == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_english_in_utf_16_without_a_mark_is_no_utf_8_full_of_nuls(encoding: str) -> None:
    text = "Acetaminophen 15 mg/kg every 4 to 6 hours.\n"
    data = text.encode(encoding)
    assert "\0" in data.decode("utf-8"), "else this test shows nothing"
    assert decode(data).text == text


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_long_chinese_paragraphs_in_utf_16_are_no_binary_file(encoding: str) -> None:
    """Hardly a NUL: full-width marks and Han characters have none, only line ends and 一 have."""
    text = ("小儿腹泻病以补液为主，" * 30 + "一日数次。\n") * 5
    data = text.encode(encoding)
    assert 0 < data.count(0) < len(data) // 50
    assert not is_binary(data)
    assert decode(data).text == text


def test_a_stray_nul_makes_a_utf_8_text_neither_utf_16_nor_binary() -> None:
    data = PROSE.replace("咳嗽", "咳\0嗽").encode()
    assert not is_binary(data)
    assert detect(data) == "utf-8"


def test_a_broken_byte_costs_a_character_not_the_encoding() -> None:
    data = bytearray(PROSE.encode("gb18030"))
    place = data.index("常见病".encode("gb18030"))
    data[place] = 0xFF
    found = decode(bytes(data))
    assert found.encoding == "gb18030"
    assert found.damaged
    assert found.text.count(DAMAGED) <= 2
    assert "对乙酰氨基酚每次10～15mg/kg，间隔4～6小时" in found.text


def test_utf_8_with_a_cut_character_stays_utf_8() -> None:
    data = (PROSE * 3).encode()
    found = decode(data[:200] + data[201:])
    assert found.encoding == "utf-8"
    assert found.damaged


def test_a_mark_decides_even_over_content() -> None:
    assert detect(codecs.BOM_UTF16_BE + "甲".encode("utf-16-be")) == "utf-16"
    assert detect(codecs.BOM_UTF32_LE + "甲".encode("utf-32-le")) == "utf-32"
    assert decode(codecs.BOM_UTF8 + "甲".encode()).text == "甲"


def test_nothing_and_blanks_have_an_encoding_too() -> None:
    assert decode(b"").text == ""
    assert decode(b" \r\n").text == " \n"


@given(st.text(st.sampled_from("甲乙\r\n"), max_size=40))
def test_every_kind_of_line_end_is_one(text: str) -> None:
    assert unify_lines(text).split("\n") == re.split(r"\r\n|\r|\n", text)


@pytest.mark.parametrize(
    "data",
    [
        b"PK\x03\x04" + bytes(20),
        b"\x89PNG\r\n\x1a\n" + bytes(20),
        b"\xff\xd8\xff\xe0JFIF",
        b"\x1f\x8b\x08\x00",
        b"SQLite format 3\x00" + bytes(range(256)) * 4,
        struct.pack("<2000i", *range(2000)),
        random.Random(3).randbytes(4096),
        b"\x7fELF\x02\x01\x01" + bytes(200) + b"text" * 30,
    ],
)
def test_binary_files_are_known_as_such(data: bytes) -> None:
    assert is_binary(data)


def test_a_pointer_of_git_lfs_is_known_in_every_kind_of_file() -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0af1\nsize 123\n"
    assert is_lfs_pointer(pointer.encode())
    for kind, name in [
        ("textbook", "book.md"),
        ("guideline", "guideline.pdf"),
        ("guideline", "guideline.json"),
        ("knowledge_graph", "kg.csv"),
        ("conversation", "talk.parquet"),
        ("distilled", "qa.jsonl"),
        ("plain_text", "text.txt"),
    ]:
        found = read(kind, name, pointer)
        assert found.reasons[0] == "extract.lfs_pointer", name
        assert "git lfs pull" in found.rejects[0].detail
        assert not found.records


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_a_book_reads_the_same_in_every_encoding(encoding: str, ending: str) -> None:
    book = f"# 支气管肺炎\n\n## 治疗\n\n{PROSE.replace(chr(10), chr(10) * 2)}"
    found = read("textbook", "book.md", book.replace("\n", ending).encode(encoding))
    assert not found.rejects
    assert found.only.section_path == ("支气管肺炎", "治疗")
    assert "每次10～15mg/kg，间隔4～6小时" in found.only.text


def test_damage_below_a_heading_is_told_and_the_rest_is_kept() -> None:
    text = "一、布洛芬\n每次5～10mg/kg，饭后服。\n本品不用于3月龄以下婴儿。\n二、预防\n勤洗手，多通风。\n"
    data = text.encode("gb18030").replace("饭后".encode("gb18030"), b"\xff\xff")
    found = read("textbook", "book.txt", data)
    assert found.reasons == ["extract.encoding"]
    assert "5～10mg/kg" in found.rejects[0].row
    assert found.at("布洛芬") == "本品不用于3月龄以下婴儿。"
    assert found.at("预防") == "勤洗手，多通风。"


def test_a_dose_under_an_unreadable_heading_belongs_to_no_other_drug() -> None:
    text = "一、阿司匹林\n儿童病毒感染时禁用。\n二、布洛芬\n每次5～10mg/kg。\n（一）用法\n口服，间隔6小时。\n三、预防\n勤洗手。\n"
    data = text.encode("gb18030").replace("布洛芬".encode("gb18030"), b"\xff\xff\xff\xff")
    found = read("textbook", "book.txt", data)
    assert [record.section_path for record in found.records] == [("阿司匹林",), ("预防",)]
    assert "5～10mg/kg" not in "".join(found.texts)
    assert set(found.reasons) == {"extract.encoding"}
    ledger = "".join(reject.row for reject in found.rejects)
    assert "5～10mg/kg" in ledger
    assert "口服，间隔6小时" in ledger


def test_the_context_of_a_chapter_file_is_read_in_its_own_encoding() -> None:
    files: dict[str, bytes | str] = {
        "ch04.md": "# 第四章 呼吸系统疾病\n".encode("gb18030"),
        "ch04-1.md": "## 急性上呼吸道感染\n\n多由病毒引起。\n",
    }
    found = read_all("textbook", files)
    assert [record.section_path for record in found.records] == [("第四章 呼吸系统疾病", "急性上呼吸道感染")]


def test_a_file_of_no_text_is_empty_whatever_marks_it_holds() -> None:
    for data in (b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b" \r\n\t\n", b"\0\0\0\0"):
        for kind, name in [
            ("textbook", "a.md"),
            ("distilled", "a.jsonl"),
            ("distilled", "a.csv"),
            ("guideline", "a.pdf"),
        ]:
            assert read(kind, name, data).reasons[0] == "extract.empty_file", (data, name)
