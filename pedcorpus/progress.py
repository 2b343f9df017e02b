"""How far a build is: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from pedcorpus.run import Progress

if TYPE_CHECKING:
    from rich.progress import TaskID


@contextlib.contextmanager
def progress_for(stream: TextIO) -> Iterator[Progress]:
    """Bars when ``stream`` is a terminal, else lines."""
    if not stream.isatty():
        yield _Lines(stream)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    with Bars(
        TextColumn("{task.description:<14}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    ) as bars:
        yield _Bars(bars)


_NOTE_EVERY = 10.0
"""Seconds between two lines about calls, where there is no terminal to write over."""


class _Lines:
    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._began = time.monotonic()
        self._noted = 0.0

    def start(self, stage: str, total: int) -> None:
        """A stage begins."""

    def advance(self, stage: str) -> None:
        """One part is done."""

    def finish(self, stage: str, kept: int, rejected: int) -> None:
        """A line for a stage that the manifest counts."""
        seconds = time.monotonic() - self._began
        print(f"{seconds:7.1f} s  {stage:<14} kept {kept:>9,}  rejected {rejected:>9,}", file=self._stream, flush=True)

    def note(self, stage: str, text: str) -> None:
        """A line now and then."""
        seconds = time.monotonic() - self._began
        if seconds - self._noted >= _NOTE_EVERY:
            self._noted = seconds
            print(f"{seconds:7.1f} s  {stage:<14} {text}", file=self._stream, flush=True)


class _Bars:
    def __init__(self, bars: object) -> None:
        from rich.progress import Progress as Bars

        assert isinstance(bars, Bars)
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def start(self, stage: str, total: int) -> None:
        """A bar for a stage with something to do."""
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=max(total, 1), note="")
        else:
            self._bars.reset(self._tasks[stage], total=max(total, 1))
        if not total:
            self._bars.update(self._tasks[stage], completed=1)

    def advance(self, stage: str) -> None:
        """One step."""
        self._bars.advance(self._tasks[stage])

    def finish(self, stage: str, kept: int, rejected: int) -> None:
        """What came of the stage."""
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=1, completed=1, note="")
        self._bars.update(self._tasks[stage], note=f"kept {kept:,}, rejected {rejected:,}")

    def note(self, stage: str, text: str) -> None:
        """Beside the stage's bar."""
        self._bars.update(self._tasks[stage], note=text)
