"""Decision files: their lines, the majority of several reviewers, and what it does to a row.

A decision file is JSON lines, appended to and never rewritten. The last line that a reviewer wrote about a row holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pedcorpus.errors import ConfigError
from pedcorpus.plugins import Drop
from pedcorpus.records import Message, QualityNote, Row, Version, digest

Verdict = Literal["accept", "edit", "reject"]
Reason = Literal["wrong_fact", "wrong_dose", "not_in_evidence", "unsafe", "unclear", "personal_data", "other"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
REASONS: tuple[Reason, ...] = get_args(Reason)
"""Why a reviewer rejects a row, in the order of the number keys."""
CHECK = "review"
"""The name of the quality note that a reviewed row carries."""
REJECTED = "review.rejected"
"""The ledger's reason for a row that most reviewers reject."""
_BEFORE = "before review: "


class Said(BaseModel):
    """One message of an edited row."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    role: Literal["system", "user", "assistant"]
    content: str = Field(min_length=1)


class Decision(BaseModel):
    """One line of a decision file.

    ``messages`` is the whole text that the reviewer wants: of ``messages``, or of ``chosen`` of a preference pair. An
    accepted row has it too where the reviewer saw a text that an earlier review had changed. ``row_sha256`` is the
    `text_hash` of what the reviewer saw; ``request`` the id that the page made, so that no click counts twice.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    row_id: str = Field(min_length=1)
    task: str = Field(min_length=1)
    reviewer: str = Field(min_length=1)
    decision: Verdict
    reason: Reason | None = None
    detail: str = ""
    messages: tuple[Said, ...] | None = None
    time: str = ""
    row_sha256: str | None = None
    request: str = ""

    @model_validator(mode="after")
    def _whole(self) -> Decision:
        if (self.decision == "reject") != (self.reason is not None):
            raise ValueError("`reason` belongs to a rejected row, and each rejected row needs one")
        if self.reason == "other" and not self.detail.strip():
            raise ValueError("the reason `other` needs a `detail`")
        if self.decision == "edit" and not self.messages:
            raise ValueError("an edit needs `messages`")
        if self.decision == "reject" and self.messages is not None:
            raise ValueError("a rejected row has no `messages`")
        return self

    def text(self) -> tuple[Message, ...] | None:
        """The wanted text; None where the row's own is meant."""
        return None if self.messages is None else tuple(Message(item.role, item.content) for item in self.messages)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the reviewers of one row come to.

    ``votes`` of ``reviewers`` stand behind ``verdict``; on a tie they are those who would keep the row. ``said`` counts
    accept, edit and reject; ``reasons`` counts why it was rejected.
    """

    verdict: Literal["accept", "edit", "reject", "tie"]
    votes: int
    reviewers: int
    said: tuple[tuple[Verdict, int], ...]
    messages: tuple[Message, ...] | None = None
    reasons: tuple[tuple[Reason, int], ...] = ()

    def describe(self) -> str:
        """One line for people; it names no reviewer."""
        if self.verdict == "tie":
            return "tie: " + ", ".join(f"{count} {verdict}" for verdict, count in self.said)
        word = {"accept": "accepted", "edit": "edited", "reject": "rejected"}[self.verdict]
        why = "".join(f", {reason} ({count})" for reason, count in self.reasons) if self.verdict == "reject" else ""
        return f"{word} by {self.votes} of {self.reviewers}{why}"


# --- reading ----------------------------------------------------------------------------------------


def read_decisions(paths: Iterable[Path]) -> Iterator[Decision]:
    """Every line of the files, in order.

    A last line that was cut off by a crash is passed over: the page never said that it was saved.

    Raises:
        ConfigError: a file cannot be read, or a line is no decision; both are named.
    """
    for path in paths:
        try:
            with path.open("rb") as lines:
                for number, line in enumerate(lines, 1):
                    try:
                        decision = parse_line(line)
                    except ValueError as error:
                        if not line.endswith(b"\n"):
                            break
                        raise ConfigError(
                            f"{path}, line {number}: {explain_line(error)}",
                            "mend or delete the line; docs/review.md describes it",
                        ) from None
                    yield decision
        except OSError as error:
            raise ConfigError(
                f"cannot read the decisions {path}: {error.strerror or error}",
                "correct review.decisions, or put the file there",
            ) from error


def parse_line(line: bytes) -> Decision:
    """One line of a decision file.

    Raises:
        ValueError: it is no decision.
    """
    return Decision.model_validate_json(line.decode("utf-8"))


def explain_line(error: ValueError) -> str:
    """What is wrong with a line, in one line."""
    if not isinstance(error, ValidationError):
        return "not UTF-8"
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else str(first["msg"])


def latest(decisions: Iterable[Decision]) -> dict[str, tuple[Decision, ...]]:
    """Row id to the last decision of each reviewer, in the order in which they first decided on it."""
    found: dict[str, dict[str, Decision]] = {}
    for decision in decisions:
        found.setdefault(decision.row_id, {})[decision.reviewer] = decision
    return {row_id: tuple(by_reviewer.values()) for row_id, by_reviewer in found.items()}


# --- deciding ---------------------------------------------------------------------------------------


def decide(decisions: Sequence[Decision]) -> Outcome:
    """The majority of the reviewers of one row.

    First keep (accept or edit) against reject; then, among those who keep it, the text that most want: the row's own
    or an edit, equal edits counted together. Where either is a draw, the row stays as it is.

    Raises:
        ValueError: no decisions, or decisions on several rows.
    """
    if len({decision.row_id for decision in decisions}) != 1:
        raise ValueError("decide wants the decisions on one row")
    last = list({decision.reviewer: decision for decision in decisions}.values())
    counted = Counter(decision.decision for decision in last)
    said = tuple((verdict, counted[verdict]) for verdict in VERDICTS if counted[verdict])
    reasons = tuple(Counter(decision.reason for decision in last if decision.reason).most_common())
    kept = [decision for decision in last if decision.decision != "reject"]
    against = len(last) - len(kept)
    if against > len(kept):
        return Outcome("reject", against, len(last), said, reasons=reasons)
    texts = Counter(decision.text() for decision in kept).most_common()
    if against == len(kept) or (len(texts) > 1 and texts[0][1] == texts[1][1]):
        return Outcome("tie", len(kept), len(last), said, reasons=reasons)
    text, votes = texts[0]
    return Outcome("accept" if text is None else "edit", votes, len(last), said, text, reasons)


# --- applying ---------------------------------------------------------------------------------------


def editable(row: Row) -> str | None:
    """The field whose assistant messages a reviewer may edit; None where the text is the source's own."""
    if row.task == "cpt":
        return None
    return "chosen" if row.task == "dfpo" else "messages"


def text_hash(row: Row) -> str:
    """Hash of every text of a row that a reviewer sees as the row."""
    parts = [f"{message.role}\n{message.content}" for message in (*row.messages, *row.prompt, *row.chosen)]
    return digest("text", *parts, "rejected", *(message.content for message in row.rejected), row.text or "", length=64)


def apply(row: Row, outcome: Outcome) -> Row | Drop:
    """The row after review, or why it is dropped.

    An edited row keeps its id. Each earlier text goes to the version trail, with its place, so that `unedited` can
    tell what the id is the hash of. The caller runs the hard checks again.

    Raises:
        ConfigError: an edit that does not fit the row: other turns, or another side's words changed.
    """
    if outcome.verdict == "reject":
        return Drop(REJECTED, outcome.describe())
    if outcome.verdict == "edit":
        row = with_text(row, outcome.messages or ())
    note = QualityNote(CHECK, round(outcome.votes / outcome.reviewers, 4), outcome.describe())
    return replace(row, quality=(*row.quality, note))


def with_text(row: Row, messages: Sequence[Message]) -> Row:
    """The row with the assistant's side replaced, the earlier texts in its version trail.

    Raises:
        ConfigError: the messages do not fit the row.
    """
    name = editable(row)
    before: tuple[Message, ...] = getattr(row, name) if name else ()
    fits = len(before) == len(messages) and all(
        old.role == new.role and (old.role == "assistant" or old.content == new.content)
        for old, new in zip(before, messages, strict=False)
    )
    if name is None or not fits:
        raise ConfigError(
            f"the edit of row {row.id} does not fit the row", "edit rows on the page of `pedcorpus review`"
        )
    trail = [
        Version(f"{_BEFORE}{name}[{place}]", old.content)
        for place, (old, new) in enumerate(zip(before, messages, strict=True))
        if old != new
    ]
    provenance = replace(row.provenance, version_trail=(*row.provenance.version_trail, *trail))
    changed: dict[str, Any] = {name: tuple(messages)}
    return replace(row, provenance=provenance, **changed)


def is_review(version: Version) -> bool:
    """Whether a version is the text before a reviewer's edit."""
    return version.step.startswith(_BEFORE)


def unedited(row: Row) -> Row:
    """The row as it was before review: what its id is the hash of. A row that nobody edited is itself."""
    name = editable(row)
    if name is None:
        return row
    before: list[Message] = list(getattr(row, name))
    for version in reversed(row.provenance.version_trail):
        for place, message in enumerate(before):
            if version.step == f"{_BEFORE}{name}[{place}]":
                before[place] = replace(message, content=version.content)
    trail = tuple(
        version for version in row.provenance.version_trail if not version.step.startswith(f"{_BEFORE}{name}[")
    )
    changed: dict[str, Any] = {name: tuple(before)}
    return replace(row, provenance=replace(row.provenance, version_trail=trail), **changed)
