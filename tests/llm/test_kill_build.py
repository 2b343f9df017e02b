"""A build that asks is killed and stopped again and again, and pays for no reply twice."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from pedcorpus.verify import verify_build
from tests.llm.builds import Project, kill, outcomes, priced, replies, rows, spent, wait_until, write_project
from tests.llm.server import Server, running_server

KILLS = 20


def received(server: Server) -> int:
    """Requests so far, counted in the server's file."""
    path = server.state / "events.jsonl"
    return path.read_bytes().count(b'"event":"received"') if path.exists() else 0


def has_received(server: Server, goal: int) -> bool:
    return received(server) > goal


def unsettled(project: Project) -> int:
    """Calls whose end no build has seen."""
    return outcomes(project.cache).get("", 0) if project.cache.exists() else 0


def asked_after_reply(project: Project) -> list[str]:
    """Requests that were sent although the cache held their reply."""
    last: dict[str, int] = {}
    again = []
    for number, key, outcome in rows(project.cache, "SELECT id, key, outcome FROM calls ORDER BY id"):
        if key in last:
            again.append(f"{key}: call {number} after call {last[key]}")
        if outcome == "stop":
            last[key] = number
    return again


@pytest.mark.slow
def test_kill_9_at_random_moments_of_one_build(tmp_path: Path) -> None:
    chance = random.Random()
    seed = chance.randrange(2**32)
    print(f"seed {seed}")
    chance.seed(seed)
    with running_server(priced(delay=(0.02, 0.5)), tmp_path / "server") as server:
        project = write_project(tmp_path / "project", server.base_url, sections=270)
        killed = 0
        for _ in range(KILLS):
            before = received(server)
            running = project.start()
            goal = before + chance.randrange(80)
            wait_until(partial(has_received, server, goal), running)
            time.sleep(chance.uniform(0, 0.2))
            kill(running)
            killed += running.returncode == -signal.SIGKILL
            assert len(replies(project.cache)) <= received(server)
        in_flight = unsettled(project)
        done = project.build()
        assert done.returncode == 0, done.stderr
        stats = server.stats()
    print(f"{killed} kills, {in_flight} calls in flight at them, {stats.received} requests,")
    print(f"{stats.answered} answered, {sum(stats.repeated.values()) - len(stats.repeated)} of them again")
    print(f"cost {stats.cost}, maybe {stats.maybe_cost}, in the cache {spent(project.cache)}")
    assert killed >= KILLS * 0.8
    held = replies(project.cache)
    calls = Counter(key for (key,) in rows(project.cache, "SELECT key FROM calls"))
    assert not asked_after_reply(project)
    assert unsettled(project) == in_flight
    assert stats.received <= calls.total()  # a call is noted before it is sent
    assert calls.total() == len(held) + in_flight
    assert len(stats.answered_keys) == len(held) == len(calls)
    assert stats.answered - len(held) <= in_flight
    assert max(stats.answered_keys.values()) <= KILLS + 1
    assert stats.cost <= spent(project.cache)
    project.stage("generate")
    assert not verify_build(project.output)["faults"]
    with running_server(priced(), tmp_path / "other") as other:
        assert project.build().returncode == 0  # nothing is left to ask
        assert received(other) == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_build_keeps_what_is_in_flight(number: signal.Signals, tmp_path: Path) -> None:
    with running_server(priced(delay=(0.3, 0.8)), tmp_path / "server") as server:
        project = write_project(tmp_path / "project", server.base_url, sections=20)
        running = project.start()
        wait_until(partial(has_received, server, 40), running)
        os.kill(running.pid, number)
        _, errors = running.communicate(timeout=60)
        assert running.returncode == 130, errors
        assert errors.splitlines()[1] == "error: interrupted" and "it goes on where it stopped" in errors
        assert "Traceback" not in errors
        stats = server.stats()
        assert stats.in_flight == stats.gone == 0
        assert 40 < stats.answered == len(replies(project.cache)) < 120
        assert unsettled(project) == 0
        done = project.build()
        assert done.returncode == 0, done.stderr
        stats = server.stats()
        assert not stats.repeated
        assert stats.answered == len(replies(project.cache))
        assert stats.cost == spent(project.cache)


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    with running_server(priced(delay=(20, 20)), tmp_path / "server") as server:
        project = write_project(tmp_path / "project", server.base_url, sections=10)
        running = project.start()
        wait_until(lambda: received(server) >= 16, running)
        os.kill(running.pid, signal.SIGINT)
        time.sleep(0.5)
        assert running.poll() is None  # it waits for replies that are paid
        began = time.monotonic()
        os.kill(running.pid, signal.SIGINT)
        _, errors = running.communicate(timeout=60)
        assert time.monotonic() - began < 5
        assert running.returncode == 130, errors
        assert "Traceback" not in errors and "never retrieved" not in errors
        assert unsettled(project) == server.stats().gone
    assert spent(project.cache) > 0  # what the server may bill
