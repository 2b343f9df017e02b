"""Dialogues rewritten: the doctor's terse turns become doctor-like and patient-friendly, and nothing is added to them.

The model sees demonstrations that are near to the dialogue. It returns the doctor's turns alone: what the patient says
comes from the record.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Annotated

from pydantic import Field

from pedcorpus.filters.number import NumberFilter
from pedcorpus.generators.exchanges import forced_task, spoken_turns, task_of
from pedcorpus.generators.llm.common import asked_row, whole_evidence
from pedcorpus.generators.passage import refuse
from pedcorpus.grounding import load_names, ungrounded_names
from pedcorpus.llm.asking import Answer, Ask, ReplyModel
from pedcorpus.llm.prompts import load_prompt, prompt_language
from pedcorpus.plugins import Drop, GenerateContext
from pedcorpus.records import MEDICAL_TASKS, Evidence, RawRecord, Reject, Row, Turn, Version
from pedcorpus.said import lost_denial, lost_warning, new_frequency, resolved
from pedcorpus.sources import serialise_turns
from pedcorpus.text import clean, key
from pedcorpus.wording import load_wording

_MOST_TURNS = 40
_LONGEST_TURN = 1500
_GROWTH = 3
_ECHO = 0.6
_ALWAYS_SHORT_ENOUGH = 200


class RegularisedTurns(ReplyModel):
    """The doctor's turns in order, rewritten, one for one."""

    turns: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=_LONGEST_TURN)]],
        Field(min_length=1, max_length=_MOST_TURNS),
    ]


class RegulariseGenerator:
    """One row of a dialogue, in the task that its question asks for.

    The number of turns and who speaks stay. A figure in a rewritten turn must have been said by then, in that turn
    or before it; a drug or frequency must be the doctor's own, but for a drug that
    is denied; so must a disease that the patient does not state. A turn that denies a drug or a visit to the
    doctor where it did not, or no longer does, is refused, and one that grows to more than three times its length.
    """

    name = "regularise"
    asks = True
    tasks = MEDICAL_TASKS

    def takes(self, record: RawRecord) -> bool:
        """Whether ``record`` is a dialogue of full turns that a reply can hold."""
        turns = record.turns[: spoken_turns(record.turns)]
        doctor = _doctor(turns)
        return (
            record.source_kind == "conversation"
            and len(turns) >= 2
            and all(turn.text.strip() for turn in turns)
            and len(doctor) <= _MOST_TURNS
            and all(len(text) <= _LONGEST_TURN for text in doctor)
        )

    async def generate(self, record: RawRecord, context: GenerateContext, ask: Ask) -> list[Row | Reject]:
        """The regularised dialogue, or why it is refused."""
        turns = record.turns[: spoken_turns(record.turns)]
        task = forced_task(record) or task_of(turns)
        if task not in context.tasks or task not in self.tasks:
            return []
        doctor = _doctor(turns)
        language = prompt_language(record.language)
        demos = choose_demos(turns, language, context.n_demos, context.seed, record.id)
        answer = await ask.read(
            load_prompt("regularise/turns", language),
            RegularisedTurns,
            {"demos": [demo.shown() for demo in demos], "dialogue": _shown(turns), "count": len(doctor)},
            seed=context.seed,
        )
        rewritten = [clean(text).text.strip() for text in answer.value.turns]
        wrong = _misshapen(doctor, rewritten) or _echo(turns, rewritten)
        if wrong:
            return [refuse(record, "generate.shape", wrong)]
        row = _row(record, task, turns, rewritten, answer)
        unsaid = _unsaid(turns, row)
        if unsaid:
            return [refuse(record, "grounding.number", unsaid, row)]
        changed = _changed(turns, rewritten, record.disease)
        return [refuse(record, *changed, row) if changed else row]


def _doctor(turns: Sequence[Turn]) -> list[str]:
    return [turn.text for turn in turns if turn.role == "assistant"]


def _shown(turns: Sequence[Turn]) -> list[dict[str, str]]:
    """A dialogue as JSON says it: a line break in a turn cannot pass for another turn."""
    return [{"role": turn.role, "text": turn.text} for turn in turns]


def _misshapen(before: Sequence[str], after: Sequence[str]) -> str | None:
    if len(before) != len(after):
        return f"{len(after)} turns for the doctor's {len(before)}"
    for number, (old, new) in enumerate(zip(before, after, strict=True), start=1):
        if not new:
            return f"turn {number} of the doctor is empty"
        if len(new) > max(_GROWTH * len(old), _ALWAYS_SHORT_ENOUGH):
            return f"turn {number} of the doctor grew from {len(old)} to {len(new)} characters"
    return None


def _echo(turns: Sequence[Turn], rewritten: Sequence[str]) -> str | None:
    """The first rewritten turn that is the patient's words rather than the doctor's own."""
    spoken = [turn.text for turn in turns if turn.role == "user"]
    for number, (old, new) in enumerate(zip(_doctor(turns), rewritten, strict=True), start=1):
        own = _share(new, old)
        if any(_share(new, heard) >= max(_ECHO, own + 0.1) for heard in spoken):
            return f"turn {number} of the doctor repeats what the patient said"
    return None


def _share(text: str, source: str) -> float:
    """How much of ``text``, in pairs of characters, stands in ``source``."""
    said, held = key(text), key(source)
    pairs = [said[place : place + 2] for place in range(len(said) - 1)]
    return sum(pair in held for pair in pairs) / max(1, len(pairs))


def _row(
    record: RawRecord, task: str, turns: Sequence[Turn], rewritten: Sequence[str], answer: Answer[RegularisedTurns]
) -> Row:
    """The row; where a turn repeats a figure of the patient's, the patient's turns are evidence too."""
    said = iter(rewritten)
    messages = [(turn.role, next(said) if turn.role == "assistant" else clean(turn.text).text) for turn in turns]
    trail = [Version("source", text) for text in _doctor(turns)]
    places = serialise_turns(record.turns)[1][: len(turns)]
    own = [place for place, turn in zip(places, turns, strict=True) if turn.role == "assistant"]
    row = asked_row(record, task, messages, whole_evidence(record, own), RegulariseGenerator.name, answer, trail=trail)
    if isinstance(NumberFilter().check(row), Drop):
        whole = whole_evidence(record, places)
        row = asked_row(record, task, messages, whole, RegulariseGenerator.name, answer, trail=trail)
    return row


def _unsaid(turns: Sequence[Turn], row: Row) -> str | None:
    """The first figure of a rewritten turn that nobody had said by then."""
    for number, (turn, message) in enumerate(zip(turns, row.messages, strict=True), start=1):
        if turn.role == "assistant":
            heard = tuple(Evidence("", None, 0, len(item.text), item.text) for item in turns[:number])
            verdict = NumberFilter().check(replace(row, messages=(message,), evidence=heard))
            if isinstance(verdict, Drop):
                return f"turn {number}: {verdict.detail}"
    return None


def _changed(turns: Sequence[Turn], rewritten: Sequence[str], disease: str | None) -> tuple[str, str] | None:
    """The reason and detail where a turn has a name or frequency of the user's alone, or turns a denial round."""
    names = load_names("")
    told: list[str] = []
    heard: list[str] = []
    after = iter(rewritten)
    for number, turn in enumerate(turns, start=1):
        heard.append(turn.text)
        if turn.role != "assistant":
            continue
        told.append(turn.text)
        said = next(after)
        added = [
            name
            for name in ungrounded_names(said, told, disease, names)
            if not resolved(name, said, turn.text, heard, names)
        ]
        if added:
            return "grounding.name", f"turn {number}: the doctor had not named {added[0]}"
        often = new_frequency(said, told)
        if often:
            return "grounding.number", f"turn {number}: the doctor had not said {often}"
        denial = lost_denial(turn.text, said, names)
        if denial:
            return "grounding.said", f"turn {number}: denied on one side alone: {denial}"
        warning = lost_warning(turn.text, said, names)
        if warning:
            return "grounding.said", f"turn {number}: no longer warned of: {warning}"
    return None


# --- demonstrations ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Demo:
    """A dialogue and its doctor's turns as they should read."""

    topic: str
    turns: tuple[Turn, ...]
    regularised: tuple[str, ...]

    def shown(self) -> dict[str, object]:
        """What the prompt says of it."""
        return {"dialogue": _shown(self.turns), "reply": {"turns": list(self.regularised)}}


@cache
def load_demos(language: str) -> tuple[Demo, ...]:
    """The pool of a language, in the order of its file."""
    return tuple(
        Demo(
            item["topic"],
            tuple(Turn(turn["role"], turn["text"]) for turn in item["turns"]),
            tuple(item["regularised"]),
        )
        for item in load_wording(f"llm/demos.{language}").data["demo"]
    )


def choose_demos(turns: Sequence[Turn], language: str, count: int, *seeds: str | int) -> list[Demo]:
    """The ``count`` demonstrations that share most pairs of characters with the dialogue.

    The same for the same seeds, which settle ties and the order in which they are shown: no demonstration is always
    the last one read.
    """
    chance = random.Random("\x1f".join(map(str, seeds)))
    pool = list(load_demos(language))
    chance.shuffle(pool)
    about = _pairs(turns)
    chosen = sorted(pool, key=lambda demo: -_overlap(about, _pairs(demo.turns)))[: max(0, count)]
    chance.shuffle(chosen)
    return chosen


def _pairs(turns: Sequence[Turn]) -> frozenset[str]:
    text = key("\n".join(turn.text for turn in turns))
    return frozenset(text[i : i + 2] for i in range(len(text) - 1))


def _overlap(mine: frozenset[str], theirs: frozenset[str]) -> float:
    """Dice's coefficient of two sets."""
    return 2 * len(mine & theirs) / max(1, len(mine) + len(theirs))
