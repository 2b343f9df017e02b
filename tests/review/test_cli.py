"""The command: what it loads, what it refuses, what it prints without a page."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from pedcorpus.errors import BuildDirError, PedcorpusError
from pedcorpus.review_cli import review
from pedcorpus.run import BuildResult
from tests.conftest import ROOT
from tests.review.making import make_decision, make_row


def call(*arguments: object) -> str:
    found = CliRunner().invoke(review, [str(argument) for argument in arguments], catch_exceptions=True)
    if found.exception and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found.output


def test_help_loads_click_alone() -> None:
    code = (
        "import sys; from pedcorpus.review_cli import review\n"
        "try: review(['--help'])\nexcept SystemExit: pass\n"
        "sys.exit(', '.join({'flask', 'werkzeug', 'jinja2', 'pyarrow', 'pydantic'} & set(sys.modules)) or None)"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)
    assert found.returncode == 0, found.stderr
    assert "--agreement" in found.stdout


def test_agreement_of_files_and_of_the_folder(sample_build: tuple[Path, BuildResult], tmp_path: Path) -> None:
    build = tmp_path / "build"
    build.symlink_to(sample_build[0])
    for name, word in (("a", "accept"), ("b", "reject")):
        line = make_decision(name, word, make_row()).model_dump_json(exclude_none=True)
        (tmp_path / f"{name}.jsonl").write_text(line + "\n", encoding="utf-8")
    files = (tmp_path / "a.jsonl", tmp_path / "b.jsonl")
    assert "ties: 1" in call(build, "--agreement", *files)
    found = json.loads(call(build, "--agreement", "--json", *files))
    assert (found["reviewers"], found["unknown"], found["configs"][0]["agreement"]) == (["a", "b"], 1, 0.0)
    assert "belong to --agreement" in call(build, *files)


def test_what_cannot_be_shown_is_said(sample_build: tuple[Path, BuildResult], tmp_path: Path) -> None:
    with pytest.raises(BuildDirError, match="no such folder"):
        call(tmp_path / "none")
    with pytest.raises(BuildDirError, match="no build directory"):
        call(tmp_path, "--agreement")
    with pytest.raises(PedcorpusError, match="printable"):
        call(sample_build[0], "--reviewer", "  ")
    with pytest.raises(PedcorpusError, match="no rows of the config"):
        call(sample_build[0], "--task", "nope")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(PedcorpusError, match="cannot listen on port"):
            call(sample_build[0], "--config", "safety", "--port", taken.getsockname()[1])
