"""Rows and decisions for tests of the review."""

from __future__ import annotations

from typing import Any

from pedcorpus.records import Evidence, Message, Provenance, Row, row_id
from pedcorpus.review.decisions import Decision, Said

ANSWER = "多饮水，注意休息。"


def make_row(*contents: str, **values: Any) -> Row:
    """A medkqa row; user and assistant take turns."""
    contents = contents or ("感冒了怎么办？", ANSWER)
    roles = ("user", "assistant")
    given: dict[str, Any] = {
        "id": row_id("medkqa", "book", contents),
        "task": "medkqa",
        "source_kind": "textbook",
        "source_id": "book",
        "source_title": "书",
        "license": "apache-2.0",
        "department": None,
        "disease": None,
        "language": "zh",
        "evidence": (Evidence("r1", 1, 0, 9, ANSWER),),
        "provenance": Provenance("textbook", "sections"),
        "messages": tuple(Message(roles[place % 2], text) for place, text in enumerate(contents)),
    }
    return Row(**{**given, **values})


def make_pair(**values: Any) -> Row:
    """A dfpo row."""
    base = make_row()
    return make_row(
        task="dfpo",
        id="pair",
        messages=(),
        prompt=base.messages[:1],
        chosen=base.messages[1:],
        rejected=(Message("assistant", "不用管。"),),
        chosen_from="source",
        rejected_from="rule",
        reason="curt",
        **values,
    )


def said(row: Row, *answers: str) -> tuple[Said, ...]:
    """The row's messages with other answers."""
    messages = row.chosen if row.task == "dfpo" else row.messages
    left = list(answers)
    return tuple(
        Said(role=item.role, content=left.pop(0) if item.role == "assistant" else item.content)  # type: ignore[arg-type]
        for item in messages
    )


def make_decision(reviewer: str, decision: str, row: Row | None = None, **values: Any) -> Decision:
    """A decision on a row."""
    row = row or make_row()
    if decision == "reject":
        values.setdefault("reason", "wrong_dose")
    given = {"row_id": row.id, "task": row.task, "reviewer": reviewer, "decision": decision}
    return Decision(**{**given, **values})
