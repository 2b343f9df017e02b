"""Headings: what a section is about, and no age or type of disease lost with its number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pedcorpus.topics import (
    bare_heading,
    department_of,
    disease_name,
    diseases_of,
    family_of,
    is_historic_heading,
    looks_like_disease,
    topic_of,
)

NUMBERED = [
    "第三章 {}",
    "第 3 节 {}",
    "第十二编　{}",
    "一、{}",
    "（二）{}",
    "(3) {}",
    "1. {}",
    "1．{}",
    "2.1.3 {}",
    "2.1.3{}",
    "1、{}",
    "1）{}",
    "1{}",
    "①{}",
    "〔{}〕",
    "【{}】",
    "{}：",
    "一、 1. {}",
]


@pytest.mark.parametrize("form", NUMBERED)
@pytest.mark.parametrize(
    "heading",
    [
        "病因",
        "治疗",
        "天花",
        "周期性呕吐",
        "日常护理",
        "小儿腹泻",
        "1型糖尿病",
        "21三体综合征",
        "6个月以上",
        "2.5岁以下",
    ],
)
def test_numbers_of_headings_go_and_numbers_that_count_stay(form: str, heading: str) -> None:
    if heading[0].isdigit() and form in ("2.1.3{}", "1{}", "1．{}"):
        heading = form.format(heading)  # two numbers in one: nobody can tell
        form = "{}"
    assert bare_heading(form.format(heading)) == heading


@pytest.mark.parametrize(
    "heading",
    [
        "10岁以上",
        "3～6岁儿童",
        "6个月以内",
        "24小时内处理",
        "5-羟色胺",
        "13价肺炎疫苗",
        "1型糖尿病",
        "3期",
        "2度烧伤",
        "18-三体综合征",
        "1",
        "12",
        "病因",
    ],
)
def test_what_is_no_numbering_stays(heading: str) -> None:
    assert bare_heading(heading) == heading


@given(st.text(st.sampled_from("第一二三章节12.、（）① 〔〕病因治疗岁型："), max_size=12))
def test_bare_of_bare_is_bare_and_keeps_the_words(before: str) -> None:
    bare = bare_heading(f"{before}病因")
    assert bare_heading(bare) == bare
    assert bare.endswith("病因")


@pytest.mark.parametrize(
    ("heading", "name", "task"),
    [
        ("一、病因", "etiology", "medkqa"),
        ("二、临床表现", "manifestation", "medkqa"),
        ("（三）诊断与鉴别诊断", "differential", None),
        ("【治疗】", "treatment", "trerecom"),
        ("4. 预防", "prevention", None),
        ("五、护理", "care", None),
    ],
)
def test_family_of(heading: str, name: str | None, task: str | None) -> None:
    family = family_of(heading)
    assert family is not None
    assert name is None or family.name == name
    assert task is None or family.task == task


@pytest.mark.parametrize("heading", ["小儿腹泻", "第一章", "目录", "", "病因不明的发热", "前言"])
def test_no_family(heading: str) -> None:
    assert family_of(heading) is None


@pytest.mark.parametrize("heading", ["【文献摘录】", "附：简便验方", "古代文献选录", "历代医家论述", "方歌"])
def test_historic_headings(heading: str) -> None:
    assert is_historic_heading(heading)


@pytest.mark.parametrize("heading", ["治疗", "参考文献", "单纯疱疹", "处方"])
def test_headings_of_today(heading: str) -> None:
    assert not is_historic_heading(heading)


def test_department_of() -> None:
    assert department_of(["第七章 呼吸系统疾病", "第二节 肺炎", "治疗"]) == "呼吸系统疾病"
    assert department_of(["儿科学", "第五章 营养"]) == "营养"
    assert department_of(["肺炎", "治疗"]) is None
    assert department_of(["上", "中", "呼吸系统疾病"]) is None
    assert department_of([]) is None


@pytest.mark.parametrize(
    "name",
    ["肺炎", "小儿腹泻病", "过敏性紫癜", "热性惊厥", "1型糖尿病", "百日咳", "营养不良", "缺铁性贫血", "肠套叠", "高热"],
)
def test_looks_like_disease(name: str) -> None:
    assert looks_like_disease(name)


@pytest.mark.parametrize("name", ["治疗", "诊断", "新生儿期", "呼吸系统疾病", "总论", "目录", "病", "某" * 21, ""])
def test_looks_like_no_disease(name: str) -> None:
    assert not looks_like_disease(name)


def test_disease_name_drops_asides() -> None:
    assert disease_name("第二节 肺炎（附：肺脓肿）") == "肺炎"
    assert disease_name("三、维生素D缺乏性佝偻病(佝偻病)") == "维生素D缺乏性佝偻病"
    assert disease_name("1型糖尿病") == "1型糖尿病"


def test_the_disease_of_a_book_is_the_heading_above_the_first_family_heading() -> None:
    book = [
        ("第七章 呼吸系统疾病", "第二节 肺炎"),
        ("第七章 呼吸系统疾病", "第二节 肺炎", "一、病因"),
        ("第七章 呼吸系统疾病", "第二节 肺炎", "二、治疗", "（一）一般治疗"),
        ("第七章 呼吸系统疾病", "第三节 支气管哮喘", "治疗"),
        ("第七章 呼吸系统疾病", "预防"),
        ("前言",),
    ]
    found = diseases_of(book)
    assert [found.get(path) for path in book] == ["肺炎", "肺炎", "肺炎", "支气管哮喘", None, None]


def test_a_guideline_is_about_its_subject_throughout() -> None:
    paths = [("一、病因",), ("二、治疗", "（一）抗菌药物"), ()]
    assert diseases_of(paths, "儿童肺炎") == dict.fromkeys(paths, "儿童肺炎")


def test_topic_of() -> None:
    topic = topic_of(["第二节 肺炎", "二、治疗", "（一）抗菌药物"], "肺炎")
    assert (topic.disease, topic.heading, topic.aspect) == ("肺炎", "治疗", "抗菌药物")
    assert topic.family is not None and topic.family.task == "trerecom"
    alone = topic_of(["第二节 肺炎"], "肺炎")
    assert (alone.family, alone.aspect) == (None, None)
    other = topic_of(["第二节 肺炎", "附录"], "肺炎")
    assert (other.family, other.aspect) == (None, "附录")
    assert topic_of([], None).heading == ""


def test_under_treatment_all_is_treatment() -> None:
    topic = topic_of(["肺炎", "治疗", "并发症"], "肺炎")
    assert topic.family is not None and topic.family.task == "trerecom"


@pytest.mark.parametrize("age", ["6个月以下", "3～6岁", "10岁以上"])
def test_an_age_below_treatment_keeps_its_number(age: str) -> None:
    assert topic_of(["肺炎", "治疗", age], "肺炎").aspect == age
