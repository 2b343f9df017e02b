"""Builds against servers that fail in every way: nothing is lost, nothing is paid twice, and nothing is passed over."""

from __future__ import annotations

import socket
import time
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from pedcorpus.verify import verify_build
from tests.builds import rejects
from tests.llm.builds import outcomes, replies, spent, write_project
from tests.llm.server import KINDS, Script, running_server

KEY = "sk-secret-0123456789abcdef"
SLOW = {"429_date": 0.3, "hang": 0.6}
"""Kinds that cost seconds, drawn less often."""


@pytest.mark.slow
def test_two_thousand_requests_a_third_of_them_faulty(tmp_path: Path) -> None:
    weights = {kind: SLOW.get(kind, 0.5 if kind[:3] in ("429", "503") else 1.0) for kind in KINDS}
    script = Script(rate=0.3, weights=weights, delay=(0, 0.02), price_input="0.5", price_output="2")
    with running_server(script, tmp_path / "server") as server:
        project = write_project(tmp_path / "project", server.base_url, sections=310, llm="timeout = 3")
        began = time.monotonic()
        done = project.build(timeout=280)
        seconds = time.monotonic() - began
        stats = server.stats()
    assert done.returncode == 0, done.stderr
    ended = outcomes(project.cache)
    print(f"{stats.received} requests in {seconds:.0f} s, {stats.answered} answered, {stats.ok} usable: {ended}")
    print(f"cost {stats.cost}, maybe {stats.maybe_cost}, in the cache {spent(project.cache)}; {stats.faulted}")
    assert stats.received >= 2000
    assert stats.faulted.keys() == set(KINDS)

    # every reply that went out is in the cache, once
    held = replies(project.cache)
    late = ended.get("timeout", 0) - stats.faulted["hang"]  # whole replies that came when nobody waited any more
    assert late <= 5
    assert len(held) <= stats.answered <= len(held) + late
    assert sum(stats.repeated_ok.values()) - len(stats.repeated_ok) <= late
    assert sum(ended.values()) == stats.received
    assert "" not in ended
    assert stats.cost + stats.maybe_cost <= spent(project.cache)

    # every item is kept or in the ledger, with the reason that the server gave it
    line = project.stage("generate")
    failed = Counter(item["reason"] for item in rejects(project.output, "generate"))
    assert failed == line["rejected"]
    if not late:
        fault = stats.faulted
        refused = fault["refusal"] + fault["content_filter"] + fault["content_filter_400"] + fault["empty"]
        assert failed["generate.refused"] == refused
        assert failed["generate.truncated"] == fault["length"]
        assert failed["generate.request"] == fault["bad_request"]
        assert failed["generate.schema"] <= fault["cut_json"] + fault["wrong_schema"]
    assert failed.keys() <= {"generate.refused", "generate.truncated", "generate.request", "generate.schema"}
    assert line["kept"] > 700
    assert not verify_build(project.output)["faults"]


def test_the_budget_is_never_passed_and_a_larger_one_goes_on(tmp_path: Path) -> None:
    weights = {"hang": 1.0, "drop": 1.0, "cut_body": 1.0, "500": 1.0}
    prices = ("2", "8")
    script = Script(rate=0.03, weights=weights, delay=(0.1, 0.3), price_input=prices[0], price_output=prices[1])
    with running_server(script, tmp_path / "server") as server:
        lines = "timeout = 3\nmax_tokens = 600\nbudget_usd = 1.00"
        project = write_project(tmp_path / "project", server.base_url, sections=120, prices=prices, llm=lines)
        done = project.build()
        assert done.returncode == 3, done.stderr
        assert done.stderr.startswith("error: the budget of 1.0 USD is reached: ")
        assert "run the same command with a larger --budget" in done.stderr
        stats = server.stats()
        held = spent(project.cache)
        print(f"cap 1.00: billed {stats.cost}, maybe {stats.maybe_cost}, counted {held}, most {stats.max_in_flight}")
        assert stats.cost + stats.maybe_cost <= held <= 1
        assert held > Decimal("0.97")
        assert stats.max_in_flight > 30
        assert stats.answered == len(replies(project.cache))

        again = project.build()  # nothing fits any more
        assert again.returncode == 3, again.stderr
        assert server.stats().answered - stats.answered <= 2
        assert spent(project.cache) <= 1

        done = project.build("--budget", "20")
        assert done.returncode == 0, done.stderr
        after = server.stats()
        assert not after.repeated_ok
        assert after.answered == len(replies(project.cache))
        assert after.cost + after.maybe_cost <= spent(project.cache) <= 20
    project.stage("generate")


@pytest.mark.parametrize(
    ("script", "key", "said"),
    [
        (Script(api_key=KEY), "sk-another-0123456789abc", "HTTP 401"),
        (Script(modes=("no_model",)), KEY, "HTTP 404 model_not_found"),
        (Script(rate=1, weights={"bad_request": 1}, max_faults_per_request=99), KEY, "HTTP 400"),
    ],
    ids=["auth", "model", "request"],
)
def test_what_the_user_must_mend_ends_the_build(script: Script, key: str, said: str, tmp_path: Path) -> None:
    with running_server(script, tmp_path / "server") as server:
        project = write_project(
            tmp_path / "project", server.base_url, sections=20, env={"OPENAI_API_KEY": key, "COLUMNS": "300"}
        )
        done = project.build()
    assert done.returncode == 2, done.stderr
    error, hint = done.stderr.splitlines()
    assert error.startswith(f"error: {server.base_url} (model scripted): ") and said in error
    assert hint.startswith("hint: ") and "llm.model" in hint
    if "HTTP 400" not in said:
        assert "llm.base_url" in hint and "the key in OPENAI_API_KEY" in hint
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        assert key.encode() not in path.read_bytes(), path
    assert key not in done.stdout + done.stderr


def test_no_server_at_all(tmp_path: Path) -> None:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        port = made.getsockname()[1]
    project = write_project(tmp_path, f"http://127.0.0.1:{port}/v1/", sections=3)
    began = time.monotonic()
    done = project.build()
    assert done.returncode == 2, done.stderr
    assert time.monotonic() - began < 30
    assert f"error: http://127.0.0.1:{port}/v1 (model scripted): cannot connect: " in done.stderr
    assert "hint: see whether the server runs and llm.base_url is right" in done.stderr
    assert spent(project.cache) == 0


def test_a_server_that_knows_another_name_for_the_limit(tmp_path: Path) -> None:
    with running_server(Script(modes=("max_completion_tokens",)), tmp_path / "server") as server:
        project = write_project(tmp_path / "project", server.base_url, sections=3)
        done = project.build()
        assert done.returncode == 0, done.stderr
        assert server.stats().answered == len(replies(project.cache))
    assert not project.stage("generate")["rejected"]
