"""Questions about sections: what is asked, of what, and that the answer is the section's own words."""

from __future__ import annotations

import re

import pytest

from pedcorpus.generators.sections import SectionGenerator
from pedcorpus.plugins import GenerateContext
from pedcorpus.records import RawRecord, Reject, Row
from tests.making import ALL_TASKS, record

GENERATOR = SectionGenerator()


def made(
    item: RawRecord, per_record: int = 3, seed: int = 17, tasks: frozenset[str] = ALL_TASKS
) -> tuple[list[Row], list[Reject]]:
    context = GenerateContext(seed, per_record, tasks, {}, "zh")
    found = list(GENERATOR.generate(item, context))
    return [x for x in found if isinstance(x, Row)], [x for x in found if isinstance(x, Reject)]


def asked(item: RawRecord, seed: int = 17) -> list[str]:
    return [row.messages[0].content for row in made(item, seed=seed)[0]]


CAUSES = "感染：呼吸道合胞病毒和鼻病毒最为常见，多在冬春季流行。\n体质：早产和先天性心脏病的孩子更容易得病。"


def test_the_whole_section_is_asked_for_first_and_then_its_points() -> None:
    item = record(CAUSES, path=("第一章 呼吸系统疾病", "毛细支气管炎", "病因"), disease="毛细支气管炎")
    rows, rejects = made(item)
    assert not rejects and [row.task for row in rows] == ["medkqa"] * 3
    whole, *points = [row.messages for row in rows]
    assert whole[1].content == CAUSES
    assert [point[1].content for point in points] == CAUSES.split("\n")
    assert "感染" in points[0][0].content and "体质" in points[1][0].content
    assert all("毛细支气管炎" in messages[0].content for messages in (whole, *points))
    for row in rows:
        for item_ in row.evidence:
            assert item.text[item_.start : item_.end] == item_.quote == row.messages[1].content


@pytest.mark.parametrize(
    ("heading", "task"),
    [
        ("病因", "medkqa"),
        ("临床表现", "medkqa"),
        ("诊断要点", "medkqa"),
        ("鉴别诊断", "medkqa"),
        ("并发症", "medkqa"),
        ("治疗", "trerecom"),
        ("预防", "trerecom"),
        ("护理", "trerecom"),
        ("转诊指征", "trerecom"),
        ("辨证论治", "trerecom"),
    ],
)
def test_the_heading_decides_the_task(heading: str, task: str) -> None:
    item = record("这一节讲的是孩子得了这个病以后应当知道的事情。", path=("水痘", heading), disease="水痘")
    assert [row.task for row in made(item)[0]] == [task]


def test_per_record_and_wanted_tasks_are_kept() -> None:
    item = record("\n".join(f"要点{'甲乙丙丁戊己'[n]}：这一条讲的是第几个应当知道的事情。" for n in range(6)), path=("水痘", "病因"), disease="水痘")  # fmt: skip
    assert [len(made(item, per_record=n)[0]) for n in (1, 2, 5, 99)] == [1, 2, 5, 7]
    assert made(item, tasks=frozenset({"trerecom", "cpt"})) == ([], [])


def test_the_same_seed_asks_the_same_and_another_asks_otherwise() -> None:
    items = [
        record(
            "这一节讲的是孩子得病的原因和环境里的诱因。", path=(f"水痘{n}病", "病因"), disease=f"水痘{n}病", id=f"r{n}"
        )
        for n in range(12)
    ]
    first = [asked(item) for item in items]
    assert first == [asked(item) for item in items]
    assert first != [asked(item, seed=18) for item in items]
    forms = {re.sub(r"水痘\d+病", "X", question) for questions in first for question in questions}
    assert len(forms) >= 3, "a kind of question has several forms"


@pytest.mark.parametrize(
    "line",
    [
        "朱丹溪云：痰之为物，随气升降，无处不到，怪病多由此生。",
        "注意：以下内容供医务人员参考，家长不要自行用药。",
        "用法：口服，每日三次，饭后用温水送下，疗程七天。",
        "儿童：体重不足的孩子按体重计算用量，不要超过成人。",
        "如：发热、咳嗽、流涕、打喷嚏，都是常见的表现。",
    ],
)
def test_a_label_that_names_no_point_is_not_asked_for(line: str) -> None:
    item = record(f"{line}", path=("水痘", "病因"), disease="水痘")
    assert len(made(item)[0]) == 1, "the whole section alone"


def test_a_label_is_asked_for_without_its_verb_and_blanks() -> None:
    text = "各种淋证的临床特点是：血淋尿血而痛，气淋脘腹满闷胀痛。"
    questions = asked(record(text, path=("淋证", "诊断要点"), disease="淋证"))
    assert "“各种淋证的临床特点”" in questions[1]
    text = "肺炎支原体肺炎（ MPP ）：指由肺炎支原体感染引起的肺部炎症。"
    questions = asked(record(text, path=("肺炎支原体肺炎指南", "定义"), disease="肺炎支原体感染"))
    assert "肺炎支原体肺炎（MPP）" in questions[1]


@pytest.mark.parametrize("heading", ["问汗", "呼吸和咳嗽", "闻声音", "自汗与盗汗"])
def test_a_heading_that_only_ends_like_a_disease_is_not_asked_what_disease_it_is(heading: str) -> None:
    item = record("小儿出汗的多少和时间，都要问清楚，以辨虚实。", path=("诊断学", heading), disease=heading)
    (question,) = asked(item)
    assert "病" not in question and heading in question


def test_an_aspect_within_an_aspect_stands_in_one_pair_of_brackets() -> None:
    path = ("流感", "治疗", "抗病毒治疗", "用药原则")
    item = record("奥司他韦：发病48小时以内使用效果最好，不必等待检查结果。", path=path, disease="流感")
    questions = asked(item)
    assert all(not re.search(r"（[^）]*（", question) for question in questions)
    assert all("抗病毒治疗中的用药原则" in question for question in questions)


def test_a_differential_is_asked_for_by_the_other_disease() -> None:
    item = record("细菌性肺炎起病急，白细胞升高，对青霉素反应好。", path=("支原体肺炎", "鉴别诊断", "与细菌性肺炎鉴别"), disease="支原体肺炎")  # fmt: skip
    for seed in range(8):
        (question,) = asked(item, seed=seed)
        assert "细菌性肺炎" in question and not re.search(r"与与|和与|鉴别有|鉴别相", question)


def test_an_examination_of_one_kind_is_not_asked_as_all_examinations() -> None:
    for seed in range(12):
        (question,) = asked(record("胸部影像可见斑片影，严重者有胸腔积液。", path=("肺炎", "影像学检查"), disease="肺炎"), seed=seed)  # fmt: skip
        assert "影像学" in question


def test_a_child_is_not_said_to_have_a_childs_disease() -> None:
    for seed in range(12):
        for heading in ("治疗", "护理", "预防", "病因", "并发症"):
            item = record("要在医生指导下进行，家长要注意观察。", path=("小儿肺炎", heading), disease="小儿肺炎")
            assert not re.search(r"(?:孩子|小朋友)[^。？]*小儿肺炎", asked(item, seed=seed)[0])


def test_a_row_of_a_table_is_asked_for_by_its_first_cell() -> None:
    first, second = "药物：布洛芬；用法：口服；间隔：6小时", "药物：对乙酰氨基酚；用法：口服；间隔：4小时"
    text = f"发热的孩子不舒服时可以使用退热药，常用的有两种。\n{first}\n{second}\n以上由医生选用。"
    start = text.index(first)
    item = record(text, path=("发热", "退热药"), disease="发热", extra={"tables": [[start, start + len(first) + 1 + len(second)]]})  # fmt: skip
    tables = [row for row in made(item, per_record=9)[0] if "表格" in row.messages[0].content]
    assert [row.messages[1].content for row in tables] == [first, second]
    assert "“布洛芬”" in tables[0].messages[0].content and "“对乙酰氨基酚”" in tables[1].messages[0].content
    whole = made(item, per_record=9)[0][0]
    assert "布洛芬" not in whole.messages[1].content, "a table is no sentence of the answer"


def test_a_quantity_cut_by_a_page_mark_is_refused_and_the_rest_is_kept() -> None:
    text = "退热：布洛芬每次5～10mg/kg，间隔六小时以上再用一次。\n补液：少量多次喂水，注意尿量和精神状态的变化。"
    item = record(text, path=("发热", "治疗"), disease="发热", extra={"seams": [text.index("10mg") + 1]})
    rows, rejects = made(item)
    assert [reject.reason for reject in rejects] == ["grounding.cut"] * 2, "the whole section and its first point"
    assert [row.messages[1].content.split("：")[0] for row in rows] == ["补液"]


def test_sections_about_teaching_contents_and_policy_are_not_asked_about() -> None:
    assert made(record("本章要求掌握小儿肺炎的诊断与治疗原则。", path=("肺炎", "目的要求"), disease="肺炎")) == ([], [])
    text = "国家卫生健康委组织专家组修订了本指南，供临床使用参考。\n退热时多喝水，少穿衣服，注意观察精神和尿量。"
    (row,) = made(record(text, path=("发热", "治疗"), disease="发热"))[0]
    assert row.messages[1].content == text.split("\n")[1]


@pytest.mark.parametrize("kind", ["conversation", "knowledge_graph", "plain"])
def test_records_of_other_shapes_are_left_to_others(kind: str) -> None:
    items = {
        "conversation": record(kind="conversation", turns=[("user", "发烧怎么办？"), ("assistant", "多喝水。")]),
        "knowledge_graph": record(kind="knowledge_graph", disease="水痘", triples=[("症状", "发热")]),
        "plain": record("孩子发烧要多喝水，注意休息。", kind="plain_text", path=("发热", "护理")),
    }
    assert made(items[kind]) == ([], [])


def test_a_guideline_answer_says_what_it_rests_on_and_keeps_its_quote_whole() -> None:
    item = record("中到大量胸腔积液者应尽早穿刺引流。", path=("治疗", "胸腔引流"), kind="guideline", title="儿童肺炎诊疗指南（2024年版）", edition="2024年版", disease="儿童肺炎")  # fmt: skip
    (row,) = made(item)[0]
    assert row.messages[1].content == f"根据《儿童肺炎诊疗指南（2024年版）》：{item.text}"
    assert row.evidence[0].quote == item.text
    assert row.provenance.generator == "sections" and row.provenance.prompt_id == "extractive/sections@1.1"


def points(
    text: str, *, path: tuple[str, ...] = ("流感", "治疗"), disease: str = "流感", **values: object
) -> list[str]:
    """The answers about labelled points, the whole section's left out."""
    rows, _ = made(record(text, path=path, disease=disease, **values), per_record=9)  # type: ignore[arg-type]
    return [row.messages[1].content for row in rows if "“" in row.messages[0].content]


def test_a_point_goes_on_to_the_next_label_so_that_no_childs_dose_is_cut_off() -> None:
    first = "①退热药甲：混悬液适用于2岁以上儿童及成人。成人每次200mg，每日2次。"
    more = "1 岁以下儿童推荐剂量：每次 4mg/kg；1岁及以上每次 5mg/kg。\n儿童：肝功能不全时减半。"
    second = "②退热药乙：适用于成人，一次口服，不推荐孕妇使用。"
    assert points(f"{first}\n{more}\n{second}\n补充说明在此处结束了。") == [
        f"{first[1:]}\n{more}",
        f"{second[1:]}\n补充说明在此处结束了。",
    ]


def test_a_point_keeps_the_list_that_begins_below_it_and_no_other() -> None:
    text = "1.退热处理：体温高而不适时可用退热药物。\n（1）首选口服，按体重计算。\n（2）不能口服时用栓剂。\n2.补液处理：少量多次喂水，注意观察尿量。"
    one, two = text.split("\n2.")
    assert points(text) == [one[2:], two]
    text = "（1）退热处理：体温高而不适时可用退热药物。\n退热处理之后：注意观察精神状态的变化。\n（2）补液。"
    assert [point.count("\n") for point in points(text)] == [0, 0]


@pytest.mark.parametrize(
    "ending",
    [
        "常用药物皮下注射：",
        "分为以下两类，",
        "应与麻疹相鉴别；",
        "接种程序见表2。",
        "轻重的区别如表3。",
        "其余用法同前。",
        "激素使用等同前。",
    ],
)
def test_an_answer_that_needs_what_stands_elsewhere_is_not_given(ending: str) -> None:
    text = f"处理要点：病情稳定时应尽早开始处理，{ending}"
    assert made(record(text, path=("流感", "治疗"), disease="流感")) == ([], [])


def test_a_table_named_in_brackets_does_no_harm() -> None:
    text = "处理要点：病情稳定时应尽早开始处理（见表2），并注意观察。"
    assert len(made(record(text, path=("流感", "治疗"), disease="流感"))[0]) == 2


@pytest.mark.parametrize(
    "rest",
    [
        "2.4 小儿捏脊疗法\n适应症：食欲不振、夜卧不安的孩子。",
        "2.10小儿捏脊疗法\n适应症：食欲不振、夜卧不安的孩子。",
        "甲病诊疗流程图",
        "表2 两种证候鉴别表",
        "图 1 处理路径",
        "慢性期",
    ],
)
def test_an_answer_ends_before_the_next_heading_or_caption(rest: str) -> None:
    text = "取背部穴位，每次五分钟，每日一次，皮肤破损处不做。"
    rows, _ = made(record(f"{text}\n{rest}", path=("流感", "治疗", "拔罐"), disease="流感"))
    assert [row.messages[1].content for row in rows] == [text]


def test_a_list_without_full_stops_is_kept_to_its_end() -> None:
    text = "下列情况应当尽快送到医院：\n高热超过三天\n精神反应差\n不能进食"
    rows, _ = made(record(text, path=("流感", "就医指征"), disease="流感"))
    assert rows[0].messages[1].content == text


def test_a_long_answer_is_not_cut_at_a_colon() -> None:
    text = "要观察孩子的精神和尿量。" * 65 + "\n下列药物可以选用：\n" + "布洛芬混悬液按体重计算。" * 4
    rows, _ = made(record(text, path=("流感", "治疗"), disease="流感"))
    assert rows[0].messages[1].content == "要观察孩子的精神和尿量。" * 65
