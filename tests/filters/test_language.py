"""A Chinese dataset answers in Chinese."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pedcorpus.filters.language import LanguageFilter
from tests.making import reason, row


def test_a_chinese_dataset_takes_chinese_answers() -> None:
    check = LanguageFilter()
    assert reason(check.check(row("Plenty of water and rest, please see a doctor."))) == "quality.language"
    assert reason(check.check(row("多喝水，注意休息。", language="en"))) == "quality.language"
    assert reason(check.check(row("多喝水，注意休息，口服 ORS。"))) is None
    assert reason(check.check(row("OK"))) is None, "too short to tell"
    assert reason(LanguageFilter(language="en").check(row("Plenty of water."))) is None


@given(han=st.integers(1, 60), latin=st.integers(10, 60))
def test_the_share_of_han_decides_at_its_border(han: int, latin: int) -> None:
    verdict = LanguageFilter(han_min=0.3).check(row("水" * han + "a" * latin))
    assert (reason(verdict) is None) == (han / (han + latin) >= 0.3)


def test_only_answers_are_weighed() -> None:
    asked = "What does this mean: fever for three days in a row, with coughing and vomiting?"
    assert reason(LanguageFilter().check(row("孩子连续发热三天，伴有咳嗽和呕吐。", question=asked))) is None
