"""The wire: one request to an OpenAI-compatible server through the ``openai`` client, with our own retries."""

from __future__ import annotations

import contextlib
import os
import resource
from functools import cached_property
from typing import Any

from pedcorpus import __version__
from pedcorpus.config import is_local
from pedcorpus.errors import ConfigError
from pedcorpus.llm.request import Endpoint, Request

_CONNECTIONS = 8192
"""More than calls may be in flight: the limiter alone decides how many there are."""
_OTHER_FILES = 256
_TELLTALES = (
    "X-Stainless-Lang", "X-Stainless-Package-Version", "X-Stainless-OS", "X-Stainless-Arch", "X-Stainless-Runtime",
    "X-Stainless-Runtime-Version", "X-Stainless-Async",
)  # fmt: skip
_COUNTERS = ("x-stainless-retry-count", "x-stainless-read-timeout")
"""What the client would tell of this machine and of itself."""
_SECRET = 16
"""Letters of a key worth hiding; a shorter one ("EMPTY") is a word that a reply may hold."""
_OPENAI_ACCOUNT = ("OpenAI-Organization", "OpenAI-Project")


def api_key(endpoint: Endpoint) -> str:
    """The key from the environment; "" for a server on this machine that needs none.

    Raises:
        ConfigError: the variable is not set and the server is another machine's, or it holds what no header can.
    """
    key = os.environ.get(endpoint.api_key_env, "").strip() if endpoint.api_key_env else ""
    if not key and endpoint.api_key_env and not is_local(endpoint.base_url):
        raise ConfigError(
            f"llm: the environment variable {endpoint.api_key_env} is not set, and {endpoint.base_url} may need a key",
            'set it, or write api_key_env = "" for a server that takes none',
        )
    if not all("!" <= char <= "~" for char in key):
        raise ConfigError(
            f"llm: the environment variable {endpoint.api_key_env} holds a blank, a line break or a letter that is not"
            " ASCII, which no key has",
            "set it to the key alone",
        )
    return key


def allow_connections(count: int) -> None:
    """Raise this process's limit of open files, which is often 1,024, so that ``count`` connections fit as far as may be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class Server:
    """An open client. aiohttp carries it: the transport that costs the least CPU (see ``benchmarks/``)."""

    def __init__(self, endpoint: Endpoint, limit_name: str = "max_tokens") -> None:
        self.endpoint = endpoint
        self.key = api_key(endpoint)
        self.limit_name = limit_name
        self._options: dict[str, Any] = {}

    @cached_property
    def client(self) -> Any:
        """The ``openai`` client. It sends to ``base_url`` alone, and nothing about this machine."""
        import httpx2
        from openai import AsyncOpenAI, DefaultAioHttpClient, Omit

        base_url = self.endpoint.base_url
        timeout = httpx2.Timeout(self.endpoint.timeout, connect=min(10.0, self.endpoint.timeout))
        headers: dict[str, Any] = {"User-Agent": f"pedcorpus/{__version__}"}
        for name in (*_TELLTALES, *(() if "openai.com" in base_url else _OPENAI_ACCOUNT)):
            headers[name] = Omit()
        self._options = {"headers": {name: Omit() for name in _COUNTERS}}
        return AsyncOpenAI(
            base_url=base_url,
            api_key=self.key or "none",
            max_retries=0,
            timeout=timeout,
            default_headers=headers,
            http_client=DefaultAioHttpClient(
                limits=httpx2.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_CONNECTIONS),
                timeout=timeout,
                trust_env=not is_local(base_url),  # a proxy cannot reach this machine by that name
                follow_redirects=False,
            ),
        )

    async def post(self, request: Request) -> bytes:
        """The body of the answer to ``request``.

        Raises:
            openai.APIError: no answer, or one that is no success.
        """
        import asyncio

        import httpx2
        import openai

        try:
            async with asyncio.timeout(self.endpoint.timeout):
                client = self.client
                response = await client.post(
                    "/chat/completions",
                    body=request.body(self.limit_name),
                    cast_to=httpx2.Response,
                    options=self._options,
                )
        except TimeoutError as error:
            raise openai.APITimeoutError(request=httpx2.Request("POST", self.endpoint.base_url)) from error
        content = response.content
        assert isinstance(content, bytes)
        return content.replace(self.key.encode(), b"***") if len(self.key) >= _SECRET else content

    def without_key(self, text: str) -> str:
        """``text`` as it may be shown and kept: servers have been seen to say the key in an error."""
        return text.replace(self.key, "***") if len(self.key) >= _SECRET else text

    def rename_limit(self, used: str) -> bool:
        """Call the reply's limit ``max_completion_tokens`` from now on; False when ``used`` was that already."""
        self.limit_name = "max_completion_tokens"
        return used != self.limit_name

    async def close(self) -> None:
        """Close the connections, if any were opened."""
        if "client" in self.__dict__:
            await self.client.close()
