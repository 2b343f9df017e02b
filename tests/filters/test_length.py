"""Too short to teach or too long to fit, and where the border is."""

from __future__ import annotations

from pedcorpus.filters.length import LengthFilter
from tests.making import reason, row


def test_the_borders_of_length_are_inside() -> None:
    check = LengthFilter(answer_min=10, question_min=2, row_max=60)
    assert reason(check.check(row("字" * 10, question="问题"))) is None
    assert reason(check.check(row("字" * 9, question="问题"))) == "quality.length"
    assert reason(check.check(row(f"  {'字' * 9}\n ", question="问题"))) == "quality.length"
    assert reason(check.check(row("字" * 10, question="问"))) == "quality.length"
    assert reason(check.check(row("字" * 50, question="问" * 10))) is None
    assert reason(check.check(row("字" * 51, question="问" * 10))) == "quality.length"


def test_the_last_answer_of_a_talk_is_measured_and_the_first_question() -> None:
    check = LengthFilter()
    talk = [("user", "孩子发烧"), ("assistant", "几岁？"), ("user", "5"), ("assistant", "请先量体温，再来复诊。")]
    assert reason(check.check(row("", messages=talk))) is None
    assert reason(check.check(row("", messages=talk[:2]))) == "quality.length"


def test_a_general_answer_may_be_one_word() -> None:
    check = LengthFilter()
    assert reason(check.check(row("是的", task="general", kind="general"))) is None
    assert reason(check.check(row("是", task="general", kind="general"))) == "quality.length"
    assert reason(LengthFilter(general_min=1).check(row("是", task="general", kind="general"))) is None
    assert reason(check.check(row("是的", task="safety", kind="safety"))) == "quality.length"


def test_a_completion_text_has_its_own_least() -> None:
    assert reason(LengthFilter().check(row("字" * 40, task="cpt"))) is None
    assert reason(LengthFilter().check(row("字" * 39, task="cpt"))) == "quality.length"
    assert reason(LengthFilter(text_min=39).check(row("字" * 39, task="cpt"))) is None
