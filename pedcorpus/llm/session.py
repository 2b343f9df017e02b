"""One build's calls: cache first, then money, then the server; every failure told apart.

`Session.call` is the whole life of one request. Generators see it through `Asker`.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from decimal import Decimal
from time import monotonic
from typing import Any, TypeVar

from pydantic import ValidationError

from pedcorpus.errors import PedcorpusError
from pedcorpus.llm.asking import Answer, CallFailedError, ReplyModel
from pedcorpus.llm.budget import Budget
from pedcorpus.llm.cache import STOP, Cache, Reply
from pedcorpus.llm.failures import Failure, failure_of
from pedcorpus.llm.limiter import Limiter
from pedcorpus.llm.patience import TRIES, Course, HopelessError, Patience
from pedcorpus.llm.prompts import Prompt, harmless, load_prompt
from pedcorpus.llm.reading import parse, problems, read_reply, without_thoughts
from pedcorpus.llm.request import Endpoint, Request, request_to
from pedcorpus.llm.server import Server, allow_connections
from pedcorpus.records import Message

__all__ = ["Asker", "LlmError", "PendingError", "Session", "Tally", "parse"]

M = TypeVar("M", bound=ReplyModel)

_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0


class LlmError(PedcorpusError):
    """The server, the model or the key cannot be used."""


class PendingError(Exception):
    """The reply is a batch's: the record waits for a later run."""


@dataclass(slots=True)
class Tally:
    """What a session did, for progress and the events of the build."""

    sent: int = 0
    served: int = 0
    answered: int = 0
    retried: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    missing: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Place:
    """A server and model: what its calls share."""

    limiter: Limiter
    patience: Patience
    refused: list[tuple[int, Reply, bytes]] = field(default_factory=list)
    """Requests refused as malformed before any reply; the first reply, or the end, tells whose fault it was."""


class Session:
    """Calls to the endpoints of a config. An async context manager, used in one event loop.

    With ``offline`` only the cache answers. ``collect`` is given in batch mode: a request that is not in the cache goes
    there instead of to the server. ``proven`` holds the places that have given a whole reply, in whatever session of
    the build or from the cache: they do not refuse everything.
    """

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        cache: Cache,
        budget: Budget,
        *,
        offline: bool = False,
        collect: Callable[[Request, str, str], None] | None = None,
        proven: set[tuple[str, str]] | None = None,
    ) -> None:
        self.endpoints = endpoints
        self.cache = cache
        self.budget = budget
        self.offline = offline
        self.collect = collect
        self.proven = set() if proven is None else proven
        self.tally = Tally()
        self.stopped: BaseException | None = None
        self._servers: dict[str, Server] = {}
        self._places: dict[tuple[str, str], _Place] = {}
        self._asked: dict[str, asyncio.Future[Reply]] = {}
        self._sleeping: set[asyncio.Future[None]] = set()

    async def __aenter__(self) -> Session:
        """Make ready; connections are opened by the first calls.

        Raises:
            ConfigError: a key that an endpoint needs is not in the environment, or is none.
        """
        if self.offline or self.collect is not None:
            return self
        allow_connections(sum(endpoint.max_in_flight for endpoint in self.endpoints.values()))
        for role, endpoint in self.endpoints.items():
            if endpoint.place not in self._places:
                most, proven = endpoint.max_in_flight, endpoint.place in self.proven
                self._places[endpoint.place] = _Place(Limiter(most), Patience(endpoint.timeout, most, proven))
            self._servers[role] = Server(endpoint, self.cache.noted(endpoint.limit_note) or "max_tokens")
        return self

    async def __aexit__(self, *_: object) -> None:
        for server in self._servers.values():
            await server.close()

    def stop(self, error: BaseException) -> None:
        """No call is begun any more; those in flight are waited for and kept."""
        if self.stopped is not None:
            return
        self.stopped = error
        for place in self._places.values():
            place.limiter.stop(error)
        for waiter in self._sleeping:
            if not waiter.done():
                waiter.set_exception(error)

    async def call(self, request: Request, to: str, prompt: str) -> Reply:
        """The reply to ``request``: from the cache, or asked of the endpoint ``to`` and kept.

        Raises:
            CallFailedError: this request has no reply to use.
            PedcorpusError: nothing can be asked any more (budget, key, server): the build stops.
        """
        key = request.key
        while True:
            if self.stopped:
                raise self.stopped
            found = self.cache.find(key, any_finish=self.offline)
            if found is not None:
                self.tally.served += 1
                self._prove(self.endpoints[to].place, found)
                return found
            if self.offline:
                raise CallFailedError("generate.offline", f"prompt {prompt}: no reply {key} in the cache")
            if self.collect is not None:
                self.collect(request, to, prompt)
                raise PendingError(key)
            twin = self._asked.get(key)
            if twin is None:
                return await self._ask_once(request, to, prompt)
            await asyncio.wait([twin])
            if not twin.cancelled():  # else whoever asked has left, and the next one asks
                return twin.result()

    async def _ask_once(self, request: Request, to: str, prompt: str) -> Reply:
        """Ask; who wants the same meanwhile gets the same."""
        mine: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._asked[request.key] = mine
        try:
            reply = await self._ask(request, self.endpoints[to], prompt)
        except asyncio.CancelledError:
            mine.cancel()
            raise
        except BaseException as error:
            mine.set_exception(error)
            mine.exception()  # it is raised below; whoever shares it sees it too
            raise
        else:
            mine.set_result(reply)
            return reply
        finally:
            del self._asked[request.key]

    async def _ask(self, request: Request, endpoint: Endpoint, prompt: str) -> Reply:
        place = self._places[endpoint.place]
        with place.patience.course() as course:
            return await self._persist(request, endpoint, prompt, place, course)

    async def _persist(self, request: Request, endpoint: Endpoint, prompt: str, place: _Place, course: Course) -> Reply:
        """Try again until there is a reply, or the place's patience with the call or with the server ends."""
        limiter = place.limiter
        waits = 0
        while True:
            slot = _Slot(limiter, await limiter.acquire())
            try:
                said = await self._attempt(request, endpoint, prompt, slot)
                if isinstance(said, Reply):
                    return said
                if said.kind in ("rate", "overload"):
                    limiter.refused(slot.epoch, said.retry_after)
                self.tally.failures[said.kind] += 1
                place.patience.after(said, course)
            except HopelessError as error:
                stop = LlmError(f"{endpoint.base_url} (model {endpoint.model}): {error}", _hint(error.hint, endpoint))
                self.stop(stop)
                raise stop from None
            finally:
                slot.free()  # after a failure only now: nobody is to take its place at a server that is given up
            if course.tries >= TRIES:
                raise CallFailedError("generate.unanswered", f"{said.detail} ({course.tries} tries)")
            self.tally.retried += 1
            waits += 1
            if said.kind != "parameter" and not (said.kind in ("rate", "overload") and said.retry_after):
                await self._sleep(_wait(waits, said.retry_after))

    async def _attempt(self, request: Request, endpoint: Endpoint, prompt: str, slot: _Slot) -> Reply | Failure:
        """One call, its money and its record."""
        if self.stopped:
            raise self.stopped
        most = endpoint.cost(request.most_prompt_tokens(), request.max_tokens)
        try:
            await self.budget.reserve(most)
        except PedcorpusError as error:
            self.stop(error)
            raise
        cost = most
        try:
            if self.stopped:
                cost = Decimal(0)
                raise self.stopped
            number = await self.cache.begin(request.key, prompt, most)
            found = await self._send(request, endpoint, prompt)
            if isinstance(found, Failure):
                cost = most if found.billed else Decimal(0)
                await self._note(found, number, cost, request, endpoint, prompt)
                return found
            slot.answered()
            reply, usage = found
            cost = endpoint.cost(*usage) if usage else most
            await self.cache.store(number, reply, cost, request.canonical)
            await self._answered(endpoint.place, reply)
            if cost > most and self.budget.cap is not None:
                self.stop(_overdrawn(endpoint, usage))
            return reply
        finally:
            self.budget.settle(most, cost)

    async def _send(
        self, request: Request, endpoint: Endpoint, prompt: str
    ) -> tuple[Reply, tuple[int, int] | None] | Failure:
        server = self._servers[endpoint.role]
        began, limit_name = monotonic(), server.limit_name
        self.tally.sent += 1
        try:
            said = await server.post(request)
            return read_reply(said, request.key, request.model, prompt, monotonic() - began)
        except Exception as error:
            failure = failure_of(error)
        if failure.kind == "parameter":
            if server.rename_limit(limit_name):
                await self.cache.note(endpoint.limit_note, server.limit_name)
            else:
                failure = replace(failure, kind="request")
        return replace(failure, detail=server.without_key(failure.detail))

    async def _note(
        self, failure: Failure, number: int, cost: Decimal, request: Request, endpoint: Endpoint, prompt: str
    ) -> None:
        """Record a failed call. What the server will never answer counts as its reply."""
        if failure.kind in ("filter", "request"):
            reply = Reply(request.key, failure.detail, failure.kind, endpoint.model, prompt, 0, 0, 0.0)
            place = self._places[endpoint.place]
            if failure.kind == "filter" or place.patience.answers:
                await self.cache.store(number, reply, cost, request.canonical)
                return
            place.refused.append((number, reply, request.canonical))
        await self.cache.settle(number, cost, failure.kind)

    @property
    def undecided(self) -> bool:
        """Whether requests were refused as malformed by a place that has answered none: the server may be at fault."""
        return any(place.refused for place in self._places.values())

    async def keep_refused(self) -> None:
        """All was asked: refused requests are at fault themselves where their place has answered others.

        Where it never has, in no session of the build and not in the cache, the session stops: the server is at fault.
        """
        for (base_url, model), place in self._places.items():
            if place.refused and not place.patience.answers:
                self.stop(
                    LlmError(
                        f"{base_url} (model {model}): the server refuses every request: {place.refused[0][1].content}",
                        "see llm.model, and whether the server takes json_schema; then run the same command again",
                    )
                )
            else:
                await self._keep_refused(place)

    async def _keep_refused(self, place: _Place) -> None:
        refused, place.refused = place.refused, []
        for number, reply, canonical in refused:
            await self.cache.store(number, reply, Decimal(0), canonical)

    def _prove(self, name: tuple[str, str], reply: Reply) -> None:
        if reply.finish == STOP and name not in self.proven:
            self.proven.add(name)
            if name in self._places:
                self._places[name].patience.proven = True

    async def _answered(self, name: tuple[str, str], reply: Reply) -> None:
        self.tally.answered += 1
        self._prove(name, reply)
        place = self._places[name]
        place.patience.succeeded()
        await self._keep_refused(place)

    async def _sleep(self, seconds: float) -> None:
        if self.stopped:
            raise self.stopped
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleeping.add(waiter)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await waiter
        finally:
            self._sleeping.discard(waiter)


def _overdrawn(endpoint: Endpoint, usage: tuple[int, int] | None) -> LlmError:
    counted = usage[1] if usage else 0
    return LlmError(
        f"{endpoint.base_url} (model {endpoint.model}) counts {counted:,} tokens of a reply that was to have at most"
        f" {endpoint.max_tokens:,}: no budget can be kept so",
        "raise llm.max_tokens to all that the model may think and write, or take the budget out",
    )


class _Slot:
    """A call's place at the server: free as soon as there is a reply, whose record is then written with the next call's."""

    def __init__(self, limiter: Limiter, epoch: int) -> None:
        self.epoch = epoch
        self._limiter = limiter
        self._held = True

    def answered(self) -> None:
        """A reply came."""
        self._limiter.succeeded(self.epoch)
        self.free()

    def free(self) -> None:
        """Free the place, if it is not yet."""
        if self._held:
            self._held = False
            self._limiter.release()


def _wait(times: int, asked: float | None) -> float:
    """Seconds before another try: doubled each time, with jitter; never less than the server asked for."""
    pause = min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** min(times - 1, 10)) * random.uniform(0.5, 1.0)
    return max(pause, asked or 0.0)


def _hint(text: str, endpoint: Endpoint) -> str:
    key = f"the key in {endpoint.api_key_env}" if endpoint.api_key_env else "whether the server takes no key"
    return text.format(role="llm" if endpoint.role == "generator" else f"llm.{endpoint.role}", key=key)


class Asker:
    """`Ask` for one record: renders, calls, reads, and asks once more for a reply that does not fit its schema."""

    def __init__(self, session: Session, language: str, seed: int) -> None:
        self._session = session
        self._language = language
        self._seed = seed

    def _request(self, messages: tuple[Message, ...], to: str, reply: type[ReplyModel] | None, seed: int) -> Request:
        return request_to(self._session.endpoints[to], messages, reply, self._seed + seed)

    async def _whole(self, request: Request, to: str, prompt: Prompt) -> Reply:
        reply = await self._session.call(request, to, prompt.name)
        if reply.finish == "length":
            raise CallFailedError("generate.truncated", f"cut at {request.max_tokens} tokens: raise llm.max_tokens")
        if reply.finish in ("request", "filter"):  # said just as when it happened: a replay gives the same ledger
            raise CallFailedError(
                "generate.request" if reply.finish == "request" else "generate.refused", reply.content
            )
        if reply.finish != STOP:
            raise CallFailedError("generate.refused", f"{reply.finish}: {reply.content[:120]}")
        return reply

    async def text(
        self, prompt: Prompt, values: Mapping[str, Any], *, to: str = "generator", seed: int = 0
    ) -> Answer[str]:
        """See `Ask.text`."""
        reply = await self._whole(self._request(prompt.render(values), to, None, seed), to, prompt)
        return Answer(without_thoughts(reply.content), prompt, reply.model, reply.key)

    async def read(
        self, prompt: Prompt, reply: type[M], values: Mapping[str, Any], *, to: str = "generator", seed: int = 0
    ) -> Answer[M]:
        """See `Ask.read`."""
        messages = prompt.render(values)
        said = await self._whole(self._request(messages, to, reply, seed), to, prompt)
        try:
            return Answer(parse(said.content, reply), prompt, said.model, said.key)
        except ValidationError as error:
            mend = load_prompt("correction/json", self._language).render({"problems": problems(error)})
        second = self._request((*messages, Message("assistant", harmless(said.content)), *mend), to, reply, seed)
        said = await self._whole(second, to, prompt)
        try:
            return Answer(parse(said.content, reply), prompt, said.model, said.key)
        except ValidationError as error:
            raise CallFailedError("generate.schema", problems(error)) from None
