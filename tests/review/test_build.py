"""A build that takes reviewers' decisions: kept, edited, rejected, tied, and about rows that are not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.builds import rejects, rows
from tests.conftest import SAMPLE, Run


def config_of(folder: Path, *files: Path) -> Path:
    text = (SAMPLE / "pedcorpus.toml").read_text(encoding="utf-8").replace('"sources/', f'"{SAMPLE}/sources/')
    text = text.replace('"benchmark', f'"{SAMPLE}/benchmark')
    path = folder / "pedcorpus.toml"
    path.write_text(f"{text}\n[review]\ndecisions = {json.dumps([str(file) for file in files])}\n", encoding="utf-8")
    return path


def said(row: dict[str, Any], reviewer: str, decision: str, **more: Any) -> str:
    line = {"row_id": row["id"], "task": row["task"], "reviewer": reviewer, "decision": decision, **more}
    return json.dumps(line, ensure_ascii=False)


def edited(row: dict[str, Any], answer: str, name: str = "messages") -> list[dict[str, str]]:
    return [*row[name][:-1], {"role": "assistant", "content": answer}]


@pytest.fixture(scope="module")
def reviewed(
    sample_build: tuple[Path, object], run: Run, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, dict[str, Any]], str]:
    """The sample built with decisions; the rows they are about by what was decided; what the program printed."""
    folder = tmp_path_factory.mktemp("reviewed")
    known = {name: rows(sample_build[0], name) for name in ("medkqa", "trerecom", "dfpo")}
    short = [row for row in known["medkqa"] if len(row["messages"]) == 2]
    pair = next(row for row in known["dfpo"] if row["disease"] != short[0]["disease"])
    about = {
        "accept": short[0],
        "edit": short[1],
        "reject": short[2],
        "tie": short[3],
        "unsafe": short[4],
        "pair": pair,
    }
    one = [
        said(about["accept"], "a", "accept"),
        said(about["edit"], "a", "edit", messages=edited(about["edit"], about["edit"]["messages"][-1]["content"] + "请多观察。")),
        said(about["reject"], "a", "reject", reason="unclear"),
        said(about["tie"], "a", "accept"),
        said(about["unsafe"], "a", "edit", messages=edited(about["unsafe"], "布洛芬每次口服500毫克，体重10kg的孩子每日9次。")),
        said(about["pair"], "a", "reject", reason="wrong_fact"),
        said({"id": "f" * 32, "task": "medkqa"}, "a", "accept"),
    ]  # fmt: skip
    two = [
        said(about["accept"], "b", "reject", reason="unsafe"),
        said(about["accept"], "b", "accept"),
        said(about["tie"], "b", "reject", reason="other", detail="？"),
    ]
    files = []
    for name, lines in (("a", one), ("b", [*two, '{"row_id": "cut off'])):
        files.append(folder / f"{name}.jsonl")
        files[-1].write_text("\n".join(lines) + ("\n" if name == "a" else ""), encoding="utf-8")
    done = run("build", "--config", config_of(folder, *files), "--output", folder / "build")
    assert done.returncode == 0, done.stderr
    return folder / "build", about, done.stdout


def by_id(build: Path, *names: str) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for name in names for row in rows(build, name)}


def test_decisions_reach_the_dataset(reviewed: tuple[Path, dict[str, dict[str, Any]], str]) -> None:
    build, about, _ = reviewed
    found = by_id(build, "medkqa", "dfpo")
    notes = {name: [note for note in found.get(row["id"], {}).get("quality", []) if note["check"] == "review"] for name, row in about.items()}  # fmt: skip
    assert notes["accept"] == [{"check": "review", "score": 1.0, "detail": "accepted by 2 of 2"}]
    assert notes["tie"][0]["detail"] == "tie: 1 accept, 1 reject"
    kept = found[about["edit"]["id"]]
    assert kept["messages"][-1]["content"].endswith("请多观察。")
    trail = kept["provenance"]["version_trail"]
    assert [version["content"] for version in trail] == [about["edit"]["messages"][-1]["content"]]
    assert {about[name]["id"] for name in ("reject", "unsafe", "pair")} & found.keys() == set()


def test_what_was_dropped_says_why(reviewed: tuple[Path, dict[str, dict[str, Any]], str]) -> None:
    build, about, _ = reviewed
    entries = {item["row_id"]: item for stage in ("review", "derive") for item in rejects(build, stage)}
    assert entries[about["reject"]["id"]]["reason"] == "review.rejected"
    assert entries[about["reject"]["id"]]["detail"] == "rejected by 1 of 1, unclear (1)"
    unsafe = entries[about["unsafe"]["id"]]
    assert unsafe["reason"] == "grounding.number" and unsafe["detail"].startswith("edited in review")
    assert entries[about["pair"]["id"]]["reason"] == "review.rejected"


def test_derived_rows_follow_the_edit_and_carry_no_decision_of_their_own(
    reviewed: tuple[Path, dict[str, dict[str, Any]], str],
) -> None:
    build, about, _ = reviewed
    answer = about["edit"]["messages"][-1]["content"]
    derived = [row for row in rows(build, "cpt") if answer in row["text"] and about["edit"]["messages"][0]["content"] in row["text"]]  # fmt: skip
    assert derived and all("请多观察。" in row["text"] for row in derived)
    assert all(note["check"] != "review" for row in rows(build, "cpt") for note in row["quality"])


def test_the_build_tells_ties_and_unknown_rows_and_verifies(
    reviewed: tuple[Path, dict[str, dict[str, Any]], str], run: Run
) -> None:
    build, about, out = reviewed
    assert f"7 rows were decided on; 1 ties stay as they are: {about['tie']['id']}; 1 are no rows of this build" in out
    done = run("verify", build)
    assert done.returncode == 0, done.stdout


def test_another_decision_redoes_what_it_touches(
    reviewed: tuple[Path, dict[str, dict[str, Any]], str], run: Run
) -> None:
    build, about, _ = reviewed
    file = build.parent / "a.jsonl"
    with file.open("a", encoding="utf-8") as lines:
        lines.write(said(about["reject"], "a", "accept") + "\n")
    done = run("build", "--config", build.parent / "pedcorpus.toml", "--output", build)
    assert done.returncode == 0 and about["reject"]["id"] in by_id(build, "medkqa")
    plan = json.loads((build / "state" / "plan" / "filter.json").read_text(encoding="utf-8"))
    assert plan["waiting"] == 0


@pytest.mark.parametrize(
    ("line", "told"), [("{", "a.jsonl, line 1"), ('{"row_id": "x"}', "Field required"), (None, "cannot read")]
)
def test_bad_decisions_are_told(run: Run, tmp_path: Path, line: str | None, told: str) -> None:
    file = tmp_path / "a.jsonl"
    if line is not None:
        file.write_text(line + "\n", encoding="utf-8")
    done = run("build", "--config", config_of(tmp_path, file), "--output", tmp_path / "build", "--limit", 2)
    assert done.returncode == 2 and told in done.stderr and "Traceback" not in done.stderr
