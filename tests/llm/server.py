"""A scripted server that speaks OpenAI's chat completions and batches, with faults on demand, and that counts.

``python -m tests.llm.server --port 0 --script FILE.json --state DIR`` prints ``{"port": N, "pid": N}`` when it listens.
Tests use `running_server`. What happens is appended to ``DIR/events.jsonl`` at once, so the counts outlive everybody:
`read_stats` makes them from that file alone, and a server that is started again on DIR goes on counting.

A fault is drawn by a hash of (seed, request, attempt), so a script gives the same faults to the same requests in
whatever order they come.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from bisect import bisect
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from decimal import Decimal
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeGuard
from urllib.parse import parse_qs, urlsplit

from tests.llm.replies import reply_content, schema_of, text_of

REFUSED: dict[str, tuple[int, dict[str, Any], dict[str, str]]] = {
    "429": (429, {"code": "rate_limit_exceeded", "type": "requests"}, {"Retry-After": "0.05"}),
    "429_ms": (429, {"code": "rate_limit_exceeded", "type": "requests"}, {"retry-after-ms": "50"}),
    "429_date": (429, {"code": "rate_limit_exceeded", "type": "requests"}, {"Retry-After": "DATE"}),
    "429_bare": (429, {"code": "rate_limit_exceeded", "type": "tokens"}, {}),
    "500": (500, {"code": None, "type": "server_error"}, {}),
    "503": (503, {"code": None, "type": "service_unavailable"}, {"Retry-After": "0.05"}),
    "503_bare": (503, {"code": None, "type": "service_unavailable"}, {}),
    "bad_request": (400, {"code": None, "type": "invalid_request_error"}, {}),
    "content_filter_400": (400, {"code": "content_filter", "type": "invalid_request_error", "param": "prompt"}, {}),
}
"""Kinds that are an HTTP error: status, parts of the error, headers. They cost nothing."""
PAGES = {"not_json": 502, "not_json_200": 200}
"""An HTML page and its status; free as well."""
BROKEN = ("hang", "drop", "drop_reset", "cut_body")
"""No whole reply arrives, but the provider may have made one: ``maybe_billed``."""
SPOILT = ("cut_json", "wrong_schema", "refusal", "content_filter", "length", "empty")
"""Whole replies with status 200 that are of no use, and are billed."""
SOUND = ("slow_drip", "no_usage")
"""Good replies, oddly sent."""
KINDS = (*REFUSED, *PAGES, *BROKEN, *SPOILT, *SOUND)
MODES = ("no_model", "quota", "max_completion_tokens")
OUTCOMES = ("completed", "expired", "failed")
_SAMPLING = (
    "model", "messages", "response_format", "temperature", "top_p", "max_tokens", "max_completion_tokens", "seed", "n",
    "stop", "frequency_penalty", "presence_penalty", "reasoning_effort",
)  # fmt: skip
_CANONICAL = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode
_COMPACT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_PHRASES = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed",
            429: "Too Many Requests", 500: "Internal Server Error", 502: "Bad Gateway", 503: "Service Unavailable"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class BatchScript:
    """How batches go.

    A batch is done once ``delay`` seconds have passed and it was retrieved ``polls`` times. The n-th batch ends with
    the n-th of ``outcomes``, later ones with the last. ``error_share`` of its requests end in the error file;
    ``expired_share`` of them when it expires. ``lost_creates`` first creations are done but their answer is dropped.
    Every ``stumble_every``-th request to files and batches gets a 500. ``price_share`` is a batch's part of the price.
    """

    delay: float = 0.0
    polls: int = 0
    outcomes: tuple[str, ...] = ("completed",)
    error_share: float = 0.0
    expired_share: float = 0.5
    lost_creates: int = 0
    stumble_every: int = 0
    max_requests: int = 50_000
    price_share: str = "1"


@dataclass(frozen=True, slots=True)
class Script:
    """What the server does.

    ``rate`` of the requests meet a fault of a kind drawn by ``weights`` (none: every kind alike), never more than
    ``max_faults_per_request`` times in a row. ``delay`` is drawn between two numbers of seconds. ``absent`` of the
    replies say that the source does not say. ``api_key``: every other key gets a 401. ``max_concurrent`` and
    ``per_second`` refuse what is above them with a 429. Prices are USD per million tokens.
    """

    seed: int = 17
    rate: float = 0.0
    weights: Mapping[str, float] = field(default_factory=dict)
    max_faults_per_request: int = 2
    delay: tuple[float, float] = (0.0, 0.0)
    absent: float = 0.0
    models: tuple[str, ...] = ("scripted",)
    modes: tuple[str, ...] = ()
    api_key: str = ""
    max_concurrent: int = 0
    per_second: int = 0
    price_input: str = "0"
    price_output: str = "0"
    batch: BatchScript = field(default_factory=BatchScript)

    def __post_init__(self) -> None:
        wrong = [*(set(self.weights) - set(KINDS)), *(set(self.modes) - set(MODES))]
        wrong += set(self.batch.outcomes) - set(OUTCOMES)
        if wrong:
            raise ValueError(f"the script names what the server does not know: {', '.join(sorted(wrong))}")

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> Script:
        value = json.loads(text)
        batch = value.pop("batch", {})
        if "outcomes" in batch:
            batch["outcomes"] = tuple(batch["outcomes"])
        for name in ("models", "modes"):
            if name in value:
                value[name] = tuple(value[name])
        if "delay" in value:
            low, high = value["delay"] if isinstance(value["delay"], list) else (value["delay"], value["delay"])
            value["delay"] = (low, high)
        return cls(**value, batch=BatchScript(**batch))


@dataclass(slots=True)
class KeyStats:
    """The counts of one request body."""

    received: int = 0
    answered: int = 0
    ok: int = 0
    maybe_billed: int = 0
    billed_tokens: int = 0
    cost: Decimal = Decimal(0)
    faulted: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Stats:
    """What has happened.

    ``answered`` counts whole chat completions with status 200 that were written out, ``ok`` those of them with usable
    content; ``faulted`` counts by kind, and a spoilt reply counts there and in ``answered``. ``gone`` counts clients
    that left before a reply which was under way. ``cost`` is what the answered ones cost, ``maybe_cost`` what those of
    ``maybe_billed`` (hang, drop, cut_body and gone) would have.
    """

    received: int = 0
    answered: int = 0
    ok: int = 0
    gone: int = 0
    faulted: dict[str, int] = field(default_factory=dict)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: Decimal = Decimal(0)
    maybe_billed: int = 0
    maybe_cost: Decimal = Decimal(0)
    in_flight: int = 0
    max_in_flight: int = 0
    batches: int = 0
    cpu_seconds: float = 0.0
    keys: dict[str, KeyStats] = field(default_factory=dict)

    @property
    def billed_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    @property
    def answered_keys(self) -> dict[str, int]:
        """How often each request was answered, those never answered left out."""
        return {key: one.answered for key, one in self.keys.items() if one.answered}

    @property
    def answered_ok_keys(self) -> dict[str, int]:
        """How often each request got a usable reply."""
        return {key: one.ok for key, one in self.keys.items() if one.ok}

    @property
    def repeated(self) -> dict[str, int]:
        """Requests answered more than once."""
        return {key: count for key, count in self.answered_keys.items() if count > 1}

    @property
    def repeated_ok(self) -> dict[str, int]:
        """Requests that got more than one usable reply: paid again for nothing."""
        return {key: count for key, count in self.answered_ok_keys.items() if count > 1}

    def apply(self, event: Mapping[str, Any]) -> None:
        """Count one event."""
        name = event["event"]
        if name == "reset":
            new = Stats(in_flight=self.in_flight)
            for part in fields(self):
                setattr(self, part.name, getattr(new, part.name))
            return
        if name == "batch":
            self.batches += 1
            return
        key = event.get("key")
        one = self.keys.setdefault(key, KeyStats()) if key else KeyStats()
        if name == "received":
            one.received += 1
            self.received += 1
            self.max_in_flight = max(self.max_in_flight, event["in_flight"])
            return
        if kind := event["kind"]:
            one.faulted[kind] = one.faulted.get(kind, 0) + 1
            self.faulted[kind] = self.faulted.get(kind, 0) + 1
        if name == "answered":
            one.answered += 1
            one.ok += event["ok"]
            self.answered += 1
            self.ok += event["ok"]
            self.prompt_tokens += event["prompt"]
            self.completion_tokens += event["completion"]
            self.cost += Decimal(event["cost"])
            one.billed_tokens += event["prompt"] + event["completion"]
            one.cost += Decimal(event["cost"])
        elif event["maybe"]:
            self.gone += name == "gone"
            one.maybe_billed += 1
            self.maybe_billed += 1
            self.maybe_cost += Decimal(event["cost"])

    def to_json(self) -> str:
        more = {"billed_tokens": self.billed_tokens, "repeated": self.repeated}
        return json.dumps(asdict(self) | more, default=str)  # a decimal is a string

    @classmethod
    def from_json(cls, text: str | bytes) -> Stats:
        value = json.loads(text)
        value = {part.name: value[part.name] for part in fields(cls)}
        value["keys"] = {key: KeyStats(**one | {"cost": Decimal(one["cost"])}) for key, one in value["keys"].items()}
        return cls(**value | {name: Decimal(value[name]) for name in ("cost", "maybe_cost")})


def read_stats(state: Path) -> Stats:
    """The counts from the events of a server, which need not live any more; ``in_flight`` is 0."""
    stats = Stats()
    path = state / "events.jsonl"
    if path.exists():
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                event = _object(line.encode())
                if event:  # a killed server may leave half a line
                    stats.apply(event)
    return stats


def request_key(body: Mapping[str, Any]) -> str:
    """What tells requests apart: the sha256 of the canonical JSON of model, messages, format and sampling."""
    part = {name: body[name] for name in _SAMPLING if name in body}
    return hashlib.sha256(_CANONICAL(part).encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(slots=True)
class Asked:
    """A chat request as it was understood, with the fault it is to meet ("" for none)."""

    body: dict[str, Any]
    key: str
    attempt: int
    kind: str
    prompt_tokens: int
    share: Decimal


@dataclass(slots=True)
class Reply:
    """What goes out. ``ok`` is None where it is not a chat completion."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    ok: bool | None = None
    completion_tokens: int = 0


def error_body(message: str, code: str | None, kind: str, param: str | None = None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def encoded(value: object) -> bytes:
    return _COMPACT(value).encode("utf-8", "replace")


def refusal(status: int, message: str, code: str | None = None, kind: str = "", param: str | None = None) -> Reply:
    return Reply(status, encoded(error_body(message, code, kind or "invalid_request_error", param)))


@dataclass(slots=True)
class Batch:
    """One batch; ``kinds`` is what its requests were drawn to meet."""

    id: str
    input_file: str
    body: dict[str, Any]
    created: float
    outcome: str
    lines: list[tuple[str, Asked]]
    errors: list[dict[str, Any]] = field(default_factory=list)
    polls: int = 0
    status: str = "validating"
    ended: float = 0.0
    output: str | None = None
    failures: str | None = None
    done: int = 0
    failed: int = 0


class Scripted:
    """The server without its sockets."""

    def __init__(self, script: Script, state: Path) -> None:
        self.script = script
        state.mkdir(parents=True, exist_ok=True)
        self.stats = read_stats(state)
        self.events = os.open(state / "events.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        if (size := os.fstat(self.events).st_size) and (state / "events.jsonl").read_bytes()[size - 1 :] != b"\n":
            os.write(self.events, b"\n")
        self.tries: dict[str, tuple[int, int]] = {}
        """By request: attempts so far, and faults in a row up to now."""
        weights = {kind: weight for kind, weight in script.weights.items() if weight > 0} or dict.fromkeys(KINDS, 1.0)
        self.kinds = sorted(weights)
        self.upto = list(accumulate(weights[kind] for kind in self.kinds))
        self.price_input = Decimal(script.price_input) / 1_000_000
        self.price_output = Decimal(script.price_output) / 1_000_000
        self.batch_share = Decimal(script.batch.price_share)
        self.recent: deque[float] = deque()
        self.files: dict[str, tuple[dict[str, Any], bytes]] = {}
        self.batches: dict[str, Batch] = {}
        self.stumbles = 0

    def note(self, event: dict[str, Any]) -> None:
        os.write(self.events, encoded(event) + b"\n")
        self.stats.apply(event)

    def draw(self, *place: object) -> float:
        """A number in [0, 1) that hangs on the seed and ``place`` alone."""
        text = "/".join(map(str, (self.script.seed, *place))).encode()
        return int.from_bytes(hashlib.sha256(text).digest()[:6], "big") / 2**48

    # Chat

    def ask(self, body: dict[str, Any], *, batch: bool = False) -> Asked:
        """Read a request and draw its fault. One of a batch meets no fault of the line."""
        key = request_key(body)
        attempt, row = self.tries.get(key, (0, 0))
        attempt += 1
        kind = ""
        if self.script.rate > 0 and row < self.script.max_faults_per_request:
            if self.draw(key, attempt) < self.script.rate:
                kind = self.kinds[bisect(self.upto, self.draw(key, attempt, "kind") * self.upto[-1])]
            if batch and (kind in BROKEN or kind in PAGES or kind == "slow_drip"):
                kind = ""
            if kind in ("cut_json", "wrong_schema") and schema_of(body) is None:
                kind = ""  # nobody could tell
        if batch and not kind and row < self.script.max_faults_per_request:
            kind = "batch_error" if self.draw(key, attempt, "batch") < self.script.batch.error_share else ""
        self.tries[key] = (attempt, row + 1 if kind and kind not in SOUND else 0)
        prompt = sum(len(text_of(message).encode("utf-8", "replace")) for message in body["messages"])
        return Asked(body, key, attempt, kind, max(prompt // 3, 1), self.batch_share if batch else Decimal(1))

    def delay(self, asked: Asked) -> float:
        low, high = self.script.delay
        return low if low == high else low + (high - low) * self.draw(asked.key, asked.attempt, "delay")

    def reply(self, asked: Asked) -> Reply:
        """The whole reply to ``asked``, spoilt where its kind says so."""
        kind = asked.kind
        if kind in REFUSED:
            status, about, headers = REFUSED[kind]
            if headers.get("Retry-After") == "DATE":
                headers = {"Retry-After": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 1))}
            body = error_body(f"scripted fault {kind}", about["code"], about["type"], about.get("param"))
            return Reply(status, encoded(body), headers)
        if kind in PAGES:
            page = b"<html><head><title>Bad gateway</title></head><body>nginx</body></html>"
            return Reply(PAGES[kind], page, {"Content-Type": "text/html"})
        content: str | None = reply_content(asked.body, absent=self.script.absent, salt=asked.key)
        refused, finish = None, "stop"
        assert content is not None
        cap = asked.body.get("max_completion_tokens") or asked.body.get("max_tokens")
        if cap and len(content.encode()) // 3 > cap:
            content = content.encode()[: cap * 3].decode("utf-8", "ignore")
            asked.kind = kind = kind or "length"
            finish = "length"
        if kind == "cut_json":
            content = content[: len(content) // 2]
        elif kind == "wrong_schema":
            content = json.dumps({"unexpected": content[:30], "values": [1, 2]}, ensure_ascii=False)
        elif kind == "length" and finish == "stop":
            content, finish = content[: len(content) // 2], "length"
        elif kind == "content_filter":
            content, finish = content[: len(content) // 3], "content_filter"
        elif kind == "empty":
            content = ""
        elif kind == "refusal":
            refused, content = "I cannot help with that.", None
        completion = max(len((content or refused or "").encode()) // 3, 1)
        value: dict[str, Any] = {
            "id": f"chatcmpl-{asked.key[:20]}-{asked.attempt}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": asked.body["model"],
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": content, "refusal": refused},
                    "logprobs": None,
                    "finish_reason": finish,
                }
            ],
        }
        if kind != "no_usage":
            value["usage"] = {
                "prompt_tokens": asked.prompt_tokens,
                "completion_tokens": completion,
                "total_tokens": asked.prompt_tokens + completion,
            }
        return Reply(200, encoded(value), {}, finish == "stop" and kind not in SPOILT, completion)

    def ended(self, asked: Asked, reply: Reply | None, event: str = "") -> None:
        """Note how a request ended: answered, faulted or gone."""
        completion = reply.completion_tokens if reply else 0
        cost = (asked.prompt_tokens * self.price_input + completion * self.price_output) * asked.share
        if not event:
            event = "answered" if reply and reply.ok is not None and asked.kind not in BROKEN else "faulted"
        about: dict[str, Any] = {"event": event, "key": asked.key, "kind": asked.kind}
        if event == "answered" and reply:
            about |= {
                "ok": bool(reply.ok),
                "prompt": asked.prompt_tokens,
                "completion": completion,
                "cost": f"{cost:f}",
            }
        else:
            about |= {"maybe": event == "gone" or asked.kind in BROKEN, "cost": f"{cost:f}"}
        self.note(about)

    def refuse(self, body: dict[str, Any], in_flight: int) -> tuple[str, Reply] | None:
        """What the whole server's modes and limits say to a request: a kind and a reply, or nothing."""
        script = self.script
        if script.max_concurrent and in_flight > script.max_concurrent:
            return "limited", self.limited(0.05)
        if script.per_second:
            now = time.monotonic()
            while self.recent and self.recent[0] <= now - 1:
                self.recent.popleft()
            if len(self.recent) >= script.per_second:
                return "limited", self.limited(max(self.recent[0] + 1 - now, 0.01))
            self.recent.append(now)
        if "no_model" in script.modes:
            words = f"The model `{body['model']}` does not exist or you do not have access to it."
            return "no_model", refusal(404, words, "model_not_found", param="model")
        if "quota" in script.modes:
            words = "You exceeded your current quota, please check your plan and billing details."
            return "quota", refusal(429, words, "insufficient_quota", "insufficient_quota")
        if "max_completion_tokens" in script.modes and "max_tokens" in body:
            words = (
                "Unsupported parameter: 'max_tokens' is not supported with this model. "
                "Use 'max_completion_tokens' instead."
            )
            return "max_completion_tokens", refusal(400, words, "unsupported_parameter", param="max_tokens")
        return None

    def limited(self, wait: float) -> Reply:
        reply = refusal(429, "Rate limit reached for requests", "rate_limit_exceeded", "requests")
        reply.headers = {"Retry-After": f"{wait:.3f}"}
        return reply

    # Everything else

    def route(self, method: str, target: str, headers: Mapping[str, str], content: bytes) -> Reply | None:
        """The reply to what is not a chat request; None drops the connection."""
        parts = urlsplit(target)
        path, query = parts.path.rstrip("/"), parse_qs(parts.query)
        if path == "/stats" and method == "GET":
            for batch in self.batches.values():
                self.advance(batch)
            self.stats.cpu_seconds = time.process_time()
            return Reply(200, self.stats.to_json().encode())
        if path == "/stats/reset" and method == "POST":
            self.note({"event": "reset"})
            self.tries.clear()
            return Reply(200, b"{}")
        if not self.allowed(headers):
            return self.unauthorized()
        if path == "/v1/models" and method == "GET":
            models = [{"id": name, "object": "model", "created": 1, "owned_by": "tests"} for name in self.script.models]
            return Reply(200, encoded({"object": "list", "data": models}))
        name = path.removeprefix("/v1/").split("/")
        if name[0] in ("files", "batches"):
            self.stumbles += 1
            if self.script.batch.stumble_every and self.stumbles % self.script.batch.stumble_every == 0:
                return refusal(500, "scripted stumble", None, "server_error")
        match method, name:
            case "POST", ["files"]:
                return self.upload(headers.get("content-type", ""), content)
            case "GET", ["files", file] if file in self.files:
                return Reply(200, encoded(self.files[file][0]))
            case "GET", ["files", file, "content"] if file in self.files:
                return Reply(200, self.files[file][1], {"Content-Type": "application/octet-stream"})
            case "POST", ["batches"]:
                return self.create_batch(content)
            case "GET", ["batches"]:
                return self.list_batches(query)
            case "GET", ["batches", number] if number in self.batches:
                self.batches[number].polls += 1
                self.advance(self.batches[number])
                return Reply(200, encoded(self.about_batch(self.batches[number])))
            case "GET", ["files" | "batches" as what, *_]:
                return refusal(404, f"No such {what}: {target}")
        return refusal(404, f"Invalid URL ({method} {parts.path})")

    def allowed(self, headers: Mapping[str, str]) -> bool:
        return not self.script.api_key or headers.get("authorization") == f"Bearer {self.script.api_key}"

    def unauthorized(self) -> Reply:
        return refusal(401, "Incorrect API key provided.", "invalid_api_key")

    def add_file(self, content: bytes, filename: str, purpose: str) -> dict[str, Any]:
        about = {
            "id": f"file-{len(self.files) + 1:06d}",
            "object": "file",
            "bytes": len(content),
            "created_at": int(time.time()),
            "filename": filename,
            "purpose": purpose,
            "status": "processed",
        }
        self.files[str(about["id"])] = (about, content)
        return about

    def upload(self, kind: str, content: bytes) -> Reply:
        mark = kind.partition("boundary=")[2].strip('"')
        found: dict[str, tuple[str, bytes]] = {}
        for part in content.split(b"--" + mark.encode())[1:-1] if mark else []:
            head, _, value = part.partition(b"\r\n\r\n")
            words = head.decode("utf-8", "replace")
            name = words.partition(' name="')[2].partition('"')[0]
            found[name] = (words.partition(' filename="')[2].partition('"')[0], value[:-2])
        if "file" not in found or found.get("purpose", ("", b""))[1] != b"batch":
            return refusal(400, "a file and purpose=batch are needed")
        return Reply(200, encoded(self.add_file(found["file"][1], found["file"][0], "batch")))

    # Batches

    def create_batch(self, content: bytes) -> Reply | None:
        body = _object(content)
        if body is None or body.get("input_file_id") not in self.files:
            return refusal(400, "no such input_file_id", param="input_file_id")
        if body.get("endpoint") != "/v1/chat/completions" or body.get("completion_window") != "24h":
            return refusal(400, "only /v1/chat/completions and 24h are known", param="endpoint")
        number = len(self.batches)
        outcomes = self.script.batch.outcomes
        outcome = outcomes[min(number, len(outcomes) - 1)]
        batch = Batch(f"batch_{number + 1:06d}", body["input_file_id"], body, time.time(), outcome, [])
        requests, batch.errors = self.check(self.files[batch.input_file][1])
        if outcome == "failed":
            batch.errors.append(
                _batch_error("token_limit_exceeded", "Enqueued token limit reached for the model.", None)
            )
        self.batches[batch.id] = batch
        self.note({"event": "batch", "id": batch.id})
        if batch.errors:
            batch.outcome = "failed"
        else:
            for custom_id, request in requests:
                batch.lines.append((custom_id, self.ask(request, batch=True)))
                self.note({"event": "received", "key": batch.lines[-1][1].key, "in_flight": 0})
        if not self.script.batch.polls:
            asyncio.get_running_loop().call_later(self.script.batch.delay, self.advance, batch)
        if number < self.script.batch.lost_creates:
            return None
        return Reply(200, encoded(self.about_batch(batch)))

    def check(self, content: bytes) -> tuple[list[tuple[str, dict[str, Any]]], list[dict[str, Any]]]:
        """The requests of an input file, and what is wrong with it."""
        requests: list[tuple[str, dict[str, Any]]] = []
        errors: list[dict[str, Any]] = []
        seen: set[str] = set()
        lines = content.split(b"\n")
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            value = _object(line)
            if value is None or not isinstance(value.get("custom_id"), str) or value.get("method") != "POST":
                errors.append(_batch_error("invalid_json_line", "This line is not a batch request.", number))
                continue
            request = value.get("body")
            if value["custom_id"] in seen:
                errors.append(_batch_error("duplicate_custom_id", f"{value['custom_id']} was used before.", number))
            elif value.get("url") != "/v1/chat/completions":
                errors.append(_batch_error("mismatched_url", "The url is not the batch's endpoint.", number))
            elif not _is_chat(request):
                errors.append(_batch_error("invalid_request", "The body is not a chat request.", number))
            elif requests and requests[0][1]["model"] != request["model"]:
                errors.append(_batch_error("mismatched_model", "A batch is for one model.", number))
            else:
                requests.append((value["custom_id"], request))
            seen.add(value["custom_id"])
        if not requests and not errors:
            errors.append(_batch_error("empty_file", "The input file has no requests.", None))
        if len(requests) > self.script.batch.max_requests:
            errors.append(_batch_error("too_many_requests", "The input file has too many requests.", None))
        return requests, errors

    def advance(self, batch: Batch) -> None:
        """Move a batch on to where it should be by now."""
        if batch.ended:
            return
        script = self.script.batch
        if batch.polls < script.polls or time.time() < batch.created + script.delay - 0.002:
            if batch.polls > 1 or not script.polls:
                batch.status = "finalizing" if 2 < batch.polls == script.polls - 1 else "in_progress"
            return
        batch.ended, batch.status = time.time(), batch.outcome
        if batch.outcome == "failed":
            return
        output: list[dict[str, Any]] = []
        failures: list[dict[str, Any]] = []
        for place, (custom_id, asked) in enumerate(batch.lines):
            line: dict[str, Any] = {"id": f"batch_req_{batch.id[6:]}_{place}", "custom_id": custom_id}
            if batch.outcome == "expired" and self.draw(asked.key, asked.attempt, "late") >= script.expired_share:
                words = "This request could not be executed before the completion window expired."
                failures.append(line | {"response": None, "error": {"code": "batch_expired", "message": words}})
                asked.kind = "batch_expired"
                self.ended(asked, None)
                continue
            if asked.kind == "batch_error":
                reply = refusal(500, "The server had an error while processing your request.", None, "server_error")
            else:
                reply = self.reply(asked)
            answer = {"status_code": reply.status, "request_id": line["id"], "body": json.loads(reply.body)}
            if asked.kind == "batch_error" and self.draw(asked.key, "form") < 0.5:
                error = {"code": "server_error", "message": "scripted batch error"}
                failures.append(line | {"response": None, "error": error})
            else:
                (output if reply.ok is not None else failures).append(line | {"response": answer, "error": None})
            self.ended(asked, reply)
        batch.done, batch.failed = len(output), len(failures)
        for lines in (output, failures):
            lines.sort(key=lambda line: self.draw(batch.id, line["id"]))
        batch.output = self.lines_file(output, f"{batch.id}_output.jsonl")
        batch.failures = self.lines_file(failures, f"{batch.id}_error.jsonl")

    def lines_file(self, lines: list[dict[str, Any]], name: str) -> str | None:
        content = b"".join(encoded(line) + b"\n" for line in lines)
        return str(self.add_file(content, name, "batch_output")["id"]) if lines else None

    def about_batch(self, batch: Batch) -> dict[str, Any]:
        ended = int(batch.ended) if batch.ended else None
        return {
            "id": batch.id,
            "object": "batch",
            "endpoint": batch.body["endpoint"],
            "errors": {"object": "list", "data": batch.errors} if batch.ended and batch.errors else None,
            "input_file_id": batch.input_file,
            "completion_window": batch.body["completion_window"],
            "status": batch.status,
            "output_file_id": batch.output,
            "error_file_id": batch.failures,
            "created_at": int(batch.created),
            "in_progress_at": int(batch.created) if batch.status != "validating" else None,
            "expires_at": int(batch.created) + 86_400,
            "finalizing_at": ended if batch.status == "completed" else None,
            "completed_at": ended if batch.status == "completed" else None,
            "failed_at": ended if batch.status == "failed" else None,
            "expired_at": ended if batch.status == "expired" else None,
            "cancelling_at": None,
            "cancelled_at": None,
            "request_counts": {"total": len(batch.lines), "completed": batch.done, "failed": batch.failed},
            "metadata": batch.body.get("metadata"),
        }

    def list_batches(self, query: Mapping[str, list[str]]) -> Reply:
        for batch in self.batches.values():
            self.advance(batch)
        names = list(reversed(self.batches))
        if after := query.get("after"):
            names = names[names.index(after[0]) + 1 :] if after[0] in self.batches else []
        limit = int(query.get("limit", ["20"])[0])
        data = [self.about_batch(self.batches[name]) for name in names[:limit]]
        return Reply(
            200,
            encoded(
                {
                    "object": "list",
                    "data": data,
                    "first_id": data[0]["id"] if data else None,
                    "last_id": data[-1]["id"] if data else None,
                    "has_more": len(names) > limit,
                }
            ),
        )


def _object(content: bytes) -> dict[str, Any] | None:
    try:
        value = json.loads(content)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _is_chat(body: object) -> TypeGuard[dict[str, Any]]:
    return (
        isinstance(body, dict)
        and isinstance(body.get("model"), str)
        and isinstance(body.get("messages"), list)
        and bool(body["messages"])
        and all(isinstance(message, dict) for message in body["messages"])
    )


def _batch_error(code: str, message: str, line: int | None) -> dict[str, Any]:
    return {"code": code, "message": message, "param": None, "line": line}


class Line(asyncio.Protocol):
    """One connection: HTTP/1.1 with keep-alive, one request after the other."""

    live = 0
    """Chat requests that have come and not ended, over all connections."""

    def __init__(self, server: Scripted) -> None:
        self.server = server
        self.loop = asyncio.get_running_loop()
        self.got = bytearray()
        self.head: tuple[str, str, dict[str, str], int] | None = None
        self.asked: Asked | None = None
        self.reply: Reply | None = None
        self.busy = False
        self.timer: asyncio.TimerHandle | None = None
        self.on_sent: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.line = transport
        transport.set_write_buffer_limits(0)

    def data_received(self, data: bytes) -> None:
        self.got += data
        if not self.busy:
            self.read()

    def read(self) -> None:
        """Take the next whole request from what has come."""
        while not self.busy and not self.line.is_closing():
            if self.head is None and not self.read_head():
                return
            assert self.head is not None
            method, target, headers, length = self.head
            if length < 0:
                content = self.read_chunks()
                if content is None:
                    return
            elif len(self.got) < length:
                return
            else:
                content = bytes(self.got[:length])
                del self.got[:length]
            self.head, self.busy = None, True
            if method == "POST" and target == "/v1/chat/completions":
                self.chat(headers, content)
            else:
                reply = self.server.route(method, target, headers, content)
                if reply is None:
                    self.line.close()
                else:
                    self.send(reply, self.next)

    def read_head(self) -> bool:
        end = self.got.find(b"\r\n\r\n")
        if end < 0:
            return False
        first, *rest = self.got[:end].decode("latin-1").split("\r\n")
        del self.got[: end + 4]
        method, target, *_ = (first + "  ").split(" ")
        headers = {}
        for item in rest:
            name, _, value = item.partition(":")
            headers[name.lower()] = value.strip()
        chunked = "chunked" in headers.get("transfer-encoding", "")
        self.head = (method, target, headers, -1 if chunked else int(headers.get("content-length") or 0))
        if headers.get("expect", "").lower() == "100-continue":
            self.line.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    def read_chunks(self) -> bytes | None:
        """The body of a chunked request, when all of it is there."""
        place, pieces = 0, []
        while (end := self.got.find(b"\r\n", place)) >= 0:
            size = int(self.got[place:end].split(b";")[0], 16)
            if len(self.got) < end + size + 4:
                return None
            pieces.append(bytes(self.got[end + 2 : end + 2 + size]))
            place = end + size + 4
            if not size:
                del self.got[:place]
                return b"".join(pieces)
        return None

    def chat(self, headers: Mapping[str, str], content: bytes) -> None:
        server = self.server
        body = _object(content)
        if not server.allowed(headers) or body is None or not _is_chat(body) or body.get("stream"):
            wrong = "auth" if not server.allowed(headers) else "malformed"
            server.note({"event": "faulted", "key": None, "kind": wrong, "maybe": False, "cost": "0"})
            self.send(server.unauthorized() if wrong == "auth" else refusal(400, "not a chat request"), self.next)
            return
        refused = server.refuse(body, Line.live + 1)
        if refused:
            kind, reply = refused
            key = request_key(body)
            server.note({"event": "received", "key": key, "in_flight": Line.live})
            server.note({"event": "faulted", "key": key, "kind": kind, "maybe": False, "cost": "0"})
            self.send(reply, self.next)
            return
        self.asked = server.ask(body)
        Line.live += 1
        server.stats.in_flight = Line.live
        server.note({"event": "received", "key": self.asked.key, "in_flight": Line.live})
        kind = self.asked.kind
        self.reply = server.reply(self.asked)
        if kind == "hang":
            server.ended(self.asked, self.reply)
        elif kind in ("drop", "drop_reset"):
            self.finish()
            if kind == "drop_reset" and (raw := self.line.get_extra_info("socket")) is not None:
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.line.abort()
            self.line.close()
        elif self.reply.ok is not None and (wait := server.delay(self.asked)) > 0:
            self.timer = self.loop.call_later(wait, self.write)
        else:
            self.write()

    def write(self) -> None:
        """Send the reply that was made."""
        assert self.asked is not None and self.reply is not None
        if self.asked.kind == "cut_body":
            whole = self.framed(self.reply)
            self.line.write(whole[: len(whole) - len(self.reply.body) // 2])
            self.finish()
            self.line.close()
        elif self.asked.kind == "slow_drip":
            whole = self.framed(self.reply)
            step = -(-len(whole) // 20)
            self.drip([whole[at : at + step] for at in range(0, len(whole), step)])
        else:
            self.send(self.reply, self.answered)

    def drip(self, pieces: list[bytes]) -> None:
        self.line.write(pieces.pop(0))
        if pieces:
            self.timer = self.loop.call_later(0.02, self.drip, pieces)
        else:
            self.answered()

    def framed(self, reply: Reply) -> bytes:
        headers = {"Content-Type": "application/json", **reply.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        phrase = _PHRASES.get(reply.status, "")
        return (
            f"HTTP/1.1 {reply.status} {phrase}\r\n{head}Content-Length: {len(reply.body)}\r\n\r\n".encode() + reply.body
        )

    def send(self, reply: Reply, then: Callable[[], None]) -> None:
        """Write ``reply`` and go on when all of it has left."""
        self.line.write(self.framed(reply))
        if self.line.get_write_buffer_size():
            self.on_sent = then
        else:
            then()

    def resume_writing(self) -> None:
        then, self.on_sent = self.on_sent, None
        if then:
            then()

    def answered(self) -> None:
        self.finish()
        self.next()

    def finish(self, event: str = "") -> None:
        """Note the end of the chat request."""
        assert self.asked is not None
        Line.live -= 1
        self.server.stats.in_flight = Line.live
        if self.asked.kind != "hang":  # noted when it began
            self.server.ended(self.asked, self.reply, event)
        self.asked = self.reply = self.timer = None

    def next(self) -> None:
        self.busy = False
        if self.got:
            self.loop.call_soon(self.read)

    def connection_lost(self, error: Exception | None) -> None:
        self.on_sent = None
        if self.timer:
            self.timer.cancel()
        if self.asked is not None:
            self.finish("gone")


async def serve(server: Scripted, port: int, until_closed: bool) -> None:
    """Listen until a signal comes, or until the standard input is closed."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if until_closed:
        loop.add_reader(0, stop.set)
    listening = await loop.create_server(lambda: Line(server), "127.0.0.1", port, backlog=4096)
    print(json.dumps({"port": listening.sockets[0].getsockname()[1], "pid": os.getpid()}), flush=True)
    await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--script", type=Path)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--until-stdin-closes", action="store_true", help="end with the process that started this one")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    script = Script.from_json(options.script.read_text("utf-8")) if options.script else Script()
    asyncio.run(serve(Scripted(script, options.state), options.port, options.until_stdin_closes))


@dataclass(frozen=True, slots=True)
class Server:
    """A server in a process of its own. ``base_url`` is for clients, ``url`` is without ``/v1``."""

    url: str
    pid: int
    state: Path

    @property
    def base_url(self) -> str:
        return f"{self.url}/v1"

    def stats(self) -> Stats:
        """The counts up to now."""
        return Stats.from_json(self._ask("GET", "/stats"))

    def reset(self) -> None:
        """Forget all counts and attempts: the same requests meet the same faults again."""
        self._ask("POST", "/stats/reset")

    def _ask(self, method: str, path: str) -> bytes:
        from http.client import HTTPConnection  # not the server's: it is to start quickly

        line = HTTPConnection(self.url.removeprefix("http://"), timeout=30)
        try:
            line.request(method, path)
            return line.getresponse().read()
        finally:
            line.close()


@contextmanager
def running_server(script: Script, state: Path, port: int = 0) -> Iterator[Server]:
    """A running server; it ends with the block, or with this process. ``state`` keeps its counts."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:  # not in state: it has the key
        file.write(script.to_json())
        file.flush()
        command = [sys.executable, "-m", "tests.llm.server", "--until-stdin-closes"]
        command += ["--port", str(port), "--script", file.name, "--state", str(state.resolve())]
        process = subprocess.Popen(
            command,
            cwd=Path(__file__).resolve().parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # a signal to the clients' group is not for it
        )
        assert process.stdout is not None and process.stdin is not None
        line = process.stdout.readline()  # it has read the script when it says something
    try:
        if not line:
            raise RuntimeError(f"the server did not start: exit status {process.wait()}")
        yield Server(f"http://127.0.0.1:{json.loads(line)['port']}", process.pid, state)
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()


if __name__ == "__main__":
    main()
