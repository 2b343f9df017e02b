"""The OpenAI Batch API: hand requests in, leave, collect the replies in a later run.

A batch is noted in the cache, its calls reserved, before the server hears of it, and carries our id in its metadata:
a process that is lost between handing in and noting the server's id finds its batch again by that.
"""

from __future__ import annotations

import asyncio
import io
import json
import secrets
import sys
import zlib
from collections.abc import Awaitable, Collection, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pedcorpus.errors import PedcorpusError
from pedcorpus.llm.budget import Budget, BudgetReachedError
from pedcorpus.llm.cache import Cache, Reply
from pedcorpus.llm.failures import failure_of, status_in
from pedcorpus.llm.reading import ErrorBodyError, UnreadableError, read_reply, well_formed
from pedcorpus.llm.request import Endpoint, Request
from pedcorpus.llm.server import Server
from pedcorpus.llm.session import LlmError

_MOST_REQUESTS = 50_000
_MOST_BYTES = 100_000_000
"""Of one batch, as OpenAI limits them (200 MB; the half of it leaves room)."""
_INSERT_CALL = "INSERT INTO calls (id, key, prompt, reserved) VALUES (?, ?, ?, ?)"
_SETTLE_CALL = "UPDATE calls SET cost = ?, outcome = ? WHERE id = ?"
_RETRIES = 3
"""Of what may be asked twice without harm; a batch is created by one request alone."""
_GROUP = 500
"""Replies that are stored in one transaction."""
_GONE = object()
"""Stands for what the server knows no more."""
_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})


class BatchSubmittedError(PedcorpusError):
    """The requests were handed in; the build goes on when their replies are there."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class _Call:
    """A call that a batch holds: what it may cost at most, and its request, compressed."""

    number: int
    most: Decimal
    prompt: str
    request: bytes


class BatchQueue:
    """The batches of one build's cache."""

    def __init__(self, cache: Cache, budget: Budget, endpoints: Mapping[str, Endpoint]) -> None:
        self._cache = cache
        self._budget = budget
        self._endpoints = endpoints
        self._waiting: dict[str, tuple[Request, Endpoint, str]] = {}
        self._on_the_way: set[str] = set()

    def add(self, request: Request, to: str, prompt: str) -> None:
        """A request that the cache has no reply to; one that a batch already holds is not handed in twice."""
        if request.key not in self._on_the_way:
            self._waiting.setdefault(request.key, (request, self._endpoints[to], prompt))

    # --- collecting ---

    async def collect(self) -> None:
        """Fetch the replies of every batch that has ended, and give up those that their server no longer knows.

        Raises:
            LlmError: a server cannot be asked.
        """
        open_batches = list(self._cache.rows("SELECT id, place, remote FROM batches WHERE state = 'open'"))
        refused: LlmError | None = None
        for own, place, remote in open_batches:
            endpoint = self._endpoint_of(place)
            server = self._server(endpoint)
            try:
                await self._collect(server, endpoint, own, remote)
            except _RefusedError as error:  # the replies of the other batches are fetched all the same
                refused = refused or LlmError(error.message, error.hint)
            except Exception as error:
                raise _wrapped(error, server) from None  # what it came from may say the key
            finally:
                await server.close()
        if refused:
            raise refused

    async def _collect(self, server: Server, endpoint: Endpoint, own: str, remote: str | None) -> None:
        client = server.client.with_options(max_retries=_RETRIES)
        found = await _unless_gone(_find(client, own) if remote is None else client.batches.retrieve(remote))
        rows = self._cache.rows(
            "SELECT b.key, b.call, c.reserved, c.prompt, b.request FROM batch_calls b JOIN calls c ON c.id = b.call"
            " WHERE b.batch = ? AND c.cost IS NULL",
            own,
        )
        calls = {key: _Call(int(call), Decimal(most), prompt, request) for key, call, most, prompt, request in rows}
        if found is None:
            await self._close(own, calls.values(), "never handed in")
        elif found is not _GONE and found.status not in _ENDED:
            self._on_the_way |= calls.keys()
        elif found is _GONE or not await self._fetch(client, found, calls, server):
            await self._close(own, calls.values(), "lost", billed=True)
            _say_lost(endpoint, remote or own, len(calls))
        else:
            await self._close(own, calls.values(), f"batch {found.status}")
            if found.status == "failed":
                errors = [item.message for item in (found.errors.data if found.errors else None) or []]
                said = server.without_key(well_formed("; ".join(map(str, errors))))[:300]
                raise _RefusedError(
                    f"{endpoint.base_url}: the server refused the batch: {said}",
                    "mend what it says, or build without --batch",
                )

    async def _fetch(self, client: Any, batch: Any, calls: dict[str, _Call], server: Server) -> bool:
        """Keep what the files of an ended batch hold; False where one of them is gone."""
        whole = True
        for file in (batch.output_file_id, batch.error_file_id):
            said = await _unless_gone(client.files.content(file)) if file else None
            if said is _GONE:
                whole = False
            elif said is not None:
                await self._keep(said.content.split(b"\n"), calls, server)
        return whole

    async def _close(self, own: str, calls: Collection[_Call], outcome: str, *, billed: bool = False) -> None:
        """Forget a batch; ``calls`` of it got no reply, and cost nothing unless the server may have ``billed`` them."""
        writes: list[tuple[str, tuple[Any, ...]]] = [
            (_SETTLE_CALL, (str(call.most) if billed else "0", outcome, call.number)) for call in calls
        ]
        writes.append(("DELETE FROM batch_calls WHERE batch = ?", (own,)))
        writes.append(("UPDATE batches SET state = 'closed' WHERE id = ?", (own,)))
        await self._cache.write(writes)
        if not billed:
            self._budget.spent -= sum((call.most for call in calls), Decimal(0))

    async def _keep(self, lines: list[bytes], calls: dict[str, _Call], server: Server) -> None:
        """Store the lines of an output or error file; a call whose line is of no use stays in ``calls``."""
        for start in range(0, len(lines), _GROUP):
            writes: list[tuple[str, tuple[Any, ...]]] = []
            change = Decimal(0)
            for line in lines[start : start + _GROUP]:
                found = await self._read(line, calls, server)
                if found is None:
                    continue
                reply, cost = found
                call = calls.pop(reply.key)
                writes.append(self._cache.storing(reply, zlib.decompress(call.request)))
                writes.append((_SETTLE_CALL, (str(cost), reply.finish, call.number)))
                change += cost - call.most
            if writes:
                await self._cache.write(writes)
                self._budget.spent += change

    async def _read(self, line: bytes, calls: dict[str, _Call], server: Server) -> tuple[Reply, Decimal] | None:
        """The reply in a line and what it cost; None where it is none that will stay so."""
        endpoint = server.endpoint
        try:
            item = json.loads(line)
            key = str(item["custom_id"])
            status = int(item["response"]["status_code"])
            body = item["response"]["body"]
        except (ValueError, KeyError, TypeError):
            return None
        if key not in calls:
            return None
        call = calls[key]
        if status == 200:
            try:
                reply, usage = read_reply(json.dumps(body).encode(), key, endpoint.model, call.prompt, 0.0)
            except ErrorBodyError as error:
                status = status_in(error.body)
            except UnreadableError as error:  # it may have been paid for, and would be again
                return Reply(key, str(error), "request", endpoint.model, call.prompt, 0, 0, 0.0), call.most
            else:
                return reply, endpoint.cost(*usage) if usage else call.most
        if status not in (400, 413, 422):
            return None
        said = json.dumps(body, ensure_ascii=False)
        if "max_completion_tokens" in said and server.rename_limit(server.limit_name):
            await self._cache.note(endpoint.limit_note, server.limit_name)
        if "max_completion_tokens" in said:
            return None
        detail = server.without_key(well_formed(said))[:300]
        return Reply(key, detail, "request", endpoint.model, call.prompt, 0, 0, 0.0), Decimal(0)

    def _server(self, endpoint: Endpoint) -> Server:
        return Server(endpoint, self._cache.noted(endpoint.limit_note) or "max_tokens")

    def _endpoint_of(self, place: str) -> Endpoint:
        for endpoint in self._endpoints.values():
            if list(endpoint.place) == json.loads(place):
                return endpoint
        base_url, model = json.loads(place)
        raise LlmError(
            f"a batch of {model} at {base_url} is open, and the config names that server no more",
            "put it back until the batch is collected, or build in another folder",
        )

    def refuse_open(self) -> None:
        """A build without ``--batch`` would pay a second time for what a batch is still working on.

        Raises:
            BatchSubmittedError: a batch is on its way.
        """
        if self._on_the_way:
            raise BatchSubmittedError(
                f"a batch with {len(self._on_the_way):,} requests is still on its way",
                "run the same command later, or with --batch to go on beside it",
            )

    # --- handing in ---

    async def submit(self, records: int) -> None:
        """Hand in what `add` gathered.

        Raises:
            BatchSubmittedError: always when something waits, with what to do next.
            BudgetReachedError: not one of the requests fits into the budget.
        """
        by_place: dict[tuple[str, str], list[tuple[Request, Endpoint, str]]] = {}
        for item in self._waiting.values():
            by_place.setdefault(item[1].place, []).append(item)
        handed, left_out, before = 0, 0, len(self._on_the_way)
        for items in by_place.values():
            endpoint = items[0][1]
            fitting = self._fitting(items)
            left_out += len(items) - len(fitting)
            server = self._server(endpoint)
            try:
                for batch in _cut(fitting):
                    await self._hand_in(server, endpoint, batch)
                    handed += len(batch)
            except Exception as error:
                raise _wrapped(error, server) from None  # what it came from may say the key
            finally:
                await server.close()
        if left_out and not handed and not self._on_the_way:
            raise BudgetReachedError(
                f"the budget of {self._budget.cap} USD is reached: {self._budget.spent:.4f} USD spent, and {left_out:,} requests wait",
                "everything paid is kept: run the same command with a larger --budget, or raise llm.budget_usd",
            )
        waits = f"; {left_out:,} more do not fit into the budget yet" if left_out else ""
        raise BatchSubmittedError(
            f"{handed:,} requests were handed in as a batch, {before:,} were on their way, and "
            f"{records:,} records wait for them{waits}",
            "run the same command later: it collects the replies and goes on",
        )

    def _fitting(self, items: list[tuple[Request, Endpoint, str]]) -> list[tuple[Request, Endpoint, str, Decimal]]:
        """The first of ``items`` that fit into the budget together, with what each may cost at most."""
        fitting = []
        total = Decimal(0)
        for request, endpoint, prompt in items:
            most = endpoint.cost(request.most_prompt_tokens(), request.max_tokens)
            if self._budget.cap is not None and self._budget.spent + total + most > self._budget.cap:
                break
            total += most
            fitting.append((request, endpoint, prompt, most))
        self._budget.spent += total
        return fitting

    async def _hand_in(
        self, server: Server, endpoint: Endpoint, batch: list[tuple[Request, Endpoint, str, Decimal]]
    ) -> None:
        own = f"pedcorpus-{secrets.token_hex(8)}"
        writes: list[tuple[str, tuple[Any, ...]]] = [
            ("INSERT INTO batches VALUES (?, ?, NULL, 'open')", (own, json.dumps(endpoint.place)))
        ]
        lines, calls = [], []
        for number, (request, _, prompt, most) in zip(self._cache.new_calls(len(batch)), batch, strict=True):
            call = _Call(number, most, prompt, zlib.compress(request.canonical, 1))
            writes.append((_INSERT_CALL, (number, request.key, prompt, str(most))))
            writes.append(("INSERT INTO batch_calls VALUES (?, ?, ?, ?)", (own, number, request.key, call.request)))
            body = request.body(server.limit_name)
            line = {"custom_id": request.key, "method": "POST", "url": "/v1/chat/completions", "body": body}
            lines.append(json.dumps(line, ensure_ascii=False))
            calls.append(call)
        await self._cache.write(writes)
        file = (f"{own}.jsonl", io.BytesIO("\n".join(lines).encode()))
        created = False
        try:
            upload = await server.client.with_options(max_retries=_RETRIES).files.create(file=file, purpose="batch")
            created = True
            made = await server.client.batches.create(
                input_file_id=upload.id,
                endpoint="/v1/chat/completions",
                completion_window="24h",
                metadata={"pedcorpus": own},
            )
        except Exception as error:
            if not created or 400 <= getattr(error, "status_code", 0) < 500:
                await self._close(own, calls, "never handed in")
            raise
        await self._cache.write([("UPDATE batches SET remote = ? WHERE id = ?", (made.id, own))])
        self._on_the_way |= {item[0].key for item in batch}


async def _unless_gone(asked: Awaitable[Any]) -> Any:
    """What the server answers; ``_GONE`` where it knows no such batch or file (any more)."""
    try:
        return await asked
    except Exception as error:
        if getattr(error, "status_code", 0) in (404, 410):
            return _GONE
        raise


def _say_lost(endpoint: Endpoint, batch: str, count: int) -> None:
    print(
        f"{endpoint.base_url} knows the batch {batch} or its files no more: {count:,} of its requests count as"
        " paid and are asked anew",
        file=sys.stderr,
        flush=True,
    )


async def _find(client: Any, own: str) -> Any:
    """The server's batch with our id, or None when it never got one."""
    async for item in client.batches.list(limit=100):
        if (item.metadata or {}).get("pedcorpus") == own:
            return item
    return None


def _cut(items: list[tuple[Request, Endpoint, str, Decimal]]) -> list[list[tuple[Request, Endpoint, str, Decimal]]]:
    """``items`` in pieces that one batch may hold."""
    pieces: list[list[tuple[Request, Endpoint, str, Decimal]]] = []
    size = 0
    for item in items:
        length = len(item[0].canonical) + 200
        if not pieces or len(pieces[-1]) >= _MOST_REQUESTS or size + length > _MOST_BYTES:
            pieces.append([])
            size = 0
        pieces[-1].append(item)
        size += length
    return pieces


class _RefusedError(LlmError):
    """A batch that the server would not do."""


def _wrapped(error: Exception, server: Server) -> Exception:
    if isinstance(error, PedcorpusError | asyncio.CancelledError):
        return error
    detail = server.without_key(failure_of(error).detail)
    return LlmError(
        f"{server.endpoint.base_url}: the batch could not be handed in or collected: {detail}",
        "nothing is lost: run the same command again, or build without --batch where the server has no Batch API",
    )
