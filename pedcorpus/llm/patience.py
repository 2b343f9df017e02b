"""How long a server is borne with: what each failure costs a call, and when to stop asking at all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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
"""Calls in a row whose tries are used up that show a server which fails them all; fewer are at fault themselves."""
_REFUSALS = 20
"""Times that a server may say "later" to one call alone."""


class HopelessError(Exception):
    """Nothing will come of asking on. ``hint`` may name ``{role}``, the config's section, and ``{key}``."""

    def __init__(self, detail: str, hint: str) -> None:
        super().__init__(detail)
        self.hint = hint


@dataclass(slots=True, eq=False)
class Course:
    """One call from its beginning to its end."""

    answered: int = 0
    put_off: int = 0
    """How often the place had answered, and had said "later", when this call began or was last told so."""
    tries: int = 0
    refusals: int = 0
    """How often the server said "later" to it alone."""


class Patience:
    """What calls to one server and model have met.

    ``most`` of them may be in flight. ``proven`` says that the place has given a whole reply before, in whatever run.
    ``clock`` tells seconds, for tests.
    """

    def __init__(
        self, timeout: float, most: int = 1, proven: bool = False, clock: Callable[[], float] = monotonic
    ) -> None:
        self.answered = 0
        self.proven = proven
        self._timeout = timeout
        self._most = most
        self._clock = clock
        self._failures: Counter[str] = Counter()
        self._courses: set[Course] = set()
        self._lost_in_a_row = 0
        self._trouble_since: float | None = None

    @contextmanager
    def course(self) -> Iterator[Course]:
        """A call that is under way."""
        made = Course(self.answered, self._put_off)
        self._courses.add(made)
        try:
            yield made
        finally:
            self._courses.discard(made)

    @property
    def answers(self) -> bool:
        """Whether the place is known to answer, so that a request which gets nothing may be at fault itself."""
        return self.proven or self.answered > 0

    def succeeded(self) -> None:
        """A call was answered."""
        self.answered += 1
        self._lost_in_a_row = 0
        self._trouble_since = None

    def after(self, failure: Failure, course: Course) -> None:
        """Note the ``failure`` of a call, which may cost it one of its tries.

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
            if not self.answers and self._failures["request"] >= _HOPELESS:
                raise HopelessError(
                    failure.detail,
                    "the server refuses every request: see {role}.model, and whether it takes json_schema",
                )
            raise CallFailedError("generate.request", failure.detail)
        if failure.kind == "parameter":
            return
        if failure.kind in ("rate", "overload"):
            self._refuse(failure, course)
        self._bear(failure)
        if failure.kind in ("server", "timeout", "broken"):
            self._lose(failure, course)

    @property
    def _put_off(self) -> int:
        return self._failures["rate"] + self._failures["overload"]

    def _refuse(self, failure: Failure, course: Course) -> None:
        """Count a "later" to this call alone: most others were answered meanwhile, or there are hardly any."""
        answered, put_off = self.answered - course.answered, self._put_off - course.put_off - 1
        course.refusals += answered > put_off or self._hardly_any()
        course.answered, course.put_off = self.answered, self._put_off
        if course.refusals >= _REFUSALS:
            raise CallFailedError("generate.unanswered", f"{failure.detail} ({course.refusals} refusals)")

    def _hardly_any(self) -> bool:
        """Whether so few calls are under way, at a place that answers, that each of them may be at fault itself."""
        return self.answers and len(self._courses) <= min(self._most, _LOST - 1)

    def _lose(self, failure: Failure, course: Course) -> None:
        course.tries += 1
        self._lost_in_a_row += course.tries >= TRIES
        lost = sum(self._failures[kind] for kind in ("server", "timeout", "broken"))
        fails_all = (not self.answers and lost >= 2 * TRIES) or self._lost_in_a_row >= _LOST
        # quick failures tell nothing of slow calls that have not failed yet; a time-out had all their time
        if fails_all and (failure.kind == "timeout" or all(one.tries for one in self._courses)):
            raise HopelessError(failure.detail, "see whether the server is well and {role}.base_url is right")

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
            said = f"{failure.detail}; no reply for {silent:.0f} s"
            if self._hardly_any():
                raise CallFailedError("generate.unanswered", said)
            raise HopelessError(said, "see whether the server is well, and run again")
        elif failure.retry_after is not None and failure.retry_after > _LATER:
            raise HopelessError(
                f"{failure.detail}; it asks to wait {failure.retry_after:.0f} s",
                "run the same command then: it goes on where it stopped",
            )
