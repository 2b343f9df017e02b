from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from pedcorpus.llm.limiter import Limiter


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def ran(what: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        await asyncio.wait_for(what(), 10)

    asyncio.run(run())


async def fill(limiter: Limiter) -> list[int]:
    """Take all slots that are free; the epochs of the calls."""
    return [await limiter.acquire() for _ in range(int(limiter.limit) - limiter.in_flight)]


def answer(limiter: Limiter, epochs: list[int]) -> None:
    """Answer the calls one after the other; others take every slot that is free."""
    for epoch in epochs:
        limiter.succeeded(epoch)
        limiter.in_flight = int(limiter.limit)
    limiter.in_flight = 0


def test_slow_start_doubles_up_to_the_most() -> None:
    async def run() -> None:
        limiter = Limiter(64, Clock())
        limits = []
        for _ in range(4):
            limits.append(int(limiter.limit))
            answer(limiter, await fill(limiter))
        assert limits[0] == 16
        assert limits[-1] == 64
        assert limits == sorted(limits)

    ran(run)
    assert Limiter(1).limit == Limiter(3).limit == 1


def test_only_a_full_house_grows() -> None:
    async def run() -> None:
        limiter = Limiter(64, Clock())
        for _ in range(100):
            epoch = await limiter.acquire()
            limiter.succeeded(epoch)
            limiter.release()
        assert limiter.limit == 16

    ran(run)


def test_a_burst_is_one_cut_and_growth_is_slow_after_it() -> None:
    async def run() -> None:
        limiter = Limiter(64, Clock())
        epochs = await fill(limiter)
        for epoch in epochs[:10]:
            limiter.refused(epoch, None)
            limiter.release()
        assert limiter.cuts == 1
        assert limiter.limit == pytest.approx(16 * 0.7)
        for epoch in epochs[10:]:  # begun before the cut: they say nothing about the new limit
            limiter.succeeded(epoch)
            limiter.release()
        assert limiter.limit == pytest.approx(11.2)
        answer(limiter, await fill(limiter))
        assert 12 <= limiter.limit <= 12.3  # a round of successes is one more
        epochs = await fill(limiter)
        limiter.refused(epochs[0], None)
        assert limiter.cuts == 2
        for _ in range(30):
            limiter.refused(limiter.epoch, None)
        assert limiter.limit == 1.0

    ran(run)


def test_retry_after_holds_everybody_and_the_longest_counts() -> None:
    async def run() -> None:
        clock = Clock()
        limiter = Limiter(8, clock)
        first, second = await limiter.acquire(), await limiter.acquire()
        limiter.refused(first, 2.0)
        limiter.refused(second, 0.5)
        limiter.release()
        limiter.release()
        waiting = asyncio.ensure_future(limiter.acquire())
        for clock.now, free in ((100.6, False), (101.9, False), (102.0, True)):
            limiter._wake()
            await asyncio.sleep(0)
            assert waiting.done() is free

    ran(run)


def test_the_wait_ends_by_itself() -> None:
    async def run() -> None:
        limiter = Limiter(40)
        limiter.refused(await limiter.acquire(), 0.05)
        limiter.release()
        began = asyncio.get_running_loop().time()
        await asyncio.gather(limiter.acquire(), limiter.acquire())
        assert asyncio.get_running_loop().time() - began >= 0.049
        assert limiter.in_flight == 2

    ran(run)


def test_first_come_first_served() -> None:
    async def run() -> None:
        limiter = Limiter(4, Clock())
        order: list[int] = []

        async def call(number: int) -> None:
            await limiter.acquire()
            order.append(number)
            await asyncio.sleep(0)
            limiter.release()

        await asyncio.gather(*map(call, range(20)))
        assert order == list(range(20))
        assert limiter.in_flight == 0

    ran(run)


def test_who_leaves_takes_no_slot_along() -> None:
    """Cancelled while waiting, and in the moment between being woken and running on."""

    async def run() -> None:
        limiter = Limiter(4, Clock())
        await limiter.acquire()
        waiting = asyncio.ensure_future(limiter.acquire())
        woken = asyncio.ensure_future(limiter.acquire())
        await asyncio.sleep(0)
        waiting.cancel()
        limiter.release()  # wakes the second
        woken.cancel()
        await asyncio.gather(waiting, woken, return_exceptions=True)
        assert waiting.cancelled() and woken.cancelled()
        assert limiter.in_flight == 0
        await limiter.acquire()

    ran(run)


def test_stop_frees_all_who_wait() -> None:
    async def run() -> None:
        limiter = Limiter(4, Clock())
        await limiter.acquire()
        waiting = [asyncio.ensure_future(limiter.acquire()) for _ in range(5)]
        await asyncio.sleep(0)
        limiter.stop(RuntimeError("over"))
        assert [str(error) for error in await asyncio.gather(*waiting, return_exceptions=True)] == ["over"] * 5
        with pytest.raises(RuntimeError):
            await limiter.acquire()
        limiter.release()
        assert limiter.in_flight == 0

    ran(run)
