"""What the page sends for one row, checked and made a decision."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from pedcorpus.records import Message, Row
from pedcorpus.review.decisions import REASONS, VERDICTS, Decision, Said, editable, text_hash
from pedcorpus.review.view import shown_messages

_LONGEST_TEXT = 50_000
_LONGEST_DETAIL = 2_000
_REQUEST = re.compile(r"[0-9a-f-]{16,64}")


class FormError(Exception):
    """The page's words are no decision; ``key`` names the sentence of ``words.toml`` that says why."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def read_form(row: Row, form: Any, reviewer: str) -> tuple[Decision, int]:
    """The decision, and the number of the one that the page had seen.

    Raises:
        FormError: something is missing, too long, or of the wrong kind.
    """
    if not isinstance(form, dict):
        raise FormError("bad_request")
    seen, request, verdict = form.get("seen"), form.get("request"), form.get("decision")
    if isinstance(seen, bool) or not isinstance(seen, int) or verdict not in VERDICTS:
        raise FormError("bad_request")
    if not isinstance(request, str) or not _REQUEST.fullmatch(request):
        raise FormError("bad_request")
    try:
        decision = Decision(
            row_id=row.id,
            task=row.task,
            reviewer=reviewer,
            decision=verdict,
            time=datetime.now().astimezone().isoformat(timespec="seconds"),
            row_sha256=text_hash(row),
            request=request,
            messages=_messages(row, verdict, form),
            **_why(verdict, form),
        )
    except ValidationError as error:
        raise FormError("bad_request") from error
    return decision, seen


def _why(verdict: str, form: Mapping[str, Any]) -> dict[str, Any]:
    if verdict != "reject":
        return {}
    reason, detail = form.get("reason"), _clean(form.get("detail", ""), _LONGEST_DETAIL)
    if reason not in REASONS:
        raise FormError("bad_request")
    if reason == "other" and not detail:
        raise FormError("no_detail")
    return {"reason": reason, "detail": detail}


def _messages(row: Row, verdict: str, form: Mapping[str, Any]) -> tuple[Said, ...] | None:
    """The wanted text; of an acceptance only where an earlier review made the text that is accepted."""
    if verdict == "reject":
        return None
    if verdict == "accept":
        shown = shown_messages(row)
        return None if shown is None else _said(shown)
    name = editable(row)
    if name is None:
        raise FormError("not_editable")
    before: tuple[Message, ...] = getattr(row, name)
    given = form.get("texts")
    places = [place for place, message in enumerate(before) if message.role == "assistant"]
    if not isinstance(given, list) or len(given) != len(places):
        raise FormError("bad_request")
    after = list(before)
    for place, text in zip(places, given, strict=True):
        wanted = _clean(text, _LONGEST_TEXT)
        if not wanted:
            raise FormError("empty")
        if wanted != before[place].content.strip():
            after[place] = replace(before[place], content=wanted)
    if after == list(before):
        raise FormError("unchanged")
    return _said(after)


def _said(messages: Any) -> tuple[Said, ...]:
    return tuple(Said(role=message.role, content=message.content) for message in messages)


def _clean(text: Any, longest: int) -> str:
    if not isinstance(text, str):
        raise FormError("bad_request")
    clean: str = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    if len(clean) > longest:
        raise FormError("too_long")
    if any(unicodedata.category(char) in ("Cc", "Cs") and char not in "\n\t" for char in clean):
        raise FormError("bad_text")
    return clean
