"""A judging model reads a row with its evidence and scores it; the last check of all, since it costs."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pedcorpus.llm.asking import Ask, ReplyModel
from pedcorpus.llm.prompts import load_prompt, prompt_language
from pedcorpus.plugins import Drop
from pedcorpus.records import QualityNote, Row

_LEAST_CORRECT = 3
RUBRIC: tuple[str, ...] = ("usefulness", "correctness", "consistency", "smoothness")

Score = Literal[1, 2, 3, 4, 5]


class JudgedAnswer(ReplyModel):
    """The reason in a sentence, then a score from 1 to 5 for each point of the rubric."""

    reason: Annotated[str, Field(min_length=1, max_length=500)]
    usefulness: Score
    correctness: Score
    consistency: Score
    smoothness: Score


async def judge(row: Row, ask: Ask, language: str, threshold: float) -> tuple[QualityNote, ...] | Drop:
    """Notes with the four scores, or the drop of a row that is incorrect or scores below ``threshold`` on average.

    ``language`` is BCP-47 and chooses the prompt.

    Raises:
        CallFailedError: the judge gave no score.
    """
    reply = await ask.read(
        load_prompt("judge/answer", prompt_language(language)),
        JudgedAnswer,
        {
            "conversation": [{"role": message.role, "text": message.content} for message in row.messages[:-1]],
            "answer": row.answers()[-1],
            "quotes": [item.quote for item in row.evidence],
        },
        to="judge",
    )
    scores: dict[str, int] = {name: getattr(reply.value, name) for name in RUBRIC}
    listed = ", ".join(f"{name} {score}" for name, score in scores.items())
    mean = sum(scores.values()) / len(scores)
    if mean < threshold:
        return Drop("quality.judge", f"{listed}: mean {mean:g} below {threshold:g}: {reply.value.reason}")
    if scores["correctness"] < _LEAST_CORRECT:
        return Drop("quality.judge", f"{listed}: correctness below {_LEAST_CORRECT}: {reply.value.reason}")
    return tuple(QualityNote(f"judge.{name}", float(score), None) for name, score in scores.items())
