"""A build that was killed, stopped or run with other workers ends in the same bytes."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pedcorpus.config import load_config
from pedcorpus.pipeline import build
from pedcorpus.verify import verify_build
from tests.builds import hashes
from tests.conftest import ROOT, SAMPLE, Run

CONFIG = SAMPLE / "pedcorpus.toml"
KILLS = 20
PUBLISHED = ("dataset", "records", "rejects")


def start(output: Path, workers: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "pedcorpus", "build", "--config", CONFIG, "--output", output, "--workers", str(workers)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(
            signal.SIGINT, signal.default_int_handler
        ),  # a shell's background job ignores it
    )


def parts_in(output: Path) -> int:
    """Parts that are on disk: how far a build is."""
    return sum(1 for _ in (output / "state" / "parts").glob("*/*.parquet"))


def wait_for(output: Path, parts: int, running: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while parts_in(output) < parts and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)


def same(left: Path, right: Path) -> None:
    for folder in PUBLISHED:
        assert hashes(left / folder) == hashes(right / folder)
    assert (left / "report.html").read_bytes() == (right / "report.html").read_bytes()


@pytest.mark.slow
def test_kill_9_at_random_moments(tmp_path: Path, sample_build: tuple[Path, object], run: Run) -> None:
    """A moment is a number of parts on disk, from none to all; beyond all, the writing of the dataset."""
    whole = parts_in(sample_build[0])
    chance = random.Random()
    seed = chance.randrange(2**32)
    print(f"seed {seed}")
    chance.seed(seed)
    killed = 0
    for number in range(KILLS):
        output = tmp_path / f"build-{number // 2}"  # every second kill hits a build that was killed before
        moment = chance.uniform(0, 1.25)
        running = start(output, workers=1 + number % 2)
        wait_for(output, round(min(moment, 1.0) * whole), running)
        time.sleep(chance.uniform(0, 0.3) if moment >= 1 else chance.uniform(0, 0.02))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL) if number % 4 < 2 else os.kill(running.pid, signal.SIGKILL)
        running.communicate()
        killed += running.returncode == -signal.SIGKILL
        if number % 2:
            status = run("status", output) if (output / "state").exists() else None
            assert status is None or status.returncode == 0, status.stderr
            done = run("build", "--config", CONFIG, "--output", output, "--workers", 2)
            assert done.returncode == 0, done.stderr
            same(output, sample_build[0])
            assert not verify_build(output)["faults"]
    assert killed >= KILLS * 0.8, f"only {killed} of {KILLS} kills met a running build"


def test_worker_counts_give_the_same_bytes(tmp_path: Path, sample_build: tuple[Path, object]) -> None:
    for workers in (1, 3):
        output = tmp_path / str(workers)
        build(load_config(CONFIG), output, workers=workers)
        same(output, sample_build[0])


def test_an_unchanged_build_does_nothing_again(tmp_path: Path, run: Run) -> None:
    output = tmp_path / "build"
    for _ in range(2):
        assert run("build", "--config", CONFIG, "--output", output, "--workers", 1).returncode == 0
    events = (output / "state" / "events.jsonl").read_text(encoding="utf-8")
    second = events[events.rindex('"event": "start"') :]
    waiting = [line.split('"waiting": ')[1].split("}")[0] for line in second.splitlines() if '"waiting"' in line]
    assert len(waiting) >= 8
    assert set(waiting) == {"0"}


def test_fresh_and_a_changed_seed(tmp_path: Path, sample_build: tuple[Path, object]) -> None:
    """Another seed remakes the rows and nothing before them; back again, the bytes are the old ones."""
    output = tmp_path / "build"
    text = CONFIG.read_text(encoding="utf-8")
    assert "\nseed = " in text
    other = tmp_path / "sample.toml"
    build(load_config(CONFIG), output, workers=1)
    before = {path.name: path.stat().st_mtime_ns for path in (output / "state" / "parts" / "screen").iterdir()}
    seed = text[text.index("\nseed = ") :].split("\n")[1]
    changed = text.replace(seed, "seed = 99").replace('path = "', f'path = "{SAMPLE}/')
    changed = changed.replace('benchmarks = ["', f'benchmarks = ["{SAMPLE}/')
    other.write_text(changed, encoding="utf-8")
    build(load_config(other), output, workers=1)
    assert before == {path.name: path.stat().st_mtime_ns for path in (output / "state" / "parts" / "screen").iterdir()}
    assert hashes(output / "dataset") != hashes(sample_build[0] / "dataset")
    build(load_config(CONFIG), output, workers=1, fresh=True)
    same(output, sample_build[0])


def test_a_second_build_in_the_folder_is_refused(tmp_path: Path, run: Run) -> None:
    output = tmp_path / "build"
    running = start(output, workers=1)
    try:
        wait_for(output, 1, running)
        os.kill(running.pid, signal.SIGSTOP)
        done = run("build", "--config", CONFIG, "--output", output)
        assert done.returncode == 2
        assert "another build is running" in done.stderr
        status = run("status", output)
        assert status.returncode == 0
        assert "not finished" in status.stdout
    finally:
        os.kill(running.pid, signal.SIGCONT)
        running.communicate()
    assert running.returncode == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("workers", [1, 2])
def test_interrupted_ends_with_130(number: signal.Signals, workers: int, tmp_path: Path, run: Run) -> None:
    output = tmp_path / "build"
    running = start(output, workers)
    wait_for(output, 12, running)
    os.kill(running.pid, number)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 130, errors
    assert "Traceback" not in errors
    assert errors.startswith("error: ")
    assert "it goes on where it stopped" in errors
    verified = run("verify", output)
    assert verified.returncode == 2
    assert "has not finished" in verified.stderr


def test_a_dead_worker_is_told(tmp_path: Path, run: Run) -> None:
    output = tmp_path / "build"
    running = start(output, workers=2)
    wait_for(output, 3, running)
    children = (Path("/proc") / str(running.pid) / "task" / str(running.pid) / "children").read_text().split()
    workers = [pid for pid in children if b"spawn_main" in (Path("/proc") / pid / "cmdline").read_bytes()]
    assert workers
    os.kill(int(workers[0]), signal.SIGKILL)
    _, errors = running.communicate(timeout=60)
    assert running.returncode == 2, errors
    assert errors.startswith("error: a worker process died")
    assert "Traceback" not in errors
    assert run("build", "--config", CONFIG, "--output", output).returncode == 0
