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
from pedcorpus.llm.cache import Cache, Reply
from pedcorpus.llm.calls import CallOptions
from pedcorpus.pipeline import build
from tests.builds import hashes
from tests.llm.asking import COMPLETION, answering, endpoint, ran, response
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


@pytest.mark.parametrize("batch", [True, False])
def test_a_batch_that_the_server_has_forgotten(batch: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Its calls count as paid, once, and the records are asked anew, with batches or without."""
    script = priced(batch=BatchScript(polls=99))
    with running_server(script, tmp_path / "first") as server:
        port = int(server.url.rsplit(":", 1)[1])
        project = write_project(tmp_path / "project", server.base_url, sections=2)
        assert built(project)[0] == 3
        reserved = spent(project.cache)
        assert reserved > 0
    capfd.readouterr()
    with running_server(priced(), tmp_path / "second", port) as server:
        runs = until_done(project) if batch else [(project.build().returncode, "")]
        assert [code for code, _ in runs] == ([3, 3, 0] if batch else [0])
        check(project, server)
        assert spent(project.cache) == reserved + server.stats().cost
    assert outcomes(project.cache)["lost"] == 4
    if batch:
        said = capfd.readouterr().err
        assert said.count("knows the batch batch_000001 or its files no more: 4 of its requests count as paid") == 1


def test_a_file_of_a_batch_that_is_gone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the other file holds is kept; the rest counts as paid."""
    ended = {
        "id": "batch_1",
        "object": "batch",
        "status": "completed",
        "output_file_id": "gone",
        "error_file_id": "errors",
    }
    refused = {"custom_id": "k1", "response": {"status_code": 400, "body": {"error": {"message": "too long"}}}}

    async def handler(line: str, headers: dict[str, str], body: bytes) -> bytes:
        if "/batches/" in line:
            return response(json.dumps(ended))
        return response(json.dumps(refused)) if "errors" in line else response("{}", "404 Not Found")

    async def run() -> None:
        async with answering(handler) as url:
            to = endpoint(url)
            with Cache(tmp_path / "cache.sqlite") as cache:
                writes: list[tuple[str, tuple[object, ...]]] = [
                    ("INSERT INTO batches VALUES ('own', ?, 'batch_1', 'open')", (json.dumps(to.place),))
                ]
                for number in (1, 2):
                    writes.append(
                        (
                            "INSERT INTO calls (id, key, prompt, reserved) VALUES (?, ?, 'p', '1')",
                            (number, f"k{number}"),
                        )
                    )
                    writes.append(
                        (
                            "INSERT INTO batch_calls VALUES ('own', ?, ?, ?)",
                            (number, f"k{number}", zlib.compress(b"{}")),
                        )
                    )
                await cache.write(writes)
                budget = Budget(None, cache.spent())
                queue = BatchQueue(cache, budget, {"generator": to})
                await queue.collect()
                queue.refuse_open()
                kept = cache.find("k1")
                assert kept is not None and kept.finish == "request" and cache.find("k2") is None
                assert budget.spent == cache.spent() == 1
                await queue.collect()  # nothing is open any more

    ran(run)
    assert "batch_1 or its files no more: 1 of its requests count as paid" in capsys.readouterr().err


def test_an_error_in_a_line_that_calls_itself_answered(tmp_path: Path) -> None:
    """It cost nothing; what may go better is asked again."""
    to = endpoint("http://127.0.0.1:1/v1")

    async def read(error: object) -> tuple[Reply, Decimal] | None:
        with Cache(tmp_path / "cache.sqlite") as cache:
            queue = BatchQueue(cache, Budget(None, Decimal(0)), {"generator": to})
            line = {"custom_id": "k", "response": {"status_code": 200, "body": {"error": error}}}
            return await queue._read(
                json.dumps(line).encode(), {"k": _Call(1, Decimal(1), "p", b"")}, queue._server(to)
            )

    assert ran(lambda: read({"code": 503})) is None
    found = ran(lambda: read({"code": 400, "message": "too long"}))
    assert found is not None and (found[0].finish, found[1]) == ("request", Decimal(0))


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
