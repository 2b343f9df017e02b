"""Knowledge graphs of every form become one graph, and each disease keeps the statements that it heads."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pedcorpus.extractors.knowledge_graph import RELATIONS
from tests.extractors.reading import Read, read, read_all

KIND = "knowledge_graph"
PNEUMONIA = {
    "_id": {"$oid": "5bb578b6"},
    "name": "小儿肺炎",
    "desc": "小儿肺炎是婴幼儿时期的常见病。\n冬春季节多见。",
    "category": ["疾病百科", "儿科", "小儿内科"],
    "prevent": "加强锻炼，按时接种。",
    "cause": "细菌和病毒感染。",
    "symptom": ["发热", "咳嗽", "气促"],
    "yibao_status": "是",
    "get_prob": "0.5%",
    "easy_get": "婴幼儿",
    "get_way": "呼吸道传播",
    "acompany": ["心力衰竭"],
    "cure_department": ["儿科", "小儿内科"],
    "cure_way": ["药物治疗", "支持性治疗"],
    "cure_lasttime": "7～14天",
    "cured_prob": "95%",
    "common_drug": ["阿莫西林颗粒"],
    "check": ["胸部平片", "血常规"],
    "do_eat": ["小米粥"],
    "not_eat": ["辣椒"],
    "recommand_eat": ["南瓜粥"],
    "recommand_drug": ["阿莫西林颗粒", "头孢克洛干混悬剂"],
}


def graph(*values: Any) -> Read:
    return read(KIND, "kg.json", json.dumps(values, ensure_ascii=False))


def said(found: Read, disease: str = "小儿肺炎") -> dict[str, list[str]]:
    """Relation to tails of one disease."""
    record = next(record for record in found.records if record.disease == disease)
    tails: dict[str, list[str]] = {}
    for triple in record.triples:
        assert triple.head == disease
        tails.setdefault(triple.relation, []).append(triple.tail)
    return tails


# --- disease records --------------------------------------------------------------------------------


def test_every_field_of_a_disease_record_is_a_statement() -> None:
    found = graph(PNEUMONIA)
    assert not found.rejects
    assert said(found) == {
        "分类": ["疾病百科", "儿科", "小儿内科"],
        "简介": ["小儿肺炎是婴幼儿时期的常见病。 冬春季节多见。"],
        "科室": ["儿科", "小儿内科"],
        "易感人群": ["婴幼儿"],
        "病因": ["细菌和病毒感染。"],
        "传播方式": ["呼吸道传播"],
        "症状": ["发热", "咳嗽", "气促"],
        "检查": ["胸部平片", "血常规"],
        "并发症": ["心力衰竭"],
        "治疗方式": ["药物治疗", "支持性治疗"],
        "常用药物": ["阿莫西林颗粒", "头孢克洛干混悬剂"],
        "预防": ["加强锻炼，按时接种。"],
        "宜吃": ["小米粥"],
        "忌吃": ["辣椒"],
        "推荐食谱": ["南瓜粥"],
        "治疗周期": ["7～14天"],
        "治愈率": ["95%"],
        "患病率": ["0.5%"],
    }
    record = found.only
    assert (record.disease, record.department, record.section_path) == ("小儿肺炎", "小儿内科", ("小儿肺炎",))
    assert record.text.startswith("疾病：小儿肺炎\n分类：疾病百科、儿科、小儿内科\n")


def test_json_lines_say_the_same_as_an_array() -> None:
    other = {"name": "小儿腹泻", "symptom": ["腹泻"]}
    lines = "\n".join(json.dumps(value, ensure_ascii=False) for value in (PNEUMONIA, other))
    assert read(KIND, "kg.json", lines).texts == graph(PNEUMONIA, other).texts


def test_parts_of_a_graph_in_several_files_meet() -> None:
    files: dict[str, bytes | str] = {
        "1.json": json.dumps([{"name": "小儿肺炎", "symptom": ["发热"]}]),
        "2.csv": "head,relation,tail\n小儿肺炎,has_symptom,咳嗽\n小儿肺炎,has_symptom,发热\n小儿腹泻,need_check,便常规\n",
        "3.jsonl": '["小儿肺炎", "检查", "血常规"]\n["小儿肺炎", "临床表现", "气促"]\n',
    }
    found = read_all(KIND, files)
    assert not found.rejects
    assert said(found) == {"症状": ["发热", "咳嗽", "气促"], "检查": ["血常规"]}
    assert [record.disease for record in found.records] == ["小儿肺炎", "小儿腹泻"]


def test_a_statement_made_twice_is_one() -> None:
    found = graph(
        {"name": "小儿肺炎", "common_drug": ["甲"], "recommand_drug": ["甲 ", "甲"]}, ["小儿肺炎", "推荐药品", "甲"]
    )
    assert said(found) == {"常用药物": ["甲"]}


def test_a_graph_may_name_its_drugs_shortly() -> None:
    found = graph({"name": "小儿肺炎", "symptom": ["咳嗽"]}, ["小儿肺炎", "用药", "阿莫西林"])
    assert said(found) == {"症状": ["咳嗽"], "常用药物": ["阿莫西林"]}


def test_one_pair_of_nodes_may_stand_in_two_relations() -> None:
    found = graph(["小儿肺炎", "并发症", "发热"], ["小儿肺炎", "症状", "发热"])
    assert said(found) == {"症状": ["发热"], "并发症": ["发热"]}


def test_one_list_in_a_text_is_parted_where_the_list_is() -> None:
    for text in (
        "发热、咳嗽，气促;呼吸困难",
        "发热,咳嗽|气促；呼吸困难",
        "['发热', '咳嗽', '气促', '呼吸困难']",
        '["发热", "咳嗽", null, "气促", "呼吸困难"]',
    ):
        assert said(graph({"name": "小儿肺炎", "symptom": text})) == {"症状": ["发热", "咳嗽", "气促", "呼吸困难"]}, (
            text
        )


def test_parting_a_list_breaks_no_dose() -> None:
    """1,000IU cut in two would be 1 and 000IU."""
    text = "维生素D 1,000IU、钙剂（每次5ml，每日2次），1,25-二羟维生素D3;蒙脱石散[1岁以下、1～2岁]"
    assert said(graph({"name": "小儿肺炎", "recommand_drug": text}))["常用药物"] == [
        "维生素D 1,000IU",
        "钙剂（每次5ml，每日2次）",
        "1,25-二羟维生素D3",
        "蒙脱石散[1岁以下、1～2岁]",
    ]


def test_prose_is_no_list() -> None:
    text = "先退热，后补液；注意休息、饮食。"
    assert said(graph({"name": "小儿肺炎", "prevent": text, "cause": text})) == {"病因": [text], "预防": [text]}


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("cured_prob", 0.95, "cured_prob: expected a text or a list of texts, found float"),
        ("check", {"a": 1}, "found dict"),
        ("symptom", ["发热", 38.5], "symptom: expected a text or a list of texts, found a list with float"),
        ("symptom", [["发热"]], "found a list with list"),
    ],
)
def test_a_field_of_a_wrong_type_is_told_and_costs_no_other(field: str, value: Any, words: str) -> None:
    found = graph({"name": "小儿肺炎", field: value, "do_eat": ["小米粥"]})
    assert said(found) == {"宜吃": ["小米粥"]}
    assert found.reject.reason == "extract.field"
    assert words in found.reject.detail


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"name": ""}, "name is no text"),
        ({"name": None, "symptom": []}, "name is missing"),
        ({"name": 3, "symptom": []}, "name is no text"),
        ({"name": "甲", "other": 1}, "no known field beside name (has name, other)"),
        ({"a": 1}, "neither a triple nor a disease record (has a)"),
        ({"head": "甲", "relation": "症状"}, "tail is missing"),
        ({"head": "甲", "relation": "症状", "tail": 3}, "tail is no text"),
        ({"head": " ", "relation": "症状", "tail": "乙"}, "head is empty"),
        (["甲", "乙"], "expected an object or a triple, found list"),
        ("甲", "found str"),
        ({"rel_type": "has_symptom", "rels": "甲"}, "rels: expected a list, found str"),
        ({"label": "Disease", "name": 3}, "name is no text"),
    ],
)
def test_a_row_that_is_no_statement_is_told_and_costs_itself(row: Any, words: str) -> None:
    found = graph(row, ["小儿肺炎", "症状", "发热"])
    assert said(found) == {"症状": ["发热"]}
    assert found.reject.reason == "extract.field"
    assert words in found.reject.detail


def test_a_disease_of_which_nothing_is_said_is_told() -> None:
    found = graph({"name": "小儿肺炎", "symptom": [], "desc": " "})
    assert not found.records
    assert found.reject.reason == "extract.no_text"
    assert "小儿肺炎" in found.reject.detail


# --- relations --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "aliases"), RELATIONS.items())
def test_every_name_of_a_relation_is_that_relation(name: str, aliases: tuple[str, ...]) -> None:
    tails = {alias: f"某{index}" for index, alias in enumerate(aliases)}
    found = graph(*(["小儿肺炎", alias, tail] for alias, tail in tails.items()))
    assert said(found) == {name: list(tails.values())}


def test_no_name_means_two_relations() -> None:
    every = [alias for aliases in RELATIONS.values() for alias in aliases]
    assert len(set(every)) == len(every)


def test_groups_and_entities_are_read() -> None:
    found = graph(
        {"rel_type": "has_symptom", "rel_name": "症状", "start_entity_type": "Disease", "end_entity_type": "Symptom",
         "rels": [{"start_entity_name": "小儿肺炎", "end_entity_name": "发热"}, {"start_entity_name": "小儿肺炎"}]},
        {"rel_type": "drugs_of", "rel_name": "生产药品", "start_entity_type": "Producer", "end_entity_type": "Drug",
         "rels": [{"start_entity_name": "某药厂", "end_entity_name": "阿莫西林"}]},
        {"label": "Disease", "name": {"name": "小儿腹泻", "symptom": ["腹泻"]}},
        {"label": "Food", "name": "小米粥"},
    )  # fmt: skip
    assert said(found) == {"症状": ["发热"]}
    assert said(found, "小儿腹泻") == {"症状": ["腹泻"]}
    assert found.reasons == ["extract.field", "kg.unattached"]
    assert "rels[1]" in found.rejects[0].detail


def test_what_no_disease_heads_is_counted_by_relation() -> None:
    found = graph(
        ["某药厂", "生产药品", "甲"],
        ["某药厂", "生产药品", "乙"],
        ["头孢", "别名", "先锋"],
        ["小儿肺炎", "症状", "发热"],
    )
    assert len(found.records) == 1
    assert found.reasons == ["kg.unattached"] * 2
    assert "2 statements of 生产药品" in found.rejects[0].detail
    assert "1 statements of 别名" in found.rejects[1].detail


# --- contradictions and persons ---------------------------------------------------------------------


def test_a_food_that_is_both_good_and_bad_is_neither() -> None:
    found = graph({"name": "小儿肺炎", "do_eat": ["小米粥", "鸡蛋 ", "梨"], "not_eat": ["辣椒", " 鸡蛋"]})
    assert said(found) == {"宜吃": ["小米粥", "梨"], "忌吃": ["辣椒"]}
    assert found.reject.reason == "kg.contradiction"
    assert "小儿肺炎: both 宜吃 and 忌吃: 鸡蛋" in found.reject.detail


def test_a_contradiction_over_two_files_is_found() -> None:
    found = read_all(
        KIND,
        {"1.csv": "head,relation,tail\n小儿肺炎,宜吃,鸡蛋\n", "2.csv": "head,relation,tail\n小儿肺炎,no_eat,鸡蛋\n"},
    )
    assert not found.records
    assert found.reasons == ["kg.contradiction", "extract.no_text"]


def test_persons_in_a_field_are_neither_drugs_nor_in_the_ledger() -> None:
    people = ["王建国", "李秀英", "张伟", "刘洋"]
    found = graph({"name": "小儿肺炎", "recommand_drug": people, "symptom": ["发热", "咳嗽"]})
    assert said(found) == {"症状": ["发热", "咳嗽"]}
    assert found.reject.reason == "kg.person_names"
    assert "recommand_drug holds 4 names of persons" in found.reject.detail
    assert not any(name in found.reject.detail + found.reject.row for name in people)


def test_a_field_that_names_persons_all_through_is_left_out_everywhere() -> None:
    """One name alone could be anything; the other rows show what the field holds."""
    found = graph(
        {"name": "小儿肺炎", "check": ["王建国", "李秀英", "张伟"], "symptom": ["发热"]},
        {"name": "小儿腹泻", "check": ["刘洋"], "symptom": ["腹泻"]},
    )
    assert said(found, "小儿腹泻") == {"症状": ["腹泻"]}
    assert found.reasons == ["kg.person_names"] * 2


# --- tables -----------------------------------------------------------------------------------------

TRIPLES: list[tuple[str, ...]] = [
    ("小儿肺炎", "症状", "发热"),
    ("小儿肺炎", "症状", "咳嗽，有痰"),
    ("小儿肺炎", "检查", "血常规"),
]
SAID = {"症状": ["发热", "咳嗽，有痰"], "检查": ["血常规"]}


def table(header: tuple[str, ...] | None, delimiter: str = ",", triples: list[tuple[str, ...]] | None = None) -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    writer.writerows(([header] if header else []) + (TRIPLES if triples is None else triples))
    return out.getvalue()


@pytest.mark.parametrize("header", [("head", "relation", "tail"), ("Subject", "Predicate", "Object"), ("实体1", "关系", "实体2"), ("h", "r", "t"), ("entity_a", "rel_type", "entity_b"), None])  # fmt: skip
@pytest.mark.parametrize(("suffix", "delimiter"), [(".csv", ","), (".tsv", "\t"), (".csv", "\t"), (".csv", ";")])
def test_triples_in_tables_with_and_without_a_header(
    header: tuple[str, ...] | None, suffix: str, delimiter: str
) -> None:
    found = read(KIND, f"kg{suffix}", table(header, delimiter))
    assert not found.rejects, found.rejects
    assert said(found) == SAID


def test_no_line_of_a_table_without_a_header_is_taken_for_one() -> None:
    assert said(read(KIND, "kg.csv", "小儿肺炎,症状,发热\n")) == {"症状": ["发热"]}
    found = read(KIND, "kg.csv", "小儿肺炎,别名,小儿肺感染\n小儿肺炎,别名,婴幼儿肺炎\n")
    assert "2 statements of 别名" in found.reject.detail


def test_a_header_alone_is_no_triple() -> None:
    for header in ("head,relation,tail\n", "实体1,关系,实体2\n", "a,b,c,d\n"):
        assert read(KIND, "kg.csv", header).reasons == ["extract.no_text"]


def test_columns_may_stand_in_any_order_beside_others() -> None:
    text = "id,tail,relation,head,source\n1,发热,症状,小儿肺炎,某书\n"
    assert said(read(KIND, "kg.csv", text)) == {"症状": ["发热"]}


def test_json_named_as_a_table_is_read_as_json() -> None:
    lines = "\n".join(json.dumps(dict(zip(("head", "relation", "tail"), row, strict=True))) for row in TRIPLES)
    assert said(read(KIND, "kg.csv", lines)) == SAID
    assert said(read(KIND, "kg.csv", "\n".join(map(json.dumps, TRIPLES)))) == SAID


def test_a_word_list_holds_no_statements() -> None:
    found = read(KIND, "words.txt", "肺炎\t1000\n")
    assert found.reject.reason == "extract.unsupported"
    assert ".csv" in found.reject.detail


def test_a_broken_row_of_a_table_costs_itself() -> None:
    found = read(
        KIND, "kg.csv", table(("head", "relation", "tail")) + "小儿腹泻,症状\n小儿腹泻,,腹泻\n小儿腹泻,症状,腹泻\n"
    )
    assert found.reasons == ["extract.csv", "extract.field"]
    assert "relation is empty" in found.rejects[1].detail
    assert said(found, "小儿腹泻") == {"症状": ["腹泻"]}


TAILS = st.text(st.sampled_from("发热咳嗽气促呕吐皮疹0123岁 "), min_size=1, max_size=6).filter(str.strip)


@given(
    st.dictionaries(
        st.sampled_from(["症状", "检查", "预防", "病因"]), st.lists(TAILS, min_size=1, max_size=5), min_size=1
    )
)
def test_every_statement_comes_back_once(statements: dict[str, list[str]]) -> None:
    triples: list[tuple[str, ...]] = [("小儿肺炎", name, tail) for name, tails in statements.items() for tail in tails]
    found = read(KIND, "kg.csv", table(("head", "relation", "tail"), triples=triples))
    wanted = {name: sorted({" ".join(tail.split()) for tail in tails}) for name, tails in statements.items()}
    assert {name: sorted(tails) for name, tails in said(found).items()} == wanted
    for triple in found.only.triples:
        assert triple.tail in found.only.text


def test_personal_data_is_masked_wherever_a_graph_holds_it() -> None:
    found = graph(
        {"name": "小儿肺炎", "desc": "咨询电话13800138000。"},
        ["电话13900139000", "症状", "发热"],
        ["小儿肺炎", "科室", "请拨13700137000"],
    )
    everything = json.dumps(
        [
            [r.text, r.disease, r.department, r.section_path, [[t.head, t.tail] for t in r.triples]]
            for r in found.records
        ],
        ensure_ascii=False,
    )
    for number in ("13800138000", "13900139000", "13700137000"):
        assert number not in everything
    assert everything.count("[电话]") >= 6
