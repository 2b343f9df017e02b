"""Third parties' plug-ins, installed as packages with entry points."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pedcorpus import plugins
from pedcorpus.errors import ConfigError
from tests.builds import rejects, rows
from tests.conftest import ROOT

MODULE = """
from pedcorpus.plugins import Drop, Keep
from pedcorpus.records import Evidence, Message, Provenance, Row, row_id


def extract(files, source):
    for file in files:
        document = source.document(file)
        for number, line in enumerate(file.path.read_text(encoding="utf-8").splitlines(), 1):
            if not line.strip():
                yield source.reject("extract.field", file, f"line {number}: empty")
                continue
            yield source.section(document, f"line {number}", line, extractor="slips")


class Riddles:
    name = "riddles"

    def generate(self, record, context):
        if record.extractor != "slips" or "general" not in context.tasks:
            return
        text = record.text
        messages = (Message("user", "请念一张卡片。"), Message("assistant", text))
        yield Row(
            id=row_id("general", record.source_id, [m.content for m in messages]), task="general",
            source_kind=record.source_kind, source_id=record.source_id, source_title=record.source_title,
            license=record.license, department=None, disease=None, language=record.language,
            evidence=(Evidence(record.id, None, 0, len(text), text),),
            provenance=Provenance(record.extractor, self.name), messages=messages,
        )


class NoCats:
    name = "no_cats"

    def __init__(self, word="猫"):
        self.word = word

    def check(self, row):
        if any(self.word in text for text in row.answers()):
            return Drop("REASON", f"says {self.word}")
        return Keep(1.0, "fine")
"""
SLIPS = "宝宝每天早晨要喝一杯温水。\n\n邻居家的猫常常在院子里晒太阳。\n小朋友饭前要认真洗手。\n"
CONFIG = '[dataset]\nname = "slips"\n[[sources]]\nid = "s"\nkind = "slips"\npath = "slips.txt"\noptions = { select = "all" }\n'


def install(folder: Path, module: str) -> None:
    folder.mkdir()
    (folder / "slips.py").write_text(module, encoding="utf-8")
    about = folder / "slips-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: slips\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(
        "[pedcorpus.extractors]\nslips = slips\n[pedcorpus.generators]\nriddles = slips:Riddles\n"
        "[pedcorpus.filters]\nno_cats = slips:NoCats\n"
    )


def build(tmp_path: Path, module: str, config: str = CONFIG) -> subprocess.CompletedProcess[str]:
    install(tmp_path / "site", module)
    (tmp_path / "slips.txt").write_text(SLIPS, encoding="utf-8")
    (tmp_path / "pedcorpus.toml").write_text(config, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "pedcorpus", "build", "--workers", "2"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path / 'site'}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_extractor_generator_and_filter_of_a_third_party(tmp_path: Path) -> None:
    done = build(tmp_path, MODULE.replace("REASON", "quality.language"))
    assert done.returncode == 0, done.stderr
    output = tmp_path / "build"
    found = rows(output, "general")
    assert [row["messages"][1]["content"] for row in found] == ["宝宝每天早晨要喝一杯温水。", "小朋友饭前要认真洗手。"]
    assert {note["check"] for row in found for note in row["quality"]} >= {"no_cats"}
    assert [entry["reason"] for entry in rejects(output, "extract")] == ["extract.field"]
    assert [(e["reason"], e["detail"]) for e in rejects(output, "filter")] == [("quality.language", "says 猫")]


def test_options_of_a_third_party_s_filter(tmp_path: Path) -> None:
    module = MODULE.replace("REASON", "quality.language")
    done = build(tmp_path, module, CONFIG + '[filters.no_cats]\nword = "洗手"\n')
    assert done.returncode == 0, done.stderr
    assert [e["detail"] for e in rejects(tmp_path / "build", "filter")] == ["says 洗手"]


def test_an_unknown_reason_is_refused(tmp_path: Path) -> None:
    done = build(tmp_path, MODULE.replace("REASON", "cats.bad"))
    assert done.returncode == 2
    assert "cats.bad" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_failing_plug_in_is_named(tmp_path: Path) -> None:
    done = build(tmp_path, MODULE.replace('return Drop("REASON"', 'raise ValueError("boom'))
    assert done.returncode == 2
    assert "slips" in done.stderr or "no_cats" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_failing_filter_tells_the_row(tmp_path: Path) -> None:
    module = MODULE.replace('return Drop("REASON", f"says {self.word}")', 'raise ValueError("boom")')
    done = build(tmp_path, module)
    assert done.returncode == 2
    assert done.stderr.startswith("error: the filter 'no_cats' failed on row ")
    assert "ValueError: boom" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_changed_version_of_a_plug_in_redoes_its_work(tmp_path: Path) -> None:
    assert build(tmp_path, MODULE.replace("REASON", "quality.language")).returncode == 0
    about = tmp_path / "site" / "slips-1.0.dist-info"
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: slips\nVersion: 1.1\n")
    again = subprocess.run(
        [sys.executable, "-m", "pedcorpus", "build"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path / 'site'}"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert again.returncode == 0
    events = [json.loads(line) for line in (tmp_path / "build" / "state" / "events.jsonl").read_text().splitlines()]
    runs = [event["waiting"] for event in events if event["event"] == "stage" and event["stage"] == "extract"]
    assert runs == [1, 1]


def test_a_field_that_its_extractor_does_not_look_for_is_refused() -> None:
    plugins.check_source("sources[0]", "conversation", {"question": "主诉", "answer": "医嘱"})
    with pytest.raises(ConfigError, match=r"sources\[2\]\.options\.fields: unknown field 'answr'") as caught:
        plugins.check_source("sources[2]", "conversation", {"answr": "医嘱"})
    assert "'answer'" in caught.value.hint
    with pytest.raises(ConfigError, match="unknown field 'question'"):
        plugins.check_source("sources[0]", "textbook", {"question": "主诉"})
    with pytest.raises(ConfigError, match="no extractor reads 'dialogue'") as caught:
        plugins.check_source("sources[0]", "dialogue", {})
    assert "conversation" in caught.value.hint
