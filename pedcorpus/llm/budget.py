"""Money: reserved before a call, settled after it, never passed."""

from __future__ import annotations

import asyncio
from decimal import Decimal

from pedcorpus.errors import PedcorpusError


class BudgetReachedError(PedcorpusError):
    """The next call might pass the cap. Everything paid is kept, and the same command goes on with a larger one."""

    exit_code = 3


class Budget:
    """What was spent and what calls in flight may cost at most, in USD.

    ``spent`` counts what earlier runs of the build spent. A reservation that does not fit waits while calls are in
    flight, since most of them will cost less than they reserved; when none is, the cap is reached. What costs nothing
    always fits.
    """

    def __init__(self, cap: Decimal | None, spent: Decimal) -> None:
        self.cap = cap
        self.spent = spent
        self.reserved = Decimal(0)
        self._held = 0
        self._waiting: list[asyncio.Future[None]] = []

    async def reserve(self, amount: Decimal) -> None:
        """Set ``amount`` aside.

        Raises:
            BudgetReachedError: it does not fit, and no call in flight can make room.
        """
        while self.cap is not None and amount and self.spent + self.reserved + amount > self.cap:
            if not self._held:
                raise BudgetReachedError(
                    f"the budget of {self.cap} USD is reached: {self.spent:.4f} USD spent, and the next call may cost "
                    f"{amount:.4f} USD",
                    "everything paid is kept: run the same command with a larger --budget, or raise llm.budget_usd",
                )
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter
        self.reserved += amount
        self._held += amount > 0

    def settle(self, reserved: Decimal, cost: Decimal) -> None:
        """A reserved call is over and cost ``cost``."""
        self.reserved -= reserved
        self._held -= reserved > 0
        self.spent += cost
        waiting, self._waiting = self._waiting, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)
