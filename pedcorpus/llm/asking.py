"""What a generator sees of a model: it asks with a prompt and gets a checked reply, or a failure for the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict

from pedcorpus.llm.prompts import Prompt


class ReplyModel(BaseModel):
    """A reply's schema. Unknown keys are refused, and so is a value of another type: replies are read strictly."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


R = TypeVar("R")
M = TypeVar("M", bound=ReplyModel)


@dataclass(frozen=True, slots=True)
class Answer(Generic[R]):
    """A reply that was paid, stored and read. ``key`` is its request's, for the row's ``request_key``."""

    value: R
    prompt: Prompt
    model: str
    key: str


class CallFailedError(Exception):
    """No reply that can be used; ``reason`` is a ledger code and ``detail`` says what happened."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Ask(Protocol):
    """Asks a model. Given to generators by the build."""

    async def read(
        self, prompt: Prompt, reply: type[M], values: Mapping[str, Any], *, to: str = "generator", seed: int = 0
    ) -> Answer[M]:
        """A reply that fits ``reply``, asked of the endpoint ``to`` (generator, assistant or judge).

        Raises:
            CallFailedError: there is none; the build drops the record with its reason unless the caller does better.
        """
        ...

    async def text(
        self, prompt: Prompt, values: Mapping[str, Any], *, to: str = "generator", seed: int = 0
    ) -> Answer[str]:
        """A reply in plain words.

        Raises:
            CallFailedError: as `read`.
        """
        ...
