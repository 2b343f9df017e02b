"""Every reply that was paid for, in one SQLite file; and what each call cost, or may have cost.

One thread writes, in groups: whatever has gathered while the last transaction was synced goes into the next. A call
is on disk before it is sent and its reply before it is used, so that a kill at any moment leaves at most the calls
in flight, and those count as spent.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from pedcorpus.errors import BuildDirError, DiskFullError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS replies (
  key TEXT PRIMARY KEY, round INTEGER NOT NULL, finish TEXT NOT NULL, content TEXT NOT NULL, model TEXT NOT NULL,
  prompt TEXT NOT NULL, prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, seconds REAL NOT NULL,
  request BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS calls (
  id INTEGER PRIMARY KEY, key TEXT NOT NULL, prompt TEXT NOT NULL, reserved TEXT NOT NULL, cost TEXT, outcome TEXT);
CREATE TABLE IF NOT EXISTS batches (
  id TEXT PRIMARY KEY, place TEXT NOT NULL, remote TEXT, state TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS batch_calls (
  batch TEXT NOT NULL, call INTEGER NOT NULL, key TEXT NOT NULL, request BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS calls_of_batch ON batch_calls (batch);
"""
_VERSION = "1"
_LOCKED = 30.0
"""Seconds to wait for another program that has the file locked."""
STOP = "stop"
"""How a reply ends that was said to its end. Others (length, refusal, empty, filter, request) are kept, not served again."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered, and how many seconds it took.

    ``finish`` is stop, length, refusal or empty; filter or request where an error stood for an answer.
    """

    key: str
    content: str
    finish: str
    model: str
    prompt: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float


_Write = tuple[str, tuple[Any, ...]]
_Work = tuple[list[_Write], "asyncio.Future[None]"]
_INSERT_CALL = "INSERT INTO calls (id, key, prompt, reserved) VALUES (?, ?, ?, ?)"
_SETTLE_CALL = "UPDATE calls SET cost = ?, outcome = ? WHERE id = ?"
_COLUMNS = (
    "key", "round", "finish", "content", "model", "prompt", "prompt_tokens", "completion_tokens", "seconds", "request"
)  # fmt: skip
_INSERT_REPLY = (
    f"INSERT INTO replies ({', '.join(_COLUMNS)}) VALUES ({', '.join('?' * len(_COLUMNS))}) ON CONFLICT (key) DO UPDATE"
    f" SET {', '.join(f'{name} = excluded.{name}' for name in _COLUMNS[1:])} WHERE replies.finish != 'stop'"
)
"""A whole reply is never replaced: rows were made of it."""


class Cache:
    """The replies of one build directory. Used as a context manager; its coroutines run in one event loop."""

    def __init__(self, path: Path, write: bool = True) -> None:
        self.path = path
        self._write = write
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._failed: Exception | None = None

    def __enter__(self) -> Cache:
        """Open the file, and make it when it is not there.

        Raises:
            BuildDirError: it cannot be opened, is damaged, or is of another version of pedcorpus.
        """
        try:
            self._read = self._opened()
            row = self._one("SELECT value FROM meta WHERE name = 'round'")
            self.round = int(row[0]) if row else 0
            self._next_call = int(self._one("SELECT COALESCE(MAX(id), 0) FROM calls")[0]) + 1
        except sqlite3.Error as error:
            raise self._wrapped(error) from error
        if self._write:
            self._thread = threading.Thread(target=self._run, name="llm-cache", daemon=True)
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
        self._read.close()

    def _opened(self) -> sqlite3.Connection:
        if not self._write and not self.path.exists():
            return _nothing()
        made = self._connect()
        try:
            self._check_version(made)
            if self._write:
                made.executescript(_SCHEMA)
                made.execute("INSERT OR IGNORE INTO meta VALUES ('version', ?)", (_VERSION,))
            elif not made.execute("SELECT 1 FROM sqlite_master").fetchone():  # a build was killed as it made the file
                made.close()
                return _nothing()
        except BaseException:
            made.close()
            raise
        return made

    def _connect(self) -> sqlite3.Connection:
        if not self._write:
            # SQLite writes beside a file that it only reads, unless it is told that nobody changes it
            still = "" if os.access(self.path.parent, os.W_OK) else "&immutable=1"
            return sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro{still}", uri=True, check_same_thread=False)
        made = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=_LOCKED)
        made.execute("PRAGMA journal_mode=WAL")
        made.execute("PRAGMA synchronous=FULL")
        return made

    def _check_version(self, made: sqlite3.Connection) -> None:
        if not made.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
            return
        row = made.execute("SELECT value FROM meta WHERE name = 'version'").fetchone()
        if row is not None and row[0] != _VERSION:
            raise BuildDirError(
                f"{self.path} was written by another version of pedcorpus (format {row[0]}, this one reads {_VERSION})",
                "use that version, or another folder with --output",
            )

    def _wrapped(self, error: Exception) -> BuildDirError:
        said = str(error)
        if isinstance(error, sqlite3.OperationalError):
            if "full" in said:
                return DiskFullError(f"no space left while writing {self.path}", "free some space and run again")
            if "locked" in said:
                return BuildDirError(f"{self.path} is locked by another program", "close that and run again")
            if "readonly" in said or "unable to open" in said:
                return BuildDirError(
                    f"cannot use {self.path}: {said}", "check the permissions of the file and of its folder"
                )
        return BuildDirError(
            f"cannot use {self.path}, which holds every reply that was paid for: {said}",
            "keep a copy of it; `sqlite3 FILE .recover` saves what can be read",
        )

    # --- reading ---

    def find(self, key: str, *, any_finish: bool = False) -> Reply | None:
        """The reply to serve for ``key``.

        One that was cut or refused is final for the build that got it, so that going on after a stop does not pay for
        it again; a later build asks anew. ``any_finish`` serves it in any case: how ``--offline`` replays a build.
        """
        row = self._one(
            "SELECT key, content, finish, model, prompt, prompt_tokens, completion_tokens, seconds, round"
            " FROM replies WHERE key = ?",
            key,
        )
        if row is None or not (any_finish or row[2] == STOP or row[8] == self.round):
            return None
        return Reply(*row[:8])

    def spent(self) -> Decimal:
        """USD of all calls of all runs; one that was never settled counts as what it reserved."""
        rows = self.rows("SELECT COALESCE(cost, reserved) FROM calls WHERE COALESCE(cost, reserved) != '0'")
        return sum((Decimal(row[0]) for row in rows), Decimal(0))

    def spent_by_prompt(self) -> dict[str, tuple[int, int, int, Decimal]]:
        """Calls, tokens in, tokens out and USD by prompt id."""
        found: dict[str, tuple[int, int, int, Decimal]] = {}
        for prompt, cost in self.rows("SELECT prompt, COALESCE(cost, reserved) FROM calls"):
            calls, tokens_in, tokens_out, spent = found.get(prompt, (0, 0, 0, Decimal(0)))
            found[prompt] = (calls + 1, tokens_in, tokens_out, spent + Decimal(cost))
        sums = "SELECT prompt, SUM(prompt_tokens), SUM(completion_tokens) FROM replies GROUP BY prompt"
        for prompt, tokens_in, tokens_out in self.rows(sums):
            calls, _, _, spent = found.get(prompt, (0, 0, 0, Decimal(0)))
            found[prompt] = (calls, tokens_in, tokens_out, spent)
        return found

    def pace(self, model: str) -> tuple[int, float]:
        """Completion tokens and seconds of all replies of ``model`` that came one by one."""
        row = self._one(
            "SELECT COALESCE(SUM(completion_tokens), 0), COALESCE(SUM(seconds), 0) FROM replies"
            " WHERE model = ? AND seconds > 0",
            model,
        )
        return int(row[0]), float(row[1])

    def request_of(self, key: str) -> str | None:
        """The canonical JSON of the request behind a reply."""
        row = self._one("SELECT request FROM replies WHERE key = ?", key)
        return zlib.decompress(row[0]).decode("utf-8", "surrogatepass") if row else None

    def noted(self, name: str) -> str | None:
        """What `note` kept under ``name``."""
        row = self._one("SELECT value FROM meta WHERE name = ?", f"note {name}")
        return row[0] if row else None

    def rows(self, query: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        """Rows of a query.

        Raises:
            BuildDirError: the file cannot be read.
        """
        try:
            yield from self._read.execute(query, values)
        except sqlite3.Error as error:
            raise self._wrapped(error) from error

    def _one(self, query: str, *values: Any) -> Any:
        try:
            return self._read.execute(query, values).fetchone()
        except sqlite3.Error as error:
            raise self._wrapped(error) from error

    # --- writing ---

    async def begin(self, key: str, prompt: str, reserved: Decimal) -> int:
        """Note a call before it is sent; returns its number."""
        number = self._next_call
        self._next_call += 1
        await self.write([(_INSERT_CALL, (number, key, prompt, str(reserved)))])
        return number

    async def settle(self, call: int, cost: Decimal, outcome: str) -> None:
        """A call ended without a reply to keep."""
        await self.write([(_SETTLE_CALL, (str(cost), outcome, call))])

    async def store(self, call: int, reply: Reply, cost: Decimal, request: bytes) -> None:
        """Keep a reply and settle its call, both or neither."""
        await self.write([self.storing(reply, request), (_SETTLE_CALL, (str(cost), reply.finish, call))])

    def storing(self, reply: Reply, request: bytes) -> _Write:
        """The statement that keeps ``reply`` and ``request``, the canonical JSON that it answers."""
        values = (reply.key, self.round, reply.finish, reply.content, reply.model, reply.prompt)
        sizes = (reply.prompt_tokens, reply.completion_tokens, reply.seconds)
        return (_INSERT_REPLY, (*values, *sizes, request))

    def new_calls(self, count: int) -> range:
        """Numbers for ``count`` calls."""
        first = self._next_call
        self._next_call += count
        return range(first, first + count)

    async def write(self, statements: Iterable[_Write]) -> None:
        """Run ``statements`` in one transaction and wait until it is on disk.

        Raises:
            BuildDirError: the file cannot be written.
        """
        if self._failed:
            raise self._wrapped(self._failed)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.put((list(statements), done))
        await done

    async def close_round(self) -> None:
        """The build has all its replies: the next one asks anew for those that were cut or refused."""
        self.round += 1
        await self.write([("INSERT OR REPLACE INTO meta VALUES ('round', ?)", (str(self.round),))])

    async def note(self, name: str, value: str) -> None:
        """Keep a small thing that later runs should know."""
        await self.write([("INSERT OR REPLACE INTO meta VALUES (?, ?)", (f"note {name}", value))])

    def _run(self) -> None:
        """The writer: group after group until None comes. Once a write has failed, all others do."""
        connection = None
        try:
            connection = self._connect()
        except Exception as error:
            self._failed = error
        going = True
        while going:
            group = [self._queue.get()]
            while not self._queue.empty():
                group.append(self._queue.get())
            going = None not in group
            work = [item for item in group if item is not None]
            if work and connection is not None and self._failed is None:
                try:
                    connection.execute("BEGIN IMMEDIATE")
                    for statements, _ in work:
                        for sql, values in statements:
                            if sql is _INSERT_REPLY:  # here and not in `storing`: the event loop has no time for it
                                values = (*values[:-1], zlib.compress(values[-1], 1))
                            connection.execute(sql, values)
                    connection.execute("COMMIT")
                except Exception as error:  # whatever it is: somebody waits to hear of it
                    self._failed = error
            self._answer([done for _, done in work])
        if connection is not None:
            connection.close()

    def _answer(self, waiting: list[asyncio.Future[None]]) -> None:
        error = self._wrapped(self._failed) if self._failed else None

        def finish(loop: asyncio.AbstractEventLoop) -> None:
            for done in waiting:
                if done.get_loop() is not loop or done.done():
                    continue
                if error:
                    done.set_exception(error)
                else:
                    done.set_result(None)

        for loop in {done.get_loop() for done in waiting}:
            with contextlib.suppress(RuntimeError):  # the loop is gone: nobody waits any more
                loop.call_soon_threadsafe(finish, loop)


def _nothing() -> sqlite3.Connection:
    made = sqlite3.connect(":memory:")
    made.executescript(_SCHEMA)
    return made
