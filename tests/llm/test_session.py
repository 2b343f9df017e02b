"""Calls in one process: what each failure leads to, what they share, and what never leaves the machine."""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import time
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from pedcorpus.builddir import Parts
from pedcorpus.errors import ConfigError, InterruptedBuildError
from pedcorpus.llm import patience
from pedcorpus.llm.asking import CallFailedError
from pedcorpus.llm.asking_parts import AskTask, ask_parts
from pedcorpus.llm.budget import BudgetReachedError
from pedcorpus.llm.session import LlmError, PendingError, Session
from pedcorpus.records import Reject, Row
from tests.llm.asking import (
    COMPLETION,
    GOOD,
    Handler,
    answering,
    ask_all,
    endpoint,
    ran,
    reasons,
    request,
    response,
    session,
)
from tests.llm.builds import outcomes, priced, replies, rows, spent
from tests.llm.server import BROKEN, KINDS, Script, running_server

KEY = "sk-secret-0123456789abcdef"


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "llm-cache.sqlite"


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return int(made.getsockname()[1])


# --- many calls on the scripted server --------------------------------------------------------------


def test_the_limit_is_found_and_few_calls_are_refused(tmp_path: Path, cache: Path) -> None:
    """A server that takes 16 at once, and a client that may have 64 in flight."""
    with running_server(Script(max_concurrent=16, delay=(0.05, 0.05)), tmp_path / "server") as server:

        async def run() -> None:
            async with session(cache, endpoint(server.base_url)) as opened:
                limits = []

                async def look() -> None:
                    while True:
                        await asyncio.sleep(0.05)
                        limits.append(next(iter(opened._places.values())).limiter.limit)

                looking = asyncio.ensure_future(look())
                found = await ask_all(opened, 1200)
                looking.cancel()
                assert reasons(found) == ["stop"] * 1200
                print(
                    f"mean {sum(limits) / len(limits):.1f}, most {max(limits):.1f}, {opened.tally.failures['rate']} refused"
                )
                settled = limits[len(limits) // 4 :]
                assert 9 <= sum(settled) / len(settled) <= 18
                assert max(settled) < 20
                assert opened.tally.failures.keys() <= {"rate"}
                assert opened.tally.failures["rate"] < 0.08 * 1200

        ran(run)
        stats = server.stats()
    assert stats.answered == 1200
    assert stats.max_in_flight <= 17
    assert not stats.repeated


@pytest.mark.parametrize("kind", sorted({*KINDS} - {"hang", "bad_request"}))
def test_one_fault_then_an_answer(kind: str, tmp_path: Path, cache: Path) -> None:
    """What is tried again, what is final, and what it costs."""
    final = {
        "content_filter_400": "filter",
        "refusal": "refusal",
        "content_filter": "refusal",
        "length": "length",
        "empty": "empty",
    }
    script = priced(rate=1, weights={kind: 1}, max_faults_per_request=1)
    with running_server(script, tmp_path / "server") as server:

        async def run() -> list[str]:
            async with session(cache, endpoint(server.base_url)) as opened:
                if kind == "content_filter_400":
                    with pytest.raises(CallFailedError, match=r"generate\.refused: HTTP 400 content_filter"):
                        await opened.call(request(0, to := next(iter(opened.endpoints.values()))), to.role, "p")
                return reasons(await ask_all(opened, 1))

        assert ran(run) == [final.get(kind, "stop")]
        stats = server.stats()
    whole = kind in ("cut_json", "wrong_schema", "slow_drip", "no_usage") or kind in final
    assert stats.received == (1 if whole else 2)
    held = spent(cache)
    assert held >= stats.cost
    if kind in BROKEN or kind in ("not_json_200", "no_usage"):
        assert held >= stats.cost + stats.maybe_cost > 0
        assert held > Decimal("0.0008")  # a whole reply was reserved and may have been made
    else:
        assert held == stats.cost


def test_a_server_that_never_answers_in_time(tmp_path: Path, cache: Path) -> None:
    script = priced(rate=1, weights={"hang": 1}, max_faults_per_request=99)
    with running_server(script, tmp_path / "server") as server:

        async def run() -> None:
            async with session(cache, endpoint(server.base_url, timeout=0.3)) as opened:
                found = await ask_all(opened, 30)
                assert isinstance(opened.stopped, LlmError)
                assert "no whole answer in time" in opened.stopped.message
                assert set(reasons(found)) == {"LlmError"}

        ran(run)
        assert spent(cache) >= server.stats().maybe_cost > 0


def test_a_faulty_server_makes_the_call_fail_alone(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pedcorpus.llm.session._FIRST_WAIT", 0.001)

    async def handler(line: str, headers: dict[str, str], body: bytes) -> bytes:
        if json.loads(body)["seed"] == 3:
            return response('{"error": {"message": "worker died", "code": null}}', "500 Internal Server Error")
        return response(GOOD)

    async def run() -> None:
        async with answering(handler) as url, session(cache, endpoint(url)) as opened:
            found = await ask_all(opened, 6)
            assert reasons(found) == ["stop"] * 3 + ["generate.unanswered"] + ["stop"] * 2
            assert "HTTP 500: worker died (6 tries)" in str(found[3])

    ran(run)
    assert outcomes(cache) == {"stop": 5, "server": 6}
    assert spent(cache) == 5 * (10 * Decimal("0.5") + 5 * 2) / 1_000_000


@pytest.mark.parametrize("status", ["429 Too Many Requests", "502 Bad Gateway"])
def test_a_call_that_is_always_put_off_fails_alone(status: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside others, and in a later session where it alone is left."""
    monkeypatch.setattr("pedcorpus.llm.session._FIRST_WAIT", 0.001)
    monkeypatch.setattr("pedcorpus.llm.session._LONGEST_WAIT", 0.01)

    async def handler(line: str, headers: dict[str, str], body: bytes) -> bytes:
        return response("{}", status) if json.loads(body)["seed"] == 3 else response(GOOD)

    async def run() -> None:
        async with answering(handler) as url:
            for _ in range(2):
                async with session(cache, endpoint(url)) as opened:
                    found = await ask_all(opened, 6)
                    assert reasons(found) == ["stop"] * 3 + ["generate.unanswered"] + ["stop"] * 2
                    assert f"HTTP {status[:3]} (20 refusals)" in str(found[3]) and opened.stopped is None

    ran(run)
    assert spent(cache) == 5 * (10 * Decimal("0.5") + 5 * 2) / 1_000_000


def test_quick_failures_before_a_slow_first_reply(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pedcorpus.llm.session._FIRST_WAIT", 0.02)
    asked = 0

    async def handler(line: str, headers: dict[str, str], body: bytes) -> bytes:
        nonlocal asked
        asked += 1
        if asked <= 17:
            return response("{}", "500 Internal Server Error")
        await asyncio.sleep(0.5)
        return response(GOOD)

    async def run() -> None:
        async with answering(handler) as url, session(cache, endpoint(url)) as opened:
            assert reasons(await ask_all(opened, 64)) == ["stop"] * 64

    ran(run)


def test_a_place_that_fails_all_calls_is_given_up_though_it_once_answered(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pedcorpus.llm.session._FIRST_WAIT", 0.001)
    asked = 0

    async def handler(line: str, headers: dict[str, str], body: bytes) -> bytes:
        nonlocal asked
        asked += 1
        return response(GOOD) if asked == 1 else response("{}", "500 Internal Server Error")

    async def run() -> None:
        async with answering(handler) as url, session(cache, endpoint(url)) as opened:
            await ask_all(opened, 1)
            found = reasons(await ask_all(opened, 200, first=1))
            assert found.count("LlmError") > 100
            assert isinstance(opened.stopped, LlmError)

    ran(run)


# --- servers that cannot be used --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        ("401 Unauthorized", {"message": f"Incorrect API key provided: {KEY}"}, "HTTP 401: the key was refused"),
        ("403 Forbidden", {"message": "no"}, "HTTP 403: the key was refused"),
        ("404 Not Found", {"message": "The model does not exist", "code": "model_not_found"}, "model_not_found"),
        ("402 Payment Required", {"message": "Insufficient Balance"}, "Insufficient Balance"),
        ("429 Too Many Requests", {"message": "quota", "code": "insufficient_quota"}, "insufficient_quota"),
        ("405 Method Not Allowed", {}, "HTTP 405"),
    ],
)
def test_what_stops_the_build_at_once(
    status: str, body: dict[str, str], said: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_LLM_KEY", KEY)
    asked = 0

    async def handler(line: str, headers: dict[str, str], content: bytes) -> bytes:
        nonlocal asked
        asked += 1
        assert headers["authorization"] == f"Bearer {KEY}"
        return response(json.dumps({"error": body}), status)

    async def run() -> None:
        async with answering(handler) as url, session(cache, endpoint(url)) as opened:
            found = await ask_all(opened, 100)
            assert set(reasons(found)) == {"LlmError"}
            error = opened.stopped
            assert isinstance(error, LlmError) and error.exit_code == 2
            assert said in error.message and url in error.message and "scripted" in error.message
            assert error.hint == "see llm.base_url, llm.model and the key in TEST_LLM_KEY"
            assert KEY not in repr([str(item) + repr(item) for item in found])

    ran(run)
    assert asked <= 16
    assert spent(cache) == 0
    assert KEY.encode() not in cache.read_bytes()


def test_a_server_that_is_not_there(cache: Path) -> None:
    """At once with many calls, within seconds with one; and it costs nothing."""

    async def run(count: int) -> None:
        async with session(cache, endpoint(f"http://127.0.0.1:{free_port()}/v1")) as opened:
            began = time.monotonic()
            assert set(reasons(await ask_all(opened, count))) == {"LlmError"}
            assert time.monotonic() - began < 6
            assert isinstance(opened.stopped, LlmError)
            assert "cannot connect: Connect" in opened.stopped.message
            assert opened.stopped.hint == "see whether the server runs and llm.base_url is right"

    ran(lambda: run(100))
    ran(lambda: run(1))
    assert spent(cache) == 0


def test_a_server_that_goes_away_is_waited_for_and_then_given_up(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pedcorpus.llm.session._FIRST_WAIT", 0.02)
    monkeypatch.setattr(patience, "_GONE", 1.0)

    async def handler(line: str, headers: dict[str, str], body: bytes) -> bytes:
        return response(GOOD, "200 OK", "Connection: close")

    async def run() -> None:
        async with answering(handler) as url:
            opened = session(cache, endpoint(url))
            asking = await opened.__aenter__()
            assert reasons(await ask_all(asking, 20)) == ["stop"] * 20
        began = time.monotonic()
        assert set(reasons(await ask_all(asking, 20, first=20))) == {"LlmError"}
        assert 1 <= time.monotonic() - began < 20
        await opened.__aexit__(None, None, None)

    ran(run)
    assert len(replies(cache)) == 20
    assert spent(cache) == 20 * (10 * Decimal("0.5") + 5 * 2) / 1_000_000


def test_a_server_that_takes_no_request_is_given_up(tmp_path: Path, cache: Path) -> None:
    script = Script(rate=1, weights={"bad_request": 1}, max_faults_per_request=99)
    with running_server(script, tmp_path / "server") as server:

        async def run() -> None:
            async with session(cache, endpoint(server.base_url)) as opened:
                found = reasons(await ask_all(opened, 300))
                assert found.count("LlmError") > 250
                assert isinstance(opened.stopped, LlmError)
                assert "takes json_schema" in opened.stopped.hint

        ran(run)
        assert server.stats().received < 30
    assert not rows(cache, "SELECT * FROM replies")  # another server may answer them


def test_a_refused_request_is_final_once_others_are_answered(cache: Path) -> None:
    """Also those that were refused before the first reply: a replay must find the same."""

    async def handler(line: str, headers: dict[str, str], body: bytes) -> bytes:
        if json.loads(body)["seed"] < 3:
            return response('{"error": {"message": "too long", "code": "context_length_exceeded"}}', "400 Bad Request")
        return response(GOOD)

    async def run() -> None:
        async with answering(handler) as url, session(cache, to := endpoint(url, max_in_flight=4)) as opened:
            assert reasons(await ask_all(opened, 6)) == ["generate.request"] * 3 + ["stop"] * 3
        async with session(cache, to, offline=True) as opened:
            assert reasons(await ask_all(opened, 7)) == ["request"] * 3 + ["stop"] * 3 + ["generate.offline"]

    ran(run)


def _too_long(first: int) -> Handler:
    """A server that takes no request from ``first`` on."""

    async def handler(line: str, headers: dict[str, str], body: bytes) -> bytes:
        if json.loads(body)["seed"] >= first:
            return response('{"error": {"message": "too long", "code": "context_length_exceeded"}}', "400 Bad Request")
        return response(GOOD)

    return handler


async def _parts_of(opened: Session, folder: Path, numbers: range) -> Parts:
    """A part for each of so many requests."""
    to = next(iter(opened.endpoints.values()))
    parts = Parts(folder)

    async def work(number: int) -> list[Row | Reject]:
        try:
            await opened.call(request(number, to), to.role, "p")
        except CallFailedError as failure:
            return [Reject("generate", failure.reason, failure.detail)]
        return []

    tasks = [AskTask(str(number), partial(range, number, number + 1)) for number in numbers]
    assert await ask_parts(opened, parts, tasks, work, lambda: None) == 0
    return parts


def test_requests_refused_beside_replies_of_the_cache_are_at_fault(tmp_path: Path, cache: Path) -> None:
    """However many they are: a later build of the same cache ends as the first did."""

    async def run() -> None:
        async with answering(_too_long(9)) as url:
            for count in (10, 10, 29):
                async with session(cache, endpoint(url)) as opened:
                    parts = await _parts_of(opened, tmp_path / str(time.monotonic_ns()), range(count))
                    assert [sum(parts.reasons(str(number)).values()) for number in range(count)] == [0] * 9 + [1] * (
                        count - 9
                    )
                    assert opened.tally.sent == (10 if count == 10 and not opened.tally.served else count - 9)
                    await opened.cache.close_round()
            async with session(cache, endpoint(url), proven={(url, "scripted")}) as opened:  # of another stage
                await _parts_of(opened, tmp_path / "pairs", range(100, 120))

    ran(run)


def test_a_server_that_refuses_all_of_a_few_requests_is_at_fault(tmp_path: Path, cache: Path) -> None:
    async def run() -> None:
        async with answering(_too_long(0)) as url, session(cache, endpoint(url)) as opened:
            with pytest.raises(LlmError, match="refuses every request"):
                await _parts_of(opened, tmp_path / "parts", range(3))
            assert not list((tmp_path / "parts").glob("*"))

    ran(run)
    assert not rows(cache, "SELECT * FROM replies")


def test_what_a_server_refused_before_it_was_given_up_is_asked_again(tmp_path: Path, cache: Path) -> None:
    async def run() -> None:
        async with answering(_too_long(0)) as url, session(cache, endpoint(url)) as opened:
            with pytest.raises(LlmError, match="too long"):
                await _parts_of(opened, tmp_path / "parts", range(30))
            assert not list((tmp_path / "parts").glob("*"))

    ran(run)
    assert not rows(cache, "SELECT * FROM replies")


def test_the_limit_of_a_reply_has_another_name(tmp_path: Path, cache: Path) -> None:
    """All calls in flight learn it from the first, none is lost, and the next session knows it."""
    with running_server(Script(modes=("max_completion_tokens",), delay=(0.01, 0.05)), tmp_path / "server") as server:

        async def run(first: int) -> Session:
            async with session(cache, endpoint(server.base_url)) as opened:
                assert reasons(await ask_all(opened, 100, first)) == ["stop"] * 100
                return opened

        assert 1 <= ran(lambda: run(0)).tally.failures["parameter"] <= 64
        assert not ran(lambda: run(100)).tally.failures


@pytest.mark.parametrize("asked", ["0.2", "DATE", "1e9", "nonsense, or not", "-3", "nan", "inf"])
def test_retry_after(asked: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pedcorpus.llm.session._FIRST_WAIT", 0.01)
    from email.utils import formatdate

    times: list[float] = []

    async def handler(line: str, headers: dict[str, str], body: bytes) -> bytes:
        times.append(time.time())
        if len(times) > 1:
            return response(GOOD)
        value = formatdate(time.time() + 2, usegmt=True) if asked == "DATE" else asked
        return response("{}", "429 Too Many Requests", f"Retry-After: {value}")

    async def run() -> list[str]:
        async with answering(handler) as url, session(cache, endpoint(url)) as opened:
            found = await ask_all(opened, 1)
            if asked == "1e9":
                assert isinstance(opened.stopped, LlmError) and "asks to wait 1000000000 s" in opened.stopped.message
            return reasons(found)

    assert ran(run) == (["LlmError"] if asked == "1e9" else ["stop"])
    least = {"0.2": 0.19, "DATE": 0.9}.get(asked, 0.0)
    assert len(times) == 1 or least <= times[1] - times[0] < 3


# --- sharing, stopping ------------------------------------------------------------------------------


def test_twins_are_asked_once_and_outlive_each_other(cache: Path) -> None:
    asked = 0
    came = asyncio.Event()

    async def handler(line: str, headers: dict[str, str], body: bytes) -> bytes:
        nonlocal asked
        asked += 1
        if asked == 1:
            came.set()
            await asyncio.sleep(60)
        return response(GOOD)

    async def run() -> None:
        async with answering(handler) as url, session(cache, to := endpoint(url)) as opened:
            first, *others = [asyncio.ensure_future(opened.call(request(1, to), to.role, "p")) for _ in range(5)]
            await came.wait()
            first.cancel()  # the one that asks leaves: another one asks
            others[0].cancel()
            found = await asyncio.gather(first, *others, return_exceptions=True)
            assert reasons(found) == ["CancelledError"] * 2 + ["stop"] * 3
            assert asked == 2
            assert reasons(await ask_all(opened, 1, first=1)) == ["stop"]
            assert asked == 2

    ran(run)


def test_a_stop_keeps_what_is_in_flight_and_frees_the_rest(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(line: str, headers: dict[str, str], body: bytes) -> bytes:
        await asyncio.sleep(0.3)
        return response(GOOD)

    async def run() -> None:
        async with answering(handler) as url, session(cache, endpoint(url), Decimal("0.02")) as opened:
            calls = asyncio.ensure_future(ask_all(opened, 200))
            await asyncio.sleep(0.15)
            opened.stop(InterruptedBuildError("interrupted"))
            found = reasons(await calls)
            assert 0 < found.count("stop") <= 16
            assert found.count("stop") + found.count("InterruptedBuildError") == 200

    ran(run)
    gc.collect()
    assert "never retrieved" not in caplog.text
    assert outcomes(cache).keys() == {"stop"}


def test_the_budget_holds_with_64_in_flight(tmp_path: Path, cache: Path) -> None:
    """By the server's own account, with replies lost and broken; and it is used up."""
    weights = {"hang": 1.0, "drop": 2.0, "drop_reset": 2.0, "cut_body": 2.0, "500": 2.0, "no_usage": 2.0}
    script = priced(rate=0.1, weights=weights, delay=(0.0, 0.1))
    cap = Decimal("0.25")
    with running_server(script, tmp_path / "server") as server:

        async def run() -> None:
            async with session(cache, endpoint(server.base_url, timeout=1.0), cap) as opened:
                found = reasons(await ask_all(opened, 6000))
                assert isinstance(opened.stopped, BudgetReachedError)
                assert found.count("stop") == len(replies(cache))
                assert opened.budget.reserved == 0
                assert cap - Decimal("0.002") < opened.budget.spent <= cap

        ran(run, 120)
        stats = server.stats()
    assert stats.cost + stats.maybe_cost <= spent(cache) <= cap
    assert not stats.repeated_ok


def test_in_batch_mode_and_offline_nothing_is_sent(cache: Path) -> None:
    to = endpoint("http://127.0.0.1:1/v1")
    waiting: list[str] = []

    async def run() -> None:
        async with session(cache, to, collect=lambda one, role, prompt: waiting.append(one.key)) as opened:
            assert reasons(await ask_all(opened, 2)) == ["PendingError"] * 2
            with pytest.raises(PendingError):
                await opened.call(request(0, to), "generator", "p")
        async with session(cache, to, offline=True) as opened:
            assert reasons(await ask_all(opened, 1)) == ["generate.offline"]

    ran(run)
    assert waiting == [request(number, to).key for number in (0, 1, 0)]


def test_a_full_disk_stops_the_build_and_wakes_everybody(cache: Path) -> None:
    async def handler(line: str, headers: dict[str, str], body: bytes) -> bytes:
        return response(GOOD)

    async def run() -> None:
        async with answering(handler) as url, session(cache, endpoint(url)) as opened:
            await ask_all(opened, 1)
            pages = opened.cache._read.execute("PRAGMA page_count").fetchone()[0]
            await opened.cache.write([(f"PRAGMA max_page_count = {pages}", ())])
            found = await ask_all(opened, 100, first=1)
            assert "DiskFullError" in reasons(found)
            assert "no space left" in str(next(item for item in found if isinstance(item, Exception)))

    ran(run)


# --- what goes over the line ------------------------------------------------------------------------


def test_headers_say_who_asks_and_nothing_of_the_machine(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, str]] = []
    lines: list[str] = []
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "project-1")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)

    async def handler(line: str, headers: dict[str, str], body: bytes) -> bytes:
        seen.append(headers)
        lines.append(line)
        return response(GOOD)

    async def run() -> None:
        async with answering(handler) as url, session(cache, endpoint(url)) as opened:
            assert reasons(await ask_all(opened, 2)) == ["stop"] * 2

    ran(run)
    assert lines == ["POST /v1/chat/completions HTTP/1.1"] * 2
    from pedcorpus import __version__

    assert all(headers["user-agent"] == f"pedcorpus/{__version__}" for headers in seen)
    assert not [name for headers in seen for name in headers if "stainless" in name or name.startswith("openai-")]


def test_the_loopback_of_ipv6(cache: Path) -> None:
    async def handler(line: str, headers: dict[str, str], body: bytes) -> bytes:
        return response(GOOD)

    async def run() -> None:
        try:
            async with answering(handler, "::1") as url, session(cache, endpoint(url)) as opened:
                assert reasons(await ask_all(opened, 2)) == ["stop"] * 2
        except OSError:
            pytest.skip("no IPv6 here")

    ran(run)


@pytest.mark.parametrize("status", ["301 Moved Permanently", "307 Temporary Redirect", "308 Permanent Redirect"])
def test_a_redirect_is_not_followed(status: str, cache: Path) -> None:
    went = []

    async def elsewhere(line: str, headers: dict[str, str], body: bytes) -> bytes:
        went.append(line)
        return response(GOOD)

    async def run() -> None:
        async with answering(elsewhere) as other:

            async def handler(line: str, headers: dict[str, str], body: bytes) -> bytes:
                return response("{}", status, f"Location: {other}/chat/completions")

            async with answering(handler) as url, session(cache, endpoint(url)) as opened:
                assert reasons(await ask_all(opened, 1)) == ["LlmError"]
                assert "which is not followed" in str(opened.stopped)

    ran(run)
    assert not went


@pytest.mark.parametrize("key", ["sk-钥匙-0123456789", "sk-line\nX-Evil: 1", "two words", "sk-\x7f0123456789abcdef"])
def test_a_key_that_is_none(key: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_LLM_KEY", key)

    async def run() -> None:
        with pytest.raises(ConfigError, match="TEST_LLM_KEY") as caught:
            async with session(cache, endpoint("http://127.0.0.1:1/v1")):
                pass
        assert key not in str(caught.value) + caught.value.hint

    ran(run)


def test_a_server_of_others_needs_a_key(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_LLM_KEY", raising=False)

    async def run() -> None:
        with pytest.raises(ConfigError, match="TEST_LLM_KEY is not set"):
            async with session(cache, endpoint("https://api.example.com/v1")):
                pass
        async with session(cache, endpoint("https://api.example.com/v1", api_key_env="")):
            pass

    ran(run)


@pytest.mark.parametrize("status", ["400 Bad Request", "500 Internal Server Error", "200 OK"])
def test_a_key_that_the_server_says_is_kept_nowhere(status: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_LLM_KEY", KEY)
    monkeypatch.setattr("pedcorpus.llm.session._FIRST_WAIT", 0.001)
    asked = 0

    async def handler(line: str, headers: dict[str, str], body: bytes) -> bytes:
        nonlocal asked
        asked += 1
        said = f"you sent {headers['authorization']}"
        if status == "200 OK" or asked == 1:
            return response(COMPLETION % json.dumps(said))
        return response(json.dumps({"error": {"message": said}}), status)

    async def run() -> str:
        async with answering(handler) as url, session(cache, endpoint(url)) as opened:
            found = await ask_all(opened, 1)
            found += await ask_all(opened, 3, first=1)
            return repr([str(item) + repr(item) for item in found])

    said = ran(run)
    assert "you sent Bearer ***" in said
    assert KEY not in said
    for path in cache.parent.glob(f"{cache.name}*"):
        assert KEY.encode() not in path.read_bytes()


@pytest.mark.parametrize(
    ("body", "finish", "content"),
    [
        (COMPLETION % '"\\ud800 and \\u0000 and \\ud83d\\ude00"', "stop", "\ufffd and \x00 and 😀"),
        (COMPLETION % '[{"type": "text", "text": "in "}, {"type": "text", "text": "pieces"}]', "stop", "in pieces"),
        (COMPLETION % "null", "empty", ""),
        (COMPLETION.replace('"stop"', "null") % '"x"', "stop", "x"),
        (COMPLETION.replace(', "finish_reason": "stop"', "") % '"x"', "stop", "x"),
        (COMPLETION.replace('"stop"', '"end_turn"') % '"x"', "stop", "x"),
        (COMPLETION.replace('"stop"', '"MAX_TOKENS"') % '"x"', "length", "x"),
        (COMPLETION.replace('"stop"', '"model_length"') % '"x"', "length", "x"),
        (COMPLETION.replace('"stop"', '"model_context_window_exceeded"') % '"x"', "length", "x"),
        (COMPLETION.replace('"stop"', '"sensitive"') % '"x"', "refusal", "x"),
        (COMPLETION.replace('"stop"', '"SAFETY"') % "null", "refusal", ""),
        ((COMPLETION % '"x"').replace('"prompt_tokens": 10', f'"prompt_tokens": {10**40}'), "stop", "x"),
        ((COMPLETION % '"x"').replace('"prompt_tokens": 10', '"prompt_tokens": -1'), "stop", "x"),
        ((COMPLETION % '"x"').replace('"scripted"', '"\\udfff"'), "stop", "x"),
    ],
)
def test_odd_replies_are_stored_and_read_back(body: str, finish: str, content: str, cache: Path) -> None:
    async def handler(line: str, headers: dict[str, str], said: bytes) -> bytes:
        return response(body)

    async def run() -> None:
        async with answering(handler) as url, session(cache, endpoint(url)) as opened:
            for _ in range(2):
                (found,) = await ask_all(opened, 1)
                assert (getattr(found, "finish", found), getattr(found, "content", "")) == (finish, content)
            assert opened.tally.sent == opened.tally.served == 1

    ran(run)


@pytest.mark.parametrize("body", ["[]", "{}", '{"choices": []}', '{"choices": [null]}', "[" * 100_000, "\x00", ""])
def test_nonsense_with_200_is_tried_again(body: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pedcorpus.llm.session._FIRST_WAIT", 0.001)
    asked = 0

    async def handler(line: str, headers: dict[str, str], said: bytes) -> bytes:
        nonlocal asked
        asked += 1
        return response(body if asked == 1 else GOOD)

    async def run() -> None:
        async with answering(handler) as url, session(cache, endpoint(url)) as opened:
            assert reasons(await ask_all(opened, 1)) == ["stop"]

    ran(run)
    assert outcomes(cache) == {"broken": 1, "stop": 1}


@pytest.mark.parametrize("finish", ["insufficient_system_resource", "network_error", "error", "abort", "other"])
def test_a_reply_that_broke_off_is_tried_again(finish: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its words are never kept, and it counts as paid."""
    monkeypatch.setattr("pedcorpus.llm.session._FIRST_WAIT", 0.001)
    asked = 0

    async def handler(line: str, headers: dict[str, str], said: bytes) -> bytes:
        nonlocal asked
        asked += 1
        return response(GOOD.replace('"stop"', json.dumps(finish)) if asked == 1 else GOOD)

    async def run() -> None:
        async with answering(handler) as url, session(cache, endpoint(url)) as opened:
            assert reasons(await ask_all(opened, 1)) == ["stop"]

    ran(run)
    assert outcomes(cache) == {"broken": 1, "stop": 1}
    assert spent(cache) > Decimal("0.0008")


@pytest.mark.parametrize("usage", [(0, 0), (0, 5), (10, 0)])
def test_a_usage_that_cannot_be_counts_as_none(usage: tuple[int, int], cache: Path) -> None:
    """The reservation then stands, so that the cap holds."""

    async def handler(line: str, headers: dict[str, str], said: bytes) -> bytes:
        prompt, completion = (json.dumps(count) for count in usage)
        body = GOOD.replace('"prompt_tokens": 10', f'"prompt_tokens": {prompt}')
        return response(body.replace('"completion_tokens": 5', f'"completion_tokens": {completion}'))

    async def run() -> None:
        async with answering(handler) as url, session(cache, endpoint(url), Decimal("0.01")) as opened:
            found = reasons(await ask_all(opened, 200))
            assert isinstance(opened.stopped, BudgetReachedError)
            assert 0 < found.count("stop") < 13

    ran(run)
    assert Decimal("0.008") < spent(cache) <= Decimal("0.01")


@pytest.mark.parametrize(("code", "kind"), [("429", "rate"), ("502", "overload"), ('"1302"', "server")])
def test_an_error_with_200_is_not_paid(code: str, kind: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pedcorpus.llm.session._FIRST_WAIT", 0.001)
    asked = 0

    async def handler(line: str, headers: dict[str, str], said: bytes) -> bytes:
        nonlocal asked
        asked += 1
        return response(f'{{"error": {{"code": {code}, "message": "later"}}}}' if asked == 1 else GOOD)

    async def run() -> None:
        async with answering(handler) as url, session(cache, endpoint(url)) as opened:
            assert reasons(await ask_all(opened, 1)) == ["stop"]
            assert next(iter(opened._places.values())).limiter.cuts == (kind != "server")

    ran(run)
    assert outcomes(cache) == {kind: 1, "stop": 1}
    assert spent(cache) == (10 * Decimal("0.5") + 5 * 2) / 1_000_000
