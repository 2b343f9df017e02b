"""Small builds for tests of publishing, and the program run against a double of the Hub."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pedcorpus.config import load_config
from pedcorpus.pipeline import build
from pedcorpus.run import BuildResult
from tests.conftest import ROOT, SAMPLE
from tests.hub import Hub

CONFIG = """
[dataset]
name = "small"
version = "{version}"
license = "apache-2.0"

[[sources]]
id = "general"
kind = "general"
path = "general.json"
license = "apache-2.0"

[[sources]]
id = "safety"
kind = "safety"
path = "safety.jsonl"
license = "cc-by-4.0"

[[sources]]
id = "clinic_notes"
kind = "distilled"
path = "notes.csv"
{notes}

[split]
validation = {share}
test = {share}

[shards]
rows = {shards}
"""
NOTES = """question,answer
孩子发烧38度怎么护理,让孩子多休息、多喝水，穿薄一点的衣服，室内保持通风。如果孩子精神变差、反复呕吐或抽搐，要马上去医院看急诊。
宝宝咳嗽有痰怎么办,可以多喝温水，保持室内空气湿润，轻轻拍背帮助孩子把痰咳出来。如果出现呼吸急促、口唇发紫，要尽快到医院就诊。
小儿腹泻要注意什么,要少量多次补充口服补液盐，继续正常吃饭，注意便后洗手。如果孩子尿量明显减少、眼窝凹陷或大便带血，要及时去医院。
"""


def small_project(
    folder: Path,
    notes: str = 'license = "apache-2.0"',
    version: str = "0.1.0",
    shards: int = 50_000,
    share: float = 0.1,
) -> Path:
    """A project with three sources, written to ``folder``; the answer is its config."""
    folder.mkdir(parents=True, exist_ok=True)
    general = json.loads((SAMPLE / "sources" / "general" / "general.json").read_text(encoding="utf-8"))
    (folder / "general.json").write_text(json.dumps(general[:20], ensure_ascii=False), encoding="utf-8")
    safety = (SAMPLE / "sources" / "safety" / "safety.jsonl").read_text(encoding="utf-8").splitlines()[:8]
    (folder / "safety.jsonl").write_text("\n".join(safety), encoding="utf-8")
    (folder / "notes.csv").write_text(NOTES, encoding="utf-8")
    config = folder / "pedcorpus.toml"
    config.write_text(CONFIG.format(notes=notes, version=version, shards=shards, share=share), encoding="utf-8")
    return config


def small_build(folder: Path, **values: Any) -> tuple[Path, BuildResult]:
    """That project built in ``folder/build``."""
    return folder / "build", build(load_config(small_project(folder, **values)), folder / "build", workers=1)


def hub_environment(hub: Hub, token: str | None = None) -> dict[str, str]:
    """Variables that lead the real clients to the double; read when they are imported."""
    return {
        **os.environ,
        "HF_ENDPOINT": hub.url,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_OFFLINE": "0",
        "HF_TOKEN": hub.token if token is None else token,
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "PYTHONPATH": str(ROOT),
    }


def publish(hub: Hub, *arguments: object, token: str | None = None) -> subprocess.CompletedProcess[str]:
    """``pedcorpus publish …`` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "pedcorpus", "publish", *map(str, arguments)],
        env=hub_environment(hub, token),
        capture_output=True,
        text=True,
        check=False,
    )


def run_code(code: str, env: Mapping[str, str], *arguments: object) -> Any:
    """What a script prints as JSON, run in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], env=dict(env), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
