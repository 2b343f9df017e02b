"""All that one build asks of models: the cache and the budget over its stages, and what they tell about it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from pedcorpus.builddir import CACHE_NAME, BuildDir, Parts
from pedcorpus.config import Config, EndpointConfig, is_local
from pedcorpus.llm.asking_parts import AskTask, Work, ask_parts
from pedcorpus.llm.batch import BatchQueue
from pedcorpus.llm.budget import Budget
from pedcorpus.llm.cache import Cache
from pedcorpus.llm.request import Endpoint
from pedcorpus.llm.session import Session

_NOTE_EVERY = 0.5


@dataclass(frozen=True, slots=True)
class CallOptions:
    """What the command line says of calls: ``budget`` replaces the config's cap."""

    offline: bool = False
    budget: Decimal | None = None
    batch: bool = False


class Notes(Protocol):
    """Where the calls tell how far they are."""

    def note(self, stage: str, text: str) -> None:
        """A line about ``stage``."""


def endpoint_of(role: str, config: EndpointConfig) -> Endpoint:
    """An endpoint as requests use it; a server on this machine costs nothing unless the config says so."""
    free = Decimal(0) if is_local(config.base_url) else None
    prices = [free if price is None else price for price in (config.price_input, config.price_output)]
    assert prices[0] is not None and prices[1] is not None  # the config was checked
    return Endpoint(
        role=role,
        base_url=config.base_url.rstrip("/"),
        model=config.model,
        api_key_env=config.api_key_env,
        max_in_flight=config.max_in_flight,
        temperature=config.temperature,
        max_tokens=config.max_tokens,
        timeout=config.timeout,
        price_input=prices[0],
        price_output=prices[1],
    )


def endpoints_of(config: Config) -> dict[str, Endpoint]:
    """The config's servers by role."""
    return {role: endpoint_of(role, found) for role, found in config.endpoints().items()}


class Calls:
    """The calls of one build, as a context manager over its stages."""

    def __init__(self, config: Config, home: BuildDir, options: CallOptions, notes: Notes) -> None:
        self.endpoints = endpoints_of(config)
        self.options = options
        self.missing: list[str] = []
        self._home = home
        self._notes = notes
        self._proven: set[tuple[str, str]] = set()
        self._cache = Cache(home.state / CACHE_NAME)
        self._cap = options.budget if options.budget is not None else config.llm.budget_usd if config.llm else None

    def __enter__(self) -> Calls:
        self._cache.__enter__()
        try:
            self._budget = Budget(self._cap, self._cache.spent())
        except BaseException:
            self._cache.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._cache.__exit__(*error)

    @property
    def spent(self) -> Decimal:
        """USD over all runs of the build."""
        return self._budget.spent

    def described(self, *roles: str) -> list[Any]:
        """What the replies of ``roles`` depend on beside the prompts, for the keys of parts."""
        return [
            [role, one.base_url, one.model, one.temperature, one.max_tokens]
            for role in roles
            if (one := self.endpoints.get(role)) is not None
        ]

    def run(
        self, stage: str, parts: Parts, tasks: Sequence[AskTask], work: Callable[[Session], Work], total: int
    ) -> None:
        """Do one stage's tasks; ``total`` is how many items they have together.

        Raises:
            PedcorpusError: the budget is reached, the server or the key cannot be used, a signal came, or a batch was
                handed in and its replies are not there yet.
        """
        if tasks:
            asyncio.run(self._run(stage, parts, tasks, work, total))

    async def _run(
        self, stage: str, parts: Parts, tasks: Sequence[AskTask], work: Callable[[Session], Work], total: int
    ) -> None:
        queue = BatchQueue(self._cache, self._budget, self.endpoints)
        if not self.options.offline:
            await queue.collect()
            if not self.options.batch:
                queue.refuse_open()
        collect = queue.add if self.options.batch else None
        started, before = time.monotonic(), self._budget.spent
        done, told = 0, 0.0
        session = Session(
            self.endpoints,
            self._cache,
            self._budget,
            offline=self.options.offline,
            collect=collect,
            proven=self._proven,
        )

        def watch() -> None:
            nonlocal done, told
            done += 1
            now = time.monotonic()
            if now - told >= _NOTE_EVERY or done == total:
                told = now
                self._notes.note(stage, self._line(session, done, total, before, now - started))

        pending = 0
        try:
            async with session:
                pending = await ask_parts(session, parts, tasks, work(session), watch)
        finally:
            self.missing += session.tally.missing
            tally = session.tally
            self._home.event(
                "calls",
                stage=stage,
                sent=tally.sent,
                answered=tally.answered,
                from_cache=tally.served,
                retried=tally.retried,
                failures=dict(sorted(tally.failures.items())),
                spent_usd=str(self._budget.spent),
            )
        if pending:
            await queue.submit(pending)

    def _line(self, session: Session, done: int, total: int, before: Decimal, seconds: float) -> str:
        spent = self._budget.spent
        projected = before + (spent - before) * total / max(done, 1)
        cap = f" of {self._cap}" if self._cap is not None else ""
        calls = session.tally.answered
        return (
            f"{done:,}/{total:,} items, {calls:,} replies ({calls / max(seconds, 0.001):.1f}/s), "
            f"spent {spent:.4f}{cap} USD, projected {projected:.4f}"
        )

    def close_round(self) -> None:
        """The build has all its replies: a later one asks anew for those that were cut or refused."""
        asyncio.run(self._cache.close_round())
