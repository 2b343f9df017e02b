"""Publishing a trained model to a double of the Hub, with the real client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub import Hub, hub_double
from tests.publishing import hub_environment, publish, run_code


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


TAGS = """
import json, sys
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, RevisionNotFoundError

api, repo, seen = HfApi(), "me/tags", []
api.create_repo(repo, repo_type="dataset")
for text in ("one", "two"):
    api.upload_file(path_or_fileobj=text.encode(), path_in_repo="a.txt", repo_id=repo, repo_type="dataset")
    api.create_tag(repo, tag=text, repo_type="dataset")
api.create_branch(repo, branch="draft", revision="one", repo_type="dataset")
api.upload_file(path_or_fileobj=b"three", path_in_repo="a.txt", repo_id=repo, repo_type="dataset", revision="draft")
for revision in ("main", "one", "two", "draft"):
    seen.append(open(api.hf_hub_download(repo, "a.txt", repo_type="dataset", revision=revision)).read())
for what, wanted in (
    (lambda: api.create_tag(repo, tag="one", repo_type="dataset"), 409),
    (lambda: api.create_tag(repo, tag="x", revision="nowhere", repo_type="dataset"), 404),
    (lambda: api.create_commit(repo, [], commit_message="x", repo_type="dataset", revision="nowhere"), 404),
    (lambda: api.dataset_info(repo, revision="nowhere"), 404),
):
    try:
        what()
        seen.append("passed")
    except HfHubHTTPError as error:
        seen.append(error.response.status_code)
api.delete_tag(repo, tag="one", repo_type="dataset")
seen.append(sorted(tag.name for tag in api.list_repo_refs(repo, repo_type="dataset").tags))
print(json.dumps(seen))
"""


def test_the_double_keeps_tags_and_branches_apart(hub: Hub, tmp_path: Path) -> None:
    seen = run_code(TAGS, {**hub_environment(hub), "HF_HOME": str(tmp_path)})
    assert seen == ["two", "one", "two", "three", 409, 404, 404, 404, ["two"]]


OLD_PARENT = """
import json
from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError

api, repo = HfApi(), "me/parent"
api.create_repo(repo, repo_type="dataset")
first = api.dataset_info(repo).sha
commit = lambda text: api.create_commit(
    repo, [CommitOperationAdd("a.txt", text)], commit_message="x", repo_type="dataset", parent_commit=first
)
commit(b"one")
try:
    commit(b"two")
except HfHubHTTPError as error:
    print(json.dumps(error.response.status_code))
"""


def test_the_double_refuses_a_commit_upon_an_old_one(hub: Hub, tmp_path: Path) -> None:
    assert run_code(OLD_PARENT, {**hub_environment(hub), "HF_HOME": str(tmp_path)}) == 412
