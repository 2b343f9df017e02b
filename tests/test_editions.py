"""Titles and editions: an older guideline must lose to a newer one, whatever way the year is written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pedcorpus.editions import EditionOrder, edition_of, edition_order, subject_of, tidy_title, work_key


@pytest.mark.parametrize(
    ("title", "tidy"),
    [
        ("关于印发《儿童某病诊疗指南 2020年版》的通知", "儿童某病诊疗指南（2020年版）"),
        (
            "国家卫生健康委办公厅关于印发流行性感冒诊疗方案（2018年版修订版）的通知",
            "流行性感冒诊疗方案（2018年版修订版）",
        ),
        ("关于印发儿童肺炎支原体肺炎诊疗指南-2025年版-的通知", "儿童肺炎支原体肺炎诊疗指南（2025年版）"),
        ("关于公布《小儿发热指南（2016年版）》的公告", "小儿发热指南（2016年版）"),
        ("儿童社区获得性肺炎管理指南(2013修订)(上)", "儿童社区获得性肺炎管理指南（2013修订）(上)"),
        ("中医儿科学", "中医儿科学"),
        ("《》", "《》"),
    ],
)
def test_tidy_title(title: str, tidy: str) -> None:
    assert tidy_title(title) == tidy


@given(st.text(st.sampled_from("儿童肺炎诊疗指南2019年版关于印发的通知《》（）() -修订第三版"), max_size=30))
def test_tidying_twice_is_tidying_once(title: str) -> None:
    assert tidy_title(tidy_title(title)) == tidy_title(title)


@pytest.mark.parametrize(
    ("title", "edition"),
    [
        ("流行性感冒诊疗方案（2018年版修订版）", "2018年版修订版"),
        ("儿科学（第9版）", "第9版"),
        ("儿科学 第 九 版", "第九版"),
        ("儿科学 第九版", "第九版"),
        ("儿科学(2013 年 版)", "2013年版"),
        ("诊疗方案（试行第八版 修订版）", "第八版修订版"),
        ("肺炎管理指南(2013修订)(上)", "2013修订"),
        ("过敏性鼻炎诊疗指南（2016）", "2016"),
        ("过敏性鼻炎诊疗指南2016", "2016"),
        ("热性惊厥专家共识（2017实用版）", "2017实用版"),
        ("2019年版诊疗规范", "2019年版"),
        ("儿童哮喘调查 2010-2014", None),
        ("儿童肺炎（2010—2014）调查", None),
        ("2019新型冠状病毒感染诊疗指南", None),
        ("中医儿科学", None),
        ("编码120201", None),
    ],
)
def test_edition_of(title: str, edition: str | None) -> None:
    assert edition_of(title) == edition


@pytest.mark.parametrize(
    ("edition", "order"),
    [
        ("2018年版", EditionOrder("year", 2018)),
        ("2018年版修订版", EditionOrder("year", 2018, True)),
        ("2013修订", EditionOrder("year", 2013, True)),
        ("1985年", EditionOrder("year", 1985)),
        ("第9版", EditionOrder("ordinal", 9)),
        ("第 10 版", EditionOrder("ordinal", 10)),
        ("第十版", EditionOrder("ordinal", 10)),
        ("第十二版", EditionOrder("ordinal", 12)),
        ("第二十一版", EditionOrder("ordinal", 21)),
        ("第八版修订版", EditionOrder("ordinal", 8, True)),
        ("试行", None),
        ("", None),
        (None, None),
    ],
)
def test_edition_order(edition: str | None, order: EditionOrder | None) -> None:
    assert edition_order(edition) == order


HAN = ["", "一", "二", "三", "四", "五", "六", "七", "八", "九"]


@given(st.integers(1, 99), st.booleans())
def test_every_ordinal_reads_as_its_number(number: int, in_words: bool) -> None:
    tens, ones = divmod(number, 10)
    words = ("十" if tens == 1 else f"{HAN[tens]}十" if tens else "") + HAN[ones]
    title = f"实用儿科学（第{words if in_words else number}版）"
    assert edition_order(edition_of(title)) == EditionOrder("ordinal", number)
    assert work_key(title) == work_key("实用儿科学")


FORMS = [
    "（{}年版）",
    "({}年版)",
    "（{}年）",
    "({})",
    "（{}）",
    "{}",
    " {}年版",
    "-{}年版-",
    "（{}年修订版）",
    "（{}修订）",
    "（{}版）",
    "（{} 年版 试行）",
]


@given(st.integers(1950, 2049), st.integers(1950, 2049), st.sampled_from(FORMS), st.sampled_from(FORMS))
def test_of_two_years_the_later_is_the_newer(first: int, second: int, one: str, other: str) -> None:
    titles = [f"儿童腹泻病诊疗指南{form.format(year)}" for form, year in ((one, first), (other, second))]
    orders = [edition_order(edition_of(title)) for title in titles]
    assert orders[0] is not None and orders[1] is not None
    assert work_key(titles[0]) == work_key(titles[1]) == work_key("儿童腹泻病诊疗指南")
    if first != second:
        assert (orders[0] < orders[1]) is (first < second)


def test_a_revision_is_newer_than_what_it_revises() -> None:
    plain, revised = edition_order("2018年版"), edition_order("2018年版修订版")
    assert plain is not None and revised is not None and plain < revised


def test_other_works_have_other_keys() -> None:
    assert work_key("儿童肺炎诊疗指南（2019年版）") != work_key("儿童哮喘诊疗指南（2019年版）")
    assert work_key("实用儿科学 上册（第8版）") != work_key("实用儿科学 下册（第8版）")


@pytest.mark.parametrize(
    ("title", "subject"),
    [
        ("儿童肺炎支原体肺炎诊疗指南（2023年版）", "儿童肺炎支原体肺炎"),
        ("热性惊厥诊断治疗与管理专家共识（2017实用版）", "热性惊厥"),
        ("新生儿败血症诊断及治疗专家共识（2019年版）", "新生儿败血症"),
        ("中国儿童普通感冒规范诊治专家共识(2013年)", "儿童普通感冒"),
        ("儿童社区获得性肺炎管理指南(2013修订)(上)", "儿童社区获得性肺炎"),
        ("关于印发《儿童某病诊疗方案 2020年版》的通知", "儿童某病"),
        ("儿童遗尿预防与控制指南", "儿童遗尿"),
        ("小儿推拿指南", "小儿推拿"),
        ("诊疗指南（2023年版）", None),
        ("指南", None),
        ("儿科学（第9版）", None),
        ("手足口病诊疗指南解读", None),
        ("某" * 30 + "诊疗指南", None),
    ],
)
def test_subject_of(title: str, subject: str | None) -> None:
    assert subject_of(title) == subject
