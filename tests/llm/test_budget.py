from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pedcorpus.llm.budget import Budget, BudgetReachedError

CENTS = st.integers(min_value=0, max_value=60).map(lambda cents: Decimal(cents) / 100)


def test_a_reservation_waits_while_one_is_held() -> None:
    async def run() -> None:
        budget = Budget(Decimal(1), Decimal("0.2"))
        await budget.reserve(Decimal("0.5"))
        waiting = [asyncio.ensure_future(budget.reserve(Decimal("0.4"))) for _ in range(2)]
        await asyncio.sleep(0.01)
        assert not any(task.done() for task in waiting)
        budget.settle(Decimal("0.5"), Decimal("0.1"))  # 0.3 spent: one fits, the other waits for it
        await asyncio.sleep(0.01)
        assert [task.done() for task in waiting] == [True, False]
        budget.settle(Decimal("0.4"), Decimal("0.4"))
        with pytest.raises(BudgetReachedError, match=r"budget of 1 USD is reached: 0\.7000 USD spent") as caught:
            await waiting[1]
        assert caught.value.exit_code == 3
        assert "--budget" in caught.value.hint
        await budget.reserve(Decimal(0))  # what costs nothing is no matter of money
        await budget.reserve(Decimal("0.3"))  # to the cent

    asyncio.run(run())


def test_no_cap_and_one_that_is_passed_already() -> None:
    async def run() -> None:
        await Budget(None, Decimal(10**9)).reserve(Decimal(10**9))
        over = Budget(Decimal("0.5"), Decimal("0.6"))
        await over.reserve(Decimal(0))
        with pytest.raises(BudgetReachedError):
            await over.reserve(Decimal("0.000001"))

    asyncio.run(run())


def test_who_leaves_while_waiting_holds_nothing() -> None:
    async def run() -> None:
        budget = Budget(Decimal(1), Decimal(0))
        await budget.reserve(Decimal(1))
        leaver, stayer = (asyncio.ensure_future(budget.reserve(Decimal(1))) for _ in range(2))
        await asyncio.sleep(0)
        leaver.cancel()
        budget.settle(Decimal(1), Decimal(0))
        await asyncio.wait_for(stayer, 1)
        assert leaver.cancelled()
        assert budget.reserved == 1

    asyncio.run(run())


@given(st.lists(st.tuples(CENTS, st.integers(0, 100), st.booleans()), max_size=40), st.randoms(use_true_random=False))
def test_the_cap_holds_in_any_order_and_nobody_waits_for_ever(
    calls: list[tuple[Decimal, int, bool]], chance: object
) -> None:
    """Each call reserves, works for a while, and costs a share of what it reserved; some are cancelled on the way."""
    cap = Decimal(1)

    async def run() -> None:
        budget = Budget(cap, Decimal(0))
        ended: list[str] = []

        async def call(most: Decimal, share: int, steps: int) -> None:
            try:
                await budget.reserve(most)
            except BudgetReachedError:
                ended.append("refused")
                return
            cost = most
            try:
                assert budget.spent + budget.reserved <= cap
                for _ in range(steps):
                    await asyncio.sleep(0)
                cost = most * share / 100
            finally:
                budget.settle(most, cost)
                assert budget.spent + budget.reserved <= cap
            ended.append("done")

        tasks = [
            asyncio.ensure_future(call(most, share, chance.randrange(6)))  # type: ignore[attr-defined]
            for most, share, _ in calls
        ]
        for task, (_, _, leaves) in zip(tasks, calls, strict=True):
            if leaves:
                await asyncio.sleep(0)
                task.cancel()
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
        assert budget.reserved == 0
        assert budget.spent <= cap
        assert len(ended) + sum(task.cancelled() for task in tasks) == len(tasks)

    asyncio.run(run())
