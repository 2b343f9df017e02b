"""The stages that ask: records to candidate rows, rows to preference pairs, rows to verdicts.

They run in one event loop in the main process; the work of the other stages is done by worker processes. A part is
written when its last item is done, in the order of its items, so that it is the same however the replies came.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from pedcorpus.builddir import Parts
from pedcorpus.errors import InterruptedBuildError, PedcorpusError, PluginError
from pedcorpus.llm.asking import CallFailedError
from pedcorpus.llm.session import Asker, PendingError, Session
from pedcorpus.plugins import Drop, GenerateContext, askers_of
from pedcorpus.reasons import ASKED_AGAIN
from pedcorpus.records import (
    MEDICAL_TASKS,
    RawRecord,
    Reject,
    Row,
    as_json,
    digest,
    record_from_dict,
    row_from_dict,
    row_schema,
    to_table,
)

Made = list[Row | Reject]
Work = Callable[[Any], Awaitable[Made]]


class Watch(Protocol):
    """Told of each item that is done."""

    def __call__(self) -> None:
        """One more."""


@dataclass(frozen=True, slots=True)
class AskTask:
    """One part to ask about. ``load`` gives its items; it is called when its turn comes."""

    key: str
    load: Callable[[], Sequence[Any]]


@dataclass(slots=True)
class _Open:
    """A part on its way."""

    task: AskTask
    left: int
    made: list[Made] = field(default_factory=list)
    pending: bool = False


def is_asked(parts: Parts, key: str) -> bool:
    """Whether a part is done: written, and nothing in it waits to be asked again."""
    return parts.has(key) and not ASKED_AGAIN & parts.reasons(key).keys()


async def ask_parts(session: Session, parts: Parts, tasks: Sequence[AskTask], work: Work, watch: Watch) -> int:
    """Do ``work`` for every item of ``tasks`` and write a part each; returns how many items wait for a batch.

    A few more items are in hand than calls may be in flight, since a place at the server is free again before its reply
    is on disk. When the session stops (budget, server, signal), calls in flight are waited for and their replies kept;
    the parts that they belong to are done by the next run.

    Raises:
        PedcorpusError: what stopped the session.
    """
    pending = 0
    written: list[str] = []
    items = _items(parts, tasks)

    async def do(part: _Open, place: int, item: Any) -> None:
        nonlocal pending
        try:
            part.made[place] = await work(item)
        except PendingError:
            part.pending = True
            pending += 1
        if session.stopped is None:
            part.left -= 1
            watch()
            if not part.left and not part.pending:
                _write(parts, part)
                written.append(part.task.key)

    async def worker() -> None:
        try:
            for part, place, item in items:
                await do(part, place, item)
                if session.stopped is not None:
                    return
                await asyncio.sleep(0)  # replies that have come go before items that the cache serves
        except PedcorpusError as error:
            session.stop(error)
        except Exception as error:
            session.stop(_bug(error))

    most = sum({endpoint.place: endpoint.max_in_flight for endpoint in session.endpoints.values()}.values())
    workers = [asyncio.ensure_future(worker()) for _ in range(most + most // 8 + 1)]
    with _signals(session, workers):
        await asyncio.gather(*workers, return_exceptions=True)
    if session.stopped is None:
        await session.keep_refused()
    if session.stopped is None:
        return pending
    for key in written if session.undecided else ():
        parts.forget(key)  # once the server is mended, they are asked again
    raise session.stopped


@contextmanager
def _signals(session: Session, workers: Sequence[asyncio.Future[None]]) -> Iterator[None]:
    """The first SIGINT or SIGTERM stops the session and waits for the replies in flight; the next one does not wait."""
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        if session.stopped is not None:
            for running in workers:
                running.cancel()
            return
        print("waiting for the replies in flight; once more to drop them", file=sys.stderr, flush=True)
        session.stop(InterruptedBuildError("interrupted", "run the same command again: it goes on where it stopped"))

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    for number in numbers:
        loop.add_signal_handler(number, interrupt)
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            loop.remove_signal_handler(number)
            signal.signal(number, handler)


def _items(parts: Parts, tasks: Sequence[AskTask]) -> Iterator[tuple[_Open, int, Any]]:
    for task in tasks:
        items = task.load()
        part = _Open(task, len(items), [[] for _ in items])
        if not items:
            _write(parts, part)
        for place, item in enumerate(items):
            yield part, place, item


def _write(parts: Parts, part: _Open) -> None:
    made = [item for items in part.made for item in items]
    rows = [item for item in made if isinstance(item, Row)]
    rejects = [item for item in made if isinstance(item, Reject)]
    parts.forget(part.task.key)  # of a run that had some to ask again
    parts.write(part.task.key, to_table(rows, row_schema()), rejects)


def _bug(error: Exception) -> PedcorpusError:
    return PluginError(
        f"a generator failed: {type(error).__name__}: {error}",
        "mend or remove the plug-in; if it is one of pedcorpus's own, report this",
    )


# --- records to rows --------------------------------------------------------------------------------


def seed_of(context: GenerateContext, item: str, generator: str) -> int:
    """The seed of what ``generator`` asks about a record or row."""
    return int(digest(str(context.seed), item, generator, length=8), 16)


def load_records(folder: Path, part: str) -> list[RawRecord]:
    """The records of a screened part."""
    return [record_from_dict(item) for item in Parts(folder).kept(part).to_pylist()]


async def ask_about(
    record: RawRecord, context: GenerateContext, session: Session, unmasked: Collection[str] = ()
) -> Made:
    """What the generators that ask make of one record. Those whose ids are in ``unmasked`` are not sent anywhere."""
    made: Made = []
    askers = askers_of(record, context.tasks)
    if not askers:
        return made
    if record.id in unmasked:
        return [_reject(record, "safety.personal", "masking has missed personal data: not sent to any server")]
    waits: PendingError | None = None
    for generator in askers:
        seed = seed_of(context, record.id, generator.name)
        where = f"{generator.name}, record {record.id} of {record.source_id}"
        try:
            found = await generator.generate(record, context, Asker(session, context.language, seed))
        except PendingError as pending:  # the others' requests go into the same batch
            waits = pending
            continue
        except CallFailedError as failure:
            found = [_reject(record, failure.reason, f"{generator.name}: {failure.detail}")]
            _note_missing(session, failure.reason, failure.detail, where)
        else:
            for item in found:
                if isinstance(item, Reject):
                    _note_missing(session, item.reason, item.detail, where)
        made += found or [_reject(record, "generate.nothing", f"{generator.name} made nothing of it")]
    if waits is not None:
        raise waits
    return [_in_tasks(item, context) for item in made]


def _in_tasks(item: Row | Reject, context: GenerateContext) -> Row | Reject:
    """A row of a task that the config leaves out goes to the ledger: it was paid for."""
    if isinstance(item, Reject) or item.task in context.tasks:
        return item
    detail = f"a row of {item.task}, which generate.tasks leaves out"
    return Reject("generate", "generate.task", detail, item.id, item.source_id, as_json(item))


def _reject(record: RawRecord, reason: str, detail: str) -> Reject:
    return Reject("generate", reason, detail, record.id, record.source_id, as_json({"record_id": record.id}))


# --- rows to verdicts and pairs ---------------------------------------------------------------------


def load_rows(folder: Path, part: str) -> list[Row]:
    """The rows of a part."""
    return [row_from_dict(item) for item in Parts(folder).kept(part).to_pylist()]


async def judge_row(row: Row, session: Session, language: str, threshold: float, seed: int) -> Made:
    """The row with its marks, or a reject. Rows that no model made pass as they are."""
    from pedcorpus.judge import judge

    if row.provenance.model is None:
        return [row]
    own = int(digest(str(seed), row.id, "judge", length=8), 16)
    try:
        verdict = await judge(row, Asker(session, language, own), language, threshold)
    except CallFailedError as failure:
        _note_missing(session, failure.reason, failure.detail, f"judge, row {row.id} of {row.source_id}")
        return [Reject("judge", failure.reason, failure.detail, row.id, row.source_id, as_json(row))]
    if isinstance(verdict, Drop):
        return [Reject("judge", verdict.reason, verdict.detail, row.id, row.source_id, as_json(row))]
    return [replace(row, quality=(*row.quality, *verdict))]


def load_rows_with_records(folder: Path, part: str, records: Path, screened: str) -> list[tuple[Row, RawRecord | None]]:
    """The rows of a part that pairs are made of, each with the record of its first evidence."""
    found = {record.id: record for record in load_records(records, screened)}
    rows = [row for row in load_rows(folder, part) if row.task in MEDICAL_TASKS and row.messages]
    return [(row, found.get(row.evidence[0].record_id)) for row in rows]


async def pair_row(
    item: tuple[Row, RawRecord | None], context: GenerateContext, session: Session, names: Path | None
) -> Made:
    """The preference pair of one row, or why there is none."""
    from pedcorpus.generators.llm.preference import PreferenceGenerator
    from pedcorpus.grounding import load_names

    row, record = item
    generator = PreferenceGenerator()
    seed = seed_of(context, row.id, generator.name)
    try:
        pair = await generator.pair(
            row,
            record,
            context,
            Asker(session, context.language, seed),
            assistant="assistant" in session.endpoints,
            names=load_names(str(names)) if names else None,
        )
    except CallFailedError as failure:
        reason, detail = failure.reason, failure.detail
        _note_missing(session, reason, detail, f"{generator.name}, row {row.id} of {row.source_id}")
    else:
        if pair is not None:
            return [pair]
        reason, detail = "generate.nothing", "no answer that is worse and says something else"
    return [Reject("derive", reason, f"{generator.name}: {detail}", row.id, row.source_id, as_json(row))]


def _note_missing(session: Session, reason: str, detail: str, where: str) -> None:
    if reason == "generate.offline":
        session.tally.missing.append(f"{where}: {detail}")
