"""Dialogues, pairs and instruction sets of every shape: who said what is kept, and what is missing is told."""

from __future__ import annotations

import csv
import io
import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pedcorpus.extractors.exchanges import FieldError, exchanges_of
from pedcorpus.records import RawRecord
from tests.extractors.reading import Read, read

KIND = "conversation"
SAID = st.text(st.sampled_from("孩子发热咳嗽三天了，吃什么药？建议多饮水。5mg"), min_size=2, max_size=20).map(
    lambda text: f"说{text}说"
)


def rows(*values: Any, kind: str = KIND, **options: Any) -> Read:
    return read(kind, "rows.json", json.dumps(values, ensure_ascii=False), options=options)


def turns(record: RawRecord) -> list[tuple[str, str]]:
    """Who said what, whether it was read as a pair or as a dialogue."""
    if record.pairs:
        return [("user", record.pairs[0].question), ("assistant", record.pairs[0].answer)]
    return [(turn.role, turn.text) for turn in record.turns]


def talk(found: Read) -> list[list[tuple[str, str]]]:
    return [turns(record) for record in found.records]


PAIR = [("user", "孩子发热怎么办？"), ("assistant", "多饮水，注意观察。")]
LONG = [("user", "孩子咳嗽"), ("assistant", "咳了几天？"), ("user", "三天"), ("assistant", "建议做胸片。")]


# --- shapes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "row",
    [
        {"question": PAIR[0][1], "answer": PAIR[1][1]},
        {"Question": PAIR[0][1], "Answer ": PAIR[1][1]},
        {"问题": PAIR[0][1], "回答": PAIR[1][1]},
        {"instruction": PAIR[0][1], "input": "", "output": PAIR[1][1]},
        {"instruction": PAIR[0][1], "input": "无", "output": PAIR[1][1]},
        {"instruction": PAIR[0][1], "input": "None", "output": PAIR[1][1], "history": []},
        {"query": PAIR[0][1], "response": PAIR[1][1]},
        {"prompt": PAIR[0][1], "chosen": PAIR[1][1], "rejected": "胡说"},
        {"question": "", "instruction": PAIR[0][1], "answer": None, "output": PAIR[1][1]},
        {"questions": [[PAIR[0][1]]], "answers": [PAIR[1][1]]},
        {"messages": [{"role": "user", "content": PAIR[0][1]}, {"role": "assistant", "content": PAIR[1][1]}]},
        {"conversations": [{"from": "human", "value": PAIR[0][1]}, {"from": "gpt", "value": PAIR[1][1]}]},
        {"dialogue": [f"患者：{PAIR[0][1]}", f"医生: {PAIR[1][1]}"]},
        {"turns": [[PAIR[0][1], PAIR[1][1]]]},
        {"title": PAIR[0][1], "ask": "无", "answer": PAIR[1][1]},
        [PAIR[0][1], PAIR[1][1]],
        [[PAIR[0][1], PAIR[1][1]]],
        [{"role": "user", "content": PAIR[0][1]}, {"role": "assistant", "content": PAIR[1][1]}],
    ],
)
def test_one_exchange_in_every_shape(row: Any) -> None:
    found = rows(row)
    assert not found.rejects, found.rejects
    assert turns(found.only) == PAIR
    assert found.only.text == f"问：{PAIR[0][1]}\n答：{PAIR[1][1]}"


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [{"role": role, "content": text} for role, text in LONG]},
        {
            "conversations": [
                {"from": {"user": "human", "assistant": "gpt"}[role], "value": text} for role, text in LONG
            ]
        },
        {"dialog": [{"speaker": {"user": "患者", "assistant": "医生"}[role], "sentence": text} for role, text in LONG]},
        {"history": [[LONG[0][1], LONG[1][1]]], "question": LONG[2][1], "answer": LONG[3][1]},
        {
            "history": [{"role": role, "content": text} for role, text in LONG[:2]],
            "query": LONG[2][1],
            "reply": LONG[3][1],
        },
        {"instruction": LONG[2][1], "output": LONG[3][1], "history": [[LONG[0][1], LONG[1][1]]], "input": ""},
        {"turns": [[LONG[0][1], LONG[1][1]], [LONG[2][1], LONG[3][1]]]},
    ],
)
def test_a_dialogue_in_every_shape(row: Any) -> None:
    found = rows(row)
    assert turns(found.only) == LONG
    assert found.only.text == "患者：孩子咳嗽\n医生：咳了几天？\n患者：三天\n医生：建议做胸片。"


def test_input_goes_on_the_instruction() -> None:
    found = rows({"instruction": "把下句译成英文", "input": ["多饮水", "勤洗手"], "output": "Drink."}, kind="general")
    assert turns(found.only)[0] == ("user", "把下句译成英文\n多饮水\n勤洗手")


def test_one_question_with_many_answers_is_a_record_each() -> None:
    found = rows({"questions": ["发热怎么办？"], "answers": ["多饮水。", "看医生。"]})
    assert talk(found) == [
        [("user", "发热怎么办？"), ("assistant", "多饮水。")],
        [("user", "发热怎么办？"), ("assistant", "看医生。")],
    ]


def test_many_questions_with_one_answer_are_a_record_each() -> None:
    found = rows({"questions": [["发热怎么办？", "发烧怎么办？"]], "answers": [["多饮水。"]]})
    assert [record.pairs[0].question for record in found.records] == ["发热怎么办？", "发烧怎么办？"]
    assert {record.pairs[0].answer for record in found.records} == {"多饮水。"}


def test_as_many_answers_as_questions_go_together() -> None:
    found = rows({"questions": ["甲？", "乙？"], "answers": ["甲。", "乙。"]})
    assert [(r.pairs[0].question, r.pairs[0].answer) for r in found.records] == [("甲？", "甲。"), ("乙？", "乙。")]


def test_counts_that_do_not_fit_are_no_guess() -> None:
    found = rows({"questions": ["甲？", "乙？", "丙？"], "answers": ["甲。", "乙。"]})
    assert not found.records
    assert found.reject.reason == "extract.field"
    assert "questions holds 3 texts, answers 2" in found.reject.detail


def test_a_system_message_leads_wherever_it_stands() -> None:
    wanted = [("system", "用英文回答"), *PAIR]
    for row in (
        {"system": "用英文回答", "instruction": PAIR[0][1], "output": PAIR[1][1]},
        {"system": "用英文回答", "messages": [{"role": r, "content": t} for r, t in PAIR]},
        {"messages": [{"role": r, "content": t} for r, t in wanted]},
    ):
        assert turns(rows(row).only) == wanted


def test_runs_of_one_speaker_are_one_turn() -> None:
    said = [("user", "孩子发热"), ("user", "38.5"), ("assistant", "几岁？"), ("assistant", ""), ("assistant", "多重？")]
    found = rows({"messages": [{"role": role, "content": text} for role, text in said]})
    assert turns(found.only) == [("user", "孩子发热\n38.5"), ("assistant", "几岁？\n多重？")]


@pytest.mark.parametrize("word", ["没有", "无", "暂无", "空"])
def test_a_denial_is_an_answer(word: str) -> None:
    """有过敏史吗？没有。 Without the answer the doctor would seem to have gone on unasked."""
    said = [("user", "能用青霉素吗"), ("assistant", "有过敏史吗？"), ("user", word), ("assistant", "可以。")]
    for found in (
        rows({"messages": [{"role": role, "content": text} for role, text in said]}),
        rows({"dialogue": [f"{'患者' if role == 'user' else '医生'}：{text}" for role, text in said]}),
        read(KIND, "a.txt", "\n".join(f"{'患者' if r == 'user' else '医生'}：{t}" for r, t in said)),
    ):
        assert turns(found.only) == said


@pytest.mark.parametrize("word", ["", " ", "无", "暂无", "null", "NaN", "-", None])
def test_a_field_that_says_nothing_is_no_answer(word: str | None) -> None:
    found = rows({"question": "孩子发热怎么办？", "answer": word})
    assert not found.records
    assert found.reject.reason == "extract.no_answer"
    assert "孩子发热怎么办" in found.reject.row


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"answer": "多饮水。"}, "no field with the question"),
        ({"question": 5, "answer": "多饮水。"}, "question: expected a text, found a number"),
        ({"question": "甲", "answer": {"text": "乙"}}, "answer: expected a text, found an object"),
        ({"question": "甲", "answer": True}, "answer: expected a text, found a truth value"),
        ({"question": "", "answer": "乙"}, "the question is empty"),
        ({"messages": "甲"}, "messages: expected a list of messages, found a text"),
        ({"messages": [{"role": "user"}]}, "content: expected a text, found nothing"),
        ({"messages": [{"content": "甲"}]}, "messages[0]: no role"),
        ({"messages": [{"role": "observer", "content": "甲"}]}, "unknown speaker 'observer'"),
        ({"messages": ["没有标签的话"]}, "a text without a speaker tag"),
        ({"messages": [7]}, "messages[0]: expected a message, found a number"),
        ({"history": "甲", "question": "乙", "answer": "丙"}, "history: expected a list of pairs, found a text"),
        ({"history": [["甲"]], "question": "乙", "answer": "丙"}, "history[0]: expected a pair of texts, found a list"),
        ({"history": [["甲", 3]], "question": "乙", "answer": "丙"}, "history[0]: expected a pair of texts"),
        ("甲", "expected an object, found a text"),
        (3.5, "expected an object, found a number"),
        (None, "expected an object, found nothing"),
        ([], "found a list of 0"),
        (["甲", "乙", "丙"], "found a list of 3"),
    ],
)
def test_a_wrong_field_is_named_and_costs_its_row_alone(row: Any, words: str) -> None:
    found = rows(row, {"question": "甲？", "answer": "乙。"})
    assert found.only.text == "问：甲？\n答：乙。"
    assert found.reject.reason == "extract.field"
    assert words in found.reject.detail
    assert "row 0" in found.reject.detail


def test_a_talk_without_its_other_side_is_told() -> None:
    assert rows({"messages": [{"role": "user", "content": "甲"}]}).reject.reason == "extract.no_answer"
    assert rows({"messages": [{"role": "assistant", "content": "甲"}]}).reject.detail.endswith("the question is empty")


@given(st.lists(st.tuples(st.booleans(), SAID), min_size=1, max_size=8))
def test_no_word_of_a_talk_is_lost_or_moved_to_the_other(said: list[tuple[bool, str]]) -> None:
    messages = [{"role": "user" if mine else "assistant", "content": text} for mine, text in said]
    found = next(iter(exchanges_of({"messages": messages}))).turns
    assert all(a.role != b.role for a, b in pairwise(found))
    for role, mine in (("user", True), ("assistant", False)):
        assert "\n".join(turn.text for turn in found if turn.role == role) == "\n".join(
            text for is_mine, text in said if is_mine == mine
        )


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=3), lambda x: st.lists(x, max_size=3) | st.dictionaries(st.sampled_from(["question", "answer", "messages", "history", "role", "content", "input", "title"]), x, max_size=4), max_leaves=12))  # fmt: skip
def test_any_json_is_an_exchange_or_a_field_error(value: Any) -> None:
    try:
        found = list(exchanges_of(value))
    except FieldError as error:
        assert str(error)
        return
    for exchange in found:
        assert all(turn.text.strip() for turn in exchange.turns)


# --- options ----------------------------------------------------------------------------------------


def test_the_config_names_fields_before_any_guess() -> None:
    row = {"question": "分类用的题目", "q2": "孩子发热怎么办？", "answer": "见 a2", "a2": "多饮水。", "d": "儿科"}
    found = rows(row, fields={"question": "q2", "answer": "a2", "department": "d"})
    assert turns(found.only) == [("user", "孩子发热怎么办？"), ("assistant", "多饮水。")]
    assert found.only.department == "儿科"


def test_a_field_that_the_config_names_and_the_row_lacks_is_told() -> None:
    found = rows({"question": "甲", "answer": "乙"}, fields={"question": "q2"})
    assert "looked for q2" in found.reject.detail
    found = rows({"question": "甲", "answer": "乙"}, fields={"answer": "a2"})
    assert found.reject.reason == "extract.field"
    assert "no field 'a2' with the answer" in found.reject.detail


def test_rows_without_a_required_key_are_left_out_and_counted() -> None:
    found = rows(
        {"question": "甲", "answer": "乙", "history": []},
        {"question": "丙", "answer": "丁"},
        ["戊", "己"],
        require=["history"],
    )
    assert found.only.pairs[0].question == "甲"
    assert found.reasons == ["extract.not_selected"] * 2
    assert "row 1: has no history" in found.rejects[0].detail


def test_what_a_row_says_beside_the_talk_goes_with_it() -> None:
    found = rows(
        {"ask": "发热三天", "answer": "多饮水。", "department": " 儿科 ", "title": "发热", "related_disease": "流感"}
    )
    record = found.only
    assert (record.department, record.disease, record.extras()["title"]) == ("儿科", "流感", "发热")
    assert rows({"ask": "甲", "answer": "乙", "department": 3}).only.department is None


# --- tables and plain text --------------------------------------------------------------------------


def test_a_table_of_questions_is_read_in_its_encoding() -> None:
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\r\n")
    table.writerows(
        [
            ["department", "title", "ask", "answer"],
            ["儿科", "小儿发热", '孩子说"头疼"，\n体温38.5', "多饮水，\n注意休息。"],
            ["内科", "高血压怎么办", "无", "低盐饮食。"],
            ["内科", "只有题目", "怎么办", ""],
        ]
    )
    found = read(KIND, "talk.csv", out.getvalue().encode("gb18030"))
    assert talk(found) == [
        [("user", '孩子说"头疼"，\n体温38.5'), ("assistant", "多饮水，\n注意休息。")],
        [("user", "高血压怎么办"), ("assistant", "低盐饮食。")],
    ]
    assert [record.department for record in found.records] == ["儿科", "内科"]
    assert found.reasons == ["extract.no_answer"]


def test_a_table_with_a_header_alone_has_no_row() -> None:
    found = read(KIND, "talk.csv", "question,answer\n")
    assert not found.records
    assert found.reject.reason == "extract.no_text"


TALKS = [[("user", "孩子发热"), ("assistant", "几天了？"), ("user", "两天"), ("assistant", "多饮水。")], PAIR]


def tagged(talks: list[list[tuple[str, str]]], tags: tuple[str, str], between: str, within: str = "\n") -> str:
    labels = {"user": tags[0], "assistant": tags[1]}
    return between.join(within.join(labels[role] + text for role, text in said) for said in talks) + "\n"


@pytest.mark.parametrize(
    "tags",
    [("患者：", "医生："), ("家长: ", "大夫: "), ("问：", "答："), ("Q:", "A:"), ("q： ", "a： "), ("用户：", "AI：")],
)
@pytest.mark.parametrize(
    "between", ["\n====\n", "\n\n----\n\n", "\n\n", "\n对话2：\n", "\n[对话 2]\n", "\n*** 病例 2 ***\n"]
)
def test_tagged_text_is_parted_into_talks(tags: tuple[str, str], between: str) -> None:
    assert talk(read(KIND, "talk.txt", tagged(TALKS, tags, between))) == TALKS


def test_turns_set_apart_by_blank_lines_are_still_one_talk() -> None:
    text = tagged(TALKS, ("患者：", "医生："), "\n\n\n\n", "\n\n")
    assert talk(read(KIND, "talk.txt", text)) == TALKS


def test_questions_and_answers_set_apart_by_blank_lines_are_pairs() -> None:
    text = "问：孩子发热怎么办？\n\n答：多饮水，注意观察。\n\n体温过高时就诊。\n\n问：咳嗽呢？\n\n答：看情况。\n"
    assert talk(read(KIND, "talk.txt", text)) == [
        [("user", "孩子发热怎么办？"), ("assistant", "多饮水，注意观察。\n\n体温过高时就诊。")],
        [("user", "咳嗽呢？"), ("assistant", "看情况。")],
    ]


def test_a_blank_line_within_an_answer_does_not_end_it() -> None:
    text = "患者：孩子发热\n医生：先物理降温。\n\n注意：3月龄以下不用布洛芬。\n\n患者：孩子咳嗽\n医生：多饮水。\n"
    assert talk(read(KIND, "talk.txt", text)) == [
        [("user", "孩子发热"), ("assistant", "先物理降温。\n\n注意：3月龄以下不用布洛芬。")],
        [("user", "孩子咳嗽"), ("assistant", "多饮水。")],
    ]


def test_letters_and_labels_in_an_answer_are_no_speakers() -> None:
    answer = "可选：\nA：口服补液盐\nB：静脉补液\n说明：先口服。\n答案：视脱水程度而定"
    found = read(KIND, "talk.txt", f"患者：孩子腹泻\n医生：{answer}\n患者：谢谢\n医生：不客气。\n")
    assert turns(found.only)[1] == ("assistant", answer)


def test_a_line_of_signs_with_words_behind_it_is_no_rule() -> None:
    found = read(KIND, "talk.txt", "患者：孩子发热\n医生：布洛芬\n***注意：3月龄以下不用\n患者：好\n医生：嗯\n")
    assert turns(found.only)[1] == ("assistant", "布洛芬\n***注意：3月龄以下不用")


def test_a_line_above_a_talk_is_its_title() -> None:
    found = read(KIND, "talk.txt", "发热咨询\n患者：甲\n医生：乙\n\n腹泻咨询\n患者：丙\n医生：丁\n")
    assert [record.extras().get("title") for record in found.records] == ["发热咨询", "腹泻咨询"]
    assert talk(found) == [[("user", "甲"), ("assistant", "乙")], [("user", "丙"), ("assistant", "丁")]]


def test_a_system_line_opens_a_talk() -> None:
    found = read(KIND, "talk.txt", "系统：你是儿科医生\n患者：甲\n医生：乙\n")
    assert turns(found.only) == [("system", "你是儿科医生"), ("user", "甲"), ("assistant", "乙")]


def test_text_without_tags_is_told_with_its_line() -> None:
    found = read(KIND, "talk.txt", "\n\n小儿发热的处理原则。\n")
    assert found.reject.reason == "extract.field"
    assert "line 3: no speaker tag" in found.reject.detail


def test_text_that_opens_with_a_bracket_is_no_json() -> None:
    assert len(read(KIND, "talk.txt", "[对话1]\n患者：甲\n医生：乙\n[对话2]\n患者：丙\n医生：丁\n").records) == 2
    assert len(read(KIND, "talk.txt", '[{"question": "甲", "answer": "乙"}]').records) == 1


@given(
    st.lists(
        st.lists(SAID, min_size=2, max_size=6).map(
            lambda said: [(("user", "assistant")[i % 2], text) for i, text in enumerate(said[: len(said) // 2 * 2])]
        ),
        min_size=1,
        max_size=4,
    ),
    st.sampled_from([("患者：", "医生："), ("问：", "答："), ("Q: ", "A: ")]),
    st.sampled_from(["\n====\n", "\n\n"]),
)
def test_tagged_text_comes_back(talks: list[list[tuple[str, str]]], tags: tuple[str, str], between: str) -> None:
    assert talk(read(KIND, "talk.txt", tagged(talks, tags, between), deidentify=False)) == talks


def test_places_tell_rows_apart_that_say_the_same() -> None:
    same = {"question": "甲", "answer": "乙"}
    found = rows(same, same, {"questions": ["甲"], "answers": ["乙", "乙"]})
    assert len({record.id for record in found.records}) == 4
    assert [record.id for record in found.records] == [
        record.id for record in rows(same, same, {"questions": ["甲"], "answers": ["乙", "乙"]}).records
    ]


def test_an_english_answer_is_marked_as_english() -> None:
    found = rows({"question": "译成英文：多饮水", "answer": "Drink plenty of water and rest well."}, kind="general")
    assert found.only.language == "en"
    assert rows({"question": "甲", "answer": "多饮水。"}).only.language == "zh"
