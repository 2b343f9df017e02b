"""What keeps other pages and other people's names away from the page: host, session, CSRF, headers.

The server listens on loopback, and any page that the browser shows could still send requests there. So a request must
name this machine in ``Host`` (no DNS rebinding), carry the session's cookie (SameSite=Strict), and, to change anything,
the session's CSRF token in a header of its own and no foreign ``Origin``.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from flask import Flask, Request, Response

_HOSTS = frozenset({"127.0.0.1", "localhost"})
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


def _secret() -> str:
    return secrets.token_urlsafe(24)


@dataclass(frozen=True, slots=True)
class Secrets:
    """The secrets of one run: ``token`` stands in the printed address, ``cookie`` replaces it, ``csrf`` is sent back."""

    token: str = field(default_factory=_secret)
    cookie: str = field(default_factory=_secret)
    csrf: str = field(default_factory=_secret)


def cookie_name(request: Request) -> str:
    """A name with the port, for cookies know no ports and two reviews may run side by side."""
    return f"pedcorpus_review_{request.environ.get('SERVER_PORT', '')}"


def is_ours(request: Request) -> bool:
    """Whether the request names this machine; the port is free, for a tunnel may change it."""
    return _host(f"//{request.headers.get('Host', '')}") in _HOSTS


def has_session(request: Request, held: Secrets) -> bool:
    """Whether the request carries the session's cookie."""
    return _same(request.cookies.get(cookie_name(request), ""), held.cookie)


def has_token(request: Request, held: Secrets) -> bool:
    """Whether the address carries the session's token."""
    return _same(request.args.get("token", ""), held.token)


def may_change(request: Request, held: Secrets) -> bool:
    """Whether a POST comes from our own page: JSON, with the CSRF token, from no other origin."""
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"{request.scheme}://{request.headers.get('Host', '')}":
        return False
    return request.is_json and _same(request.headers.get("X-CSRF-Token", ""), held.csrf)


def _same(given: str, wanted: str) -> bool:
    return secrets.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def _host(address: str) -> str | None:
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None


def add_headers(response: Response) -> Response:
    """Headers of every answer: no inline script, no frame, nothing kept by the browser."""
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["X-Frame-Options"] = "DENY"
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cross-Origin-Opener-Policy"] = "same-origin"
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers["Cache-Control"] = "no-store"
    return response


def protect(app: Flask, held: Secrets) -> None:
    """Put the checks before every request of ``app``, and the headers on every answer."""
    from flask import abort, request

    @app.before_request
    def check() -> None:
        if not is_ours(request):
            abort(400)
        if request.endpoint == "static" or has_session(request, held):
            if request.method not in ("GET", "HEAD", "OPTIONS") and not may_change(request, held):
                abort(403)
        elif not (request.endpoint == "home" and has_token(request, held)):
            abort(403)

    app.after_request(add_headers)
