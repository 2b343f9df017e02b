"""Answers of a model that say what no quote does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pedcorpus.filters.coverage import CoverageFilter
from pedcorpus.plugins import Drop, Keep
from pedcorpus.records import Row
from tests.making import row

QUOTE = "本病主要经呼吸道飞沫传播，接触患儿用过的毛巾和玩具也可以感染；患儿应当隔离至疱疹全部结痂。"


def made(answer: str, generator: str = "roleplay", question: str = "水痘怎么传播？", model: str | None = "m") -> Row:
    built = row(answer, question=question, task="medkqa", quotes=[QUOTE])
    return replace(built, provenance=replace(built.provenance, generator=generator, model=model))


@pytest.mark.parametrize(
    "answer",
    [
        "主要经呼吸道飞沫传播，接触患儿用过的毛巾和玩具也可以感染。",
        "您别太担心。水痘主要经飞沫传播，孩子用过的毛巾、玩具也可以传染，要隔离到疱疹全部结痂。",
        "飞沫传播。",
    ],
)
def test_what_the_quote_says_passes_with_its_share(answer: str) -> None:
    verdict = CoverageFilter().check(made(answer))
    assert isinstance(verdict, Keep) and verdict.score is not None and verdict.score > 0.6


@pytest.mark.parametrize(
    "answer",
    [
        "这种情况一般通过精神紧张和饮食习惯互相影响，家长平时多陪伴就不用去医院。",
        "主要经呼吸道飞沫传播。家里多通风、勤晒被褥，平时多吃水果蔬菜增强抵抗力，避免去人多的商场就不会得。",
    ],
)
def test_what_no_quote_says_is_dropped(answer: str) -> None:
    verdict = CoverageFilter().check(made(answer))
    assert isinstance(verdict, Drop) and verdict.reason == "grounding.coverage"


def test_the_question_counts_for_an_answer_and_not_for_a_rewriting() -> None:
    question = "宝宝昨天夜里突然哭闹不肯吃奶，是不是肚子不舒服？"
    answer = "宝宝昨天夜里突然哭闹不肯吃奶，肚子不舒服。"
    assert isinstance(CoverageFilter().check(made(answer, question=question)), Keep)
    assert isinstance(CoverageFilter().check(made(answer, "regularise", question)), Drop)


@pytest.mark.parametrize(("generator", "model"), [("sections", None), ("diagnosis", "m"), ("preference", "m")])
def test_others_are_not_measured(generator: str, model: str | None) -> None:
    assert CoverageFilter().check(made("完全无关的一句话，谁也没有说过。", generator, model=model)) == Keep()
