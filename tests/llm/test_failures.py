from __future__ import annotations

import time
from email.utils import formatdate
from typing import Any

import httpx2
import openai
import pytest

from pedcorpus.llm.asking import CallFailedError
from pedcorpus.llm.failures import Failure, failure_of, retry_after
from pedcorpus.llm.patience import HopelessError, Patience


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
    patience = Patience(60, clock)
    clock.now = 5000  # all came from the cache up to now
    assert patience.after(Failure("rate", "HTTP 429"), 0) == 0
    clock.now += 599
    assert patience.after(Failure("overload", "HTTP 503"), 0) == 0
    clock.now += 2
    with pytest.raises(HopelessError, match="no reply for 601 s"):
        patience.after(Failure("rate", "HTTP 429"), 0)
    patience.succeeded()
    assert patience.after(Failure("rate", "HTTP 429"), 0) == 0


def test_tries_are_for_what_may_be_the_request_s_own_fault() -> None:
    patience = Patience(60, Clock())
    patience.succeeded()
    for kind in ("server", "timeout", "broken"):
        assert patience.after(Failure(kind, "x"), 0) == 1
    for _ in range(50):
        assert patience.after(Failure("unreachable", "x"), 0) == 0
    for _ in range(50):
        with pytest.raises(CallFailedError, match=r"generate\.request"):
            patience.after(Failure("request", "x"), 0)
    for _ in range(7):
        assert patience.after(Failure("server", "x"), 5) == 1
    with pytest.raises(HopelessError):
        patience.after(Failure("server", "x"), 5)
