"""A model's row gives a dose or drug as its quotes do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pedcorpus.filters.said import SaidFilter
from pedcorpus.plugins import Drop, Keep
from pedcorpus.records import Row
from tests.making import row


def made(answer: str, quote: str, model: str | None = "some-model", **values: str) -> Row:
    plain = row(answer, quotes=[quote], **values)  # type: ignore[arg-type]
    return replace(plain, provenance=replace(plain.provenance, model=model))


@pytest.mark.parametrize(
    ("answer", "quote"),
    [
        ("红霉素每次40mg/kg。", "阿莫西林每次40mg/kg；红霉素每次10mg/kg。"),
        ("孩子用布洛芬每次0.4g。", "成人布洛芬每次0.4g。"),
        ("孩子可以使用阿司匹林退热。", "儿童不应使用阿司匹林退热。"),
    ],
)
def test_what_the_quotes_say_otherwise_is_dropped(answer: str, quote: str) -> None:
    verdict = SaidFilter().check(made(answer, quote))
    assert isinstance(verdict, Drop)
    assert verdict.reason == "grounding.said"
    assert SaidFilter().check(made(answer, quote, model=None)) == Keep()
    assert SaidFilter().check(made(answer, quote, task="general")) == Keep()


def test_what_they_say_is_kept() -> None:
    assert SaidFilter().check(made("红霉素每次10mg/kg。", "阿莫西林每次40mg/kg；红霉素每次10mg/kg。")) == Keep()
