"""Plain passages for continued pre-training."""

from __future__ import annotations

import pytest

from pedcorpus.generators.passages import PassageGenerator
from pedcorpus.plugins import GenerateContext
from pedcorpus.records import RawRecord, Reject, Row
from tests.making import ALL_TASKS, record


def made(item: RawRecord, tasks: frozenset[str] = ALL_TASKS) -> list[Row | Reject]:
    return list(PassageGenerator().generate(item, GenerateContext(17, 3, tasks, {}, "zh")))


def test_a_passage_is_its_headings_and_its_text() -> None:
    item = record("水痘由病毒引起。\n\n  冬春季多见。", path=("第二章 感染性疾病", "水痘", "病因"))
    (row,) = made(item)
    assert isinstance(row, Row)
    assert row.task == "cpt" and row.text == "第二章 感染性疾病 水痘 病因\n水痘由病毒引起。\n冬春季多见。"
    assert row.messages == () and row.provenance.prompt_id is None
    (evidence,) = row.evidence
    assert evidence.quote == item.text[evidence.start : evidence.end] == item.text


def test_a_guideline_is_named_and_a_text_without_headings_stands_alone() -> None:
    (row,) = made(record("尽早补液。", kind="guideline", title="腹泻指南", path=("治疗",)))
    assert isinstance(row, Row) and row.text == "腹泻指南 治疗\n尽早补液。"
    (row,) = made(record("饭前洗手。", kind="plain_text"))
    assert isinstance(row, Row) and row.text == "饭前洗手。"


def test_tables_are_left_out_of_the_running_text() -> None:
    text = "常用退热药。\n药物：布洛芬；间隔：6小时\n遵医嘱使用。"
    start = text.index("药物")
    (row,) = made(record(text, extra={"tables": [[start, start + len("药物：布洛芬；间隔：6小时")]]}))
    assert isinstance(row, Row) and row.text == "常用退热药。\n遵医嘱使用。"
    only = record("药物：布洛芬；间隔：6小时", extra={"tables": [[0, 15]]})
    assert made(only) == []


def test_a_cut_quantity_refuses_the_passage() -> None:
    text = "布洛芬每次10mg/kg，间隔六小时。"
    (refused,) = made(record(text, extra={"seams": [text.index("10mg") + 1]}))
    assert isinstance(refused, Reject) and refused.reason == "grounding.cut"


@pytest.mark.parametrize(
    "item",
    [
        record(kind="conversation", turns=[("user", "发烧怎么办？"), ("assistant", "多喝水。")]),
        record(kind="distilled", pair=("发烧怎么办？", "多喝水。")),
        record(kind="knowledge_graph", disease="水痘", triples=[("症状", "发热")]),
        record("  \n\u3000"),
    ],
)
def test_other_kinds_and_empty_texts_give_none(item: RawRecord) -> None:
    assert made(item) == []


def test_only_where_it_is_wanted() -> None:
    assert made(record("饭前洗手。"), tasks=frozenset({"medkqa"})) == []
