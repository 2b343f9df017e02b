"""Calls without a build: a session on a scripted server, or on a few lines of one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from pydantic import Field

from pedcorpus.llm.asking import CallFailedError, ReplyModel
from pedcorpus.llm.budget import Budget
from pedcorpus.llm.cache import Cache, Reply
from pedcorpus.llm.prompts import data
from pedcorpus.llm.request import Endpoint, Request, reply_schema
from pedcorpus.llm.session import Session
from pedcorpus.records import Message

T = TypeVar("T")
Handler = Callable[[str, dict[str, str], bytes], Awaitable[bytes | None]]


class Said(ReplyModel):
    question: str = Field(max_length=200)
    answer: str = Field(max_length=400)


def endpoint(base_url: str, **values: Any) -> Endpoint:
    """An endpoint of a test."""
    given: dict[str, Any] = {
        "role": "generator",
        "model": "scripted",
        "api_key_env": "TEST_LLM_KEY",
        "max_in_flight": 64,
        "temperature": 0.7,
        "max_tokens": 400,
        "timeout": 20.0,
        "price_input": Decimal("0.5"),
        "price_output": Decimal(2),
    }
    return Endpoint(base_url=base_url, **given | values)


def request(number: int, to: Endpoint, schema: bool = True) -> Request:
    """One of any number of unlike requests."""
    text = f"小儿肺炎第{number}型以发热、咳嗽为主要表现。轻症可在门诊治疗。出现呼吸困难者应住院。"
    name, said = reply_schema(Said) if schema else ("", "")
    messages = (Message("system", "依据资料写一问一答。"), Message("user", data(text, "资料")))
    return Request(to.base_url, to.model, messages, name, said, to.temperature, to.max_tokens, number)


@asynccontextmanager
async def session(path: Path, to: Endpoint, cap: Decimal | None = None, **options: Any) -> AsyncIterator[Session]:
    """An open session on the cache at ``path``."""
    with Cache(path) as cache:
        async with Session({to.role: to}, cache, Budget(cap, cache.spent()), **options) as opened:
            yield opened


async def ask_all(opened: Session, count: int, first: int = 0) -> list[Reply | BaseException]:
    """The replies to so many requests, asked at once, or what came instead."""
    to = next(iter(opened.endpoints.values()))
    calls = (opened.call(request(number, to), to.role, "test@1") for number in range(first, first + count))
    return await asyncio.gather(*calls, return_exceptions=True)


def reasons(found: list[Reply | BaseException]) -> list[str]:
    """How each call ended: a reply's finish, a failure's reason, or the name of an error."""
    said = []
    for item in found:
        if isinstance(item, Reply):
            said.append(item.finish)
        else:
            said.append(item.reason if isinstance(item, CallFailedError) else type(item).__name__)
    return said


def ran(what: Callable[[], Awaitable[T]], seconds: float = 60) -> T:
    """Run to the end, which must come."""

    async def run() -> T:
        return await asyncio.wait_for(what(), seconds)

    return asyncio.run(run())


def response(body: str | bytes, status: str = "200 OK", *headers: str) -> bytes:
    """A response as it goes over the line."""
    content = body.encode() if isinstance(body, str) else body
    head = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(content)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + content


@asynccontextmanager
async def answering(handler: Handler, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """A server of a few lines; gives its base URL. ``handler`` gets request line, headers and body."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {
                    name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)
                }
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                said = await handler(head[0], headers, body)
                if said is None:
                    return
                writer.write(said)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, host, 0)
    port = listening.sockets[0].getsockname()[1]
    try:
        yield f"http://{f'[{host}]' if ':' in host else host}:{port}/v1"
    finally:
        listening.close()


COMPLETION = (
    '{"model": "scripted", "choices": [{"message": {"role": "assistant", "content": %s}, "finish_reason": "stop"}],'
    ' "usage": {"prompt_tokens": 10, "completion_tokens": 5}}'
)
GOOD = COMPLETION % '"{\\"question\\": \\"问\\", \\"answer\\": \\"答\\"}"'
