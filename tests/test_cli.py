"""The commands, as a user meets them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click import Group
from PIL import Image

from pedcorpus.cli import main
from tests.builds import rejects, rows
from tests.conftest import ROOT, Project, Run

HEAVY = (
    "datasets",
    "pandas",
    "pyarrow",
    "openai",
    "torch",
    "transformers",
    "networkx",
    "jieba",
    "rich",
    "pydantic",
    "numpy",
)


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nsys.argv = ['pedcorpus', '--help']\nfrom pedcorpus.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print(sorted(set(sys.modules) & set({HEAVY!r})), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
        timeout=60,
    )
    assert "Commands:" in done.stdout
    assert done.stderr.strip() == "[]"


def test_every_command_has_help_and_every_option_a_text() -> None:
    assert isinstance(main, Group)
    assert set(main.commands) == {
        "init",
        "build",
        "status",
        "trace",
        "verify",
        "report",
        "export",
        "train",
        "predict",
        "chat",
        "publish",
        "review",
    }
    train = main.commands["train"]
    assert isinstance(train, Group)
    for command in [*main.commands.values(), *train.commands.values()]:
        assert command.help
        for parameter in command.params:
            assert parameter.param_type_name == "argument" or getattr(parameter, "help", None)


@pytest.mark.parametrize(
    "arguments", [("bild",), ("build", "--wokers", "2"), ("build", "--workers", "0"), ("export", "x")]
)
def test_wrong_usage_ends_with_2(arguments: tuple[str, ...], run: Run) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert "Error: " in done.stderr


def test_version(run: Run) -> None:
    assert re.fullmatch(r"pedcorpus, version \d+\.\d+\.\d+\n", run("--version").stdout)


def test_debug_shows_the_traceback(run: Run, tmp_path: Path) -> None:
    done = run("--debug", "status", tmp_path / "none")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "BuildDirError" in done.stderr


def test_init_gives_a_project_that_builds(run: Run, tmp_path: Path) -> None:
    project = tmp_path / "project"
    done = run("init", project)
    assert done.returncode == 0, done.stderr
    assert (project / "pedcorpus.toml").exists()
    done = run("build", "--limit", 5, cwd=project)
    assert done.returncode == 0, done.stderr
    assert (project / "build" / "dataset" / "README.md").exists()
    again = run("init", project)
    assert again.returncode == 2
    assert "not empty" in again.stderr


def test_limit_counts_records_of_each_source(run: Run, tmp_path: Path) -> None:
    config = ROOT / "examples" / "sample" / "pedcorpus.toml"
    done = run("build", "--config", config, "--output", tmp_path / "b", "--limit", 3)
    assert done.returncode == 0, done.stderr
    manifest = json.loads((tmp_path / "b" / "manifest.json").read_text(encoding="utf-8"))
    sources = len(manifest["sources"])
    assert manifest["stages"][0]["kept"] <= 3 * sources
    assert manifest["stages"][0]["kept"] >= 3 * sources - 4


def test_a_named_task_without_rows_ends_with_1(run: Run, tmp_path: Path) -> None:
    (tmp_path / "chat.csv").write_text(
        "question,answer\n你好,你好，很高兴见到你，今天想聊些什么呢？\n", encoding="utf-8"
    )
    (tmp_path / "pedcorpus.toml").write_text(
        '[dataset]\nname = "x"\n[generate]\ntasks = ["general", "safety"]\n'
        '[[sources]]\nid = "chat"\nkind = "general"\npath = "chat.csv"\n',
        encoding="utf-8",
    )
    done = run("build", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "generate.tasks names safety" in done.stderr


def test_status(sample_build: tuple[Path, object], run: Run, tmp_path: Path) -> None:
    done = run("status", sample_build[0])
    assert done.returncode == 0
    assert "finished" in done.stdout
    told = json.loads(run("status", sample_build[0], "--json").stdout)
    manifest = json.loads((sample_build[0] / "manifest.json").read_text(encoding="utf-8"))
    assert told["finished"] is True
    assert told["rows"] == manifest["rows"]
    assert [line["kept"] for line in told["stages"]] == [stage["kept"] for stage in manifest["stages"]]
    assert run("status", tmp_path).returncode == 2


def test_trace_shows_the_marked_source(sample_build: tuple[Path, object], run: Run) -> None:
    build = sample_build[0]
    row = next(row for row in rows(build, "trerecom") if len(row["evidence"][0]["quote"]) < 60)
    done = run("trace", build, row["id"][:10])
    assert done.returncode == 0, done.stderr
    quote = row["evidence"][0]["quote"]
    assert f"⟦{quote.splitlines()[0]}" in done.stdout
    assert row["source_title"] in done.stdout
    assert row["messages"][0]["content"].splitlines()[0] in done.stdout
    told = json.loads(run("trace", build, row["id"], "--json").stdout)
    for item in told["row"]["evidence"]:
        assert told["records"][item["record_id"]]["text"][item["start"] : item["end"]] == item["quote"]


def test_trace_finds_rejected_rows_and_records(sample_build: tuple[Path, object], run: Run) -> None:
    build = sample_build[0]
    entry = rejects(build, "filter")[0]
    done = run("trace", build, entry["row_id"])
    assert done.returncode == 0, done.stderr
    assert f"rejected at filter, {entry['reason']}" in done.stdout
    screened = rejects(build, "screen")[0]
    done = run("trace", build, screened["row_id"])
    assert f"rejected at screen, {screened['reason']}" in done.stdout


@pytest.mark.parametrize(("wanted", "words"), [("ffffffffffff", "no row"), ("a", "too short")])
def test_trace_of_no_row(wanted: str, words: str, sample_build: tuple[Path, object], run: Run) -> None:
    done = run("trace", sample_build[0], wanted)
    assert done.returncode == 2
    assert words in done.stderr


def test_trace_draws_the_page(sample_build: tuple[Path, object], run: Run, tmp_path: Path) -> None:
    build = sample_build[0]
    every = rows(build, "medkqa")
    row = next(row for row in every if row["source_id"] == "textbook_pdf")
    picture = tmp_path / "page.png"
    done = run("trace", build, row["id"], "--image", picture)
    assert done.returncode == 0, done.stderr
    with Image.open(picture) as page:
        assert page.size[0] > 800
        colours = page.convert("RGB").getcolors(maxcolors=1 << 24)
    assert colours is not None
    yellow = sum(
        count for count, colour in colours if isinstance(colour, tuple) and colour[0] > 230 and colour[2] < 210
    )
    assert yellow > 2000
    other = next(row for row in every if row["source_id"] == "textbook")
    done = run("trace", build, other["id"], "--image", tmp_path / "none.png")
    assert done.returncode == 2
    assert "no evidence of this row comes from a PDF page" in done.stderr
    assert not (tmp_path / "none.png").exists()


def test_report_can_be_written_anew(sample_build: tuple[Path, object], run: Run, tmp_path: Path) -> None:
    build = tmp_path / "build"
    shutil.copytree(sample_build[0], build)
    before = (build / "report.html").read_bytes()
    (build / "report.html").unlink()
    assert run("report", build).returncode == 0
    assert (build / "report.html").read_bytes() == before


@pytest.mark.parametrize("command", ["verify", "trace", "report", "export"])
def test_commands_refuse_what_is_no_build(command: str, run: Run, tmp_path: Path) -> None:
    more = {"trace": ["abcdef123"], "export": ["--format", "dpo", "--output", str(tmp_path / "o")]}.get(command, [])
    for folder in (tmp_path, tmp_path / "none"):
        done = run(command, folder, *more)
        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith("error: ")


def test_a_closed_pipe_is_no_error(sample_build: tuple[Path, object]) -> None:
    done = subprocess.run(
        [
            "bash",
            "-o",
            "pipefail",
            "-c",
            f"{sys.executable} -m pedcorpus trace {sample_build[0]} {rows(sample_build[0], 'cpt')[0]['id']} | head -n 0",
        ],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=60,
        check=False,
    )
    assert "Traceback" not in done.stderr


def test_tasks_that_were_not_asked_for_are_told_apart(project: Project, run: Run, tmp_path: Path) -> None:
    config = project(
        '[generate]\ntasks = ["evidiag"]\n\n[[sources]]\nid = "qa"\nkind = "conversation"\npath = "qa.csv"\n',
        {"qa.csv": "question,answer\n孩子三岁，发热怎么办？,多喝水，注意休息，体温高时物理降温。\n".encode()},
    )
    done = run("build", "--config", config, "--output", tmp_path / "build")
    assert done.returncode == 1
    assert [entry["reason"] for entry in rejects(tmp_path / "build", "generate")] == ["generate.task"]
