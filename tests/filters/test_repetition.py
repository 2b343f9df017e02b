"""An answer does not go round in circles."""

from __future__ import annotations

from pedcorpus.filters.repetition import RepetitionFilter
from pedcorpus.plugins import Keep
from tests.making import reason, row


def test_an_answer_that_goes_round_is_dropped() -> None:
    check = RepetitionFilter()
    assert reason(check.check(row("多喝水，注意休息。" * 12))) == "quality.repetition"
    assert reason(check.check(row("好的。行的。" * 4))) is None, "too short to tell by n-grams or sentences"
    assert reason(check.check(row("我不知道。" * 3 + "请去医院。"))) is None
    assert reason(check.check(row("我不知道。" * 5 + "请去医院看看。"))) == "quality.repetition"


def test_an_honest_list_stays_and_its_share_is_noted() -> None:
    listed = "1.发热时多喝水。2.咳嗽时少吃冷饮。3.腹泻时口服补液。4.呕吐时少量多次喂水。5.皮疹时不要抓挠。"
    assert RepetitionFilter().check(row(listed)) == Keep()
    half = "请先测量孩子的体温并记录下来。" * 2 + "如果精神很差、不吃不喝、尿量减少，应当尽快带到医院检查。"
    verdict = RepetitionFilter().check(row(half))
    assert isinstance(verdict, Keep) and verdict.score is not None and 0 < verdict.score <= 0.4


def test_the_bounds_of_repetition_are_options() -> None:
    half = "请先测量孩子的体温并记录下来。" * 2 + "如果精神很差、不吃不喝、尿量减少，应当尽快带到医院检查。"
    assert reason(RepetitionFilter(ngram_max=0.01).check(row(half))) == "quality.repetition"
    round_ = "多喝水，注意休息。" * 12
    assert reason(RepetitionFilter(ngram_max=1.0, sentence_max=1.0).check(row(round_))) is None
    assert reason(RepetitionFilter(ngram=500, sentence_max=1.0).check(row(round_))) is None


def test_any_answer_of_a_talk_may_repeat() -> None:
    talk = [("user", "烧"), ("assistant", "多喝水，注意休息。" * 12), ("user", "好"), ("assistant", "好的。")]
    assert reason(RepetitionFilter().check(row("", messages=talk))) == "quality.repetition"
