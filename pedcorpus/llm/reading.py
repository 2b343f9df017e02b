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


class UnreadableError(Exception):
    """A response that is no chat completion."""


def read_reply(said: bytes, key: str, asked: str, prompt: str, seconds: float) -> tuple[Reply, tuple[int, int] | None]:
    """Reply and (prompt, completion) tokens of a response body.

    The tokens are None where the server tells none; the call then counts as what it reserved.

    Raises:
        UnreadableError: the body is no chat completion.
    """
    try:
        body = json.loads(said)
        choice = body["choices"][0]
        message = choice["message"]
        content = _text(message.get("content"))
        refusal, finish = message.get("refusal"), choice.get("finish_reason")
        usage = _usage(body.get("usage"))
        model = well_formed(str(body.get("model") or asked))
        if _PATH.match(model):  # llama.cpp says where the file lies, which is no row's business
            model = asked
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableError(f"an unreadable response ({type(error).__name__})") from error
    if finish == "length":
        ended = "length"
    elif refusal or finish == "content_filter":
        ended, content = "refusal", well_formed(str(refusal or content))
    else:
        ended = STOP if content.strip() else "empty"
    return Reply(key, content, ended, model, prompt, *(usage or (0, 0)), seconds), usage


_PATH = re.compile(r"[/\\~]|[A-Za-z]:[/\\]|\.{1,2}/")
"""A model that is named by a path of the server's machine."""


def _text(content: object) -> str:
    """The words of a message; some servers send them in pieces."""
    if isinstance(content, list):
        content = "".join(piece.get("text") or "" for piece in content)
    if not isinstance(content, str | None):
        raise TypeError("content is no text")
    return well_formed(content or "")


def _usage(value: object) -> tuple[int, int] | None:
    if not isinstance(value, Mapping):
        return None
    counts = (value.get("prompt_tokens"), value.get("completion_tokens"))
    if all(isinstance(count, int) and 0 <= count < _MOST_TOKENS for count in counts):
        return counts  # type: ignore[return-value]
    return None


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
