"""Records and rows: to Arrow and back without loss, ids that see every border."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pedcorpus.records import (
    COMMON_COLUMNS,
    DFPO_COLUMNS,
    INSTRUCTION_TASKS,
    SOURCE_KINDS,
    SPLITS,
    TASKS,
    Box,
    Evidence,
    Message,
    Pair,
    Provenance,
    QualityNote,
    RawRecord,
    Reject,
    Row,
    Triple,
    Turn,
    Version,
    as_json,
    as_plain,
    columns,
    digest,
    record_from_dict,
    record_schema,
    records_from_table,
    reject_schema,
    row_from_dict,
    row_id,
    row_schema,
    rows_from_table,
    to_table,
)

TEXT = st.text(max_size=12)
MAYBE = st.one_of(st.none(), TEXT)
NUMBER = st.integers(0, 2**31 - 1)
POINT = st.floats(-1e6, 1e6, width=32)


def several(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(strategy, max_size=3).map(tuple)


RECORDS = st.builds(
    RawRecord,
    id=TEXT,
    document_id=TEXT,
    source_kind=st.sampled_from(SOURCE_KINDS),
    source_id=TEXT,
    source_title=TEXT,
    license=TEXT,
    publishable=st.booleans(),
    page=st.one_of(st.none(), NUMBER),
    section_path=several(TEXT),
    edition=MAYBE,
    era=TEXT,
    text=TEXT,
    turns=several(st.builds(Turn, TEXT, TEXT)),
    triples=several(st.builds(Triple, TEXT, TEXT, TEXT)),
    pairs=several(st.builds(Pair, TEXT, TEXT)),
    boxes=several(st.builds(Box, NUMBER, POINT, POINT, POINT, POINT)),
    department=MAYBE,
    disease=MAYBE,
    language=TEXT,
    extractor=TEXT,
    extra=st.dictionaries(TEXT, NUMBER, max_size=2).map(json.dumps),
)
MESSAGES = several(st.builds(Message, TEXT, TEXT))
ROWS = st.builds(
    Row,
    id=TEXT,
    task=st.sampled_from(TASKS),
    source_kind=st.sampled_from(SOURCE_KINDS),
    source_id=TEXT,
    source_title=TEXT,
    license=TEXT,
    department=MAYBE,
    disease=MAYBE,
    language=TEXT,
    evidence=several(st.builds(Evidence, TEXT, st.one_of(st.none(), NUMBER), NUMBER, NUMBER, TEXT)),
    provenance=st.builds(Provenance, TEXT, TEXT, MAYBE, MAYBE, MAYBE, MAYBE, several(st.builds(Version, TEXT, TEXT))),
    quality=several(st.builds(QualityNote, TEXT, st.one_of(st.none(), st.floats(allow_nan=False)), MAYBE)),
    messages=MESSAGES,
    prompt=MESSAGES,
    chosen=MESSAGES,
    rejected=MESSAGES,
    chosen_from=MAYBE,
    rejected_from=MAYBE,
    reason=MAYBE,
    text=MAYBE,
)


@given(st.lists(RECORDS, max_size=4))
def test_records_come_back_from_arrow(records: list[RawRecord]) -> None:
    table = to_table(records, record_schema())
    assert table.schema == record_schema()
    assert records_from_table(table) == records


@given(st.lists(ROWS, max_size=4))
def test_rows_come_back_from_arrow(rows: list[Row]) -> None:
    table = to_table(rows, row_schema())
    assert table.schema == row_schema()
    assert rows_from_table(table) == rows


@given(RECORDS, ROWS)
def test_records_and_rows_come_back_from_json(record: RawRecord, row: Row) -> None:
    assert record_from_dict(json.loads(as_json(record))) == record
    assert row_from_dict(json.loads(as_json(row))) == row


@given(ROWS, st.sampled_from(TASKS))
def test_the_columns_of_a_shard_are_enough_for_its_rows(row: Row, task: str) -> None:
    table = to_table([row], row_schema()).select(list(columns(task))).cast(row_schema(task))
    read = rows_from_table(table)[0]
    assert [getattr(read, name) for name in columns(task)] == [getattr(row, name) for name in columns(task)]


@given(st.lists(st.builds(Reject, TEXT, TEXT, TEXT, MAYBE, MAYBE, TEXT), max_size=4))
def test_rejects_come_back_from_arrow(rejects: list[Reject]) -> None:
    assert [Reject(**item) for item in to_table(rejects, reject_schema()).to_pylist()] == rejects


# --- ids --------------------------------------------------------------------------------------------

PART = st.text(st.characters(exclude_characters="\0"), max_size=6)


@given(st.lists(PART, max_size=5), st.lists(PART, max_size=5))
def test_two_lists_of_parts_have_one_digest_only_when_they_are_equal(one: list[str], other: list[str]) -> None:
    assert (digest(*one) == digest(*other)) is (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [(("ab", "c"), ("a", "bc")), (("a", ""), ("a",)), (("", "a"), ("a", "")), ((), ("",)), (("a b",), ("a", "b"))],
)
def test_borders_count(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    assert digest(*one) != digest(*other)
    assert row_id("medkqa", "s", one) != row_id("medkqa", "s", other)


def test_the_id_of_a_row_is_the_same_on_every_machine() -> None:
    assert row_id("medkqa", "book", ["什么是肺炎？", "肺部的炎症。"]) == "9523b8e4a9ca5c56ead4d8ae25dca18f"
    assert digest("a", length=8) == digest("a")[:8]
    assert len(digest("a", length=64)) == 64


@given(st.sampled_from(TASKS), st.sampled_from(TASKS), PART, PART, st.lists(PART, max_size=3))
def test_task_and_source_are_part_of_the_id(
    task: str, other_task: str, source: str, other_source: str, contents: list[str]
) -> None:
    same = (task, source) == (other_task, other_source)
    assert (row_id(task, source, contents) == row_id(other_task, other_source, contents)) is same


def test_a_lone_surrogate_has_a_digest() -> None:
    assert digest("\ud800") != digest("\ud801")


# --- rows -------------------------------------------------------------------------------------------


def make(task: str, **values: Any) -> Row:
    return Row("i", task, "textbook", "s", "书", "x", None, None, "zh", (), Provenance("e", "g"), **values)


def test_what_the_checks_cover() -> None:
    said = (
        Message("system", "设"),
        Message("user", "问一"),
        Message("assistant", "答一"),
        Message("user", "问二"),
        Message("assistant", "答二"),
    )
    chat = make("medkqa", messages=said)
    assert chat.answers() == ["答一", "答二"]
    assert chat.questions() == ["问一", "问二"]
    assert chat.contents() == ["设", "问一", "答一", "问二", "答二"]


def test_the_rejected_answer_is_not_covered() -> None:
    pair = make(
        "dfpo",
        prompt=(Message("user", "问"),),
        chosen=(Message("assistant", "好"),),
        rejected=(Message("assistant", "坏"),),
    )
    assert (pair.answers(), pair.questions(), pair.contents()) == (["好"], ["问"], ["问", "好"])


def test_a_completion_text_is_its_own_answer() -> None:
    text = make("cpt", text="文")
    assert (text.answers(), text.questions(), text.contents()) == (["文"], [], ["文"])
    assert make("cpt").answers() == [""]


@pytest.mark.parametrize("task", TASKS)
def test_columns(task: str) -> None:
    own = {"dfpo": DFPO_COLUMNS, "cpt": ("text",)}.get(task, ("messages",))
    assert columns(task) == (*COMMON_COLUMNS, *own)
    assert row_schema(task).names == list(columns(task))
    assert set(row_schema(task).names) < set(row_schema().names)


def test_names() -> None:
    assert (*INSTRUCTION_TASKS, "cpt", "dfpo") == TASKS
    assert SPLITS == ("train", "validation", "test")


def test_extras() -> None:
    record = record_from_dict({**as_plain(make_record()), "extra": '{"seams": [3]}'})
    assert record.extras() == {"seams": [3]}
    assert record_from_dict({**as_plain(make_record()), "extra": "[1]"}).extras() == {}


def make_record() -> RawRecord:
    return RawRecord("i", "d", "textbook", "s", "书", "x", True, None, (), None, "modern", "文")


def test_json_is_the_same_whatever_the_order_of_fields() -> None:
    assert as_json({"b": 1, "a": ("甲", None)}) == '{"a":["甲",null],"b":1}'
