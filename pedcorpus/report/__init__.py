"""``report.html``: one self-contained page about a build. No network, no clock."""

from __future__ import annotations

from collections import Counter
from importlib.resources import files
from pathlib import Path
from typing import Any

from pedcorpus.builddir import open_build, read_batches, read_json, write_text
from pedcorpus.reasons import explain
from pedcorpus.records import SPLITS, TASKS

_SAMPLES = 3
_REJECT_SAMPLES = 2
_MOST = 15
_BINS = (50, 100, 200, 400, 800, 1600)


def write_report(root: Path) -> Path:
    """Write the report of the finished build in ``root``; the answer is its path.

    Raises:
        BuildDirError: ``root`` holds no finished build.
    """
    path = root / "report.html"
    write_text(path, render_report(report_data(root)))
    return path


def render_report(data: dict[str, Any]) -> str:
    """The page for what `report_data` gathered; every text in it is escaped."""
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    source = files("pedcorpus.report").joinpath("report.html.jinja").read_text(encoding="utf-8")
    environment = SandboxedEnvironment(undefined=StrictUndefined, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters["n"] = "{:,}".format
    return str(environment.from_string(source).render(**data))


def report_data(root: Path) -> dict[str, Any]:
    """All that the page shows, from files of the build alone."""
    manifest = open_build(root)
    dataset = read_json(root / "dataset" / "manifest.json")
    tallies: dict[str, Counter[str]] = {name: Counter() for name in ("source", "department", "disease")}
    samples: dict[str, list[dict[str, Any]]] = {}
    lengths: dict[str, list[int]] = {}
    pairs: list[tuple[int, int]] = []
    worse: Counter[str] = Counter()
    for shard in dataset["shards"]:
        _, task, name = shard.split("/")
        split = name.split("-", 1)[0]
        counts = lengths.setdefault(task, [0] * (len(_BINS) + 1))
        held = samples.setdefault(task, [])
        step = max(1, dataset["rows"][task][split] // _SAMPLES)
        position = 0
        for table in read_batches(root / "dataset" / shard):
            for row in table.to_pylist():
                tallies["source"][row["source_id"]] += 1
                for column in ("department", "disease"):
                    tallies[column][row[column] or "(not stated)"] += 1
                counts[_bin(len(_answer(task, row)))] += 1
                if task == "dfpo":
                    pairs.append((len(row["chosen"][-1]["content"]), len(row["rejected"][-1]["content"])))
                    worse[(row["reason"] or "").split(":")[0]] += 1
                if len(held) < _SAMPLES and position % step == 0:
                    held.append(_sample(task, split, row))
                position += 1
    order = [task for task in TASKS if task in dataset["rows"]]
    return {
        "name": dataset["name"],
        "version": dataset["version"],
        "program": dataset["pedcorpus"],
        "seed": dataset["seed"],
        "stages": _funnel(manifest["stages"]),
        "reasons": _reasons(root, manifest["stages"]),
        "splits": SPLITS,
        "rows": [(task, dataset["rows"][task], sum(dataset["rows"][task].values())) for task in order],
        "total": sum(sum(by_split.values()) for by_split in dataset["rows"].values()),
        "sources": [_source(item, tallies["source"]) for item in dataset["sources"]],
        "departments": _top(tallies["department"]),
        "diseases": _top(tallies["disease"]),
        "bins": _bin_names(),
        "lengths": [(task, lengths.get(task, []), max([1, *lengths.get(task, [])])) for task in order],
        "pairs": _pair_figures(pairs),
        "worse": worse.most_common(),
        "samples": [(task, samples[task]) for task in order if task in samples],
        "benchmarks": manifest["benchmarks"],
        "made_with": dataset["made_with"],
        "models": sorted({item["model"] for item in dataset["made_with"] if item["model"]}),
        "calls": calls_made(root),
    }


def calls_made(root: Path) -> dict[str, Any] | None:
    """Calls, tokens and USD of all runs of a build by prompt; None where no model was asked.

    Raises:
        BuildDirError: the cache of replies cannot be read.
    """
    from pedcorpus.builddir import CACHE_NAME
    from pedcorpus.llm.cache import Cache

    path = root / "state" / CACHE_NAME
    if not path.exists():
        return None
    with Cache(path, write=False) as cache:
        lines = [
            {"prompt": prompt, "calls": calls, "tokens_in": tokens_in, "tokens_out": tokens_out, "usd": cost}
            for prompt, (calls, tokens_in, tokens_out, cost) in sorted(cache.spent_by_prompt().items())
        ]
        return {"lines": lines, "calls": sum(line["calls"] for line in lines), "usd": cache.spent()}


def _funnel(stages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    most = max([1, *(stage["in"] for stage in stages)])
    return [
        {
            "name": stage["name"],
            "taken": stage["in"],
            "kept": stage["kept"],
            "rejected": sum(stage["rejected"].values()),
            "records": stage.get("records"),
            "kept_share": 100 * stage["kept"] / most,
            "rejected_share": 100 * sum(stage["rejected"].values()) / most,
        }
        for stage in stages
    ]


def _reasons(root: Path, stages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for stage in stages:
        path = root / "rejects" / f"{stage['name']}.parquet"
        if not path.exists():
            continue
        examples: dict[str, list[str]] = {}
        for table in read_batches(path, ["reason", "detail"]):
            for entry in table.to_pylist():
                held = examples.setdefault(entry["reason"], [])
                if len(held) < _REJECT_SAMPLES and entry["detail"][:160] not in held:
                    held.append(entry["detail"][:160])
        for reason, count in sorted(stage["rejected"].items(), key=lambda item: (-item[1], item[0])):
            found.append(
                {
                    "stage": stage["name"],
                    "reason": reason,
                    "count": count,
                    "why": explain(reason),
                    "examples": examples.get(reason, []),
                }
            )
    return found


def _source(item: dict[str, Any], rows: Counter[str]) -> dict[str, Any]:
    return {**item, "rows": rows[item["id"]]}


def _top(counts: Counter[str]) -> list[tuple[str, int, float]]:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    most = ordered[0][1] if ordered else 1
    shown = [(name, count, 100 * count / most) for name, count in ordered[:_MOST]]
    rest = sum(count for _, count in ordered[_MOST:])
    return [*shown, (f"({len(ordered) - _MOST} more)", rest, 100 * min(1.0, rest / most))] if rest else shown


def _answer(task: str, row: dict[str, Any]) -> str:
    if task == "cpt":
        return str(row["text"])
    messages = row["chosen"] if task == "dfpo" else row["messages"]
    return str(messages[-1]["content"])


def _bin(length: int) -> int:
    return next((number for number, edge in enumerate(_BINS) if length <= edge), len(_BINS))


def _bin_names() -> list[str]:
    return [f"≤{edge}" for edge in _BINS] + [f">{_BINS[-1]}"]


def _pair_figures(pairs: list[tuple[int, int]]) -> dict[str, Any] | None:
    """How well length alone tells chosen from rejected: 0.5 is chance, ties count half."""
    if not pairs:
        return None
    longer = sum(chosen > rejected for chosen, rejected in pairs) + 0.5 * sum(a == b for a, b in pairs)
    share = longer / len(pairs)
    return {
        "count": len(pairs),
        "accuracy": max(share, 1 - share),
        "rule": "longer" if share >= 0.5 else "shorter",
        "chosen": sum(chosen for chosen, _ in pairs) / len(pairs),
        "rejected": sum(rejected for _, rejected in pairs) / len(pairs),
    }


def _sample(task: str, split: str, row: dict[str, Any]) -> dict[str, Any]:
    if task == "cpt":
        turns = [("text", row["text"])]
    elif task == "dfpo":
        turns = [(message["role"], message["content"]) for message in row["prompt"]]
        turns += [
            ("chosen", row["chosen"][-1]["content"]),
            (f"rejected ({row['reason']})", row["rejected"][-1]["content"]),
        ]
    else:
        turns = [(message["role"], message["content"]) for message in row["messages"]]
    return {
        "id": row["id"],
        "split": split,
        "turns": [(role, text if len(text) <= 600 else text[:600] + " …") for role, text in turns],
        "source": row["source_title"],
        "license": row["license"],
        "disease": row["disease"],
        "generator": row["provenance"]["generator"],
        "evidence": [
            {"page": item["page"], "start": item["start"], "end": item["end"], "quote": item["quote"][:200]}
            for item in row["evidence"][:3]
        ],
        "more": max(0, len(row["evidence"]) - 3),
    }
