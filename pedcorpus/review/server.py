"""The page's server: threads, this machine alone."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from typing import Any

from pedcorpus.errors import PedcorpusError
from pedcorpus.review.app import create_app
from pedcorpus.review.guard import Secrets
from pedcorpus.review.session import Review

HOST = "127.0.0.1"


def serve(review: Review, port: int, language: str, started: Callable[[str], None]) -> None:
    """Show the page until a signal ends it; ``started`` gets the address, with the token in it.

    Raises:
        PedcorpusError: the port is taken.
    """
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        """No line a request: the first one holds the token."""

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Say nothing."""

    held = Secrets()
    with _listen(port) as listening:
        bound = listening.getsockname()[1]
        server = make_server(
            HOST,
            bound,
            create_app(review, held, language),
            threaded=True,
            request_handler=Quiet,
            fd=listening.fileno(),
        )
        before = signal.signal(signal.SIGTERM, _stop)
        try:
            started(f"http://{HOST}:{bound}/?token={held.token}")
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            pass
        finally:
            signal.signal(signal.SIGTERM, before)
            server.server_close()
            review.close()


def _stop(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((HOST, port))
        listening.listen(64)
    except OSError as error:
        listening.close()
        raise PedcorpusError(
            f"cannot listen on port {port} of {HOST}: {error.strerror}", "name another with --port, or leave it out"
        ) from error
    return listening
