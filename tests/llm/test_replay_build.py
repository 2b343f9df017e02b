"""The cache alone makes the dataset again; and what changes pays for what it changed."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace as changed
from pathlib import Path

import pytest

from pedcorpus.config import load_config
from pedcorpus.llm.prompts import load_prompt
from pedcorpus.pipeline import build
from tests.builds import hashes
from tests.llm.builds import Project, book, replies, rows, write_project
from tests.llm.server import Script, Server, running_server

SPOILT = {"refusal": 1.0, "length": 1.0, "empty": 1.0, "content_filter_400": 1.0, "bad_request": 1.0, "cut_json": 2.0}
FAULTY = Script(rate=0.2, weights={**SPOILT, "500": 1.0, "429": 0.5, "drop": 1.0}, delay=(0.0, 0.2))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, int]]:
    """A build with every kind of reply in its cache, and the port of the server that is gone."""
    folder = tmp_path_factory.mktemp("finished")
    with running_server(FAULTY, folder / "server") as server:
        project = write_project(folder / "project", server.base_url, sections=20)
        done = project.build()
        assert done.returncode == 0, done.stderr
    assert {"stop", "refusal", "length", "filter", "request"} <= {
        finish for (finish,) in rows(project.cache, "SELECT DISTINCT finish FROM replies")
    }
    yield project, int(server.url.rsplit(":", 1)[1])


def copied(project: Project, folder: Path) -> Project:
    """The project in a new folder that holds its cache and nothing else."""
    other = project.within(folder)
    other.cache.parent.mkdir(parents=True)
    shutil.copyfile(project.cache, other.cache)
    return other


def test_the_cache_alone_gives_the_same_bytes(finished: tuple[Project, int], tmp_path: Path) -> None:
    project, _ = finished
    other = copied(project, tmp_path / "build")
    done = other.build("--offline")
    assert done.returncode == 0, done.stderr
    assert hashes(other.output / "dataset") == hashes(project.output / "dataset")
    assert hashes(other.output / "rejects") == hashes(project.output / "rejects")
    done = other.build("--offline", "--fresh")
    assert done.returncode == 0, done.stderr
    assert hashes(other.output / "dataset") == hashes(project.output / "dataset")


@pytest.mark.parametrize("step", ["ask", "answer"])
def test_a_missing_reply_is_named(step: str, finished: tuple[Project, int], tmp_path: Path) -> None:
    """Of the asker, without whom there is no record to go on with, and of one answer among several."""
    project, _ = finished
    other = copied(project, tmp_path / "build")
    found = f"SELECT key FROM replies WHERE finish = 'stop' AND prompt LIKE 'llm/roleplay/{step}@%' LIMIT 1"
    ((key,),) = rows(other.cache, found)
    with closing(sqlite3.connect(other.cache)) as opened:
        opened.execute("DELETE FROM replies WHERE key = ?", (key,))
        opened.commit()
    done = other.build("--offline")
    assert done.returncode == 1, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if key in line]
    assert line.startswith("error: no reply in the cache: roleplay, record ") and " of book: " in line
    assert other.stage("generate")["rejected"]["generate.offline"] == 1


def test_the_order_of_replies_changes_nothing(finished: tuple[Project, int], tmp_path: Path) -> None:
    """Another pace and few calls at once, on the same address; then every stage anew, with the replies kept."""
    project, port = finished
    slow = changed(FAULTY, delay=(0.0, 0.05))
    with running_server(slow, tmp_path / "server", port) as server:
        other = project.within(tmp_path / "build")
        few = tmp_path / "few.toml"
        text = project.config.read_text(encoding="utf-8").replace("book.md", str(project.config.parent / "book.md"))
        few.write_text(text.replace('model = "scripted"', 'model = "scripted"\nmax_in_flight = 3'), encoding="utf-8")
        done = Project(few, other.output, {}).build()
        assert done.returncode == 0, done.stderr
        assert server.stats().max_in_flight <= 3
        assert hashes(other.output / "dataset" / "data") == hashes(project.output / "dataset" / "data")
        assert hashes(other.output / "rejects") == hashes(project.output / "rejects")

        whole = {key for key, finish in replies(other.cache).items() if finish == "stop"}
        before = server.stats()
        done = Project(few, other.output, {}).build("--fresh")
        assert done.returncode == 0, done.stderr
        after = server.stats()
        assert whole <= replies(other.cache).keys()
        assert not after.repeated_ok
        assert 0 < after.received - before.received < len(whole)  # those that were refused or cut are asked anew


def requests(server: Server) -> int:
    return server.stats().received


def from_cache(project: Project) -> int:
    """Replies that the cache gave in the last build."""
    lines = (project.output / "state" / "events.jsonl").read_text("utf-8").splitlines()
    return int([event for event in map(json.loads, lines) if event["event"] == "calls"][-1]["from_cache"])


def test_only_what_is_new_is_paid_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_server(Script(), tmp_path / "server") as server:
        project = write_project(tmp_path / "project", server.base_url, sections=12, per_record=2)

        def built(**values: str) -> int:
            """Requests of a build with some lines of the config changed."""
            text = project.config.read_text(encoding="utf-8")
            for old, new in values.items():
                text = text.replace(old, new)
            project.config.write_text(text, encoding="utf-8")
            before = requests(server)
            build(load_config(project.config), project.output, workers=1)
            return requests(server) - before

        whole = built()
        records = project.stage("generate")["records"]
        assert whole > records
        assert built() == 0
        assert built(**{'model = "scripted"': 'model = "scripted"\ntimeout = 33\nmax_in_flight = 5'}) == 0

        (project.config.parent / "more.md").write_text(book(3, first=500).replace("儿科学", "儿科护理学"), "utf-8")
        source = '[[sources]]\nid = "more"\nkind = "textbook"\npath = "more.md"\ntitle = "儿科护理学"\n'
        source += 'license = "apache-2.0"\noptions = { select = "all" }\n\n[generate]'
        added = built(**{"[generate]": source})
        assert 0 < added <= 6 * 3
        assert project.stage("generate")["records"] == records + 6

        answer = load_prompt("roleplay/answer", "zh")
        edited = changed(answer, parts=((answer.parts[0][0], answer.parts[0][1] + "请简短。"), *answer.parts[1:]))
        name = "pedcorpus.generators.llm.roleplay.load_prompt"
        monkeypatch.setattr(name, lambda asked, to: edited if asked == "roleplay/answer" else load_prompt(asked, to))
        monkeypatch.setattr("pedcorpus.pipeline.code_fingerprint", lambda: "edited")
        assert built() == whole + added - records - 6  # the questions are there, the answers are new
        monkeypatch.undo()
        assert built() == 0  # and the old answers still are

        elsewhere = server.base_url.replace("127.0.0.1", "localhost")
        assert built(**{server.base_url: elsewhere}) == whole + added
        assert from_cache(project) == 0
        assert built(**{"timeout = 33": "temperature = 0.1"}) > records
        assert from_cache(project) == 0
