"""Row types and their Arrow schemas: the raw record, the dataset row, the ledger entry.

A raw record is what an extractor read. A row is what the dataset holds. Both are plain frozen
dataclasses; `to_table` and `from_table` carry batches of them to and from Arrow.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pyarrow as pa

SourceKind = Literal[
    "textbook",
    "guideline",
    "knowledge_graph",
    "conversation",
    "distilled",
    "general",
    "safety",
    "self_cognition",
    "plain_text",
]
SOURCE_KINDS: tuple[SourceKind, ...] = (
    "textbook",
    "guideline",
    "knowledge_graph",
    "conversation",
    "distilled",
    "general",
    "safety",
    "self_cognition",
    "plain_text",
)
Task = Literal["medkqa", "evidiag", "trerecom", "safety", "self_cognition", "general", "cpt", "dfpo"]
INSTRUCTION_TASKS: tuple[Task, ...] = ("medkqa", "evidiag", "trerecom", "safety", "self_cognition", "general")
TASKS: tuple[Task, ...] = (*INSTRUCTION_TASKS, "cpt", "dfpo")
MEDICAL_TASKS: frozenset[str] = frozenset({"medkqa", "evidiag", "trerecom"})
DOSE_EVIDENCE_KINDS: frozenset[str] = frozenset({"textbook", "guideline", "knowledge_graph"})
"""Source kinds that may justify a dose. What a dialogue or a distilled pair says never does."""
SPLITS: tuple[str, ...] = ("train", "validation", "test")


def digest(*parts: str, length: int = 32) -> str:
    """Hex SHA-256 over ``parts``, each closed by a NUL so that borders count."""
    sha = hashlib.sha256()
    for part in parts:
        sha.update(part.encode("utf-8", "surrogatepass"))
        sha.update(b"\0")
    return sha.hexdigest()[:length]


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a dialogue. ``role`` is user, assistant or system."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Triple:
    """One statement of a knowledge graph."""

    head: str
    relation: str
    tail: str


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and its answer."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Box:
    """Where a block of text stands on a PDF page. Points, origin at the top left; page counts from 1."""

    page: int
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One leaf section, one disease of a graph, one dialogue or one pair.

    ``text`` is what was read after layout analysis, masked, before any normalisation; evidence points
    into it. ``extra`` is JSON: ``page_starts`` [[page, offset]], ``seams`` [offset] where a page mark was
    taken out of a sentence, ``tables`` [[start, end]], ``blocks`` [[start, end]] parallel to ``boxes``.
    """

    id: str
    document_id: str
    source_kind: str
    source_id: str
    source_title: str
    license: str
    publishable: bool
    page: int | None
    section_path: tuple[str, ...]
    edition: str | None
    era: str
    text: str
    turns: tuple[Turn, ...] = ()
    triples: tuple[Triple, ...] = ()
    pairs: tuple[Pair, ...] = ()
    boxes: tuple[Box, ...] = ()
    department: str | None = None
    disease: str | None = None
    language: str = "zh"
    extractor: str = ""
    extra: str = "{}"

    def extras(self) -> dict[str, Any]:
        """``extra`` parsed."""
        parsed = json.loads(self.extra)
        return parsed if isinstance(parsed, dict) else {}


@dataclass(frozen=True, slots=True)
class Evidence:
    """A span of a raw record: ``quote == record.text[start:end]``."""

    record_id: str
    page: int | None
    start: int
    end: int
    quote: str


REJECTED_STEP = "rejected"
"""The step that names prompt, hash, request and model of a ``rejected`` that a model wrote, with blanks between."""


@dataclass(frozen=True, slots=True)
class Version:
    """An earlier version of a row: which step made it and what it said."""

    step: str
    content: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """How a row was made. ``model`` and ``request_key`` are null for rows made without a model."""

    extractor: str
    generator: str
    prompt_id: str | None = None
    prompt_sha256: str | None = None
    model: str | None = None
    request_key: str | None = None
    version_trail: tuple[Version, ...] = ()


@dataclass(frozen=True, slots=True)
class QualityNote:
    """What one check said of a row that it kept."""

    check: str
    score: float | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One chat message. ``role`` is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the dataset. ``task`` names its config and decides which of the last fields are set.

    Instruction tasks set ``messages`` (the last is the assistant's); ``dfpo`` sets ``prompt``, ``chosen``,
    ``rejected``, ``chosen_from``, ``rejected_from`` and ``reason``; ``cpt`` sets ``text``.
    """

    id: str
    task: str
    source_kind: str
    source_id: str
    source_title: str
    license: str
    department: str | None
    disease: str | None
    language: str
    evidence: tuple[Evidence, ...]
    provenance: Provenance
    quality: tuple[QualityNote, ...] = ()
    messages: tuple[Message, ...] = ()
    prompt: tuple[Message, ...] = ()
    chosen: tuple[Message, ...] = ()
    rejected: tuple[Message, ...] = ()
    chosen_from: str | None = None
    rejected_from: str | None = None
    reason: str | None = None
    text: str | None = None

    def answers(self) -> list[str]:
        """The texts that checks cover: assistant messages, ``chosen``, or the CPT text."""
        if self.task == "cpt":
            return [self.text or ""]
        messages = self.chosen if self.task == "dfpo" else self.messages
        return [message.content for message in messages if message.role == "assistant"]

    def questions(self) -> list[str]:
        """The texts of the user's side."""
        messages = self.prompt if self.task == "dfpo" else self.messages
        return [message.content for message in messages if message.role == "user"]

    def contents(self) -> list[str]:
        """Every text of the row but ``rejected``."""
        if self.task == "cpt":
            return [self.text or ""]
        return [message.content for message in (*self.prompt, *self.chosen, *self.messages)]


@dataclass(frozen=True, slots=True)
class Reject:
    """A ledger entry. ``row`` is the dropped record or row as JSON, masked; ``row_id`` its id if it has one."""

    stage: str
    reason: str
    detail: str
    row_id: str | None = None
    source_id: str | None = None
    row: str = "{}"


def row_id(task: str, source_id: str, contents: Sequence[str]) -> str:
    """Id of a row: hash of kind, source and content, so that it is stable between builds."""
    return digest("row", task, source_id, *contents)


def as_plain(value: Any) -> Any:
    """A record, row or part of one as dicts and lists."""
    slots = getattr(value, "__dataclass_fields__", None)
    if slots is not None:
        return {name: as_plain(getattr(value, name)) for name in slots}
    if isinstance(value, tuple | list):
        return [as_plain(item) for item in value]
    return value


def as_json(value: Any) -> str:
    """Canonical JSON of a record or row, for the ledger."""
    return json.dumps(as_plain(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"))


# --- Arrow ------------------------------------------------------------------------------------------


@cache
def record_schema() -> pa.Schema:
    """Arrow schema of ``records/*.parquet``."""
    import pyarrow as pa

    string = pa.string()
    return pa.schema(
        [
            pa.field("id", string, nullable=False),
            pa.field("document_id", string, nullable=False),
            pa.field("source_kind", string, nullable=False),
            pa.field("source_id", string, nullable=False),
            pa.field("source_title", string, nullable=False),
            pa.field("license", string, nullable=False),
            pa.field("publishable", pa.bool_(), nullable=False),
            pa.field("page", pa.int32()),
            pa.field("section_path", pa.list_(string)),
            pa.field("edition", string),
            pa.field("era", string, nullable=False),
            pa.field("text", string, nullable=False),
            pa.field("turns", pa.list_(pa.struct([("role", string), ("text", string)]))),
            pa.field("triples", pa.list_(pa.struct([("head", string), ("relation", string), ("tail", string)]))),
            pa.field("pairs", pa.list_(pa.struct([("question", string), ("answer", string)]))),
            pa.field(
                "boxes",
                pa.list_(
                    pa.struct(
                        [
                            ("page", pa.int32()),
                            ("x0", pa.float32()),
                            ("y0", pa.float32()),
                            ("x1", pa.float32()),
                            ("y1", pa.float32()),
                        ]
                    )
                ),
            ),
            pa.field("department", string),
            pa.field("disease", string),
            pa.field("language", string, nullable=False),
            pa.field("extractor", string, nullable=False),
            pa.field("extra", string, nullable=False),
        ]
    )


@cache
def _row_fields() -> dict[str, pa.Field]:
    import pyarrow as pa

    string = pa.string()
    message = pa.list_(pa.struct([("role", string), ("content", string)]))
    fields = [
        pa.field("id", string, nullable=False),
        pa.field("task", string, nullable=False),
        pa.field("source_kind", string, nullable=False),
        pa.field("source_id", string, nullable=False),
        pa.field("source_title", string, nullable=False),
        pa.field("license", string, nullable=False),
        pa.field("department", string),
        pa.field("disease", string),
        pa.field("language", string, nullable=False),
        pa.field(
            "evidence",
            pa.list_(
                pa.struct(
                    [
                        ("record_id", string),
                        ("page", pa.int32()),
                        ("start", pa.int32()),
                        ("end", pa.int32()),
                        ("quote", string),
                    ]
                )
            ),
        ),
        pa.field(
            "provenance",
            pa.struct(
                [
                    ("extractor", string),
                    ("generator", string),
                    ("prompt_id", string),
                    ("prompt_sha256", string),
                    ("model", string),
                    ("request_key", string),
                    ("version_trail", pa.list_(pa.struct([("step", string), ("content", string)]))),
                ]
            ),
        ),
        pa.field("quality", pa.list_(pa.struct([("check", string), ("score", pa.float64()), ("detail", string)]))),
        pa.field("messages", message),
        pa.field("prompt", message),
        pa.field("chosen", message),
        pa.field("rejected", message),
        pa.field("chosen_from", string),
        pa.field("rejected_from", string),
        pa.field("reason", string),
        pa.field("text", string),
    ]
    return {item.name: item for item in fields}


COMMON_COLUMNS: tuple[str, ...] = (
    "id",
    "task",
    "source_kind",
    "source_id",
    "source_title",
    "license",
    "department",
    "disease",
    "language",
    "evidence",
    "provenance",
    "quality",
)
DFPO_COLUMNS: tuple[str, ...] = ("prompt", "chosen", "rejected", "chosen_from", "rejected_from", "reason")


def columns(task: str) -> tuple[str, ...]:
    """Column names of a config's shards."""
    if task == "dfpo":
        return (*COMMON_COLUMNS, *DFPO_COLUMNS)
    return (*COMMON_COLUMNS, "text") if task == "cpt" else (*COMMON_COLUMNS, "messages")


@cache
def row_schema(task: str | None = None) -> pa.Schema:
    """Arrow schema of a config's shards; with no task, of the rows between stages (every column)."""
    import pyarrow as pa

    fields = _row_fields()
    return pa.schema(list(fields.values()) if task is None else [fields[name] for name in columns(task)])


@cache
def reject_schema() -> pa.Schema:
    """Arrow schema of ``rejects/*.parquet``."""
    import pyarrow as pa

    string = pa.string()
    return pa.schema(
        [
            pa.field("stage", string, nullable=False),
            pa.field("reason", string, nullable=False),
            pa.field("detail", string, nullable=False),
            pa.field("row_id", string),
            pa.field("source_id", string),
            pa.field("row", string, nullable=False),
        ]
    )


def to_table(items: Iterable[Any], schema: pa.Schema) -> pa.Table:
    """Arrow table of records, rows or rejects."""
    import pyarrow as pa

    return pa.Table.from_pylist([as_plain(item) for item in items], schema=schema)


def _tuple(kind: type[Any], values: Sequence[dict[str, Any]] | None) -> tuple[Any, ...]:
    return tuple(kind(**value) for value in values or ())


def record_from_dict(data: dict[str, Any]) -> RawRecord:
    """The record that `as_plain` took apart."""
    data = dict(data)
    data["section_path"] = tuple(data.get("section_path") or ())
    for name, kind in (("turns", Turn), ("triples", Triple), ("pairs", Pair), ("boxes", Box)):
        data[name] = _tuple(kind, data.get(name))
    return RawRecord(**data)


def row_from_dict(data: dict[str, Any]) -> Row:
    """The row that `as_plain` took apart; missing columns take their defaults."""
    data = dict(data)
    provenance = dict(data["provenance"])
    provenance["version_trail"] = _tuple(Version, provenance.get("version_trail"))
    data["provenance"] = Provenance(**provenance)
    data["evidence"] = _tuple(Evidence, data.get("evidence"))
    data["quality"] = _tuple(QualityNote, data.get("quality"))
    for name in ("messages", "prompt", "chosen", "rejected"):
        data[name] = _tuple(Message, data.get(name))
    return Row(**data)


def records_from_table(table: pa.Table) -> list[RawRecord]:
    """Records of an Arrow table with `record_schema`."""
    return [record_from_dict(data) for data in table.to_pylist()]


def rows_from_table(table: pa.Table) -> list[Row]:
    """Rows of an Arrow table with `row_schema`."""
    return [row_from_dict(data) for data in table.to_pylist()]
