"""Rows that are made of rows: completion texts for CPT and preference pairs for DFPO.

They are made of accepted rows only, so what was dropped never comes back through them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from pedcorpus.quantities import missing
from pedcorpus.records import MEDICAL_TASKS, Message, Provenance, Row, row_id
from pedcorpus.text import key, sentences
from pedcorpus.wording import Wording, choose, load_wording, render

CHOSEN_FROM = {"knowledge_graph": "kg", "conversation": "doctor"}
_SHORTEST = 8
_LONGEST_PADDED = 1500
_CLAUSE = re.compile(r"[，,；;]")
_CITATION = re.compile(r"[：:]$")
_CARE = re.compile(r"医院|医生|医师|大夫|就医|就诊|急诊|面诊|复诊|复查|门诊|救护车|120")


def derive(rows: Sequence[Row], tasks: frozenset[str], seed: int) -> Iterator[Row]:
    """Derived rows of one batch, in the order of the rows they are made of."""
    for row in rows:
        if row.task in MEDICAL_TASKS and row.messages:
            if "cpt" in tasks:
                yield completion(row, seed)
            if "dfpo" in tasks:
                pair = preference(row, rows, seed)
                if pair is not None:
                    yield pair


def _provenance(row: Row, generator: str, wording: Wording) -> Provenance:
    return replace(
        row.provenance, generator=generator, prompt_id=f"{wording.id}@{wording.version}", prompt_sha256=wording.sha256
    )


def completion(row: Row, seed: int) -> Row:
    """The instruction as plain text: the hybrid instruction pre-training of PediatricsGPT."""
    wording = load_wording("extractive/cpt")
    forms = wording.data["zh" if row.language.lower().split("-")[0] == "zh" else "en"]
    if len(row.messages) == 2:
        text = render(
            choose(list(forms["pair"]), seed, row.id),
            question=row.messages[0].content,
            answer=row.messages[1].content,
        )
    else:
        chance = random.Random(f"{seed}\x1f{row.id}")
        speakers = forms["speakers"]
        labels = dict(zip(("user", "assistant"), speakers[chance.randrange(len(speakers))], strict=True))
        text = "\n".join(f"{labels.get(message.role, '')}{message.content}" for message in row.messages)
    return replace(
        row,
        id=row_id("cpt", row.source_id, [text]),
        task="cpt",
        provenance=_provenance(row, "instruction", wording),
        messages=(),
        text=text,
    )


def preference(row: Row, rows: Sequence[Row], seed: int) -> Row | None:
    """A pair: the row's own last answer, and a worse one made by rule. None where no rule gives another text.

    The worse answer comes from the row itself or from another row about the same disease, so that a pair
    never carries a text over a split. Whether it is to be the shorter or the longer one is drawn first: else
    length alone would tell which answer was chosen.
    """
    wording = load_wording("extractive/dfpo")
    chance = random.Random(f"{seed}\x1f{row.id}\x1fdfpo")
    chosen = row.messages[-1].content
    shorter = chance.random() < 0.5
    rules = ["off_topic", "curt", "padded", "overconfident"]
    chance.shuffle(rules)
    made: list[tuple[str, str]] = []
    for rule in rules:
        base = _worse(rule, row, rows, chance)
        if base is not None:
            form = chance.choice(wording.data[rule]["forms"])
            rejected = render(form, answer=_closed(base), question=row.messages[-2].content)
            if key(rejected) != key(chosen):
                made.append((rule, rejected))
    fitting = [pair for pair in made if (len(pair[1]) < len(chosen)) == shorter]
    if not made:
        return None
    rule, rejected = (fitting or made)[0]
    return replace(
        row,
        id=row_id("dfpo", row.source_id, [*(m.content for m in row.messages), rejected]),
        task="dfpo",
        provenance=_provenance(row, "rule", wording),
        messages=(),
        prompt=row.messages[:-1],
        chosen=(row.messages[-1],),
        rejected=(Message("assistant", rejected),),
        chosen_from=CHOSEN_FROM.get(row.source_kind, "source"),
        rejected_from="rule",
        reason=rule,
    )


def _worse(rule: str, row: Row, rows: Sequence[Row], chance: random.Random) -> str | None:
    answer = row.messages[-1].content
    if rule == "off_topic":
        others = [other.messages[-1].content for other in rows if _elsewhere(row, other)]
        near = sorted(others, key=lambda text: abs(len(text) - len(answer)))[:4]
        return chance.choice(near) if near else None
    if rule == "curt":
        return _curt(answer)
    if rule == "overconfident":
        return _bold(answer)
    return answer if len(answer) <= _LONGEST_PADDED else None


def _curt(answer: str) -> str | None:
    """The first sentence, or its first clause where it is the only one; what only cites a source is passed over."""
    spans = [answer[start:end] for start, end in sentences(answer)]
    while len(spans) > 1 and _CITATION.search(spans[0]):
        spans = spans[1:]
    for first in (spans[0] if len(spans) > 1 else "", _CLAUSE.split(spans[0])[0] if spans else ""):
        if _SHORTEST <= len(first) < 0.7 * len(answer) and not _CITATION.search(first):
            return first
    return None


def _bold(answer: str) -> str:
    """The answer without its sentences about seeing a doctor, if anything is left."""
    spans = sentences(answer)
    ends = [start for start, _ in spans[1:]] + [len(answer)]
    bold = [
        answer[start:gap] for (start, end), gap in zip(spans, ends, strict=True) if not _CARE.search(answer[start:end])
    ]
    return "".join(bold).rstrip() or answer


def _elsewhere(row: Row, other: Row) -> bool:
    """Whether ``other`` answers another question about the disease of ``row``, and brings no number of its own.

    Rows of one task may answer one question in two ways (two books on 治疗, a section and a point of it), so
    the task must differ too.
    """
    if row.disease is None or other.disease != row.disease or other.task == row.task or not other.messages:
        return False
    if other.task not in MEDICAL_TASKS or other.messages[-2].content == row.messages[-2].content:
        return False
    if "evidiag" in (
        row.task,
        other.task,
    ):  # a case names the symptoms, the tests and the disease: it answers most questions
        return False
    mine, theirs = key(row.messages[-1].content), key(other.messages[-1].content)
    if mine in theirs or theirs in mine:
        return False
    return not missing(other.messages[-1].content, [item.quote for item in row.evidence])


def _closed(text: str) -> str:
    """``text`` with a full stop, so that what a form adds begins a sentence."""
    bare = text.rstrip().rstrip("，,；;、：:")
    return bare if bare.endswith(tuple("。！？!?.…）)”")) else f"{bare}。"
