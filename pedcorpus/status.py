"""How far a build is, told from its files: the plan that each stage left, and the parts that are there."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from pedcorpus.builddir import read_json
from pedcorpus.errors import BuildDirError
from pedcorpus.report import calls_made

_STAGES = (
    "extract", "screen", "ask", "generate", "filter", "dedup", "decontaminate", "judge", "review", "pairs", "derive",
    "split"
)  # fmt: skip
_OPTIONAL = frozenset({"ask", "judge", "review", "pairs"})
"""Stages that only a build has which asks models or takes decisions."""


def build_status(root: Path) -> dict[str, Any]:
    """Finished or not, and the stages with their parts and counts.

    Raises:
        BuildDirError: ``root`` is no build directory.
    """
    if not (root / "state").is_dir():
        gone = (root / "manifest.json").is_file()
        raise BuildDirError(
            f"{root} has no state/ folder, which tells how far a build is" if gone else f"{root} is no build directory",
            "the build is finished: its counts are in manifest.json"
            if gone
            else "name the folder that `pedcorpus build` writes",
        )
    counted, last = _events(root)
    finished = last == "end"
    stages = []
    for name in _STAGES:
        plan = root / "state" / "plan" / f"{name}.json"
        if name in _OPTIONAL and not plan.exists():
            continue
        line: dict[str, Any] = {"name": name, "state": "waiting"}
        if plan.exists():
            keys = read_json(plan)["parts"]
            done = sum(_done(root, name, key) for key in keys)
            line |= {"parts": len(keys), "parts_done": done, "state": "running" if done < len(keys) else "done"}
        if name in counted:
            line |= {"kept": counted[name][0], "rejected": counted[name][1], "state": "done"}
        if finished and name == "split":
            line["state"] = "done"
        stages.append(line)
    found: dict[str, Any] = {"build": str(root), "finished": finished, "stages": stages}
    if finished and (root / "manifest.json").exists():
        manifest = read_json(root / "manifest.json")
        found["rows"] = manifest["rows"]
        counts = {stage["name"]: stage for stage in manifest["stages"]}
        for line in stages:
            if line["name"] in counts:
                stage = counts[line["name"]]
                line |= {"kept": stage["kept"], "rejected": sum(stage["rejected"].values()), "state": "done"}
    made = calls_made(root)
    if made is not None:
        found["calls"], found["spent_usd"] = made["calls"], str(made["usd"])
    return found


def _done(root: Path, stage: str, key: str) -> bool:
    folder = root / "state" / "parts" / stage
    return (folder / f"{key}.json").exists() or (folder / f"{key}.parquet").exists()


def _events(root: Path) -> tuple[dict[str, tuple[int, int]], str]:
    """Counts of the latest run's stages, and its last event."""
    counted: dict[str, tuple[int, int]] = {}
    last = ""
    path = root / "state" / "events.jsonl"
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            event = json.loads(line)
        except ValueError:  # the line that a kill cut off
            continue
        last = event["event"]
        if last == "start":
            counted = {}
        elif last == "counted":
            counted[event["stage"]] = (event["kept"], event["rejected"])
    return counted, last


def format_status(found: dict[str, Any]) -> str:
    """Lines for people."""
    head = "finished" if found["finished"] else "not finished: run `pedcorpus build` again and it goes on"
    lines = [f"{found['build']}: {head}"]
    for stage in found["stages"]:
        parts = f"{stage['parts_done']}/{stage['parts']} parts" if "parts" in stage else ""
        counts = f"kept {stage['kept']:,}, rejected {stage['rejected']:,}" if "kept" in stage else ""
        lines.append(f"  {stage['name']:<14} {stage['state']:<8} {parts:<16} {counts}".rstrip())
    if "calls" in found:
        lines.append(f"  {found['calls']:,} calls, {Decimal(found['spent_usd']):.4f} USD in all runs")
    if "rows" in found:
        total = sum(sum(by_split.values()) for by_split in found["rows"].values())
        lines.append(f"  {total:,} rows in {len(found['rows'])} configs")
    return "\n".join(lines)
