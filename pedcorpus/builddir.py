"""The build directory: its layout, its lock, atomic writes, and the parts that stages leave on disk.

Files on disk are the truth for progress. A part is a batch of kept items and the ledger entries of what was
dropped beside them, named by everything that went into it; the kept file is written last and marks the part
as done. So a kill at any moment costs the batches in flight, and an unchanged input is never worked on twice.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from pedcorpus.errors import BuildDirError, wrap_os_error
from pedcorpus.records import Reject, reject_schema, to_table

if TYPE_CHECKING:
    import pyarrow as pa

_ROW_GROUP = 5000


# --- atomic writes ----------------------------------------------------------------------------------


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary name to write to; on leaving it is fsynced and renamed to ``path``.

    Raises:
        DiskFullError, BuildDirError: the file system refused; nothing is left behind.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with temporary.open("rb+") as handle:
            os.fsync(handle.fileno())
        temporary.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise wrap_os_error(error, str(path.parent)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Put a folder's list of names on disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write JSON atomically, indented, keys in the order given."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


class ParquetFile:
    """A Parquet file being written; its writer options are pinned so that equal rows give equal bytes."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        import pyarrow.parquet as pq

        self._writer = pq.ParquetWriter(
            path,
            schema,
            version="2.6",
            compression="zstd",
            compression_level=3,
            use_dictionary=True,
            write_statistics=True,
        )

    def write(self, table: pa.Table) -> None:
        """Append ``table`` as one row group; callers fix the borders."""
        self._writer.write_table(table, row_group_size=_ROW_GROUP)

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()


def write_table(path: Path, table: pa.Table) -> None:
    """Write one Arrow table atomically as Parquet."""
    with atomic(path) as temporary:
        writer = ParquetFile(temporary, table.schema)
        try:
            writer.write(table)
        finally:
            writer.close()


def read_table(path: Path, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a Parquet file of the build.

    Raises:
        BuildDirError: the file is missing or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path, columns=list(columns) if columns else None, memory_map=False)
    except (OSError, pa.ArrowException) as error:
        raise BuildDirError(f"cannot read {path}: {error}", "run the build again with --fresh") from error


def read_batches(path: Path, columns: Sequence[str] | None = None, rows: int = 2000) -> Iterator[pa.Table]:
    """A Parquet file of the build in pieces of at most ``rows`` rows, so that memory stays flat.

    Raises:
        BuildDirError: the file is missing or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as reader:
            for batch in reader.iter_batches(batch_size=rows, columns=list(columns) if columns else None):
                yield pa.Table.from_batches([batch])
    except (OSError, pa.ArrowException) as error:
        raise BuildDirError(f"cannot read {path}: {error}", "run the build again with --fresh") from error


def stored_schema(path: Path) -> pa.Schema:
    """The Arrow schema of a Parquet file of the build.

    Raises:
        BuildDirError: the file is missing or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_schema(path)
    except (OSError, pa.ArrowException) as error:
        raise BuildDirError(f"cannot read {path}: {error}", "run the build again with --fresh") from error


def read_count(path: Path) -> int:
    """How many rows a Parquet file of the build holds.

    Raises:
        BuildDirError: the file is missing or damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(path).num_rows)
    except (OSError, pa.ArrowException) as error:
        raise BuildDirError(f"cannot read {path}: {error}", "run the build again with --fresh") from error


# --- parts ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one stage. Its keys are hashes of all that went into a part."""

    folder: Path

    def path(self, key: str) -> Path:
        """Where the kept items of ``key`` lie."""
        return self.folder / f"{key}.parquet"

    def rejects_path(self, key: str) -> Path:
        """Where the ledger entries of ``key`` lie; absent when there are none."""
        return self.folder / f"{key}.rejects.parquet"

    def has(self, key: str) -> bool:
        """Whether the part is done."""
        return self.path(key).exists()

    def write(self, key: str, kept: pa.Table, rejects: Sequence[Reject]) -> None:
        """Store a part: the ledger first, the kept items, which mark it done, last."""
        if rejects:
            write_table(self.rejects_path(key), to_table(rejects, reject_schema()))
        write_table(self.path(key), kept)

    def forget(self, key: str) -> None:
        """Take a part away: what marks it done goes first."""
        self.path(key).unlink(missing_ok=True)
        self.rejects_path(key).unlink(missing_ok=True)

    def kept(self, key: str, columns: Sequence[str] | None = None) -> pa.Table:
        """The kept items."""
        return read_table(self.path(key), columns)

    def rejects(self, key: str) -> pa.Table:
        """The ledger entries."""
        path = self.rejects_path(key)
        return read_table(path) if path.exists() else reject_schema().empty_table()

    def count(self, key: str) -> int:
        """How many items were kept."""
        return read_count(self.path(key))

    def reasons(self, key: str) -> Counter[str]:
        """How many entries of each reason."""
        path = self.rejects_path(key)
        return Counter(read_table(path, ["reason"]).column("reason").to_pylist()) if path.exists() else Counter()


# --- the directory ----------------------------------------------------------------------------------


CACHE_NAME = "llm-cache.sqlite"
"""The cache of replies in ``state/``: all that ``--offline`` needs."""


class BuildDir:
    """An open build directory; only one process holds it at a time."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state = root / "state"
        self.dataset = root / "dataset"
        self.records = root / "records"
        self.rejects = root / "rejects"
        self.manifest = root / "manifest.json"
        self.report = root / "report.html"
        self._lock: int | None = None
        self._started = time.monotonic()

    def parts(self, stage: str) -> Parts:
        """The parts of ``stage``."""
        return Parts(self.state / "parts" / stage)

    def __enter__(self) -> BuildDir:
        """Make, check and lock the directory.

        Raises:
            BuildDirError: it cannot be written, holds something else, or another build runs in it.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self._refuse_foreign()
            self.state.mkdir(exist_ok=True)
            self._lock = os.open(self.state / "lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise wrap_os_error(error, str(self.root)) from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            self._lock = None
            raise BuildDirError(
                f"another build is running in {self.root}", "wait for it, or name another folder with --output"
            ) from None
        try:
            probe = self.state / ".probe"
            write_text(probe, "writable\n")
            probe.unlink()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _refuse_foreign(self) -> None:
        """A folder with other people's files in it is no build directory.

        A build's own has a lock file or a manifest, or holds nothing but the cache of replies that was put there.
        """
        if (self.state / "lock").is_file():
            return
        try:
            if "config_sha256" in read_json(self.manifest):
                return
        except BuildDirError:
            pass
        found = [path.name for path in self.root.iterdir() if not path.name.startswith(".")]
        of_replies = found == ["state"] and all(path.name.startswith(CACHE_NAME) for path in self.state.iterdir())
        if found and not of_replies:  # a build killed at once leaves state/ empty; a replay begins with its cache
            raise BuildDirError(
                f"{self.root} holds other files ({', '.join(sorted(found)[:3])})",
                "name an empty or new folder with --output",
            )

    def forget_parts(self) -> None:
        """Throw away every stage's parts; paid replies are kept elsewhere and stay."""
        try:
            shutil.rmtree(self.state / "parts", ignore_errors=False)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise wrap_os_error(error, str(self.state)) from error

    def keep_only(self, used: Mapping[str, Iterable[str]]) -> None:
        """Delete parts that the finished build does not use: those of older configs and sources."""
        folder = self.state / "parts"
        for stage in sorted(path.name for path in folder.iterdir()) if folder.exists() else []:
            keep = set(used.get(stage, ()))
            for path in (folder / stage).iterdir():
                if path.name.split(".", 1)[0] not in keep:
                    path.unlink(missing_ok=True)

    def event(self, what: str, **values: Any) -> None:
        """Add a line to ``state/events.jsonl``. It tells time; nothing published does."""
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "seconds": round(time.monotonic() - self._started, 3),
            "event": what,
        }
        try:
            with (self.state / "events.jsonl").open("a", encoding="utf-8") as handle:
                handle.write(json.dumps({**line, **values}, ensure_ascii=False) + "\n")
        except OSError as error:
            raise wrap_os_error(error, str(self.state)) from error


def open_build(root: Path) -> dict[str, Any]:
    """The manifest of a finished build.

    Raises:
        BuildDirError: ``root`` is no build, or the build has not finished.
    """
    path = root / "manifest.json"
    if not root.is_dir():
        raise BuildDirError(f"no such folder: {root}", "name the folder that `pedcorpus build` wrote")
    if not path.exists():
        if (root / "state").exists():
            raise BuildDirError(f"{root}: the build has not finished", "run `pedcorpus build` again: it goes on")
        raise BuildDirError(f"{root} is no build directory", "name the folder that `pedcorpus build` wrote")
    return read_json(path)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from disk.

    Raises:
        BuildDirError: missing, damaged, or no object.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BuildDirError(f"cannot read {path}: {error}", "run the build again") from error
    if not isinstance(value, dict):
        raise BuildDirError(f"{path} holds no JSON object", "run the build again")
    return value


def total(parts: Parts, keys: Sequence[str]) -> tuple[int, Counter[str]]:
    """Kept items and reasons over several parts."""
    kept, reasons = 0, Counter[str]()
    for key in keys:
        kept += parts.count(key)
        reasons += parts.reasons(key)
    return kept, reasons
