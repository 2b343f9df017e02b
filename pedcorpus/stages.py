"""Stage functions: one task in, one part on disk. They run in worker processes and know nothing of each other.

A task names everything its part is made of, and its key is the hash of that; a part that is there is done.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pedcorpus import plugins
from pedcorpus.builddir import Parts, write_json
from pedcorpus.decontaminate import Benchmark, contaminated_by
from pedcorpus.derive import derive
from pedcorpus.errors import PedcorpusError, PluginError
from pedcorpus.filters.dose import DoseFilter
from pedcorpus.plugins import Drop, Filter, GenerateContext, Keep, askers_of
from pedcorpus.records import (
    TASKS,
    QualityNote,
    RawRecord,
    Reject,
    Row,
    as_json,
    record_schema,
    records_from_table,
    row_schema,
    rows_from_table,
    to_table,
)
from pedcorpus.review.decisions import CHECK as REVIEW_CHECK
from pedcorpus.review.decisions import Decision, apply, decide, latest, read_decisions
from pedcorpus.screen import screen
from pedcorpus.sources import SourceFile, SourceInfo
from pedcorpus.text import key as text_key

if TYPE_CHECKING:
    import pyarrow as pa

PART_RECORDS = 500
"""Records of one part: what a kill costs at most in every stage after extraction."""


# --- extract ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ExtractTask:
    """Read one unit of a source (or all of them, when ``limit`` counts over the source)."""

    key: str
    folder: Path
    source: SourceInfo
    units: tuple[tuple[SourceFile, ...], ...]
    limit: int | None


def done_marker(folder: Path, key: str) -> Path:
    """The file that says how many parts an extract task left; it is written last."""
    return folder / f"{key}.json"


def extract(task: ExtractTask) -> None:
    """Write the records of one task as parts ``KEY-00000`` …, then its marker."""
    parts = Parts(task.folder)
    records: list[RawRecord] = []
    rejects: list[Reject] = []
    number = taken = 0

    def flush() -> None:
        nonlocal number
        parts.write(f"{task.key}-{number:05d}", to_table(records, record_schema()), rejects)
        number += 1
        records.clear()
        rejects.clear()

    for item in _read(task):
        if isinstance(item, Reject):
            rejects.append(item)
        else:
            if task.limit is not None and taken >= task.limit:
                break
            records.append(item)
            taken += 1
        if len(records) >= PART_RECORDS or len(rejects) >= 20 * PART_RECORDS:
            flush()
    if records or rejects or number == 0:
        flush()
    write_json(done_marker(task.folder, task.key), {"parts": number})


def _read(task: ExtractTask) -> Iterator[RawRecord | Reject]:
    extractor = plugins.extractor(task.source.kind)
    for files in task.units:
        try:
            yield from extractor.extract(list(files), task.source)
        except (PedcorpusError, MemoryError):
            raise
        except OSError as error:
            yield task.source.reject("extract.unreadable", files[0], error.strerror or str(error))
        except Exception as error:  # whatever a file does to a reader, the build carries on
            yield task.source.reject("extract.error", files[0], f"{type(error).__name__}: {error}")


# --- survey of records ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SurveyTask:
    """Note what the screen must know of all records at once."""

    key: str
    folder: Path
    records: Path
    part: str
    select: str


def survey(task: SurveyTask) -> None:
    """Write id, document, title, edition and text digest of each record, and whether it passes by itself."""
    import pyarrow as pa

    from pedcorpus.dedup.signatures import exact_digest

    records = records_from_table(Parts(task.records).kept(task.part))
    table = pa.table(
        {
            "id": pa.array([record.id for record in records], pa.string()),
            "document_id": pa.array([record.document_id for record in records], pa.string()),
            "title": pa.array([record.source_title for record in records], pa.string()),
            "edition": pa.array([record.edition for record in records], pa.string()),
            "digest": pa.array([exact_digest(text_key(record.text)) for record in records], pa.binary()),
            "stays": pa.array([screen(record, task.select, {}) is None for record in records], pa.bool_()),
        }
    )
    Parts(task.folder).write(task.key, table, [])


# --- screen -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ScreenTask:
    """Screen one part. ``newer`` and ``doubles`` are what the survey found for this part."""

    key: str
    folder: Path
    records: Path
    part: str
    select: str
    newer: Mapping[str, str]
    doubles: Mapping[str, str]
    benchmarks: Path | None
    ngram: int


@cache
def _benchmarks(path: Path) -> tuple[Benchmark, ...]:
    import numpy as np

    with np.load(path, allow_pickle=False) as held:
        about = json.loads(str(held["about"]))
        return tuple(
            Benchmark(item["name"], held[f"grams{i}"], tuple(item["short"]), item["items"])
            for i, item in enumerate(about)
        )


def screen_part(task: ScreenTask) -> None:
    """Keep the records that something may be made of."""
    kept: list[RawRecord] = []
    rejects: list[Reject] = []
    benchmarks = _benchmarks(task.benchmarks) if task.benchmarks else ()
    for record in records_from_table(Parts(task.records).kept(task.part)):
        verdict = screen(record, task.select, task.newer)
        if verdict is None and record.id in task.doubles:
            verdict = ("screen.duplicate", f"the same text as record {task.doubles[record.id]}")
        if verdict is None and benchmarks and (record.pairs or record.turns):
            texts = [turn.text for turn in record.turns] + [pair.question for pair in record.pairs]
            name = contaminated_by([*texts, *(pair.answer for pair in record.pairs)], benchmarks, task.ngram)
            verdict = (f"decontaminate.{name}", f"shares {task.ngram} characters with the benchmark") if name else None
        if verdict is None:
            kept.append(record)
        else:
            rejects.append(Reject("screen", verdict[0], verdict[1], record.id, record.source_id, as_json(record)))
    Parts(task.folder).write(task.key, to_table(kept, record_schema()), rejects)


# --- generate ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GenerateTask:
    """Make candidate rows of one part."""

    key: str
    folder: Path
    records: Path
    part: str
    context: GenerateContext
    asked: Path | None = None
    asked_part: str = ""


def generate(task: GenerateTask) -> None:
    """Write the candidates of one part, and after them those that a model made (``asked``).

    Of a record that a model was asked about, only the other tasks are made here. A record that gives none leaves a
    ``generate.nothing``, or a ``generate.task`` where all it could give are rows of tasks that the config leaves out.
    """
    everything = replace(task.context, tasks=frozenset(TASKS))
    rows: list[Row] = []
    rejects: list[Reject] = []
    for record in records_from_table(Parts(task.records).kept(task.part)):
        context, askers = task.context, askers_of(record, task.context.tasks) if task.asked else []
        if askers:
            taken = [asker.tasks for asker in askers if getattr(asker, "replaces", True)]
            context = replace(context, tasks=context.tasks.difference(*taken))
        before = len(rows) + len(rejects)
        for item in _candidates(record, context):
            if isinstance(item, Reject):
                rejects.append(item)
            else:
                rows.append(item)
        if not askers and len(rows) + len(rejects) == before:
            reason, detail = "generate.nothing", "nothing to ask about in"
            if context.tasks != everything.tasks and any(_candidates(record, everything)):
                reason, detail = "generate.task", "generate.tasks leaves out what can be asked about"
            place = " / ".join(record.section_path) or record.extractor
            rejects.append(
                Reject("generate", reason, f"{detail}: {place}", record.id, record.source_id, as_json(record))
            )
    if task.asked:
        rows += rows_from_table(Parts(task.asked).kept(task.asked_part))
        rejects += _rejects_from_table(Parts(task.asked).rejects(task.asked_part))
    Parts(task.folder).write(task.key, to_table(rows, row_schema()), rejects)


def _rejects_from_table(table: pa.Table) -> list[Reject]:
    return [Reject(**item) for item in table.to_pylist()]


def _candidates(record: RawRecord, context: GenerateContext) -> Iterator[Row | Reject]:
    """What all generators propose for one record."""
    for generator in plugins.generators():
        try:
            yield from generator.generate(record, context)
        except MemoryError:
            raise
        except Exception as error:
            raise _failed("generator", generator.name, f"record {record.id}", error) from error


def _failed(kind: str, name: str, where: str, error: Exception) -> PluginError:
    return PluginError(
        f"the {kind} {name!r} failed on {where}: {type(error).__name__}: {error}",
        "mend or remove the plug-in; if it is one of pedcorpus's own, report this",
    )


# --- what asking needs to know ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PrepareTask:
    """Gather what one part's records say to those who ask models about them."""

    key: str
    folder: Path
    records: Path
    part: str


def prepared_file(folder: Path, key: str) -> Path:
    """Where that of a part lies."""
    return folder / f"{key}.json"


def prepare(task: PrepareTask) -> None:
    """Write the drugs and diseases that the records name, and which records masking has left something in."""
    from pedcorpus.deidentify import residue
    from pedcorpus.grounding import Names

    records = records_from_table(Parts(task.records).kept(task.part))
    unmasked = [record.id for record in records if askers_of(record, frozenset(TASKS)) and residue(record.text)]
    found = {"names": Names.collect(records).to_json(), "unmasked": unmasked}
    write_json(prepared_file(task.folder, task.key), found)


# --- filter -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FilterTask:
    """Check the rows of one part against the records they were made of."""

    key: str
    folder: Path
    rows: Path
    part: str
    records: Path
    record_part: str
    options: Mapping[str, Mapping[str, Any]]


def filter_part(task: FilterTask) -> None:
    """Evidence first, then each filter in order; the first drop counts."""
    records = {record.id: record for record in records_from_table(Parts(task.records).kept(task.record_part))}
    checks = plugins.filters(task.options)

    def judge(row: Row) -> Row | Drop:
        broken = broken_evidence(row, records)
        if broken is not None:
            return broken
        notes = list(row.quality)
        for check in checks:
            try:
                verdict = check.check(row)
            except MemoryError:
                raise
            except Exception as error:
                raise _failed("filter", check.name, f"row {row.id}", error) from error
            if isinstance(verdict, Drop):
                return verdict
            if verdict.score is not None or verdict.detail is not None:
                notes.append(QualityNote(check.name, verdict.score, verdict.detail))
        return replace(row, quality=tuple(notes))

    _sift(task, "filter", judge)


def _sift(
    task: FilterTask | DropTask | DecontaminateTask | ReviewTask, stage: str, judge: Callable[[Row], Row | Drop]
) -> None:
    """Write the rows of one part as ``judge`` leaves them; what it drops goes to the ledger of ``stage``."""
    kept: list[Row] = []
    rejects: list[Reject] = []
    for row in rows_from_table(Parts(task.rows).kept(task.part)):
        verdict = judge(row)
        if isinstance(verdict, Drop):
            rejects.append(Reject(stage, verdict.reason, verdict.detail, row.id, row.source_id, as_json(row)))
        else:
            kept.append(verdict)
    Parts(task.folder).write(task.key, to_table(kept, row_schema()), rejects)


def broken_evidence(row: Row, records: Mapping[str, RawRecord]) -> Drop | None:
    """Why a row's evidence cannot be trusted: none of it, no such record, or a quote that does not match."""
    if not row.evidence:
        return Drop("grounding.quote", "no evidence")
    for item in row.evidence:
        record = records.get(item.record_id)
        if record is None:
            return Drop("grounding.quote", f"no record {item.record_id}")
        if not item.quote or record.text[item.start : item.end] != item.quote:
            return Drop("grounding.quote", f"record {item.record_id} [{item.start}:{item.end}] says something else")
    return None


# --- dedup and decontaminate ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SignTask:
    """Sign the rows of one part for duplicate search."""

    key: str
    folder: Path
    rows: Path
    part: str


def compared_text(row: Row) -> str:
    """What rows are compared by: all that is said, folded to letters, digits and Han characters."""
    return text_key(" ".join(row.contents()))


def sign(task: SignTask) -> None:
    """Write task, disease, exact digest and band keys of each row."""
    import pyarrow as pa

    from pedcorpus.dedup.signatures import band_keys, exact_digest

    rows = rows_from_table(Parts(task.rows).kept(task.part))
    texts = [compared_text(row) for row in rows]
    table = pa.table(
        {
            "id": pa.array([row.id for row in rows], pa.string()),
            "task": pa.array([row.task for row in rows], pa.string()),
            "disease": pa.array([row.disease for row in rows], pa.string()),
            "exact": pa.array([exact_digest(text) for text in texts], pa.binary()),
            "bands": pa.array([band_keys(text).tobytes() for text in texts], pa.binary()),
        }
    )
    Parts(task.folder).write(task.key, table, [])


@dataclass(frozen=True, slots=True)
class DropTask:
    """Drop rows of one part that the duplicate search named: row position to (reason, detail)."""

    key: str
    folder: Path
    rows: Path
    part: str
    drops: Mapping[int, tuple[str, str]]


def drop_rows(task: DropTask) -> None:
    """Keep the other rows."""
    places = count()

    def judge(row: Row) -> Row | Drop:
        dropped = task.drops.get(next(places))
        return Drop(*dropped) if dropped else row

    _sift(task, "dedup", judge)


@dataclass(frozen=True, slots=True)
class DecontaminateTask:
    """Drop rows of one part that overlap a benchmark."""

    key: str
    folder: Path
    rows: Path
    part: str
    benchmarks: Path | None
    ngram: int


def decontaminate(task: DecontaminateTask) -> None:
    """Keep the rows that share no n-gram with any benchmark."""
    benchmarks = _benchmarks(task.benchmarks) if task.benchmarks else ()

    def judge(row: Row) -> Row | Drop:
        name = contaminated_by(row.contents(), benchmarks, task.ngram) if benchmarks else None
        return Drop(f"decontaminate.{name}", f"shares {task.ngram} characters with the benchmark") if name else row

    _sift(task, "decontaminate", judge)


# --- review -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReviewTask:
    """Apply doctors' decisions to the rows of one part; ``options`` are those of the filters."""

    key: str
    folder: Path
    rows: Path
    part: str
    decisions: tuple[Path, ...]
    options: Mapping[str, Mapping[str, Any]]


@cache
def _decisions(paths: tuple[Path, ...]) -> dict[str, tuple[Decision, ...]]:
    return latest(read_decisions(paths))


def reviewed(row: Row, decisions: Mapping[str, Sequence[Decision]], checks: Sequence[Filter]) -> Row | Drop:
    """The row as its reviewers want it. What they wrote passes the hard checks, as everything does."""
    said = decisions.get(row.id)
    if not said:
        return row
    outcome = decide(said)
    verdict = apply(row, outcome)
    if isinstance(verdict, Drop) or outcome.verdict != "edit":
        return verdict
    for check in checks:
        dropped = check.check(verdict) if check.name in plugins.HARD_FILTERS else Keep()
        if isinstance(dropped, Drop):
            return Drop(dropped.reason, f"edited in review: {dropped.detail}")
    return verdict


def review_part(task: ReviewTask) -> None:
    """Keep the rows that their reviewers keep, edited where they say so; rows that nobody decided on pass."""
    decisions, checks = _decisions(task.decisions), plugins.filters(task.options)
    _sift(task, "review", lambda row: reviewed(row, decisions, checks))


# --- derive -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DeriveTask:
    """Add the rows that are made of the rows of one part."""

    key: str
    folder: Path
    rows: Path
    part: str
    tasks: frozenset[str]
    seed: int
    pairs: Path | None = None
    pairs_part: str = ""
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    decisions: tuple[Path, ...] = ()


def derive_part(task: DeriveTask) -> None:
    """Write the rows and, after them, the derived ones; then the pairs that a model made (``pairs``).

    A derived row that repeats another is dropped; so is a completion text in which a patient names a dose, since
    pre-training learns the question as well. What a model said anew passes every filter, and reviewers decide on
    derived rows too.
    """
    rows = rows_from_table(Parts(task.rows).kept(task.part))
    kept = list(rows)
    rejects: list[Reject] = []
    seen = {(row.task, compared_text(row)) for row in rows}
    derived = list(derive(rows, task.tasks, task.seed))
    checks: list[Filter] = []
    decisions = _decisions(task.decisions)
    if task.pairs or decisions:
        checks = plugins.filters(task.options)
    if task.pairs:
        derived += rows_from_table(Parts(task.pairs).kept(task.pairs_part))
        rejects += _rejects_from_table(Parts(task.pairs).rejects(task.pairs_part))
    for row in derived:
        row = replace(row, quality=tuple(note for note in row.quality if note.check != REVIEW_CHECK))
        mark = (row.task, compared_text(row))
        verdict: Keep | Drop = DoseFilter().check(row)
        for check in checks if task.pairs and row.task == "dfpo" else ():
            if not isinstance(verdict, Drop):
                verdict = check.check(row)
        judged = row if isinstance(verdict, Drop) else reviewed(row, decisions, checks)
        if isinstance(judged, Drop):
            verdict = judged
        else:
            row = judged
        if isinstance(verdict, Drop):
            rejects.append(Reject("derive", verdict.reason, verdict.detail, row.id, row.source_id, as_json(row)))
        elif mark in seen:
            rejects.append(Reject("derive", "dedup.exact", "derived twice", row.id, row.source_id, as_json(row)))
        else:
            seen.add(mark)
            kept.append(row)
    Parts(task.folder).write(task.key, to_table(kept, row_schema()), rejects)


@dataclass(frozen=True, slots=True)
class PlaceTask:
    """Note the unit and evidence of each row of one part, for splitting."""

    key: str
    folder: Path
    rows: Path
    part: str
    records: Path
    record_part: str


def place(task: PlaceTask) -> None:
    """Write id, task, unit and evidence spans of each row."""
    import pyarrow as pa

    from pedcorpus.splits import unit_of

    records = {record.id: record for record in records_from_table(Parts(task.records).kept(task.record_part))}
    rows = rows_from_table(Parts(task.rows).kept(task.part))
    table = pa.table(
        {
            "id": pa.array([row.id for row in rows], pa.string()),
            "task": pa.array([row.task for row in rows], pa.string()),
            "unit": pa.array([unit_of(row, records.get(row.evidence[0].record_id)) for row in rows], pa.string()),
            "spans": pa.array(
                [[{"record_id": e.record_id, "start": e.start, "end": e.end} for e in row.evidence] for row in rows],
                pa.list_(pa.struct([("record_id", pa.string()), ("start", pa.int32()), ("end", pa.int32())])),
            ),
        }
    )
    Parts(task.folder).write(task.key, table, [])
