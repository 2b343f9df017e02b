"""Files of rows: every row comes back, and a broken one costs itself and one ledger entry."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pedcorpus.extractors.rows import csv_header, read_rows
from pedcorpus.records import Reject
from tests.extractors.reading import info, put

WORDS = st.text(st.sampled_from("儿童发热5mg/kg每日3次，。；,\"'|;\t {}[]:\\/\n\u2028\x85é𠮷"), max_size=12)
NAMES = st.text(st.sampled_from("问答abc12_"), min_size=1, max_size=6)


def rows_of(name: str, content: bytes | str) -> tuple[list[tuple[str, Any]], list[Reject]]:
    with tempfile.TemporaryDirectory() as folder:
        found = list(read_rows(put(Path(folder), name, content), info("conversation")))
    items = [(item.place, item.value) for item in found if not isinstance(item, Reject)]
    return items, [item for item in found if isinstance(item, Reject)]


def values(name: str, content: bytes | str) -> list[Any]:
    """The values of a file without a fault."""
    items, rejects = rows_of(name, content)
    assert not rejects, rejects
    return [value for _, value in items]


# --- what is written comes back ---------------------------------------------------------------------


@given(st.lists(st.dictionaries(NAMES, WORDS, min_size=1, max_size=4), min_size=1, max_size=6))
def test_json_comes_back_in_every_form(rows: list[dict[str, str]]) -> None:
    for text in (
        json.dumps(rows, ensure_ascii=False),
        json.dumps(rows, ensure_ascii=True),
        json.dumps(rows, ensure_ascii=False, indent=2),
        json.dumps(rows, ensure_ascii=False, indent="\t").replace("\n", "\r\n"),
        "\n".join(json.dumps(row, ensure_ascii=False) for row in rows),
        "\ufeff" + "\r\n".join(json.dumps(row) for row in rows) + "\r\n\r\n",
    ):
        assert values("rows.json", text) == rows


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig", "utf-16-le", "gb18030"])
def test_json_lines_come_back_in_every_encoding(encoding: str) -> None:
    rows = [
        {"question": f"孩子{n}岁发热怎么办？", "answer": f"体温超过38.5℃\n可按体重用药{n}\u2028次"} for n in range(1, 9)
    ]
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    assert values("rows.jsonl", text.encode(encoding)) == rows
    assert values("rows.json", json.dumps(rows, ensure_ascii=False).encode(encoding)) == rows


@given(
    st.lists(NAMES, min_size=2, max_size=4, unique=True).flatmap(
        lambda names: st.tuples(
            st.just(names), st.lists(st.lists(WORDS, min_size=len(names), max_size=len(names)), min_size=1, max_size=6)
        )
    ),
    st.sampled_from(["\r\n", "\n"]),
)
def test_csv_and_tsv_come_back(table: tuple[list[str], list[list[str]]], ending: str) -> None:
    names, cells = table
    cells = [row for row in cells if "".join(row).strip()]
    for suffix, delimiter in ((".csv", ","), (".tsv", "\t"), (".csv", ";")):
        out = io.StringIO()
        writer = csv.writer(out, delimiter=delimiter, lineterminator=ending, quoting=csv.QUOTE_ALL)
        writer.writerows([names, *cells])
        for mark in ("", "\ufeff"):
            assert values(f"rows{suffix}", (mark + out.getvalue()).encode()) == [
                dict(zip(names, row, strict=True)) for row in cells
            ]


@given(st.lists(st.tuples(WORDS.filter(str.strip), WORDS.filter(str.strip)), min_size=1, max_size=6))
def test_csv_with_as_few_quotes_as_can_be_comes_back(cells: list[tuple[str, str]]) -> None:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerows([("question", "answer"), *cells])
    assert values("rows.csv", out.getvalue()) == [{"question": q, "answer": a} for q, a in cells]


def test_parquet_comes_back_whatever_its_name(tmp_path: Path) -> None:
    rows = [
        {"question": f"问{n}", "answer": [f"答{n}"], "turns": [{"role": "user", "content": "甲"}]} for n in range(1100)
    ]
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=300)
    data = path.read_bytes()
    assert values("rows.parquet", data) == rows
    assert values("rows.json", data) == rows


def test_two_lines_of_a_cell_stay_two() -> None:
    """Closed up they would read 510mg."""
    assert values("rows.csv", 'question,answer\n剂量,"首剂5\n10mg维持"\n') == [
        {"question": "剂量", "answer": "首剂5\n10mg维持"}
    ]


# --- broken rows ------------------------------------------------------------------------------------


@pytest.mark.parametrize("broken_at", [0, 4_999, 9_999])
def test_one_broken_line_in_ten_thousand_costs_itself_alone(broken_at: int) -> None:
    lines = [json.dumps({"question": f"问题{n}", "answer": f"回答{n}"}, ensure_ascii=False) for n in range(10_000)]
    lines[broken_at] = lines[broken_at][:14]  # cut within a text
    items, rejects = rows_of("rows.jsonl", "\n".join(lines))
    assert len(items) == 9_999
    assert [value["question"] for _, value in items] == [f"问题{n}" for n in range(10_000) if n != broken_at]
    assert [reject.reason for reject in rejects] == ["extract.json"]
    assert f"line {broken_at + 1}:" in rejects[0].detail


@pytest.mark.parametrize("first", ['{"question": "甲",', '{"question": [', '{"question": {'])
def test_a_first_line_that_is_cut_off_does_not_cost_the_file(first: str) -> None:
    items, rejects = rows_of("rows.jsonl", first + '\n{"question": "乙"}\n{"question": "丙"}\n')
    assert [value["question"] for _, value in items] == ["乙", "丙"]
    assert len(rejects) == 1
    assert "line 1:" in rejects[0].detail


MESSAGES = [
    {"id": n, "messages": [{"role": "user", "content": f"问{n}"}, {"role": "assistant", "content": f"答{n}"}]}
    for n in range(8)
]


@pytest.mark.parametrize("indent", [None, 1, 4])
@pytest.mark.parametrize("broken_at", [0, 3, 7])
def test_a_broken_element_of_an_array_costs_itself_alone(indent: int | None, broken_at: int) -> None:
    """What is nested in a row looks like a row; it must be neither taken for one nor for the end of the file."""
    text = json.dumps(MESSAGES, ensure_ascii=False, indent=indent)
    text = text.replace(f'"问{broken_at}"', f'"问{broken_at}" "多')
    items, rejects = rows_of("rows.json", text)
    assert [value for _, value in items] == [row for row in MESSAGES if row["id"] != broken_at]
    assert [reject.reason for reject in rejects] == ["extract.json"]
    assert f"问{broken_at}" in rejects[0].row


def test_a_line_that_is_cut_off_in_an_array_does_not_cost_the_next() -> None:
    lines = [json.dumps({"q": f"问{n}", "a": f"答{n}"}, ensure_ascii=False) for n in range(6)]
    lines[2] = lines[2][:9]
    items, rejects = rows_of("rows.json", "[" + ",\n".join(lines) + "]")
    assert [value["q"] for _, value in items] == ["问0", "问1", "问3", "问4", "问5"]
    assert len(rejects) == 1


def test_an_array_that_is_cut_off_keeps_what_is_whole() -> None:
    text = json.dumps([{"q": str(n)} for n in range(5)])
    items, rejects = rows_of("rows.json", text[:-3])
    assert [value["q"] for _, value in items] == ["0", "1", "2", "3"]
    assert [reject.reason for reject in rejects] == ["extract.json"]
    items, rejects = rows_of("rows.json", text[:-1])
    assert len(items) == 5
    assert "cut off after 5" in rejects[0].detail


def test_what_stands_after_an_array_is_told_of() -> None:
    items, rejects = rows_of("rows.json", '[{"q": "甲"}]\n{"q": "乙"}')
    assert len(items) == 1
    assert "after the end of the array" in rejects[0].detail
    assert "乙" in rejects[0].row


def test_lines_that_are_arrays_are_rows() -> None:
    assert values("rows.jsonl", '["问一", "答一"]\n\n["问二", "答二"]\n') == [["问一", "答一"], ["问二", "答二"]]
    messages = [[{"role": "user", "content": "甲"}], [{"role": "user", "content": "乙"}]]
    assert values("rows.json", "\n".join(map(json.dumps, messages))) == messages
    assert values("rows.json", '["问一", "答一"]') == ["问一", "答一"]


def test_objects_over_many_lines_are_read_one_after_another() -> None:
    rows = [{"q": "甲", "a": ["乙", {"c": "丙"}]}, {"q": "丁", "a": []}]
    assert values("rows.json", json.dumps(rows[0], indent=2)) == rows[:1]
    assert values("rows.json", "\n".join(json.dumps(row, indent=2) for row in rows)) == rows
    assert values("rows.jsonl", "".join(json.dumps(row) + ",\n" for row in rows)) == rows


def test_bytes_that_fit_no_encoding_cost_their_row() -> None:
    lines = [f'{{"q": "孩子发热第{n}天，精神尚可"}}' for n in range(5)]
    data = "\n".join(lines).encode("gb18030").replace("第2天".encode("gb18030"), b"\xff\xff2\xff")
    for name, content in (("rows.jsonl", data), ("rows.json", b"[" + data.replace(b"\n", b",\n") + b"]")):
        items, rejects = rows_of(name, content)
        assert len(items) == 4, name
        assert [reject.reason for reject in rejects] == ["extract.encoding"]
    table = "question,answer\n" + "".join(f"孩子发热{n}天,多饮水\n" for n in range(5))
    items, rejects = rows_of("rows.csv", table.encode("gb18030").replace("热2".encode("gb18030"), b"\xff\xff2"))
    assert len(items) == 4
    assert (rejects[0].reason, "line 4" in rejects[0].detail) == ("extract.encoding", True)


@pytest.mark.parametrize("text", ['{"q": "你好\\ud83d"}', '[{"q": "你好\\uDE00！", "a": "答"}]'])
def test_half_a_character_is_refused_not_handed_on(text: str) -> None:
    """An emoji cut in two by its collector: no Parquet file can hold it."""
    items, rejects = rows_of("rows.json", text)
    assert not items
    assert rejects[0].reason == "extract.encoding"
    rejects[0].row.encode()
    assert values("rows.json", '{"q": "你好\\ud83d\\ude00"}') == [{"q": "你好😀"}]


def test_nesting_beyond_reason_is_a_broken_row() -> None:
    deep = '{"q": ' + "[" * 100_000 + "]" * 100_000 + "}"
    items, rejects = rows_of("rows.jsonl", deep + '\n{"q": "甲"}')
    assert [value for _, value in items] == [{"q": "甲"}]
    assert [reject.reason for reject in rejects] == ["extract.json"]


# --- tables -----------------------------------------------------------------------------------------


def test_a_wrong_number_of_columns_costs_its_line() -> None:
    items, rejects = rows_of("rows.csv", "question,answer\n甲,乙\n丙\n丁,戊,己\n庚,辛\n")
    assert [value["question"] for _, value in items] == ["甲", "庚"]
    assert ["1 columns, the header has 2" in rejects[0].detail, "3 columns" in rejects[1].detail] == [True, True]
    assert ["line 3" in rejects[0].detail, "line 4" in rejects[1].detail] == [True, True]


def test_a_quote_within_a_cell_is_a_character() -> None:
    text = 'question,answer\n妈妈说"好,多饮水\n甲,乙\n身高 5\'2",丙\n'
    assert [row["answer"] for row in values("rows.csv", text)] == ["多饮水", "乙", "丙"]


@pytest.mark.parametrize("later", ["", '"庚",辛\n'])
def test_a_quote_that_is_never_closed_costs_its_line(later: str) -> None:
    text = f'question,answer\n"甲,乙\n丙,丁\n戊,己\n{later}'
    items, rejects = rows_of("rows.csv", text)
    assert [value["question"] for _, value in items] == ["丙", "戊"] + (["庚"] if later else [])
    assert [reject.reason for reject in rejects] == ["extract.csv"]
    assert "line 2: a quote is never closed" in rejects[0].detail


def test_a_long_cell_with_commas_and_line_breaks_is_one_cell() -> None:
    answer = "第一步,退热\n第二步,补液\n\n第三步,就诊"
    out = io.StringIO()
    csv.writer(out).writerows([("question", "answer"), ("怎么办", answer), ("甲", "乙")])
    assert [row["answer"] for row in values("rows.csv", out.getvalue())] == [answer, "乙"]


def test_a_long_record_that_does_not_fit_is_one_ledger_entry() -> None:
    items, rejects = rows_of("rows.csv", 'question,answer\n甲,"第一行\n第二行\n第三行",多余\n乙,丙\n')
    assert [value["question"] for _, value in items] == ["乙"]
    assert len(rejects) == 1
    assert "3 columns" in rejects[0].detail
    assert "第三行" in rejects[0].row


def test_the_header_says_the_delimiter() -> None:
    for mark in (",", ";", "|", "\t"):
        assert values("rows.csv", f"question{mark}answer\n甲，乙；丙{mark}丁\n") == [
            {"question": "甲，乙；丙", "answer": "丁"}
        ]
    assert values("rows.csv", "text\n一个单列的表\n") == [{"text": "一个单列的表"}]


def test_the_header_alone_can_be_asked_for(tmp_path: Path) -> None:
    assert csv_header(put(tmp_path, "a.csv", '\ufeff"头实体", 关系 ,尾实体\n甲,乙,丙\n')) == [
        "头实体",
        "关系",
        "尾实体",
    ]
    assert csv_header(put(tmp_path, "b.tsv", "head\trelation\ttail\n".encode("utf-16"))) == ["head", "relation", "tail"]
    assert csv_header(put(tmp_path, "c.csv", "")) == []


# --- names that lie ---------------------------------------------------------------------------------


def test_content_decides_not_the_suffix() -> None:
    lines = '{"question": "甲", "answer": "乙，丙"}\n{"question": "丁", "answer": "戊"}\n'
    for name in ("rows.csv", "rows.tsv", "rows.json", "rows.jsonl", "rows.parquet"):
        assert [row["question"] for row in values(name, lines)] == ["甲", "丁"], name
    assert values("rows.csv", '[\n  {"question": "甲"}\n]') == [{"question": "甲"}]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("rows.json", "question,answer\n甲,乙\n", "neither a JSON array nor JSON lines"),
        ("rows.jsonl", "患者：发热\n医生：多饮水\n", "neither a JSON array nor JSON lines"),
        ("rows.parquet", "question,answer\n甲,乙\n", "no Parquet file"),
        ("rows.json", b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "this is a PDF"),
        ("rows.csv", b"PK\x03\x04" + bytes(40), "binary"),
        ("rows.jsonl", bytes(range(256)) * 20, "binary"),
    ],
)
def test_content_of_another_kind_is_told(name: str, content: bytes | str, words: str) -> None:
    items, rejects = rows_of(name, content)
    assert not items
    assert [reject.reason for reject in rejects] == ["extract.wrong_content"]
    assert words in rejects[0].detail


def test_a_damaged_parquet_file_is_told_without_the_machine(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"q": ["甲"] * 100}), path)
    items, rejects = rows_of("rows.parquet", path.read_bytes()[:-20])
    assert not items
    assert "not a whole Parquet file" in rejects[0].detail
    assert "/tmp" not in rejects[0].detail


def test_an_excerpt_of_broken_json_hides_nobody() -> None:
    """In raw JSON an escape stands against the digits and would hide the border of a number."""
    for line in (
        '{"q": "证件号\\n110101199003071234", ',
        '{"q": "\\u7535\\u8bdd\\u53f713800138000" ',
        '[{"q": "证件号\\n110101199003071234" "a"}]',
    ):
        _, rejects = rows_of("rows.jsonl", line)
        assert rejects
        ledger = "".join(reject.row + reject.detail for reject in rejects)
        assert "110101199003071234" not in ledger
        assert "13800138000" not in ledger
