"""The Batch API: requests are handed in, a later build collects, and what is lost on the way is found again."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from pedcorpus.config import load_config
from pedcorpus.errors import PedcorpusError
from pedcorpus.llm.batch import BatchQueue, _Call
from pedcorpus.llm.budget import Budget
from pedcorpus.llm.cache import Cache
from pedcorpus.llm.calls import CallOptions
from pedcorpus.pipeline import build
from tests.builds import hashes
from tests.llm.asking import COMPLETION, endpoint, ran
from tests.llm.builds import Project, kill, outcomes, priced, replies, rows, spent, wait_until, write_project
from tests.llm.server import BatchScript, Script, Server, running_server


def _handed_in(server: Server, before: int) -> bool:
    return (server.state / "events.jsonl").read_bytes().count(b'"batch"') > before


def built(project: Project, budget: str = "100") -> tuple[int, str]:
    """One build with ``--batch`` in this process: its exit code and what it says."""
    try:
        build(load_config(project.config), project.output, 1, asking=CallOptions(budget=Decimal(budget), batch=True))
    except PedcorpusError as error:
        return error.exit_code, error.message
    return 0, ""


def until_done(project: Project, most: int = 10) -> list[tuple[int, str]]:
    """Build until it is finished."""
    runs = [built(project)]
    while runs[-1][0]:
        assert len(runs) < most, runs
        runs.append(built(project))
    return runs


def check(project: Project, server: Server) -> None:
    """Every reply is kept and was paid once."""
    stats = server.stats()
    assert not stats.repeated_ok
    assert stats.answered == len(replies(project.cache))
    assert stats.cost <= spent(project.cache)
    assert "" not in outcomes(project.cache)
    assert not rows(project.cache, "SELECT * FROM batch_calls")
    project.stage("generate")


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, int]]:
    """The same project built without batches, and its server's port, for comparison."""
    folder = tmp_path_factory.mktemp("direct")
    with running_server(priced(), folder / "server") as server:
        project = write_project(folder / "project", server.base_url, sections=6)
        done = project.build()
        assert done.returncode == 0, done.stderr
    yield project, int(server.url.rsplit(":", 1)[1])


def test_in_waves_to_the_same_bytes(direct: tuple[Project, int], tmp_path: Path) -> None:
    """First the questions, then the answers; a build while a batch is under way hands in nothing more."""
    project, port = direct
    script = priced(batch=BatchScript(polls=2))
    with running_server(script, tmp_path / "server", port) as server:
        other = project.within(tmp_path / "build")
        first = other.build("--batch")
        assert first.returncode == 3, first.stderr
        assert first.stderr.startswith("error: 12 requests were handed in as a batch, 0 were on their way, and 12 rec")
        assert "hint: run the same command later: it collects the replies and goes on" in first.stderr
        early = built(other)
        assert early == (
            3,
            "0 requests were handed in as a batch, 12 were on their way, and 12 records wait for them",
        )
        assert server.stats().batches == 1
        assert [code for code, _ in until_done(other)] == [3, 3, 0]
        assert server.stats().batches == 2
        check(other, server)
    assert hashes(other.output / "dataset" / "data") == hashes(project.output / "dataset" / "data")


@pytest.mark.parametrize(
    "script",
    [
        priced(batch=BatchScript(outcomes=("expired", "expired", "completed"))),
        priced(batch=BatchScript(outcomes=("failed", "completed"))),
        priced(batch=BatchScript(error_share=0.5)),
        priced(batch=BatchScript(lost_creates=2)),
        priced(batch=BatchScript(stumble_every=4)),
        priced(rate=0.4, max_faults_per_request=1),
    ],
    ids=["expired", "failed", "errors", "lost", "stumbles", "faults"],
)
def test_what_can_happen_to_a_batch(script: Script, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    with running_server(script, tmp_path / "server") as server:
        project = write_project(tmp_path / "project", server.base_url, sections=5)
        runs = until_done(project)
        print(runs, server.stats().batches)
        check(project, server)
    codes = [code for code, _ in runs]
    match request.node.callspec.id:
        case "failed":
            assert runs[1][0] == 2 and "the server refused the batch: Enqueued token limit" in runs[1][1]
        case "lost":
            assert codes == [2, 2, 0]  # each batch was found by the run after it
            assert rows(project.cache, "SELECT COUNT(*) FROM batches WHERE state = 'open'") == [(0,)]
        case "stumbles":
            assert set(codes) <= {0, 2, 3}
        case _:
            assert set(codes[:-1]) == {3}


def test_killed_while_handing_in(tmp_path: Path) -> None:
    with running_server(priced(), tmp_path / "server") as server:
        project = write_project(tmp_path / "project", server.base_url, sections=5)
        for _ in range(2):
            batches = server.stats().batches
            running = project.start("--batch")
            wait_until(partial(_handed_in, server, batches), running)
            kill(running)
        until_done(project)
        check(project, server)
        assert server.stats().batches == 2


def test_a_budget_counts_what_is_on_its_way(tmp_path: Path) -> None:
    with running_server(priced(batch=BatchScript(polls=1)), tmp_path / "server") as server:
        project = write_project(tmp_path / "project", server.base_url, sections=6)
        code, said = built(project, "0.03")
        assert code == 3
        assert "more do not fit into the budget yet" in said
        assert Decimal("0.015") < spent(project.cache) <= Decimal("0.03")  # reserved
        until_done(project)
        check(project, server)
        assert spent(project.cache) < Decimal("0.1")
        code, said = built(project.within(tmp_path / "poor"), "0.0001")
        assert code == 3
        assert said.startswith("the budget of 0.0001 USD is reached")


def test_a_server_without_batches(tmp_path: Path) -> None:
    """Nothing is reserved for what was never handed in, and the build goes on without."""
    with running_server(priced(models=("scripted",)), tmp_path / "server") as server:
        nowhere = write_project(tmp_path / "project", f"{server.url}/other", sections=2)
        code, said = built(nowhere)
        assert (code, said) == (
            2,
            f"{server.url}/other: the batch could not be handed in or collected: HTTP 404 invalid_request_error: "
            "Invalid URL (POST /other/files)",
        )
        assert spent(nowhere.cache) == 0


def test_a_batch_teaches_the_limit_s_other_name(tmp_path: Path) -> None:
    """Its requests are handed in again under that name."""
    to = endpoint("http://127.0.0.1:1/v1")
    body = {"error": {"message": "Use 'max_completion_tokens' instead.", "code": "unsupported_parameter"}}

    async def run() -> None:
        with Cache(tmp_path / "cache.sqlite") as cache:
            queue = BatchQueue(cache, Budget(None, Decimal(0)), {"generator": to})
            call = _Call(1, Decimal(1), "prompt@1", b"")
            line = json.dumps({"custom_id": "k", "response": {"status_code": 400, "body": body}}).encode()
            assert await queue._read(line, {"k": call}, queue._server(to)) is None
            assert queue._server(to).limit_name == "max_completion_tokens"
            other = json.dumps({"custom_id": "k", "response": {"status_code": 400, "body": {"error": "no"}}}).encode()
            found = await queue._read(other, {"k": call}, queue._server(to))
            assert found is not None and found[0].finish == "request"
            separators = "a\u2028b\x85c"
            good = json.loads(COMPLETION % json.dumps(separators))
            whole = json.dumps({"custom_id": "k", "response": {"status_code": 200, "body": good}}, ensure_ascii=False)
            calls = {"k": _Call(1, Decimal(1), "prompt@1", zlib.compress(b"{}"))}
            await queue._keep(whole.encode().split(b"\n"), calls, queue._server(to))
            kept = cache.find("k")
            assert not calls and kept is not None and kept.content == separators

    ran(run)
