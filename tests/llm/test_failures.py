from __future__ import annotations

import time
from contextlib import ExitStack, nullcontext
from email.utils import formatdate
from typing import Any

import httpx2
import openai
import pytest

from pedcorpus.llm.asking import CallFailedError
from pedcorpus.llm.failures import Failure, failure_of, retry_after
from pedcorpus.llm.patience import Course, HopelessError, Patience
from pedcorpus.llm.reading import ErrorBodyError


def status(code: int, body: Any = None, **headers: str) -> Failure:
    asked = httpx2.Request("POST", "http://127.0.0.1/v1")
    answer = httpx2.Response(code, request=asked, headers=headers)
    return failure_of(openai.APIStatusError("said", response=answer, body=body))


@pytest.mark.parametrize(
    ("code", "body", "kind", "billed"),
    [
        (429, None, "rate", False),
        (429, {"error": {"code": "insufficient_quota", "message": "pay"}}, "fatal", False),
        (429, {"error": {"type": "insufficient_quota", "code": None}}, "fatal", False),
        (429, {"error": {"message": "Request too large for m on tokens per min (TPM)"}}, "request", False),
        (503, "<html>", "overload", False),
        (502, None, "overload", False),
        (504, None, "timeout", True),
        (524, None, "timeout", True),
        (500, None, "server", False),
        (408, None, "server", False),
        (401, None, "fatal", False),
        (402, {"error": "no money"}, "fatal", False),
        (405, None, "fatal", False),
        (501, None, "fatal", False),
        (302, None, "fatal", False),
        (400, None, "request", False),
        (413, [], "request", False),
        (422, {"detail": "x"}, "request", False),
        (400, {"error": {"code": "content_filter"}}, "filter", False),
        (400, {"code": 400, "message": "use max_completion_tokens"}, "parameter", False),
    ],
)
def test_what_a_status_means(code: int, body: object, kind: str, billed: bool) -> None:
    found = status(code, body)
    assert (found.kind, found.billed) == (kind, billed)
    assert found.detail.startswith(f"HTTP {code}")


@pytest.mark.parametrize(
    ("error", "kind", "billed"),
    [
        ({"code": 429, "message": "slow down"}, "rate", False),
        ({"code": "503"}, "overload", False),
        ({"code": 504}, "timeout", True),
        ({"code": 401}, "fatal", False),
        ({"code": 400, "message": "too long"}, "request", False),
        ({"code": "content_filter"}, "filter", False),
        ({"code": "insufficient_quota"}, "fatal", False),
        ({"type": "rate_limit_error", "code": None}, "rate", False),
        ("Rate limit reached", "rate", False),
        ({"code": 1302, "message": "x"}, "server", False),
        ("worker died", "server", False),
    ],
)
def test_what_an_error_with_status_200_means(error: object, kind: str, billed: bool) -> None:
    found = failure_of(ErrorBodyError({"error": error}))
    assert (found.kind, found.billed) == (kind, billed)
    assert kind == "fatal" or found.detail.startswith("HTTP 200 with error")


def test_a_message_is_short_and_can_be_written() -> None:
    found = status(400, {"error": {"message": "\ud800" + "长" * 9000, "code": "\udfff"}})
    found.detail.encode()
    assert len(found.detail) < 300


def test_retry_after_in_all_forms() -> None:
    assert retry_after({}) is None
    assert retry_after({"retry-after": "3"}) == 3
    assert retry_after({"retry-after-ms": "250", "retry-after": "9"}) == 0.25
    assert retry_after({"retry-after-ms": "soon", "retry-after": "9"}) == 9
    later = retry_after({"retry-after": formatdate(time.time() + 30, usegmt=True)})
    assert later is not None and 28 <= later <= 30
    bare = time.strftime("%a, %d %b %Y %H:%M:%S -0000", time.gmtime(time.time() + 30))
    later = retry_after({"retry-after": bare})
    assert later is not None and 28 <= later <= 30
    assert retry_after({"retry-after": formatdate(0, usegmt=True)}) == 0
    for odd in ("", "soon", "a, b", "nan", "inf", "Fri, 99 Foo 2026 00:00:00 GMT"):
        assert retry_after({"retry-after": odd}) is None


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_server_that_says_later_is_borne_with_for_ten_minutes() -> None:
    clock = Clock()
    patience = Patience(60, clock=clock)
    clock.now = 5000  # all came from the cache up to now
    call = Course()
    patience.after(Failure("rate", "HTTP 429"), call)
    clock.now += 599
    for _ in range(50):
        patience.after(Failure("overload", "HTTP 503"), call)
    clock.now += 2
    with pytest.raises(HopelessError, match="no reply for 601 s"):
        patience.after(Failure("rate", "HTTP 429"), call)
    patience.succeeded()
    patience.after(Failure("rate", "HTTP 429"), call)
    assert not call.tries


def test_a_server_that_says_later_to_one_call_alone() -> None:
    """While it answers most others, or once nothing else is left; never while it puts everybody off."""
    patience = Patience(60, most=64, clock=Clock())
    later = Failure("rate", "HTTP 429")
    with ExitStack() as stack:
        calls = [stack.enter_context(patience.course()) for _ in range(8)]
        for _ in range(50):
            patience.succeeded()  # few are answered, and all the others wait
            for call in calls:
                patience.after(later, call)
        assert [call.refusals for call in calls] == [1] + [0] * 7
        for _ in range(18):
            patience.after(later, calls[1])
            for _ in range(9):
                patience.succeeded()
            patience.after(later, calls[0])
        assert calls[0].refusals == 19
        patience.succeeded()
        with pytest.raises(CallFailedError, match=r"generate\.unanswered: HTTP 429 \(20 refusals\)"):
            patience.after(later, calls[0])
    with patience.course() as alone:
        for _ in range(19):
            patience.after(later, alone)
        with pytest.raises(CallFailedError, match=r"generate\.unanswered"):
            patience.after(later, alone)


@pytest.mark.parametrize("kind", ["rate", "timeout"])
def test_the_last_calls_of_a_place_that_answers_fail_alone_after_ten_minutes(kind: Any) -> None:
    clock = Clock()
    patience = Patience(60, most=64, proven=True, clock=clock)
    with patience.course() as last:
        patience.after(Failure(kind, "x"), last)
        clock.now += 601
        with pytest.raises(CallFailedError, match=r"generate\.unanswered: x; no reply for 601 s"):
            patience.after(Failure(kind, "x"), last)


def test_tries_are_for_what_may_be_the_request_s_own_fault() -> None:
    patience = Patience(60, clock=Clock())
    patience.succeeded()
    call = Course()
    for kind in ("server", "timeout", "broken"):
        patience.after(Failure(kind, "x"), call)
    assert call.tries == 3
    for _ in range(50):
        patience.after(Failure("unreachable", "x"), call)
    for _ in range(50):
        with pytest.raises(CallFailedError, match=r"generate\.request"):
            patience.after(Failure("request", "x"), call)
    assert call.tries == 3
    for _ in range(7):
        patience.after(Failure("server", "x"), Course(tries=5))
    with pytest.raises(HopelessError):
        patience.after(Failure("server", "x"), Course(tries=5))


@pytest.mark.parametrize(("kind", "given_up"), [("server", False), ("broken", False), ("timeout", True)])
def test_quick_failures_tell_nothing_of_calls_on_their_way(kind: Any, given_up: bool) -> None:
    patience = Patience(60, most=64, clock=Clock())
    with patience.course() as slow:
        with pytest.raises(HopelessError) if given_up else nullcontext():
            for _ in range(30):
                patience.after(Failure(kind, "x"), Course())
        with pytest.raises(HopelessError):
            patience.after(Failure(kind, "x"), slow)


def test_a_place_that_gave_a_whole_reply_once_takes_requests() -> None:
    proven, fresh = Patience(60, proven=True), Patience(60)
    for _ in range(7):
        for patience in (proven, fresh):
            with pytest.raises(CallFailedError, match=r"generate\.request"):
                patience.after(Failure("request", "HTTP 400"), Course())
    with pytest.raises(CallFailedError, match=r"generate\.request"):
        proven.after(Failure("request", "HTTP 400"), Course())
    with pytest.raises(HopelessError):
        fresh.after(Failure("request", "HTTP 400"), Course())
