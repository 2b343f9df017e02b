"""Preference pairs with a model's help: a warmer wording of an accepted answer, and a worse answer beside it.

The worse one is what a weaker assistant says, the answer with a dose shifted or a name swapped against the graph, or a
cold variant. Whether it is to be shorter or longer is drawn first: else length alone would tell which one was chosen.
"""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import chain
from typing import Annotated, Any

from pydantic import Field

from pedcorpus.derive import CHOSEN_FROM
from pedcorpus.dose_faults import bound_faults, dose_faults
from pedcorpus.filters.dose import DoseFilter
from pedcorpus.filters.number import CITED, NumberFilter
from pedcorpus.generators.llm.worse import Worse, fits, shift_dose, swap_name
from pedcorpus.grounding import load_names, ungrounded_names
from pedcorpus.llm.asking import Answer, Ask, CallFailedError, ReplyModel
from pedcorpus.llm.prompts import load_prompt, prompt_language
from pedcorpus.medical_names import Names
from pedcorpus.plugins import Drop, GenerateContext
from pedcorpus.quantities import missing
from pedcorpus.reasons import ASKED_AGAIN
from pedcorpus.records import MEDICAL_TASKS, REJECTED_STEP, Message, QualityNote, RawRecord, Row, Version, row_id
from pedcorpus.said import lost_denial, sends_to_care
from pedcorpus.text import clean, key

_LEAST, _MOST = 0.6, 2.0
_SHORT, _LONG = 0.5, 1.5
_LONGEST = 1500
_LONGEST_REPHRASED = 1000
_LONGEST_WORSE = 4000
_Text = Annotated[str, Field(min_length=1, max_length=_LONGEST)]


class RephrasedAnswer(ReplyModel):
    """The answer in warmer words."""

    answer: _Text


class ColdAnswer(ReplyModel):
    """The answer in a poor manner."""

    answer: _Text


class PreferenceGenerator:
    """Makes the DFPO pair of one accepted row."""

    name = "preference"

    async def pair(
        self,
        row: Row,
        record: RawRecord | None,
        context: GenerateContext,
        ask: Ask,
        *,
        assistant: bool,
        names: Names | None,
    ) -> Row | None:
        """The pair, or None where no worse answer differs from the chosen one.

        ``record`` is the row's own, for what its graph states; ``assistant`` says whether there is a weaker model to ask.
        A rephrasing that loses or adds something is not used: the row's own answer is then the chosen one.

        Raises:
            CallFailedError: a reply that a later build may get; any other failure is done without.
        """
        if row.task not in MEDICAL_TASKS or len(row.messages) < 2:
            return None
        chance = random.Random(f"{context.seed}\x1f{row.id}\x1fdfpo")
        asking = _Asking(row, context.seed, ask)
        shorter = chance.random() < 0.5
        kinds = ["dose", "kg", "cold"]
        chance.shuffle(kinds)
        if assistant:
            kinds.insert(0 if chance.random() < 0.5 else len(kinds), "assistant")
        rephrased, note = await asking.rephrase(names)
        own = row.messages[-1].content
        chosen = rephrased[0] if rephrased else own
        spare: Worse | None = None
        for kind in kinds:
            if kind == "dose":
                worse = shift_dose(chosen, chance, shorter)
            elif kind == "kg":
                worse = swap_name(chosen, row, record, names, chance, shorter) if names else None
            else:
                worse = await asking.worse(kind, chosen, shorter)
            if worse is None or not worse.text or key(worse.text) == key(chosen):
                continue
            if sends_to_care(worse.text) and not sends_to_care(chosen):
                continue  # a model would learn to leave the doctor out
            if fits(worse.text, chosen, shorter):
                return _paired(row, chosen, rephrased, note, worse)
            spare = spare or worse
        return _paired(row, chosen, rephrased, note, spare) if spare else None


class _Asking:
    """Asks about one row; a reply that cannot be had for good counts as none."""

    def __init__(self, row: Row, seed: int, ask: Ask) -> None:
        self.row = row
        self.seed = seed
        self.ask = ask
        self.language = prompt_language(row.language)
        self.conversation = [{"role": said.role, "text": said.content} for said in row.messages[:-1]]

    async def rephrase(self, names: Names | None) -> tuple[tuple[str, Answer[Any]] | None, QualityNote]:
        """The rephrasing with its reply, and a note that says why there is none; a citation before the answer stays."""
        own = self.row.messages[-1].content
        if len(own) > _LONGEST_REPHRASED:
            return None, QualityNote("preference.rephrased", 0.0, f"{len(own)} characters are too many")
        cited = CITED.match(own)
        head = cited.group() if cited else ""
        prompt = load_prompt("preference/rephrase", self.language)
        values = {"conversation": self.conversation, "answer": own[len(head) :]}
        try:
            reply = await self.ask.read(prompt, RephrasedAnswer, values, seed=self.seed)
        except CallFailedError as error:
            _raise_if_later(error)
            return None, QualityNote("preference.rephrased", 0.0, error.reason)
        warmer = head + clean(reply.value.answer).text.strip()
        if key(warmer) == key(own):
            return None, QualityNote("preference.rephrased", 0.0, "the same words")
        fault = _fault(self.row, own, warmer, names)
        return None if fault else (warmer, reply), QualityNote("preference.rephrased", 0.0 if fault else 1.0, fault)

    async def worse(self, kind: str, chosen: str, shorter: bool) -> Worse | None:
        """What the weaker assistant says, or the generator in a cold manner; either is told how long to be."""
        length = min(max(10, int(len(chosen) * (_SHORT if shorter else _LONG))), _LONGEST - 100)
        values: dict[str, Any] = {"conversation": self.conversation, "length": length}
        try:
            if kind == "assistant":
                prompt = load_prompt("preference/assistant", self.language)
                said = await self.ask.text(prompt, values, to="assistant", seed=self.seed)
                text = clean(said.value).text.strip()
                return Worse(text, "assistant", "assistant", said) if len(text) <= _LONGEST_WORSE else None
            manner = "curt" if shorter else "tedious"
            prompt = load_prompt(f"preference/{manner}", self.language)
            values["answer"] = chosen
            cold = await self.ask.read(prompt, ColdAnswer, values, seed=self.seed)
        except CallFailedError as error:
            _raise_if_later(error)
            return None
        return Worse(clean(cold.value.answer).text.strip(), "rephrased", f"cold: {manner}", cold)


def _raise_if_later(error: CallFailedError) -> None:
    if error.reason in ASKED_AGAIN:
        raise error


def _fault(row: Row, own: str, warmer: str, names: Names | None) -> str | None:
    """What a rephrasing has lost or added."""
    share = len(warmer) / max(1, len(own))
    if not _LEAST <= share <= _MOST:
        return f"{share:.1f} times as long"
    changed = [*missing(own, [warmer]), *missing(warmer, [own])]
    if changed:
        return f"number lost or added: {changed[0].shown}"
    said = replace(row, messages=(Message("assistant", warmer),))
    for verdict in (NumberFilter().check(said), DoseFilter().check(said)):
        if isinstance(verdict, Drop):
            return verdict.detail
    names = names or load_names("")
    added = ungrounded_names(warmer, [own, *(item.quote for item in row.evidence)], row.disease, names)
    if added:
        return f"name added: {added[0]}"
    lost = ungrounded_names(own, [warmer], None, names)
    if lost:
        return f"name lost: {lost[0]}"
    moved = next(chain(dose_faults(warmer, [own], names), bound_faults(warmer, [own])), None)
    if moved:
        return f"dose moved: {moved}"
    denial = lost_denial(own, warmer, names)
    return f"denial lost or added: {denial}" if denial else None


def _paired(row: Row, chosen: str, rephrased: tuple[str, Answer[Any]] | None, note: QualityNote, worse: Worse) -> Row:
    """The pair. Its columns name the reply behind ``chosen``; the one behind ``rejected`` stands in the trail."""
    provenance = replace(row.provenance, generator=PreferenceGenerator.name)
    trail = provenance.version_trail
    if rephrased:
        reply = rephrased[1]
        provenance = replace(
            provenance,
            prompt_id=reply.prompt.name,
            prompt_sha256=reply.prompt.sha256,
            model=reply.model,
            request_key=reply.key,
        )
        trail = (*trail, Version("answer", row.messages[-1].content))
    if worse.answer:
        said = worse.answer
        trail = (*trail, Version(REJECTED_STEP, f"{said.prompt.name} {said.prompt.sha256} {said.key} {said.model}"))
    provenance = replace(provenance, version_trail=trail)
    return replace(
        row,
        id=row_id("dfpo", row.source_id, [*(message.content for message in row.messages), chosen, worse.text]),
        task="dfpo",
        provenance=provenance,
        quality=(*row.quality, note),
        messages=(),
        prompt=row.messages[:-1],
        chosen=(Message("assistant", chosen),),
        rejected=(Message("assistant", worse.text),),
        chosen_from="rephrased" if rephrased else CHOSEN_FROM.get(row.source_kind, "source"),
        rejected_from=worse.source,
        reason=worse.reason,
    )
