"""Publishing a trained model to a double of the Hub, with the real client."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.hub import Hub, hub_double


@pytest.fixture
def hub() -> Iterator[Hub]:
    with hub_double() as running:
        yield running


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    """A directory as a stage leaves it; what the files hold does not matter here."""
    folder = tmp_path / "models" / "moe-lora"
    folder.mkdir(parents=True)
    about = {"stage": "moe-lora", "parent": {"path": str(tmp_path / "models" / "dfpo"), "sha256": "0"}, "metrics": {}}
    (folder / "stage.json").write_text(json.dumps(about))
    (folder / "README.md").write_text("---\ntags:\n- pedcorpus\n---\n# card\n")
    (folder / "adapter_model.safetensors").write_bytes(bytes(range(256)) * 40)
    (folder / "adapter_config.json").write_text(
        json.dumps({"base_model_name_or_path": str(tmp_path / "models" / "dfpo")})
    )
    (folder / "tensorboard").mkdir()
    return folder


def publish(hub: Hub, *arguments: object, token: str | None = None) -> subprocess.CompletedProcess[str]:
    env = {
        **os.environ,
        "HF_ENDPOINT": hub.url,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_OFFLINE": "0",
        "HF_TOKEN": hub.token if token is None else token,
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "PYTHONPATH": str(ROOT),
    }
    return subprocess.run(
        [sys.executable, "-m", "pedcorpus", "publish", *map(str, arguments)],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_model_goes_up_in_one_commit_and_names_no_machine(hub: Hub, stage: Path, tmp_path: Path) -> None:
    done = publish(hub, "--model", stage, "--repo", "me/ped", "--base", "me/ped-dfpo", "--private")
    assert done.returncode == 0, done.stderr
    repo = hub.repos["models", "me/ped"]
    assert repo.private and len(repo.commits) == 1
    assert set(repo.files) == {"README.md", "adapter_config.json", "adapter_model.safetensors", "stage.json"}
    assert repo.files["adapter_model.safetensors"] == (stage / "adapter_model.safetensors").read_bytes()
    assert not any(str(tmp_path).encode() in content for content in repo.files.values())
    assert json.loads(repo.files["adapter_config.json"])["base_model_name_or_path"] == "me/ped-dfpo"
    assert hub.token not in done.stdout + done.stderr
    again = publish(hub, "--model", stage, "--repo", "me/ped", "--base", "me/ped-dfpo")
    assert again.returncode == 0, again.stderr


def test_a_dry_run_sends_nothing(hub: Hub, stage: Path) -> None:
    done = publish(hub, "--model", stage, "--repo", "me/ped", "--base", "me/b", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert "adapter_model.safetensors" in done.stdout and "nothing was sent" in done.stdout
    assert not hub.requests


def test_an_adapter_of_a_local_model_needs_its_base(hub: Hub, stage: Path) -> None:
    done = publish(hub, "--model", stage, "--repo", "me/ped")
    assert done.returncode == 2
    assert "--base OWNER/NAME" in done.stderr
    assert not hub.requests


def test_what_is_no_stage_is_refused(hub: Hub, tmp_path: Path) -> None:
    done = publish(hub, "--model", tmp_path, "--repo", "me/ped")
    assert done.returncode == 2
    assert "no stage.json" in done.stderr


@pytest.mark.parametrize(
    ("place", "status", "words"),
    [
        ("/api/repos/create", 403, "write access"),
        ("/commit/", 409, "run the same command again"),
        ("/preupload/", 413, "smaller shards"),
        ("/commit/", 404, "OWNER/NAME"),
    ],
)
def test_each_refusal_says_what_to_do(place: str, status: int, words: str, hub: Hub, stage: Path) -> None:
    hub.fail[place] = [status] * 20
    done = publish(hub, "--model", stage, "--repo", "me/ped", "--base", "me/b")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert f"({status})" in done.stderr and words in done.stderr
    assert hub.token not in done.stderr


def test_a_wrong_token_and_an_unreachable_hub(hub: Hub, stage: Path) -> None:
    done = publish(hub, "--model", stage, "--repo", "me/ped", "--base", "me/b", token="hf_wrong")
    assert done.returncode == 2
    assert "hf auth login" in done.stderr and "hf_wrong" not in done.stderr
    gone = Hub(url="http://127.0.0.1:9")
    done = publish(gone, "--model", stage, "--repo", "me/ped", "--base", "me/b")
    assert done.returncode == 2
    assert "the connection failed" in done.stderr and "Traceback" not in done.stderr
