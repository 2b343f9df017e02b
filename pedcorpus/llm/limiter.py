"""How many calls may be in flight: found by trying, after TCP's example.

Slow start from a quarter of the most, one more for each success; after the first cut, one more for each round of
successes. Only a full house grows, and only successes of calls begun since the last cut count. A burst of refusals
is one cut: those of calls begun before the cut change nothing, but the longest Retry-After is waited out.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

_CUT = 0.7


class Limiter:
    """Slots for calls to one server and model. ``clock`` tells seconds, for tests."""

    def __init__(self, most: int, clock: Callable[[], float] | None = None) -> None:
        self.most = most
        self.limit = float(max(1, most // 4))
        self.in_flight = 0
        self.cuts = 0
        self.epoch = 0
        self._slow_start = True
        self._until = 0.0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._clock = clock
        self._stopped: BaseException | None = None
        self._timer: asyncio.TimerHandle | None = None

    def _now(self) -> float:
        return self._clock() if self._clock else asyncio.get_running_loop().time()

    def _free(self) -> bool:
        return self.in_flight < int(self.limit) and self._now() >= self._until

    async def acquire(self) -> int:
        """Wait for a slot; returns the epoch that the call belongs to.

        Raises:
            BaseException: the one given to `stop`.
        """
        if self._stopped:
            raise self._stopped
        if self._waiting or not self._free():
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            self._wake()
            try:
                await waiter  # whoever wakes it has counted it in
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                    self.release()
                raise
        else:
            self.in_flight += 1
        return self.epoch

    def release(self) -> None:
        """The call is over."""
        self.in_flight -= 1
        self._wake()

    def succeeded(self, epoch: int) -> None:
        """A call of ``epoch`` was answered; told before its slot is released."""
        if epoch != self.epoch or self.in_flight < int(self.limit) or self.limit >= self.most:
            return
        self.limit = min(float(self.most), self.limit + (1.0 if self._slow_start else 1.0 / self.limit))

    def refused(self, epoch: int, retry_after: float | None) -> None:
        """The server said that it is too much; ``retry_after`` is in seconds."""
        if retry_after:
            self._until = max(self._until, self._now() + retry_after)
        if epoch == self.epoch:
            self.limit = max(1.0, self.limit * _CUT)
            self.cuts += 1
            self.epoch += 1
            self._slow_start = False

    def stop(self, error: BaseException) -> None:
        """Nobody gets a slot any more."""
        self._stopped = error
        if self._timer:
            self._timer.cancel()
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_exception(error)

    def _wake(self) -> None:
        now = self._now()
        if now < self._until:
            if self._waiting and self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(self._until - now, self._resume)
            return
        while self._waiting and self.in_flight < int(self.limit):
            waiter = self._waiting.popleft()
            if not waiter.done():
                self.in_flight += 1
                waiter.set_result(None)

    def _resume(self) -> None:
        self._timer = None
        self._wake()
