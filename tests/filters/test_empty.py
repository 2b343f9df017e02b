"""A message says something."""

from __future__ import annotations

import pytest

from pedcorpus.filters.empty import EmptyFilter
from tests.making import reason, row


@pytest.mark.parametrize("blank", ["", " ", "\u3000\n", "。。。", "……！", "——", "\u200b\ufeff", "😀", "（）"])
def test_a_message_without_words_is_empty(blank: str) -> None:
    check = EmptyFilter()
    assert reason(check.check(row(blank))) == "quality.empty"
    assert reason(check.check(row("多喝水。", question=blank))) == "quality.empty"
    assert reason(check.check(row(blank, task="cpt"))) == "quality.empty"
    talk = [("user", "烧"), ("assistant", blank), ("user", "好"), ("assistant", "多喝水。")]
    assert reason(check.check(row("", messages=talk))) == "quality.empty"


@pytest.mark.parametrize("word", ["是", "3", "A", "好的。", "１"])
def test_one_word_is_not_empty(word: str) -> None:
    assert reason(EmptyFilter().check(row(word, question=word))) is None


def test_a_row_without_an_answer_is_empty() -> None:
    assert reason(EmptyFilter().check(row("", messages=[("user", "在吗？")]))) == "quality.empty"
