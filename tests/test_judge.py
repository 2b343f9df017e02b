"""The judge reads question, answer and evidence as data, and drops what is poor or incorrect."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from pydantic import ValidationError

from pedcorpus.judge import RUBRIC, JudgedAnswer, judge
from pedcorpus.plugins import Drop
from pedcorpus.records import QualityNote, Row
from tests.generators.llm.scripted import HOSTILE, ScriptedAsk, check_contained, check_prompt
from tests.making import row

PROMPT = "llm/judge/answer"
ADVICE = "多喝水，注意休息，精神差就去医院。"


def scored(usefulness: Any = 4, correctness: Any = 4, consistency: Any = 4, smoothness: Any = 4) -> dict[str, Any]:
    scores = dict(zip(RUBRIC, (usefulness, correctness, consistency, smoothness), strict=True))
    return {"reason": "回答与原文一致。", **scores}


def run(
    reply: Any, item: Row | None = None, threshold: float = 3.5, language: str = "zh"
) -> tuple[tuple[QualityNote, ...] | Drop, ScriptedAsk]:
    ask = ScriptedAsk({PROMPT: reply})
    return asyncio.run(judge(item or row(ADVICE), ask, language, threshold)), ask


def test_scores_become_notes() -> None:
    verdict, ask = run(scored(5, 4, 4, 3))
    assert verdict == tuple(
        QualityNote(f"judge.{name}", score, None) for name, score in zip(RUBRIC, (5.0, 4.0, 4.0, 3.0), strict=True)
    )
    assert ask.calls[0].to == "judge"


def test_below_the_threshold() -> None:
    verdict, _ = run(scored(2, 4, 4, 3))
    detail = "usefulness 2, correctness 4, consistency 4, smoothness 3: mean 3.25 below 3.5: 回答与原文一致。"
    assert verdict == Drop("quality.judge", detail)


def test_at_the_threshold_is_kept() -> None:
    assert not isinstance(run(scored(4, 4, 3, 3))[0], Drop)


def test_incorrect_is_dropped_however_good_the_rest() -> None:
    verdict, _ = run(scored(5, 2, 5, 5))
    assert isinstance(verdict, Drop)
    assert "correctness below 3" in verdict.detail


def test_what_the_judge_sees() -> None:
    said = [("user", "发烧了"), ("assistant", "几天了？"), ("user", "两天，怎么办？"), ("assistant", ADVICE)]
    _, ask = run(scored(), row(ADVICE, messages=said, quotes=["发热时多喝水"]))
    values = ask.calls[0].values
    assert [item["text"] for item in values["conversation"]] == ["发烧了", "几天了？", "两天，怎么办？"]
    assert (values["answer"], values["quotes"]) == (ADVICE, ["发热时多喝水"])


@pytest.mark.parametrize("score", [0, 6, 4.5, "5", None])
def test_only_whole_scores_from_one_to_five(score: Any) -> None:
    with pytest.raises(ValidationError):
        JudgedAnswer.model_validate_json(json.dumps(scored(usefulness=score)))


@pytest.mark.parametrize("language", ["zh", "en"])
def test_hostile_text_stays_between_its_marks(language: str) -> None:
    closes = HOSTILE.replace("资料", "回答").replace("source", "answer")
    _, ask = run(scored(), row(ADVICE + closes, question="怎么办？" + closes), language=language)
    check_contained(ask.calls[0])


def test_prompt() -> None:
    check_prompt("judge/answer", JudgedAnswer)
