"""Builds of the sample that ask a scripted server: every generator at once, the dry run, and what is never sent."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from pedcorpus.llm.estimate import spread, tokens
from tests.builds import rejects, rows
from tests.conftest import SAMPLE, Project, Run
from tests.llm.server import Script, Server, running_server

KEY = "sk-test-0123456789"
GENERATORS = {"roleplay", "diagnosis", "treatment", "regularise", "reconstruct", "safety", "identity", "preference"}


def config_of(folder: Path, base_url: str, more: str = "") -> Path:
    """The sample's config with a model."""
    text = (SAMPLE / "pedcorpus.toml").read_text(encoding="utf-8").replace('"sources/', f'"{SAMPLE}/sources/')
    text = text.replace('"benchmark', f'"{SAMPLE}/benchmark')
    asks = f"""
[generate]
backend = "openai"
per_record = 2

[llm]
base_url = "{base_url}"
model = "scripted"
api_key_env = "TEST_LLM_KEY"
price_input = 0.15
price_output = 0.6
{more}
"""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "pedcorpus.toml"
    path.write_text(text + asks, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    script = Script(models=("scripted", "weak"), api_key=KEY, price_input="0.15", price_output="0.6", absent=0.1)
    with running_server(script, tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def asked(server: Server, run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample built with a model, a weaker one and a judge."""
    folder = tmp_path_factory.mktemp("asked")
    weak = f'[llm.assistant]\nbase_url = "{server.base_url}"\nmodel = "weak"\napi_key_env = "TEST_LLM_KEY"\n'
    config = config_of(folder, server.base_url, weak + "[filters.judge]\nenabled = true\nthreshold = 2.0")
    done = run("build", "--config", config, "--output", folder / "build", env={"TEST_LLM_KEY": KEY})
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^spent +0\.\d{4} USD", done.stdout, re.MULTILINE)
    return folder


def test_every_generator_makes_rows_that_hold(asked: Path, run: Run) -> None:
    build = asked / "build"
    made = {name: rows(build, name) for name in ("medkqa", "evidiag", "trerecom", "safety", "self_cognition", "dfpo")}
    by_model = [row for found in made.values() for row in found if row["provenance"]["model"]]
    assert {row["provenance"]["generator"] for row in by_model} == GENERATORS
    for row in by_model:
        provenance = row["provenance"]
        assert provenance["prompt_id"].startswith("llm/") and re.fullmatch(r"[0-9a-f]{64}", provenance["prompt_sha256"])
        assert re.fullmatch(r"[0-9a-f]{32}", provenance["request_key"]) and row["evidence"]
    written = [version["content"] for row in made["dfpo"] for version in row["provenance"]["version_trail"] if version["step"] == "rejected"]  # fmt: skip
    assert any(said.endswith(" weak") for said in written)
    assert {row["rejected_from"] for row in made["dfpo"]} >= {"assistant", "rephrased"}
    judged = [row for row in made["medkqa"] if row["provenance"]["model"]]
    assert all({"judge.correctness"} <= {note["check"] for note in row["quality"]} for row in judged)
    done = run("verify", build)
    assert done.returncode == 0, done.stdout


def test_the_absent_is_a_reason(asked: Path) -> None:
    reasons = {item["reason"] for item in rejects(asked / "build", "generate")}
    assert {"grounding.absent", "grounding.quote"} & reasons


def test_report_status_card_and_trace_tell_of_the_model(asked: Path, run: Run) -> None:
    build = asked / "build"
    page = (build / "report.html").read_text(encoding="utf-8")
    assert "Calls and cost" in page and "llm/roleplay/ask@1.0" in page
    card = (build / "dataset" / "README.md").read_text(encoding="utf-8")
    assert "scripted" in card and "llm/treatment/advise@1.1" in card
    assert "`weak`" in card and "llm/preference/assistant@1.0" in card
    told = json.loads(run("status", build, "--json").stdout)
    assert told["calls"] > 100 and float(told["spent_usd"]) > 0
    row = next(row for row in rows(build, "trerecom") if row["provenance"]["model"])
    assert (
        f"model         scripted, request {row['provenance']['request_key']}" in run("trace", build, row["id"]).stdout
    )


def test_the_key_is_nowhere(asked: Path) -> None:
    held = [path for path in asked.rglob("*") if path.is_file()]
    assert len(held) > 50
    assert [path.name for path in held if KEY.encode() in path.read_bytes()] == []


def test_nothing_on_the_server_costs_without_the_dry_run_saying_so(
    asked: Path, server: Server, run: Run, tmp_path: Path
) -> None:
    before = server.stats().received
    config = asked / "pedcorpus.toml"
    done = run("build", "--config", config, "--output", tmp_path / "other", "--dry-run", env={"TEST_LLM_KEY": KEY})
    assert done.returncode == 0, done.stderr
    assert server.stats().received == before and not (tmp_path / "other").exists()
    lines = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line and not line[0].isspace()}
    assert GENERATORS | {"judge", "all"} <= lines.keys()
    said = int(lines["all"][0].replace(",", ""))
    assert 0.4 * before <= said <= 2.5 * before
    assert 0 < float(lines["all"][4]) < 5
    left = run("build", "--config", config, "--output", asked / "build", "--dry-run", env={"TEST_LLM_KEY": KEY})
    rest = {line.split()[0]: line.split()[1:] for line in left.stdout.splitlines() if line and not line[0].isspace()}
    assert int(rest["roleplay"][0].replace(",", "")) == 0 and int(rest["roleplay"][1].replace(",", "")) > 0


def test_a_dry_run_of_templates_is_refused(run: Run) -> None:
    done = run("build", "--config", SAMPLE / "pedcorpus.toml", "--dry-run")
    assert done.returncode == 2 and "makes none" in done.stderr


@pytest.mark.parametrize("value", ["-1", "cheap", "nan", "inf"])
def test_a_budget_is_an_amount(run: Run, value: str) -> None:
    done = run("build", "--budget", value)
    assert done.returncode == 2 and "amount of money" in done.stderr


# --- what is refused ---

REMOTE = 'base_url = "https://llm.example/v1"\nmodel = "m"\n'
PRICES = "price_input = 0.1\nprice_output = 0.2\n"
SOURCES = '[[sources]]\nid = "s"\nkind = "plain_text"\npath = "a.txt"\n'


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('[generate]\nbackend = "openai"\n', "needs [llm]"),
        (f'[generate]\nbackend = "openai"\n[llm]\n{REMOTE}', "price_input"),
        (f'[generate]\nbackend = "openai"\n[llm]\n{REMOTE}{PRICES}[deidentify]\nenabled = false\n', "unmasked"),
        (f'[generate]\nbackend = "openai"\n[llm]\n{REMOTE}{PRICES}[llm.assistant]\n{REMOTE}', "llm.assistant"),
        ('[generate]\nbackend = "openai"\n[llm]\nbase_url = "llm.example"\nmodel = "m"\n', "base_url"),
        (f'[generate]\nbackend = "openai"\n[llm]\n{REMOTE}{PRICES}budget_usd = -1\n', "budget_usd"),
        (f'[generate]\nbackend = "openai"\n[llm]\n{REMOTE}{PRICES}prize = 1\n', "prize"),
        ("[filters.judge]\nenabled = true\n", "judge"),
        (f'[generate]\nbackend = "openai"\n[llm]\n{REMOTE}{PRICES}[filters.judge]\nenabled = true\nthreshold = 9\n', "threshold"),
        (f'[generate]\nbackend = "openai"\n[llm]\n{REMOTE}{PRICES}', "OPENAI_API_KEY"),
    ],
)  # fmt: skip
def test_a_config_that_cannot_be_asked_with(run: Run, project: Project, tmp_path: Path, more: str, said: str) -> None:
    config = project(SOURCES, {"a.txt": "儿童肺炎的护理。"}, more)
    done = run("build", "--config", config, "--output", tmp_path / "build", env={"OPENAI_API_KEY": ""})
    assert done.returncode == 2 and said in done.stderr, done.stderr
    assert "Traceback" not in done.stderr


def test_what_masking_missed_is_not_sent(server: Server, run: Run, project: Project, tmp_path: Path) -> None:
    """With masking off and a server on this machine, a record with a phone number stays here."""
    book = "# 儿科学\n\n## 肺炎\n\n### 临床表现\n\n小儿肺炎表现为发热、咳嗽和气促。咨询电话13800138000。\n\n"
    book += "### 护理\n\n小儿肺炎患儿应多饮水，保持室内通风。\n"
    more = f'[generate]\nbackend = "openai"\ntasks = ["medkqa"]\n[llm]\nbase_url = "{server.base_url}"\nmodel = "scripted"\n'
    more += 'api_key_env = "TEST_LLM_KEY"\n[deidentify]\nenabled = false\n'
    config = project('[[sources]]\nid = "s"\nkind = "textbook"\npath = "a.md"\n', {"a.md": book}, more)
    build = tmp_path / "build"
    run("build", "--config", config, "--output", build, env={"TEST_LLM_KEY": KEY})
    dropped = [item for item in rejects(build, "generate") if item["reason"] == "safety.personal"]
    assert len(dropped) == 1
    cache = (build / "state" / "llm-cache.sqlite").read_bytes()
    assert b"13800138000" not in cache


# --- numbers ---


@pytest.mark.parametrize(("count", "places"), [(0, []), (1, [0]), (3, [0, 1, 2])])
def test_a_small_group_is_taken_whole(count: int, places: list[int]) -> None:
    assert spread(count) == places


def test_a_large_group_is_sampled_from_end_to_end() -> None:
    places = spread(1000)
    assert len(places) == len(set(places)) == 40 and places[0] == 0 and places[-1] == 999


def test_tokens_are_guessed_by_script() -> None:
    assert tokens("") == 0 and tokens("小儿肺炎") == 4 and tokens("abcdefgh") == 2 and tokens("肺炎 ab") == 3
