"""The program on real sources: textbooks, guidelines, a graph, dialogues, instruction sets, a benchmark.

The folder is named by PEDCORPUS_REAL_DATA, or lies beside the checkout as ``shared/data``; without it these tests skip.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections import Counter
from pathlib import Path

import pypdfium2 as pdfium
import pytest

from pedcorpus.quantities import doses
from pedcorpus.records import DOSE_EVIDENCE_KINDS, INSTRUCTION_TASKS, TASKS
from tests.builds import records, rejects, rows
from tests.conftest import ROOT, Run

DATA = Path(os.environ.get("PEDCORPUS_REAL_DATA") or ROOT.parent / "shared" / "data")
pytestmark = pytest.mark.skipif(
    not DATA.is_dir(), reason=f"no real sources: {DATA} is no folder; name one with PEDCORPUS_REAL_DATA"
)

DRAFTERS = re.compile(
    r"(?:组长|顾问|执笔人?|秘书|成员|审阅|审校|指导|撰写|参与制定|主编|编委|编者|校对|录入)[^：:\n。]{0,15}[：:]\s*([^：:。]{4,})"
)
"""A line of a guideline that lists its drafters; written apart from the program's own rules."""
TOXIC = re.compile(r"朱砂|雄黄|轻粉|铅丹|黄丹|铅粉|砒霜|密陀僧|水银")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, run: Run) -> tuple[Path, subprocess.CompletedProcess[str]]:
    output = tmp_path_factory.mktemp("real") / "build"
    done = run(
        "build",
        "--config",
        ROOT / "examples" / "real.toml",
        "--output",
        output,
        "--workers",
        2,
        env={"PEDCORPUS_REAL_DATA": str(DATA)},
        timeout=1200,
    )
    return output, done


def instructions(build: Path) -> list[tuple[str, str, str]]:
    """(row id, source id, what is answered) of every instruction row."""
    return [
        (row["id"], row["source_id"], "\n".join(m["content"] for m in row["messages"] if m["role"] == "assistant"))
        for task in INSTRUCTION_TASKS
        for row in rows(build, task)
    ]


def drafters() -> set[str]:
    """Names that the guidelines list as their makers."""
    texts = [
        path.read_text(encoding="utf-8", errors="replace").replace("\\n", "\n")
        for path in DATA.glob("guideline_json/**/*.json")
    ]
    for path in DATA.glob("guideline_pdf/*.pdf"):
        with pdfium.PdfDocument(path) as document:
            texts += ["\n".join(page.get_textpage().get_text_bounded().replace("\r\n", "\n") for page in document)]
    found: set[str] = set()
    for text in texts:
        for match in DRAFTERS.finditer(text):
            listed = re.sub(r"[（(][^（）()]*[)）]", "、", match[1])
            parts = re.split(r"[、，,；;\n]+|(?<=[一-龥]{2})[ 　]+|(?<=[一-龥])　", listed)
            names = [name for part in parts if re.fullmatch(r"[一-龥]{2,3}", name := re.sub(r"\s", "", part))]
            if len(names) >= 3:
                found.update(names)
    return found - {"组长", "副组长", "顾问", "成员", "秘书", "执笔"}


def test_the_build_ends_well_and_fills_every_config(built: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    output, done = built
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    tally = json.loads((output / "manifest.json").read_text(encoding="utf-8"))["rows"]
    assert set(tally) == set(TASKS)
    kinds = Counter(row["source_kind"] for task in TASKS for row in rows(output, task))
    assert set(kinds) >= {"textbook", "guideline", "knowledge_graph", "conversation", "distilled", "general", "safety"}
    assert done.stdout.splitlines()[-1].startswith("done: ")


def test_verify_finds_nothing(built: tuple[Path, subprocess.CompletedProcess[str]], run: Run) -> None:
    done = run("verify", built[0])
    assert done.returncode == 0, done.stdout
    assert "nothing wrong" in done.stdout


def test_no_historic_remedy_in_an_instruction_row(built: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    output = built[0]
    era = {record["id"]: record["era"] for record in records(output)}
    assert Counter(era.values())["historic"] > 500
    for task in INSTRUCTION_TASKS:
        for row in rows(output, task):
            assert {era[item["record_id"]] for item in row["evidence"]} == {"modern"}
    for _, source, text in instructions(output):
        assert not source.startswith("classics")
        assert not TOXIC.search(text), text
        assert not [dose for dose in doses(text) if dose.unit in ("钱", "两")], text
    assert Counter(entry["reason"] for entry in rejects(output, "screen"))["screen.historic"] > 500


def test_no_drafter_s_name_in_any_row(built: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    names = drafters()
    assert len(names) > 40
    every = [row for task in TASKS for row in rows(built[0], task)]
    said = "\n".join(json.dumps(row, ensure_ascii=False) for row in every)
    from_guidelines = "\n".join(
        json.dumps(row, ensure_ascii=False) for row in every if row["source_kind"] == "guideline"
    )
    for name in names:
        if len(name) > 2:
            assert name not in said
        else:  # two characters may be a word elsewhere, as 杨梅 is
            assert not re.search(rf"(?<![一-龥]){name}(?![一-龥])", from_guidelines), name


def test_no_dose_on_a_dialogue_s_word(built: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    for task in ("medkqa", "evidiag", "trerecom"):
        for row in rows(built[0], task):
            if row["source_kind"] not in DOSE_EVIDENCE_KINDS:
                for message in row["messages"]:
                    assert message["role"] == "user" or not doses(message["content"]), message["content"]


def test_no_superseded_guideline(built: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """Of guidelines that lie there in several editions only the newest speaks."""
    titles = {
        row["source_title"] for task in TASKS for row in rows(built[0], task) if row["source_kind"] == "guideline"
    }
    newest: dict[str, set[str]] = {}
    for title in titles:
        newest.setdefault(re.sub(r"[（(]?\d{4}.*$", "", title), set()).add(title)
    assert titles
    assert all(len(editions) == 1 for editions in newest.values()), newest
    assert Counter(entry["reason"] for entry in rejects(built[0], "screen"))["screen.superseded"] > 50


def test_no_benchmark_item(built: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """No run of 13 characters of a benchmark question is in any row, counted here in the plainest way."""
    grams: set[str] = set()
    for path in DATA.glob("benchmark/*"):
        text = path.read_text(encoding="utf-8", errors="replace")
        for value in re.findall(r'"(?:question|Question|input|query)"\s*:\s*"((?:[^"\\]|\\.)*)"', text):
            bare = re.sub(r"[\W_]+", "", json.loads(f'"{value}"').lower())
            grams.update(bare[start : start + 13] for start in range(len(bare) - 12))
    if not grams:
        pytest.skip("no benchmark with questions in JSON")
    for task in TASKS:
        for row in rows(built[0], task):
            messages = row.get("messages") or [*(row.get("prompt") or []), *(row.get("chosen") or [])]
            for text in [message["content"] for message in messages] or [row["text"]]:
                bare = re.sub(r"[\W_]+", "", text.lower())
                assert not any(bare[start : start + 13] in grams for start in range(len(bare) - 12)), text
