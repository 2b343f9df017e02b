"""Cases and treatments of Chinese medicine: the case tells what the text finds, and nothing else."""

from __future__ import annotations

import re

import pytest

from pedcorpus.generators.sections import SectionGenerator
from pedcorpus.generators.syndromes import SyndromeGenerator, is_syndrome
from pedcorpus.plugins import GenerateContext
from pedcorpus.records import RawRecord, Reject, Row
from tests.making import ALL_TASKS, record

GENERATOR = SyndromeGenerator()
TEXT = (
    "证候：咳嗽频作，咯痰色黄粘稠，咽痛口渴，或有发热，甚则气促，鼻流浊涕，舌质红，苔薄黄，脉浮数。\n"
    "治法：疏风清热，宣肺止咳。\n"
    "方例：桑菊饮。\n"
    "若咽痛甚者，加射干、牛蒡子。"
)


def syndrome(text: str = TEXT, path: tuple[str, ...] = ("咳嗽", "辨证论治", "风热咳嗽"), **values: object) -> RawRecord:
    return record(text, path=path, disease="咳嗽", title="中医儿科学", edition="1985年", **values)  # type: ignore[arg-type]


def made(item: RawRecord, seed: int = 17, tasks: frozenset[str] = ALL_TASKS) -> tuple[list[Row], list[Reject]]:
    found = list(GENERATOR.generate(item, GenerateContext(seed, 3, tasks, {}, "zh")))
    return [x for x in found if isinstance(x, Row)], [x for x in found if isinstance(x, Reject)]


def test_a_syndrome_gives_one_case_and_one_treatment() -> None:
    rows, rejects = made(syndrome())
    assert [row.task for row in rows] == ["evidiag", "trerecom"] and not rejects
    assert [row.task for row in made(syndrome(), tasks=frozenset({"evidiag"}))[0]] == ["evidiag"]
    assert [row.task for row in made(syndrome(), tasks=frozenset({"trerecom"}))[0]] == ["trerecom"]
    assert made(syndrome(), tasks=frozenset({"cpt"})) == ([], [])


@pytest.mark.parametrize("seed", range(6))
def test_the_case_tells_only_what_the_text_finds(seed: int) -> None:
    item = syndrome()
    case = made(item, seed)[0][0]
    assert [message.role for message in case.messages] == ["user", "assistant", "user", "assistant"]
    complaint, _, reply, conclusion = [message.content for message in case.messages]
    body = TEXT.split("\n")[0].removeprefix("证候：")
    signs = [sign for sign in re.split(r"[，。]", body) if sign]
    certain = [sign for sign in signs if not sign.startswith(("或", "甚"))]
    told = [sign for sign in certain if sign in complaint]
    assert told == certain[:3], "the complaint is what a parent sees first"
    assert all((sign in reply) != (sign in told) for sign in certain), "the reply tells the rest"
    assert all(sign in conclusion for sign in certain), "the conclusion names its evidence"
    for sign in set(signs) - set(certain):
        assert sign not in complaint + reply + conclusion, "what only some children have is no finding of this one"
    assert "咳嗽" in conclusion and "风热咳嗽" in conclusion
    assert re.search(r"医师|面诊", conclusion)
    assert [evidence.quote for evidence in case.evidence] == [body.removesuffix("") if body in item.text else ""]


@pytest.mark.parametrize("seed", range(6))
def test_tongue_and_pulse_are_told_as_a_doctors_words(seed: int) -> None:
    reply = made(syndrome(), seed)[0][0].messages[2].content
    assert re.search(r"中医[^。]*说[^。]*舌质红，苔薄黄，脉浮数", reply)
    complaint = made(syndrome(), seed)[0][0].messages[0].content
    assert not re.search(r"舌|脉|苔", complaint)


def test_tongue_and_pulse_on_a_line_of_their_own_are_evidence_too() -> None:
    text = "主症：咳嗽痰多，痰白清稀，鼻塞流涕，恶寒无汗。\n舌脉：舌淡红，苔薄白，脉浮紧。\n治法：散寒宣肺。\n基本方药：三拗汤。"
    case = made(syndrome(text))[0][0]
    assert [evidence.quote for evidence in case.evidence] == [
        "咳嗽痰多，痰白清稀，鼻塞流涕，恶寒无汗。",
        "舌淡红，苔薄白，脉浮紧。",
    ]
    assert "舌淡红" in case.messages[2].content and "脉浮紧" in case.messages[3].content


@pytest.mark.parametrize(
    "findings",
    ["咳嗽。", "舌质红，苔薄黄，脉浮数，指纹紫。", "咳嗽，或有发热，甚则气促，或见呕吐。"],
)
def test_too_few_findings_make_no_case(findings: str) -> None:
    rows, _ = made(syndrome(f"证候：{findings}其他内容不详。\n治法：宣肺。\n方例：三拗汤。"))
    assert "evidiag" not in [row.task for row in rows] or "舌" not in rows[0].messages[0].content


def test_the_treatment_is_the_texts_own_lines_under_its_citation() -> None:
    treatment = made(syndrome())[0][1]
    question, answer = [message.content for message in treatment.messages]
    assert answer == "根据《中医儿科学》（1985年）：\n治法：疏风清热，宣肺止咳。\n方例：桑菊饮。"
    assert "风热咳嗽" in question and "咳嗽" in question and question.endswith("？")
    assert [evidence.quote for evidence in treatment.evidence] == TEXT.split("\n")[1:3]


def test_a_second_turn_of_the_illness_is_no_treatment_of_the_first() -> None:
    text = f"{TEXT}\n治法：益气固脱。\n方例：参附汤。"
    answer = made(syndrome(text))[0][1].messages[1].content
    assert "参附汤" not in answer and "益气固脱" not in answer


def test_doses_need_an_age() -> None:
    dosed = TEXT.replace("方例：桑菊饮。", "方药：桑叶6g，菊花6g，杏仁5g。")
    assert "6g" not in made(syndrome(dosed))[0][1].messages[1].content
    aged = f"{dosed}\n以上为3～6岁用量。"
    assert "6g" in made(syndrome(aged))[0][1].messages[1].content


def test_a_cut_quantity_refuses_the_treatment_and_not_the_case() -> None:
    text = f"{TEXT.replace('方例：桑菊饮。', '方药：桑叶16g，菊花6g。')}\n以上为3～6岁用量。"
    rows, rejects = made(syndrome(text, extra={"seams": [text.index("16g") + 1]}))
    assert [row.task for row in rows] == ["evidiag"]
    assert [reject.reason for reject in rejects] == ["grounding.cut"]


def test_a_record_is_asked_about_as_syndrome_or_as_section_never_both() -> None:
    item = syndrome()
    assert is_syndrome(item)
    assert list(SectionGenerator().generate(item, GenerateContext(17, 3, ALL_TASKS, {}, "zh"))) == []
    plain = syndrome("咳嗽是肺系疾患中的常见证候，四季都可发生。")
    assert not is_syndrome(plain) and made(plain) == ([], [])


def test_headings_that_name_no_syndrome_give_nothing() -> None:
    assert made(syndrome(path=("咳嗽", "咳嗽"))) == ([], []), "the disease itself"
    assert made(syndrome(path=("咳嗽", "这是一个长得不像证候名称的标题文字啊啊"))) == ([], [])
    assert made(record(TEXT, path=("咳嗽", "风热咳嗽"))) == ([], []), "no disease"
