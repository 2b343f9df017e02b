"""What went wrong with a call, and what to do about it."""

from __future__ import annotations

import email.utils
import math
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Literal

from pedcorpus.llm.reading import ErrorBodyError, UnreadableError, well_formed

Kind = Literal[
    "rate", "overload", "server", "timeout", "broken", "unreachable", "request", "filter", "parameter", "fatal"
]


@dataclass(frozen=True, slots=True)
class Failure:
    """A failed call.

    ``rate`` and ``overload`` slow all calls down and are waited out, and so is ``unreachable``, a server that nothing
    could be sent to; ``server``, ``timeout`` and ``broken`` (a reply that broke off or cannot be read) are tried again;
    ``request`` and ``filter`` are this request's own; ``parameter`` is one the server calls by another name; ``fatal``
    stops the build. ``billed`` says that the server may have done the work, so that the reservation counts as spent.
    """

    kind: Kind
    detail: str
    retry_after: float | None = None
    billed: bool = False


_NO_MONEY = frozenset(
    {
        "insufficient_quota",
        "insufficient_user_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "exceeded_current_quota_error",
    }
)
"""Codes that a 429 has where waiting does not help."""
_FILTERED = frozenset({"content_filter", "content_policy_violation"})
_TOO_LARGE = re.compile(r"request (?:is )?too large|tokens must be reduced", re.IGNORECASE)
"""What a 429 says of a request that no waiting makes small enough."""
_LATER = re.compile(r"rate.?limit|too.?many|overload|busy|capacity|throttl|unavailable", re.IGNORECASE)
_DETAIL = 200


def failure_of(error: Exception) -> Failure:
    """What an exception of the ``openai`` package or of what it stands on means."""
    import aiohttp
    import openai

    if isinstance(error, openai.APIStatusError):
        return _of_status(int(error.status_code), error.body, error.response.headers)
    if isinstance(error, ErrorBodyError):
        return _of_status(status_in(error.body), error.body, {}, "HTTP 200 with error")
    if isinstance(error, UnreadableError):
        return Failure("broken", str(error), billed=True)
    causes = list(_causes(error))
    # The names that httpx gives to failures of aiohttp are not to be trusted: both a refused and a lost connection are
    # a time-out of connecting there. Whether the request was sent decides about money, so the first cause is looked at.
    for cause in causes:
        if isinstance(cause, aiohttp.ClientConnectorError):
            return Failure("unreachable", f"cannot connect: {cause.os_error.strerror or cause.os_error}"[:_DETAIL])
        if isinstance(cause, aiohttp.ConnectionTimeoutError):
            return Failure("unreachable", "cannot connect: no answer")
        if isinstance(cause, aiohttp.ClientSSLError | aiohttp.ClientHttpProxyError | aiohttp.InvalidURL):
            return Failure("unreachable", f"cannot connect: {type(cause).__name__}: {cause}"[:_DETAIL])
    if any(isinstance(cause, TimeoutError) for cause in causes):
        return Failure("timeout", "no whole answer in time", billed=True)
    return Failure("broken", f"connection lost: {type(causes[-1]).__name__}", billed=True)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """``error`` and what it came from, the first cause last."""
    while error is not None:
        yield error
        error = error.__cause__


def status_in(body: object) -> int:
    """The HTTP status that the error in ``body`` should have come with: its code, or what its words stand for."""
    code, said = _said(body)
    if re.fullmatch(r"[45]\d\d", code):
        return int(code)
    if code in _FILTERED:
        return 400
    return 429 if code in _NO_MONEY or _LATER.search(f"{code} {said}") else 500


def _of_status(status: int, body: object, headers: Mapping[str, str], head: str = "") -> Failure:
    code, said = _said(body)
    after = retry_after(headers)
    detail = f"{head or f'HTTP {status}'}{f' {code}' if code else ''}{f': {said[:_DETAIL]}' if said else ''}"
    if status == 429:
        if _TOO_LARGE.search(said):
            return Failure("request", detail)
        return Failure("fatal", detail) if code in _NO_MONEY else Failure("rate", detail, after)
    if status in (504, 524):  # a proxy that gave up on a server which may be at it still
        return Failure("timeout", detail, after, billed=True)
    if status in (502, 503, 529):
        return Failure("overload", detail, after)
    if status in (408, 409, 425) or (status >= 500 and status not in (501, 505)):
        return Failure("server", detail, after)
    if status in (401, 403):
        return Failure("fatal", f"HTTP {status}: the key was refused")
    if 300 <= status < 400:
        return Failure("fatal", f"HTTP {status}: the server points to another address, which is not followed")
    if status in (402, 404, 405, 501, 505):
        return Failure("fatal", detail)
    if code in _FILTERED or "content management policy" in said:
        return Failure("filter", detail)
    if "max_completion_tokens" in said:
        return Failure("parameter", detail)
    return Failure("request", detail)


def _said(body: object) -> tuple[str, str]:
    """Error code and message of a server's JSON, in the shapes that servers use."""
    if not isinstance(body, Mapping):
        return "", ""
    inner = body.get("error", body)
    if not isinstance(inner, Mapping):
        return "", well_formed(str(inner))
    code = inner.get("code") or inner.get("type") or ""
    return well_formed(str(code))[:80], well_formed(" ".join(str(inner.get("message") or "").split()))


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait: ``retry-after-ms``, or ``Retry-After`` in seconds or as a date."""
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            seconds = float(value) * scale
        except ValueError:
            seconds = _until(value)
        if math.isfinite(seconds):
            return max(0.0, seconds)
    return None


def _until(date: str) -> float:
    """Seconds up to an HTTP date; not a number where it is none."""
    try:
        parsed = email.utils.parsedate_to_datetime(date)
    except (ValueError, TypeError, OverflowError):
        return math.nan
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp() - time.time()
