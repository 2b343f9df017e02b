"""The wording files: every form renders, reads as Chinese, and there are enough of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import jinja2
import pytest

from pedcorpus.errors import PedcorpusError
from pedcorpus.wording import choose, load_wording, render

SECTIONS = load_wording("extractive/sections").data
GRAPH = load_wording("extractive/graph").data
CPT = load_wording("extractive/cpt").data
DFPO = load_wording("extractive/dfpo").data

VALUES = {
    "disease": "小儿肺炎",
    "illness": "肺炎",
    "heading": "一般治疗",
    "aspect": "重症表现",
    "part": "抗菌药物",
    "items": "发热、咳嗽",
    "first": "发热、咳嗽",
    "rest": "气促",
    "signs": "肺部湿啰音",
    "symptoms": "发热、咳嗽、气促",
    "dangers": "气促",
    "checks": "血常规、胸部X线检查",
    "complications": "心力衰竭",
    "finding": "咳嗽痰多",
    "seen": "舌苔黄腻",
    "evidence": "咳嗽痰多，舌苔黄腻",
    "syndrome": "痰热闭肺",
    "question": "肺炎怎么治疗？",
    "answer": "请及时就医。",
    "title": "儿童肺炎诊疗指南",
    "edition": "2024年版",
}


def forms() -> Iterator[tuple[str, str, frozenset[str]]]:
    """Every form as (where it stands, its source, the variables it is given)."""

    def each(where: str, sources: str | list[str], given: str) -> Iterator[tuple[str, str, frozenset[str]]]:
        for source in [sources] if isinstance(sources, str) else sources:
            yield where, source, frozenset(given.split())

    for family in SECTIONS["family"]:
        name = family["name"]
        yield from each(f"{name}.questions", family["questions"], "disease illness heading")
        yield from each(f"{name}.aspects", family.get("aspects", []), "disease illness heading aspect")
        yield from each(f"{name}.parts", family.get("parts", []), "disease heading part")
    general = SECTIONS["general"]
    yield from each("general.questions", general["questions"], "heading")
    yield from each("general.aspects", general["aspects"], "disease aspect")
    yield from each("general.parts", general["parts"], "disease heading part")
    yield from each("table", SECTIONS["table"]["questions"], "disease part")
    given = {
        "complaint": "finding", "ask": "", "reply": "finding seen", "reply_seen": "finding seen",
        "reply_seen_only": "finding seen", "conclude": "evidence disease syndrome", "treat": "disease syndrome",
    }  # fmt: skip
    for part, sources in SECTIONS["syndrome"].items():
        yield from each(f"syndrome.{part}", sources, given[part])
    for name, source in SECTIONS["citation"].items():
        yield from each(f"citation.{name}", source, "title edition")
    for relation in GRAPH["relation"]:
        yield from each(f"{relation['name']}.questions", relation["questions"], "disease illness")
        yield from each(f"{relation['name']}.answer", relation["answer"], "disease items")
    given = {
        "complaint": "first", "ask": "first", "reply": "rest signs", "reply_signs": "rest signs",
        "reply_signs_only": "rest signs", "tests": "checks", "purpose": "", "conclude": "checks symptoms disease",
        "conclude_without_tests": "symptoms disease", "warning": "complications",
        "ask_urgent": "dangers", "tests_urgent": "dangers checks", "conclude_urgent": "checks symptoms disease dangers",
        "conclude_urgent_without_tests": "symptoms disease dangers",
    }  # fmt: skip
    for part, sources in GRAPH["case"].items():
        yield from each(f"case.{part}", sources, given[part])
    for language in ("zh", "en"):
        yield from each(f"cpt.{language}", CPT[language]["pair"], "question answer")
    for rule in ("curt", "off_topic", "padded", "overconfident"):
        yield from each(f"dfpo.{rule}", DFPO[rule]["forms"], "question answer")


FORMS = list(forms())


@pytest.mark.parametrize(("where", "source", "given"), FORMS, ids=[f"{item[0]}-{n}" for n, item in enumerate(FORMS)])
def test_a_form_renders_with_what_it_is_given_and_reads_whole(where: str, source: str, given: frozenset[str]) -> None:
    said = render(source, **{name: VALUES[name] for name in given})
    assert said.strip() == said and said
    assert not re.search(r"[{}%]|undefined|None", said)
    assert not re.search(r"，，|。。|？？|、、|：：|的的|是是|（）|“”|  ", said), said
    assert said.count("“") == said.count("”") and said.count("（") == said.count("）")
    if where.endswith((".questions", ".aspects", ".parts")) or where in ("table", "syndrome.treat", "case.complaint"):
        assert said.endswith(("？", "。")), "a question ends as one"
        assert re.search(r"[？?]|请|能.*吗|说说|查一下", said), f"asks for nothing: {said}"
    if "disease" in given and where.endswith(".questions") and "general" not in where:
        assert "肺炎" in said, "a question names what it is about"


@pytest.mark.parametrize(("where", "source", "given"), FORMS, ids=[f"{item[0]}-{n}" for n, item in enumerate(FORMS)])
def test_a_form_fails_without_a_variable_it_uses(where: str, source: str, given: frozenset[str]) -> None:
    used = set(re.findall(r"\{\{\s*(\w+)", source))
    assert used <= given, f"{where} uses what it is not given"
    for name in used:
        with pytest.raises(jinja2.UndefinedError):
            render(source, **{other: VALUES[other] for other in used - {name}})


def test_a_form_cannot_reach_into_python() -> None:
    with pytest.raises(jinja2.exceptions.SecurityError):
        render("{{ disease.__class__.__mro__ }}", disease="肺炎")


@pytest.mark.parametrize(
    ("forms", "least"),
    [
        *[(family["questions"], 3) for family in SECTIONS["family"]],
        *[(relation["questions"], 3) for relation in GRAPH["relation"]],
        *[(GRAPH["case"][part], 3) for part in ("complaint", "ask", "reply", "reply_signs", "tests", "purpose", "conclude", "warning")],
        *[(SECTIONS["syndrome"][part], 3) for part in ("complaint", "ask", "reply", "reply_seen", "conclude", "treat")],
        (SECTIONS["general"]["questions"], 4),
        (SECTIONS["general"]["parts"], 3),
        *[(CPT[language][part], 3) for language in ("zh", "en") for part in ("pair", "speakers")],
        (DFPO["curt"]["forms"], 4),
        (DFPO["padded"]["forms"], 3),
        (DFPO["overconfident"]["forms"], 3),
    ],
)  # fmt: skip
def test_frequent_kinds_have_enough_forms_and_none_twice(forms: list[Any], least: int) -> None:
    assert len(forms) >= least
    assert len({str(form) for form in forms}) == len(forms)


def test_what_is_asked_at_every_turn_has_more() -> None:
    for name in ("treatment", "manifestation", "etiology", "diagnosis", "care", "prevention", "definition"):
        family = next(item for item in SECTIONS["family"] if item["name"] == name)
        assert len(family["questions"]) >= 4, name


def test_the_task_of_a_family_is_what_its_questions_ask() -> None:
    for family in SECTIONS["family"]:
        for source in family["questions"]:
            said = render(source, **{**VALUES, "heading": "治疗"})
            does = re.search(r"怎样(?:治|护理|预防|照顾)|治疗|护理|照顾|预防|做|该|住院|就医|应|方案", said)
            assert bool(does) >= (family["task"] == "trerecom"), said
    for relation in GRAPH["relation"]:
        for source in relation["questions"]:
            said = render(source, disease="水痘", illness="水痘")
            if relation["task"] == "trerecom":
                assert re.search(r"怎么|怎样|治疗|药|预防|避免|注意|吃|忌口|办法", said), said


def test_an_aspect_that_says_findings_is_not_asked_for_findings_twice() -> None:
    family = next(item for item in SECTIONS["family"] if item["name"] == "manifestation")
    for source in family["aspects"]:
        for aspect in ("主要表现", "重症表现", "症状", "体征", "发热期", "婴儿期", "年长儿"):
            said = render(source, disease="水痘", illness="水痘", heading="临床表现", aspect=aspect)
            rest = said.replace(aspect, "")
            assert ("表现" in rest) == (not aspect.endswith(("表现", "症状", "体征"))), said


def test_no_case_says_how_a_check_came_out() -> None:
    for part, sources in GRAPH["case"].items():
        for source in sources:
            said = render(source, **VALUES)
            assert not re.search(r"结果(?:符合|支持|相符|正常|异常|阳性|阴性)|阳性|阴性", said), (part, said)


def test_a_conclusion_of_a_case_names_its_evidence_and_leaves_the_last_word_to_a_doctor() -> None:
    for data, part in (
        (GRAPH["case"], "conclude"),
        (GRAPH["case"], "conclude_without_tests"),
        (GRAPH["case"], "conclude_urgent"),
        (GRAPH["case"], "conclude_urgent_without_tests"),
        (SECTIONS["syndrome"], "conclude"),
    ):
        for source in data[part]:
            named = VALUES["symptoms"] if "symptoms" in source else VALUES["evidence"]
            said = render(source, **VALUES)
            assert named in said and "肺炎" in said
            assert re.search(r"医生|医师|面诊", said), said


def test_an_urgent_form_sends_the_child_to_an_emergency_room_at_once() -> None:
    for part in ("ask_urgent", "tests_urgent", "conclude_urgent", "conclude_urgent_without_tests"):
        for source in GRAPH["case"][part]:
            said = render(source, **VALUES)
            assert "急诊" in said and VALUES["dangers"] in said
            assert re.search(r"现在就|马上|立即", said), said


def test_the_form_of_a_seed_is_always_the_same_and_seeds_differ() -> None:
    options = ["甲", "乙", "丙", "丁"]
    told = "".join(choose(options, 17, f"record-{n}", "whole") for n in range(12))
    assert told == "乙甲丙丙丙丙甲甲甲乙丙丁", "the same on every machine"
    first = [choose(options, 17, f"record-{n}") for n in range(200)]
    assert first == [choose(options, 17, f"record-{n}") for n in range(200)]
    assert first != [choose(options, 18, f"record-{n}") for n in range(200)]
    assert all(first.count(option) > 25 for option in options), "every form is used"
    assert [choose(options, f"{n}a", "b") for n in range(50)] != [choose(options, f"{n}", "ab") for n in range(50)]


def test_a_wording_file_knows_its_name_version_and_bytes() -> None:
    for name in ("sections", "graph", "cpt", "dfpo"):
        wording = load_wording(f"extractive/{name}")
        assert wording.id == f"extractive/{name}"
        assert re.fullmatch(r"\d+\.\d+", wording.version)
        assert re.fullmatch(r"[0-9a-f]{64}", wording.sha256)
        assert all(role in ("user", "assistant") for role in wording.data["roles"])
    with pytest.raises(PedcorpusError, match="extractive/poems"):
        load_wording("extractive/poems")
