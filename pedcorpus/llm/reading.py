"""Reading what a server sends: first the envelope, then the reply in it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TypeVar

from pydantic import ValidationError

from pedcorpus.llm.asking import ReplyModel
from pedcorpus.llm.cache import STOP, Reply

M = TypeVar("M", bound=ReplyModel)

_MOST_TOKENS = 1 << 31
"""A count of tokens above this is no count."""


_WHOLE = frozenset({"", "stop", "eos", "eos_token", "stop_sequence", "end_turn", "tool_calls", "function_call"})
"""Finish reasons of a reply that was said to its end; some servers tell none."""
_CUT = frozenset({"length", "max_tokens", "model_length", "model_context_window_exceeded"})
_REFUSED = frozenset({"content_filter", "sensitive", "safety", "refusal"})


class UnreadableError(Exception):
    """A response that is no chat completion, or one that broke off."""


class ErrorBodyError(UnreadableError):
    """An error that came with status 200; ``body`` is its JSON."""

    def __init__(self, body: Mapping[str, object]) -> None:
        super().__init__("an error with status 200")
        self.body = body


def read_reply(said: bytes, key: str, asked: str, prompt: str, seconds: float) -> tuple[Reply, tuple[int, int] | None]:
    """Reply and (prompt, completion) tokens of a response body.

    The tokens are None where the server tells none that can be; the call then counts as what it reserved.

    Raises:
        ErrorBodyError: the body is an error.
        UnreadableError: the body is no chat completion, or one that ended in a way that no whole reply does.
    """
    try:
        body = json.loads(said)
        if isinstance(body, Mapping) and body.get("error") and not body.get("choices"):
            raise ErrorBodyError(body)
        choice = body["choices"][0]
        message = choice["message"]
        content = _text(message.get("content"))
        refusal, finish = message.get("refusal"), choice.get("finish_reason")
        usage = _usage(body.get("usage"), bool(content or refusal))
        model = well_formed(str(body.get("model") or asked))
        if _PATH.match(model):  # llama.cpp says where the file lies, which is no row's business
            model = asked
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableError(f"an unreadable response ({type(error).__name__})") from error
    ended = _ending(finish, bool(refusal), content)
    if ended == "refusal":
        content = well_formed(str(refusal or content))
    return Reply(key, content, ended, model, prompt, *(usage or (0, 0)), seconds), usage


_PATH = re.compile(r"[/\\~]|[A-Za-z]:[/\\]|\.{1,2}/")
"""A model that is named by a path of the server's machine."""


def _ending(finish: object, refused: bool, content: str) -> str:
    """How a reply ends, as the cache calls it.

    Raises:
        UnreadableError: the server broke it off (``error``, ``abort``, ``insufficient_system_resource``, …).
    """
    said = str(finish or "").lower()
    if said in _CUT:
        return "length"
    if refused or said in _REFUSED:
        return "refusal"
    if said not in _WHOLE:
        raise UnreadableError(f"a reply that broke off ({well_formed(said)[:40]})")
    return STOP if content.strip() else "empty"


def _text(content: object) -> str:
    """The words of a message; some servers send them in pieces."""
    if isinstance(content, list):
        content = "".join(piece.get("text") or "" for piece in content)
    if not isinstance(content, str | None):
        raise TypeError("content is no text")
    return well_formed(content or "")


def _usage(value: object, worded: bool) -> tuple[int, int] | None:
    """The (prompt, completion) tokens; None where none are told, or 0 for a prompt or for words that were said."""
    if not isinstance(value, Mapping):
        return None
    prompt, completion = value.get("prompt_tokens"), value.get("completion_tokens")
    if not (isinstance(prompt, int) and isinstance(completion, int)):
        return None
    told = 0 < prompt < _MOST_TOKENS and int(worded) <= completion < _MOST_TOKENS
    return (prompt, completion) if told else None


def well_formed(text: str) -> str:
    """``text`` with a replacement character for each half of a surrogate pair, which no file can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def parse(content: str, reply: type[M]) -> M:
    """A reply read strictly. A thinking model's thoughts and a fence around the JSON are taken off first.

    Raises:
        ValidationError: no JSON, or not of that schema.
    """
    text = without_thoughts(content).strip()
    if text.startswith("```") and text.endswith("```"):
        text = text[3:-3].removeprefix("json").strip()
    return reply.model_validate_json(text)


def without_thoughts(content: str) -> str:
    """``content`` after the ``</think>`` that closes a model's thoughts, where it opens with them."""
    if content.lstrip().startswith("<think>") and "</think>" in content:
        return content.split("</think>", 1)[1].strip()
    return content.strip()


def problems(error: ValidationError) -> str:
    """What is wrong with a reply, at most five lines, without the reply itself."""
    lines = []
    for item in error.errors(include_url=False, include_input=False)[:5]:
        place = ".".join(map(str, item["loc"])) or "JSON"
        lines.append(f"{place}: {item['msg'][:160]}")
    return "; ".join(lines)
