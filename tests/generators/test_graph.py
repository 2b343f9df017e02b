"""Questions and cases of a knowledge graph: every word of an answer beside the form is the graph's own."""

from __future__ import annotations

import re

import pytest

from pedcorpus.generators.graph import GraphGenerator
from pedcorpus.plugins import GenerateContext
from pedcorpus.records import RawRecord, Row
from tests.making import ALL_TASKS, record

GENERATOR = GraphGenerator()
SYMPTOMS = ["发热", "咳嗽", "气促", "食欲减退", "鼻翼扇动", "三凹征", "肺部湿啰音"]
TRIPLES = [
    *[("症状", tail) for tail in SYMPTOMS],
    ("检查", "血常规"),
    ("检查", "胸部X线检查"),
    ("并发症", "心力衰竭"),
    ("病因", "细菌或病毒感染。"),
    ("治疗方式", "药物治疗"),
    ("常用药物", "阿莫西林"),
    ("宜吃", "小米粥"),
    ("忌吃", "油炸食品"),
]


def graph(*triples: tuple[str, str], disease: str = "小儿肺炎") -> RawRecord:
    return record(kind="knowledge_graph", title="图谱", disease=disease, triples=triples or TRIPLES)


def made(item: RawRecord, per_record: int = 3, seed: int = 17, tasks: frozenset[str] = ALL_TASKS) -> list[Row]:
    found = list(GENERATOR.generate(item, GenerateContext(seed, per_record, tasks, {}, "zh")))
    return [x for x in found if isinstance(x, Row)]


def tails(item: RawRecord, row: Row) -> list[str]:
    assert all(item.text[e.start : e.end] == e.quote for e in row.evidence)
    return [e.quote for e in row.evidence]


def test_each_relation_gives_its_question_and_its_tails() -> None:
    item = graph()
    rows = {row.messages[1].content: row for row in made(item, per_record=99, tasks=frozenset({"medkqa", "trerecom"}))}
    answer = "小儿肺炎的常见症状包括：" + "、".join(SYMPTOMS) + "。"
    assert tails(item, rows[answer]) == SYMPTOMS
    assert rows["小儿肺炎的病因：细菌或病毒感染。"].task == "medkqa", "one full stop, not two"
    medicine = next(row for said, row in rows.items() if "阿莫西林" in said)
    assert medicine.task == "trerecom" and "不要自行给药" in medicine.messages[1].content
    assert len(rows) == 8


def test_per_record_counts_each_task() -> None:
    for most in (1, 2, 3):
        rows = made(graph(), per_record=most)
        count = {task: sum(row.task == task for row in rows) for task in ("medkqa", "trerecom", "evidiag")}
        assert count == {"medkqa": most, "trerecom": most, "evidiag": min(most, 2)}, "symptoms last for two cases"
    assert {row.task for row in made(graph(), tasks=frozenset({"evidiag"}))} == {"evidiag"}


def test_a_long_list_is_cut_and_its_evidence_with_it() -> None:
    item = graph(*[("宜吃", f"食物{n}") for n in range(20)])
    (row,) = made(item)
    assert tails(item, row) == [f"食物{n}" for n in range(12)]
    assert "食物11" in row.messages[1].content and "食物12" not in row.messages[1].content


@pytest.mark.parametrize("seed", range(8))
def test_a_case_rests_on_the_findings_it_tells(seed: int) -> None:
    item = graph()
    cases = [row for row in made(item, seed=seed) if row.task == "evidiag"]
    assert len(cases) == 2
    assert cases[0].messages[0].content != cases[1].messages[0].content, "cases of one disease open otherwise"
    for case in cases:
        roles = [message.role for message in case.messages]
        assert roles == ["user", "assistant"] * (len(roles) // 2)
        held = set(tails(item, case))
        told = {symptom for symptom in SYMPTOMS for m in case.messages if m.role == "user" and symptom in m.content}
        conclusion = case.messages[-1].content
        assert told <= held and len(told) >= 3
        assert told == {symptom for symptom in SYMPTOMS if symptom in conclusion}, "the conclusion names them all"
        assert {"血常规", "胸部X线检查", "心力衰竭"} <= held
        assert "血常规、胸部X线检查" in conclusion and "心力衰竭" in conclusion and "小儿肺炎" in conclusion
        assert not any(medicine in "".join(m.content for m in case.messages) for medicine in ("阿莫西林", "药物治疗"))


@pytest.mark.parametrize("seed", range(8))
def test_a_parent_does_not_report_what_a_doctor_finds(seed: int) -> None:
    for case in made(graph(), seed=seed, tasks=frozenset({"evidiag"})):
        opening, reply = case.messages[0].content, case.messages[2].content
        assert "三凹征" not in opening and "啰音" not in opening
        assert re.search(r"医生[^。]*(?:三凹征|啰音)", reply)


def test_no_case_says_how_the_checks_came_out() -> None:
    for seed in range(10):
        for case in made(graph(), seed=seed, tasks=frozenset({"evidiag"})):
            said = "".join(message.content for message in case.messages)
            assert not re.search(r"结果(?:符合|支持|正常|异常)|相符|阳性|阴性|升高", said)


@pytest.mark.parametrize(
    "triples",
    [
        [("症状", "发热"), ("症状", "咳嗽")],
        [("症状", "三凹征"), ("症状", "肺部湿啰音"), ("症状", "心脏杂音")],
        [("症状", "发热"), ("症状", "三凹征"), ("症状", "肝脏肿大")],
        [("症状", "病人自己说不清楚的各种各样的不舒服"), ("症状", "发热"), ("症状", "咳嗽")],
    ],
)
def test_too_few_findings_make_no_case(triples: list[tuple[str, str]]) -> None:
    assert made(graph(*triples), tasks=frozenset({"evidiag"})) == []


def test_without_checks_the_case_sends_to_a_doctor() -> None:
    harmless = ["发热", "咳嗽", "流涕", "食欲减退", "鼻塞"]
    (case, *_) = made(graph(*[("症状", tail) for tail in harmless]), tasks=frozenset({"evidiag"}))
    assert len(case.messages) == 4 and "儿科" in case.messages[-1].content


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("checks", [[], [("检查", "腹部超声")]])
def test_a_child_in_danger_is_sent_to_an_emergency_room_before_anything_else(
    seed: int, checks: list[tuple[str, str]]
) -> None:
    symptoms = ["果酱样血便", "呕吐", "阵发性哭闹", "精神萎靡", "面色苍白"]
    item = graph(*[("症状", tail) for tail in symptoms], *checks, disease="小儿肠套叠")
    for case in made(item, seed=seed, tasks=frozenset({"evidiag"})):
        heard = ""
        for asked, said in zip(case.messages[::2], case.messages[1::2], strict=True):
            heard += asked.content
            alarming = [sign for sign in ("血便", "精神萎靡", "面色苍白") if sign in heard]
            assert ("急诊" in said.content) == bool(alarming), (asked, said)


@pytest.mark.parametrize("seed", range(8))
def test_no_disease_is_concluded_without_what_makes_it(seed: int) -> None:
    listed = ["呕吐", "腹泻", "发热", "腹痛", "口渴", "哭闹", "乏力", "食欲减退"]
    for disease, about in (("小儿腹泻病", ""), ("某病", "某病是以腹泻为特点的疾病。"), ("某病", "")):
        told = [("简介", about)] if about else []
        item = graph(*told, *[("症状", tail) for tail in listed], disease=disease)
        main = "腹泻" if disease == "小儿腹泻病" or about else "呕吐"
        for case in made(item, seed=seed, tasks=frozenset({"evidiag"})):
            assert main in case.messages[0].content + case.messages[2].content


def test_the_same_seed_says_the_same_and_another_says_otherwise() -> None:
    items = [graph(disease=f"小儿{name}") for name in ("肺炎", "哮喘", "腹泻病", "贫血")]
    first = [[row.messages for row in made(item)] for item in items]
    assert first == [[row.messages for row in made(item)] for item in items]
    assert first != [[row.messages for row in made(item, seed=18)] for item in items]


def test_a_child_gets_pneumonia_and_not_a_childs_pneumonia() -> None:
    for seed in range(20):
        for row in made(graph(), seed=seed, per_record=9):
            for message in row.messages:
                assert not re.search(r"孩子[^。？]{0,8}(?:得了?|确诊了?)小儿", message.content)


def test_other_records_are_left_to_others() -> None:
    assert made(record("发热多喝水。", path=("发热", "护理"), disease="发热")) == []
