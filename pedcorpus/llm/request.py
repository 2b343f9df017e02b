"""A rendered request: what is asked of which server, and the key under which its reply is kept."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, cached_property
from typing import Any

from pedcorpus.llm.asking import ReplyModel
from pedcorpus.records import Message

_MILLION = Decimal(1_000_000)
_MESSAGE_TOKENS = 16
"""More than any chat template puts around one message."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server and a model on it. Prices are USD per million tokens; 0 for a server of one's own."""

    role: str
    base_url: str
    model: str
    api_key_env: str
    max_in_flight: int
    temperature: float
    max_tokens: int
    timeout: float
    price_input: Decimal
    price_output: Decimal

    def cost(self, prompt_tokens: int, completion_tokens: int) -> Decimal:
        """USD for so many tokens, exactly."""
        return (prompt_tokens * self.price_input + completion_tokens * self.price_output) / _MILLION

    @property
    def place(self) -> tuple[str, str]:
        """What shares one rate limit: the server and the model."""
        return self.base_url, self.model

    @property
    def limit_note(self) -> str:
        """Under which the cache keeps what this server calls the reply's limit."""
        return f"limit {self.base_url} {self.model}"


@dataclass(frozen=True)
class Request:
    """One call. ``schema`` is canonical JSON, or "" for a reply in plain words."""

    base_url: str
    model: str
    messages: tuple[Message, ...]
    schema_name: str
    schema: str
    temperature: float
    max_tokens: int
    seed: int

    @cached_property
    def canonical(self) -> bytes:
        """All that the reply depends on, as canonical JSON: server, model, messages, schema and sampling."""
        return json.dumps(
            {
                "base_url": self.base_url,
                "model": self.model,
                "messages": [[message.role, message.content] for message in self.messages],
                "schema": self.schema,
                "temperature": self.temperature,
                "max_tokens": self.max_tokens,
                "seed": self.seed,
            },
            ensure_ascii=False,
            sort_keys=True,
            separators=(",", ":"),
        ).encode("utf-8", "surrogatepass")

    @cached_property
    def key(self) -> str:
        """Hex SHA-256 of `canonical`, shortened to 32 digits."""
        return hashlib.sha256(self.canonical).hexdigest()[:32]

    def body(self, limit_name: str = "max_tokens") -> dict[str, Any]:
        """The JSON that ``/chat/completions`` takes; ``limit_name`` is what the server calls the reply's limit."""
        made: dict[str, Any] = {
            "model": self.model,
            "messages": [{"role": message.role, "content": message.content} for message in self.messages],
            "temperature": self.temperature,
            limit_name: self.max_tokens,
            "seed": self.seed,
        }
        if self.schema:
            made["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": self.schema_name, "strict": True, "schema": json.loads(self.schema)},
            }
        return made

    def most_prompt_tokens(self) -> int:
        """An upper bound without the model's tokenizer: no byte-level vocabulary makes more tokens than bytes."""
        said = sum(len(message.content.encode("utf-8", "surrogatepass")) + _MESSAGE_TOKENS for message in self.messages)
        return said + len(self.schema.encode()) + _MESSAGE_TOKENS


def request_to(endpoint: Endpoint, messages: tuple[Message, ...], reply: type[ReplyModel] | None, seed: int) -> Request:
    """The request that asks ``endpoint`` for a ``reply``, or for plain words; ``seed`` of any size."""
    name, schema = reply_schema(reply) if reply else ("", "")
    return Request(
        base_url=endpoint.base_url,
        model=endpoint.model,
        messages=messages,
        schema_name=name,
        schema=schema,
        temperature=endpoint.temperature,
        max_tokens=endpoint.max_tokens,
        seed=seed % 2**31,
    )


@cache
def reply_schema(reply: type[ReplyModel]) -> tuple[str, str]:
    """Name and JSON Schema of a reply, as servers take it: every field required, nothing else allowed.

    The fields stand in the order of the model: a server that follows the schema writes them so, reasons before marks.
    """
    return schema_name(reply), json.dumps(_inlined(reply.model_json_schema()), ensure_ascii=False)


def schema_name(reply: type[ReplyModel]) -> str:
    """``ExpertAnswer`` is ``expert_answer`` in prompts and files."""
    return "".join(f"_{char.lower()}" if char.isupper() else char for char in reply.__name__).lstrip("_")


def _inlined(schema: Mapping[str, Any]) -> dict[str, Any]:
    """``schema`` with its definitions in place, and without titles and docstrings, which cost tokens."""
    definitions = schema.get("$defs", {})

    def walk(node: Any, named: bool = False) -> Any:
        if isinstance(node, list):
            return [walk(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return walk(definitions[node["$ref"].rsplit("/", 1)[1]])
        skip = () if named else ("title", "description", "$defs")
        return {name: walk(value, named=name == "properties") for name, value in node.items() if name not in skip}

    found = walk(schema)
    assert isinstance(found, dict)
    return found
