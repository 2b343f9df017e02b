"""One reviewer's decision file while the page is open: appended to, synced, locked, and healed after a crash."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import threading
from pathlib import Path

from pedcorpus.builddir import sync_folder
from pedcorpus.errors import PedcorpusError, wrap_os_error
from pedcorpus.records import digest
from pedcorpus.review.decisions import Decision, explain_line, parse_line

_LONGEST_NAME = 60


def check_name(name: str) -> str:
    """A reviewer's name or code as it is stored.

    Raises:
        PedcorpusError: it is empty, too long, or holds control characters.
    """
    name = name.strip()
    if not 0 < len(name) <= _LONGEST_NAME or not name.isprintable():
        raise PedcorpusError(
            f"a reviewer's name has 1 to {_LONGEST_NAME} printable characters", "a short name or a code will do"
        )
    return name


class StaleError(Exception):
    """Another tab has decided on the row since this one was shown."""

    def __init__(self, newer: Decision, number: int) -> None:
        super().__init__(newer.row_id)
        self.newer = newer
        self.number = number


def default_path(build: Path, reviewer: str) -> Path:
    """``reviews/REVIEWER.jsonl`` beside the build directory, where no build and no clean-up of one deletes it."""
    safe = re.sub(r"[^\w-]+", "_", reviewer)[:_LONGEST_NAME]
    if safe != reviewer:
        safe = f"{safe}-{digest(reviewer, length=8)}"
    return build.resolve().parent / "reviews" / f"{safe}.jsonl"


class Journal:
    """A decision file held open by one process for one reviewer. Lines of others in it are left alone and not shown."""

    def __init__(self, path: Path, reviewer: str) -> None:
        """Open, lock and heal the file.

        Raises:
            PedcorpusError: another process holds it, it cannot be written, or a line of it is no decision.
        """
        self.path = path
        self.reviewer = reviewer
        self.healed = 0
        """Bytes of a cut last line that were moved to ``NAME.torn``."""
        self.recent: str | None = None
        """The row that was decided last."""
        self._guard = threading.Lock()
        self._history: dict[str, list[Decision]] = {}
        self._requests: dict[str, Decision] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise wrap_os_error(error, str(path)) from error
        try:
            self._lock()
            self._load()
            sync_folder(path.parent)
        except OSError as error:
            self.close()
            raise wrap_os_error(error, str(path)) from error
        except BaseException:
            self.close()
            raise

    def _lock(self) -> None:
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PedcorpusError(
                f"another `pedcorpus review` is writing {self.path}",
                "use that one, or name another file with --decisions",
            ) from None

    def _load(self) -> None:
        data = self.path.read_bytes()
        whole = data.rfind(b"\n") + 1
        tail = data[whole:]
        for number, line in enumerate(data[:whole].split(b"\n")[:-1], 1):
            try:
                self._remember(parse_line(line))
            except ValueError as error:
                raise PedcorpusError(
                    f"{self.path}, line {number}: {explain_line(error)}", "mend the line, or name another file"
                ) from None
        if tail:
            self._heal(tail, whole)

    def _heal(self, tail: bytes, whole: int) -> None:
        """A line that lacks its end: whole, it gets one; else it goes to another file, for no page ever confirmed it."""
        try:
            decision = parse_line(tail)
        except ValueError:
            torn = self.path.with_name(self.path.name + ".torn")
            with torn.open("ab") as aside:
                aside.write(tail + b"\n")
                aside.flush()
                os.fsync(aside.fileno())
            os.ftruncate(self._handle, whole)
            self.healed = len(tail)
        else:
            self._write(b"\n")
            self._remember(decision)
        os.fsync(self._handle)

    def _remember(self, decision: Decision) -> None:
        if decision.reviewer == self.reviewer:
            self._history.setdefault(decision.row_id, []).append(decision)
            self.recent = decision.row_id
            if decision.request:
                self._requests[decision.request] = decision

    def last(self, row_id: str) -> Decision | None:
        """This reviewer's decision on a row."""
        history = self._history.get(row_id)
        return history[-1] if history else None

    def number(self, row_id: str) -> int:
        """How often this reviewer has decided on a row: the page sends it back, so that a stale tab is noticed."""
        return len(self._history.get(row_id, ()))

    def count(self) -> int:
        """Rows that this reviewer has decided."""
        return len(self._history)

    def add(self, decision: Decision, seen: int) -> None:
        """Put a decision on disk; when this returns it is there. The same request again changes nothing.

        Raises:
            StaleError: the reviewer has decided on the row since ``seen``.
            PedcorpusError: the disk refused; nothing of the line is left.
        """
        with self._guard:
            if decision.request and decision.request in self._requests:
                return
            number = self.number(decision.row_id)
            if seen < number:
                raise StaleError(self._history[decision.row_id][-1], number)
            end = None
            try:
                end = os.fstat(self._handle).st_size
                self._write(decision.model_dump_json(exclude_none=True).encode("utf-8") + b"\n")
                os.fsync(self._handle)
            except OSError as error:
                if end is not None:
                    with contextlib.suppress(OSError):
                        os.ftruncate(self._handle, end)
                raise wrap_os_error(error, str(self.path)) from error
            self._remember(decision)

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._handle, data) :]

    def close(self) -> None:
        """Let go of the file, after a line that is being written."""
        with self._guard:
            if self._handle >= 0:
                os.close(self._handle)
                self._handle = -1
