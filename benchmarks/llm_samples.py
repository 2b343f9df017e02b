"""What a language model makes of small selections of sources: rows kept and dropped, shown as a page.

Every generator that asks a model gets a build of its own over a few records of the bundled sample, whose sources are
ours, and the page shows the first candidates as they came. ``--data`` names a folder of other sources, laid out as
``examples/real.toml`` has them: of those the page tells figures alone, never a sentence.

    pip install xllamacpp==2026.10.11549
    python benchmarks/llm_samples.py --model MODEL.gguf --output docs/llm-samples.md [--data DIR] [--work DIR]

Replies stay in the work folder: going on after a stop, or with longer selections, asks only what is new. ``--offline``
starts no model and writes the page from the replies that are there. What stands under "Read against the source" stays.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pyarrow.parquet as pq

from pedcorpus.llm.cache import Cache
from pedcorpus.plugins import asking_generators
from pedcorpus.records import RawRecord, record_from_dict
from tests.live.model_server import serve

ROOT = Path(__file__).resolve().parent.parent
MEDICAL = ("medkqa", "evidiag", "trerecom")
SHOWN = 20
SHORT = 70


@dataclass(frozen=True, slots=True)
class Selection:
    """The first ``limit`` records of a source, and the tasks that are made of them."""

    generators: tuple[str, ...]
    kind: str
    path: str
    title: str
    limit: int
    tasks: tuple[str, ...]


TEXTBOOK = ("textbook", "textbook/01-呼吸系统疾病.md", "儿科学示例教程")
OURS = {
    "roleplay": Selection(("roleplay", "preference"), *TEXTBOOK, 8, ("medkqa", "dfpo")),
    "diagnosis": Selection(("diagnosis",), *TEXTBOOK, 48, ("evidiag",)),
    "treatment": Selection(("treatment",), *TEXTBOOK, 57, ("trerecom",)),
    "regularise": Selection(("regularise",), "conversation", "dialogues", "儿科问诊对话（示例）", 27, MEDICAL),
    "reconstruct": Selection(("reconstruct",), "distilled", "qa/qa.csv", "儿科问答（示例）", 20, MEDICAL),
    "safety": Selection(("safety",), "safety", "safety/safety.jsonl", "安全问答（示例）", 7, ("safety",)),
    "identity": Selection(
        ("identity",), "self_cognition", "identity/identity.json", "身份认知（示例）", 7, ("self_cognition",)
    ),
}
GUIDELINE = ("guideline", "guideline_json/*支原体肺炎*", "诊疗指南")
THEIRS = {
    "roleplay": Selection(("roleplay",), *GUIDELINE, 2, ("medkqa",)),
    "diagnosis": Selection(("diagnosis",), *GUIDELINE, 8, ("evidiag",)),
    "treatment": Selection(("treatment",), *GUIDELINE, 16, ("trerecom",)),
    "regularise": Selection(("regularise",), "conversation", "dialogue/disc_*", "医患对话", 40, MEDICAL),
    "reconstruct": Selection(("reconstruct",), "distilled", "distilled/bencao*", "医学指令集", 20, MEDICAL),
}
CONFIG = """[dataset]
name = "samples"
seed = 17

[identity]
name = "小儿助手"
maker = "pedcorpus 示例项目"

[[sources]]
id = "{id}"
kind = "{kind}"
path = "{path}"
title = "{title}"
license = "apache-2.0"

[generate]
backend = "openai"
tasks = {tasks}
per_record = 3

[llm]
base_url = "http://127.0.0.1:{port}/v1"
model = "{model}"
api_key_env = ""
max_in_flight = {slots}
max_tokens = 900
timeout = 1800

[llm.assistant]
base_url = "http://127.0.0.1:{port}/v1"
model = "{model}"
api_key_env = ""
max_in_flight = {slots}
max_tokens = 600
timeout = 1800
"""


@dataclass(slots=True)
class Candidate:
    """A row that was kept, or one that was dropped with its reason.

    Where none came about ``row`` is empty and ``reply`` is the last thing that the model said of the record.
    """

    row: Mapping[str, Any]
    place: int
    reason: str = ""
    detail: str = ""
    reply: str = ""


@dataclass(slots=True)
class Result:
    """What one generator made of one selection."""

    records: int
    candidates: list[Candidate]
    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def kept(self) -> int:
        """Rows in the dataset."""
        return sum(not item.reason for item in self.candidates)


# --- builds -----------------------------------------------------------------------------------------


def build(name: str, chosen: Selection, base: Path, work: Path, given: argparse.Namespace) -> Path:
    """Build one selection in ``work``; returns the build directory."""
    folder = work / name
    folder.mkdir(parents=True, exist_ok=True)
    values = {
        "id": chosen.path.split("/")[0],
        "kind": chosen.kind,
        "path": (base / chosen.path).as_posix(),
        "title": chosen.title,
        "tasks": json.dumps(chosen.tasks),
        "port": given.port,
        "model": given.model.stem,
        "slots": given.slots,
    }
    (folder / "pedcorpus.toml").write_text(CONFIG.format(**values), encoding="utf-8")
    command = [sys.executable, "-m", "pedcorpus", "build", "--config", str(folder / "pedcorpus.toml")]
    command += ["--output", str(folder / "build"), "--workers", "1", "--limit", str(chosen.limit)]
    command += ["--offline"] if given.offline else []
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    if done.returncode not in (0, 1):  # 1: no row of a task that the config names
        sys.exit(f"the build of {name} ended with {done.returncode}")
    return folder / "build"


def rows_of(path: Path, pattern: str) -> Iterator[dict[str, Any]]:
    """Rows of the Parquet files below ``path``."""
    for found in sorted(path.glob(pattern)):
        yield from pq.read_table(found).to_pylist()


def collect(folder: Path, generator: str) -> Result:
    """What ``generator`` made in a build, in the order of the records."""
    own = next((item for item in asking_generators() if item.name == generator), None)
    records = [record_from_dict(item) for item in rows_of(folder / "records", "*.parquet")]
    taken = {record.id: place for place, record in enumerate(records) if own is None or own.takes(record)}
    candidates = []
    with Cache(folder / "state" / "llm-cache.sqlite", write=False) as cache:
        said = {
            asked_about(cache.request_of(key) or "", records): content
            for key, content in cache.rows(
                "SELECT key, content FROM replies WHERE prompt LIKE ? ORDER BY rowid", f"llm/{generator}/%"
            )
        }

        def place(row: Mapping[str, Any]) -> int:
            if row.get("evidence"):
                return taken.get(row["evidence"][0]["record_id"], len(records))
            return asked_about(cache.request_of(row["provenance"]["request_key"]) or "", records)

        for row in rows_of(folder / "dataset" / "data", "*/*.parquet"):
            if row["provenance"]["generator"] == generator:
                candidates.append(Candidate(row, place(row)))
        for item in rows_of(folder / "rejects", "*.parquet"):
            held = json.loads(item["row"] or "{}")
            unpaired = item["stage"] == "derive" and item["detail"].startswith("preference: ")
            if unpaired and own is not None:
                continue
            if unpaired or held.get("provenance", {}).get("generator") == generator:
                candidates.append(Candidate(held, place(held), item["reason"], item["detail"]))
            elif own is not None and item["stage"] == "generate" and held.get("record_id") in taken:
                where = taken[held["record_id"]]
                candidates.append(Candidate({}, where, item["reason"], item["detail"], said.get(where, "")))
        made = Result(len(taken), sorted(candidates, key=lambda item: item.place))
        made.reasons.update(item.reason for item in candidates if item.reason)
        for prompt, (calls, tokens_in, tokens_out, _) in cache.spent_by_prompt().items():
            if prompt.startswith(f"llm/{generator}/"):
                made.calls += calls
                made.tokens_in += tokens_in
                made.tokens_out += tokens_out
        query = "SELECT COALESCE(SUM(seconds), 0) FROM replies WHERE prompt LIKE ?"
        made.seconds = next(cache.rows(query, f"llm/{generator}/%"))[0]
    return made


def asked_about(request: str, records: Sequence[RawRecord]) -> int:
    """The place of the record that a request shows."""
    for place, record in enumerate(records):
        shown = record.pairs[0].question if record.pairs else record.turns[0].text if record.turns else record.text
        if json.dumps(shown, ensure_ascii=False)[1:-1] in request:
            return place
    return len(records)


# --- the page ---------------------------------------------------------------------------------------


def short(text: str, most: int = SHORT) -> str:
    """The beginning of ``text`` on one line, as Markdown shows it."""
    line = " ".join(text.split())
    for mark in "\\`*_<>|[]":
        line = line.replace(mark, f"\\{mark}")
    return line if len(line) <= most else f"{line[:most].rstrip(chr(92))}…"


def shown(number: int, item: Candidate) -> str:
    """One candidate in a few lines."""
    verdict = f"**dropped**, `{item.reason}`: {short(item.detail, 110)}" if item.reason else "**kept**"
    lines = [f"{number}. {verdict}"]
    row = item.row
    if row.get("messages"):
        said = row["messages"]
        lines.append(f"Q: {short(said[0]['content'])}")
        if len(said) > 2:
            lines.append(f"({len(said)} turns) last answer: {short(said[-1]['content'])}")
        else:
            lines.append(f"A: {short(said[-1]['content'])}")
    elif row.get("chosen"):
        lines += [
            f"Q: {short(row['prompt'][-1]['content'])}",
            f"chosen ({row['chosen_from']}): {short(row['chosen'][-1]['content'])}",
            f"rejected ({row['rejected_from']}, {short(row['reason'], 40)}): {short(row['rejected'][-1]['content'])}",
        ]
    elif item.reply:
        lines.append(f"Reply: {short(item.reply, 2 * SHORT)}")
    if row.get("evidence"):
        lines.append(f"Evidence: {short(row['evidence'][0]['quote'], 50)}")
    return "  \n   ".join(lines)


def table(results: Mapping[str, Result]) -> str:
    """A line a generator."""
    lines = [
        "Seconds are the waiting times of all calls, four at a time.",
        "",
        "| generator | records | candidates | kept | keep rate | calls | tokens in | tokens out | seconds |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, made in results.items():
        count = len(made.candidates)
        rate = f"{Decimal(100 * made.kept) / count:.0f} %" if count else "–"
        lines.append(
            f"| `{name}` | {made.records} | {count} | {made.kept} | {rate} | {made.calls} | {made.tokens_in:,} | "
            f"{made.tokens_out:,} | {made.seconds:,.0f} |"
        )
    return "\n".join(lines)


def reasons(results: Mapping[str, Result]) -> str:
    """Why candidates were dropped, by generator."""
    lines = ["| generator | dropped because |", "|---|---|"]
    for name, made in results.items():
        told = ", ".join(f"`{reason}` {count}" for reason, count in made.reasons.most_common())
        lines.append(f"| `{name}` | {told or '–'} |")
    return "\n".join(lines)


def lengths(results: Mapping[str, Result]) -> str:
    """How long answers are, in characters, kept and dropped."""
    lines = ["| generator | characters of a kept answer, mean | of a dropped one |", "|---|--:|--:|"]
    for name, made in results.items():
        told = []
        for kept in (True, False):
            found = [
                len(item.row["messages"][-1]["content"])
                for item in made.candidates
                if bool(item.reason) != kept and item.row.get("messages")
            ]
            told.append(f"{sum(found) / len(found):.0f}" if found else "–")
        lines.append(f"| `{name}` | {told[0]} | {told[1]} |")
    return "\n".join(lines)


def reading_of(page: Path) -> str:
    """The section of a page that this script does not write."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    return READING + text.split(READING, 1)[1].split("\n## ", 1)[0] if READING in text else ""


def page(model: str, ours: Mapping[str, Result], theirs: Mapping[str, Result], reading: str) -> str:
    """The whole page."""
    parts = [
        PREFACE.format(model=model),
        "## Figures, bundled sample\n",
        table(ours),
        "",
        "Why candidates were dropped (the codes are explained in [data-format.md](data-format.md)):\n",
        reasons(ours),
    ]
    if theirs:
        parts += ["\n## Figures, other sources\n", OTHERS, table(theirs), "", reasons(theirs), "", lengths(theirs)]
    if reading:
        parts += ["", reading.strip()]
    parts.append("\n## Candidates\n")
    parts.append(f"The first {SHOWN} of each generator at most, in the order of the records; none was picked.\n")
    for name, made in ours.items():
        parts.append(f"### {name}\n")
        items = [shown(number, item) for number, item in enumerate(made.candidates[:SHOWN], start=1)]
        parts.append("\n".join(items) if items else "No candidate.")
        parts.append("")
    return "\n".join(parts).rstrip() + "\n"


PREFACE = """# What a small model makes

`{model}` wrote these candidates, on a processor. It is a model of 1.5 billion parameters made for
writing programs: about the weakest that writes usable Chinese, which is why it was taken. What the checks do to a poor writer
shows more of them than what they do to a good one.

**The rows illustrate how the checks work. They are no medical advice**, and a kept row is not a right row: the checks see
numbers, names and quotes, not every bent sense. Rows of such a model need a doctor's eye, one by one.

Each generator got a few records of the sources that come with the program (`examples/sample`), at temperature 0.7, with at most
900 tokens a reply. `benchmarks/llm_samples.py` makes this page, all but what stands under "Read against the source".
"""
READING = "## Read against the source\n"
OTHERS = """Sources that others wrote, such as national guidelines. Only figures are told here, and no sentence of them is shown.
"""


def main() -> None:
    """Build, collect, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a GGUF file")
    parser.add_argument("--output", type=Path, required=True, help="the page")
    parser.add_argument("--data", type=Path, help="a folder of other sources, for figures alone")
    parser.add_argument("--work", type=Path, default=Path("llm-samples"), help="builds and replies")
    parser.add_argument("--only", nargs="*", default=list(OURS), help="these builds alone")
    parser.add_argument("--times", type=float, default=1.0, help="longer selections of the bundled sample")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--slots", type=int, default=4, help="requests at a time")
    parser.add_argument("--port", type=int, default=8091, help="part of what a reply is kept under")
    parser.add_argument("--offline", action="store_true", help="no model: the replies that are there")
    given = parser.parse_args()
    ours: dict[str, Result] = {}
    theirs: dict[str, Result] = {}
    model = contextlib.nullcontext() if given.offline else served(given)
    with model:
        for name, chosen in OURS.items():
            if wanted(name, given.work, given):
                folder = build(name, scaled(chosen, given.times), ROOT / "examples/sample/sources", given.work, given)
                ours |= {generator: collect(folder, generator) for generator in chosen.generators}
        for name, chosen in THEIRS.items() if given.data else ():
            if wanted(name, given.work / "data", given):
                folder = build(name, chosen, given.data.resolve(), given.work / "data", given)
                theirs |= {generator: collect(folder, generator) for generator in chosen.generators}
    given.output.write_text(page(given.model.stem, ours, theirs, reading_of(given.output)), encoding="utf-8")


def wanted(name: str, work: Path, given: argparse.Namespace) -> bool:
    """Whether a build was asked for and, offline, has replies."""
    return name in given.only and not (given.offline and not (work / name / "build/state/llm-cache.sqlite").exists())


def served(given: argparse.Namespace) -> contextlib.AbstractContextManager[object]:
    """The model behind its server."""
    return serve(given.model, threads=given.threads, slots=given.slots, port=given.port)


def scaled(chosen: Selection, times: float) -> Selection:
    """``chosen`` with so many times its records."""
    return Selection(
        chosen.generators, chosen.kind, chosen.path, chosen.title, max(1, round(chosen.limit * times)), chosen.tasks
    )


if __name__ == "__main__":
    main()
