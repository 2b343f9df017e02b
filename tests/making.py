"""Rows and records that tests make up."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pedcorpus.plugins import Drop, Keep
from pedcorpus.records import (
    INSTRUCTION_TASKS,
    TASKS,
    Evidence,
    Message,
    Pair,
    Provenance,
    RawRecord,
    Row,
    Triple,
    Turn,
    row_id,
)
from pedcorpus.sources import serialise_pair, serialise_triples, serialise_turns


def row(
    answer: str,
    *,
    question: str = "孩子这种情况应该怎么办？",
    task: str = "trerecom",
    kind: str = "textbook",
    title: str = "儿科学",
    disease: str | None = None,
    quotes: Sequence[str] | None = None,
    record_id: str = "record",
    messages: Sequence[tuple[str, str]] = (),
    **values: Any,
) -> Row:
    """A row whose evidence is the answer itself unless ``quotes`` says otherwise."""
    said = list(messages) or [("user", question), ("assistant", answer)]
    instruction = task in INSTRUCTION_TASKS
    held = [answer] if quotes is None else list(quotes)
    return Row(
        id=row_id(task, "source", [content for _, content in said]),
        task=task,
        source_kind=kind,
        source_id=values.pop("source_id", "source"),
        source_title=title,
        license="apache-2.0",
        department=None,
        disease=disease,
        language=values.pop("language", "zh"),
        evidence=tuple(Evidence(record_id, None, 0, len(quote), quote) for quote in held),
        provenance=Provenance("test", "test"),
        messages=tuple(Message(role, content) for role, content in said) if instruction else (),
        text=answer if task == "cpt" else None,
        **values,
    )


def record(
    text: str = "",
    *,
    path: Sequence[str] = (),
    kind: str = "textbook",
    title: str = "儿科学",
    disease: str | None = None,
    edition: str | None = None,
    pair: tuple[str, str] | None = None,
    turns: Sequence[tuple[str, str]] = (),
    triples: Sequence[tuple[str, str]] = (),
    extra: dict[str, Any] | None = None,
    **values: Any,
) -> RawRecord:
    """A raw record; a pair, turns and triples (relation, tail) bring their own text."""
    made = tuple(Turn(role, said) for role, said in turns)
    pairs = (Pair(*pair),) if pair else ()
    known = tuple(Triple(disease or "", relation, tail) for relation, tail in triples)
    if pairs:
        text, _ = serialise_pair(pairs[0])
    elif made:
        text, _ = serialise_turns(made)
    elif known:
        text, _ = serialise_triples(disease or "", known)
    return RawRecord(
        id=values.pop("id", f"record-{len(text)}-{'-'.join(path)}"),
        document_id=values.pop("document_id", "document"),
        source_kind=kind,
        source_id="source",
        source_title=title,
        license="apache-2.0",
        publishable=True,
        page=values.pop("page", None),
        section_path=tuple(path),
        edition=edition,
        era=values.pop("era", "modern"),
        text=text,
        turns=made,
        triples=known,
        pairs=pairs,
        disease=disease,
        extractor="test",
        extra=json.dumps(extra or {}, ensure_ascii=False),
        **values,
    )


def reason(verdict: Keep | Drop) -> str | None:
    """The code of a drop, None for a row that is kept."""
    return verdict.reason if isinstance(verdict, Drop) else None


ALL_TASKS = frozenset(TASKS)
