"""The local engine: a process pool that streams, with a bounded number of tasks in flight."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from types import TracebackType
from typing import TypeVar

from pedcorpus.errors import WorkerError

Task = TypeVar("Task")
Result = TypeVar("Result")


class LocalEngine:
    """Runs top-level functions on tasks, in ``workers`` processes, or right here when there is one."""

    def __init__(self, workers: int) -> None:
        self.workers = max(1, workers)
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> LocalEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(wait=kind is None, cancel_futures=True)
            self._pool = None

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        """(index, result) of every task as they end, in no order. A task's exception ends the map.

        Raises:
            WorkerError: a worker process died.
        """
        if self.workers == 1 or len(tasks) < 2:
            for index, task in enumerate(tasks):
                yield index, function(task)
            return
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                self.workers, mp_context=get_context("spawn"), initializer=_start_worker, initargs=(os.getpid(),)
            )
        running: dict[Future[Result], int] = {}
        waiting = iter(enumerate(tasks))
        try:
            while True:
                while len(running) < 2 * self.workers:
                    following = next(waiting, None)
                    if following is None:
                        break
                    running[self._pool.submit(function, following[1])] = following[0]
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()
        except BrokenProcessPool as error:
            raise WorkerError(
                "a worker process died, most likely because memory ran out",
                "run again with fewer --workers; finished parts are kept",
            ) from error
        finally:
            for future in running:
                future.cancel()


def _start_worker(parent: int) -> None:
    """A worker leaves Ctrl-C to its parent and ends when the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
