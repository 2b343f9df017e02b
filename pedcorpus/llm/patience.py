"""How long a server is borne with: what each failure costs a call, and when to stop asking at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from time import monotonic

from pedcorpus.llm.asking import CallFailedError
from pedcorpus.llm.failures import Failure

TRIES = 6
"""Of a call that the server fails, loses or never answers."""
_LATER = 600.0
"""Seconds without any reply after which a server that says "later" is taken for one that never will."""
_GONE = 300.0
"""Seconds that a server which has answered may be out of reach: time to start it again."""
_NOT_THERE = 4
"""Calls that could not be sent, with none answered before, that show an address where no server is."""
_HOPELESS = 8
"""Requests refused as malformed, with none answered, that show a server which cannot be asked so."""
_LOST = 8
"""Calls in a row whose tries are used up that show a server which fails them all."""


class HopelessError(Exception):
    """Nothing will come of asking on. ``hint`` may name ``{role}``, the config's section, and ``{key}``."""

    def __init__(self, detail: str, hint: str) -> None:
        super().__init__(detail)
        self.hint = hint


class Patience:
    """What calls to one server and model have met. ``clock`` tells seconds, for tests."""

    def __init__(self, timeout: float, clock: Callable[[], float] = monotonic) -> None:
        self.answered = 0
        self._timeout = timeout
        self._clock = clock
        self._failures: Counter[str] = Counter()
        self._lost_in_a_row = 0
        self._trouble_since: float | None = None

    def succeeded(self) -> None:
        """A call was answered."""
        self.answered += 1
        self._lost_in_a_row = 0
        self._trouble_since = None

    def after(self, failure: Failure, tries: int) -> int:
        """How many of its tries ``failure`` costs a call that has used ``tries``.

        Raises:
            CallFailedError: this request will never be answered.
            HopelessError: no request will.
        """
        self._failures[failure.kind] += 1
        if failure.kind == "fatal":
            raise HopelessError(failure.detail, "see {role}.base_url, {role}.model and {key}")
        if failure.kind == "filter":
            raise CallFailedError("generate.refused", failure.detail)
        if failure.kind == "request":
            if not self.answered and self._failures["request"] >= _HOPELESS:
                raise HopelessError(
                    failure.detail,
                    "the server refuses every request: see {role}.model, and whether it takes json_schema",
                )
            raise CallFailedError("generate.request", failure.detail)
        if failure.kind == "parameter":
            return 0
        self._bear(failure)
        if failure.kind in ("rate", "overload", "unreachable"):
            return 0
        lost = sum(self._failures[kind] for kind in ("server", "timeout", "broken"))
        self._lost_in_a_row += tries + 1 >= TRIES
        if (not self.answered and lost >= 2 * TRIES) or self._lost_in_a_row >= _LOST:
            raise HopelessError(failure.detail, "see whether the server is well and {role}.base_url is right")
        return 1

    def _bear(self, failure: Failure) -> None:
        now = self._clock()
        if self._trouble_since is None:
            self._trouble_since = now
        silent = now - self._trouble_since
        if failure.kind == "unreachable":
            gone = silent > _GONE if self.answered else self._failures["unreachable"] >= _NOT_THERE
            if gone:
                raise HopelessError(failure.detail, "see whether the server runs and {role}.base_url is right")
        elif silent > max(_LATER, 3 * self._timeout):
            raise HopelessError(
                f"{failure.detail}; no reply for {silent:.0f} s", "see whether the server is well, and run again"
            )
        elif failure.retry_after is not None and failure.retry_after > _LATER:
            raise HopelessError(
                f"{failure.detail}; it asks to wait {failure.retry_after:.0f} s",
                "run the same command then: it goes on where it stopped",
            )
