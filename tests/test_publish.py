"""Publishing a dataset to a double of the Hub with the real clients, and loading it from there."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from pedcorpus.builddir import write_table
from pedcorpus.config import load_config
from pedcorpus.errors import ConfigError
from pedcorpus.pipeline import build
from pedcorpus.publishing import PublishRefusedError as Refused
from pedcorpus.publishing import Withheld, check_build, find_withheld, version_tag, write_copy
from pedcorpus.run import BuildResult
from tests.builds import hashes, rows
from tests.hub import Hub, Repo, hub_double
from tests.publishing import hub_environment, publish, run_code, small_build

PAPERS = {"README.md", "croissant.json", "manifest.json"}


@pytest.fixture
def hub() -> Iterator[Hub]:
    with hub_double() as running:
        yield running


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small build; tests only read it."""
    return small_build(tmp_path_factory.mktemp("small"))[0]


@pytest.fixture(scope="module")
def unlicensed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with one source of unknown license."""
    return small_build(tmp_path_factory.mktemp("unlicensed"), notes="")[0]


def repo_of(hub: Hub) -> Repo:
    return hub.repos["datasets", "me/ped"]


def local(build: Path) -> dict[str, bytes]:
    folder = build / "dataset"
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def ok(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    assert "hf_double" not in done.stdout + done.stderr
    return done.stdout


def refused(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr and "hint: " in done.stderr
    assert "hf_double" not in done.stdout + done.stderr
    return done.stderr


# --- there and back ---------------------------------------------------------------------------------

LOAD = """
import hashlib, json, sys
from datasets import get_dataset_config_names, load_dataset

def short(rows):
    text = json.dumps([rows[0].keys() and dict(row) for row in rows], ensure_ascii=False, sort_keys=True)
    return [len(rows), hashlib.sha256(text.encode()).hexdigest()]

found = {}
for config in get_dataset_config_names("me/ped"):
    whole = load_dataset("me/ped", config, revision=sys.argv[1])
    stream = load_dataset("me/ped", config, revision=sys.argv[1], streaming=True)
    assert list(whole) == list(stream)
    for split in whole:
        found[f"{config}/{split}"] = [short(list(whole[split])), short(list(stream[split]))]
print(json.dumps(found))
"""
CARD = """
import json
from huggingface_hub import DatasetCard

card = DatasetCard.load("me/ped")
card.validate()
print(json.dumps(card.data.to_dict()))
"""


@pytest.mark.slow
def test_the_sample_goes_up_and_every_config_loads_from_there(
    hub: Hub, sample_build: tuple[Path, BuildResult], tmp_path: Path
) -> None:
    build = sample_build[0]
    out = ok(publish(hub, build, "--repo", "me/ped", "--private", "--gated", "auto", "--tag"))
    repo = repo_of(hub)
    assert repo.files == local(build)
    assert repo.commits == ["Publish pedcorpus-sample 0.1.0"] and list(repo.tags) == ["v0.1.0"]
    assert repo.private and repo.gated == "auto"
    assert "/datasets/me/ped/commit/" in out
    env = {**hub_environment(hub), "HF_HOME": str(tmp_path)}
    found = run_code(LOAD, env, "v0.1.0")
    held = sample_build[1].dataset["rows"]
    assert set(found) == {f"{task}/{split}" for task, splits in held.items() for split in splits}
    wanted = run_code(LOCAL, env, build)
    assert all(whole == stream == wanted[name] for name, (whole, stream) in found.items())
    header = run_code(CARD, env)
    assert [config["config_name"] for config in header["configs"]] == list(held)
    assert (header["license"], header["language"], header["size_categories"]) == ("apache-2.0", ["zh"], ["1K<n<10K"])
    again = ok(publish(hub, build, "--repo", "me/ped", "--tag"))
    assert "nothing to send" in again and len(repo.commits) == 1
    checked = subprocess.run(
        [sys.executable, "-m", "pedcorpus", "verify", "me/ped", "--revision", "v0.1.0", "--json"],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    report = json.loads(checked.stdout)
    assert report["faults"] == [], checked.stderr
    assert checked.returncode == 0
    assert report["checks"]["rows"] == sum(sum(splits.values()) for splits in held.values())
    assert "evidence quotes" in report["unchecked"][0]


LOCAL = """
import hashlib, json, sys
from pathlib import Path
import pyarrow.parquet as pq

found = {}
for path in sorted(Path(sys.argv[1], "dataset", "data").glob("*/*.parquet")):
    rows = pq.read_table(path).to_pylist()
    text = json.dumps(rows, ensure_ascii=False, sort_keys=True)
    name = f"{path.parent.name}/{path.name.split('-')[0]}"
    found[name] = [len(rows), hashlib.sha256(text.encode()).hexdigest()]
print(json.dumps(found))
"""


def test_after_one_changed_row_only_its_shard_and_the_papers_go(hub: Hub, tmp_path: Path) -> None:
    first = small_build(tmp_path, share=0)[0]
    ok(publish(hub, first, "--repo", "me/ped"))
    before, sent = dict(repo_of(hub).files), len(hub.sent)
    source = tmp_path / "general.json"
    data = json.loads(source.read_text(encoding="utf-8"))
    data[3]["output"] += "祝您顺利。"
    source.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
    second = tmp_path / "second"
    build(load_config(tmp_path / "pedcorpus.toml"), second, workers=1)
    out = ok(publish(hub, second, "--repo", "me/ped"))
    after = repo_of(hub).files
    changed = {name for name in after if after[name] != before.get(name)}
    shards = {name for name in changed if name.endswith(".parquet")}
    assert shards == {"data/general/train-00000-of-00001.parquet"}
    assert changed - shards <= PAPERS | {"assets/lengths.png"}
    assert after == local(second) and set(before) == set(after)
    large = {name for name in changed if name.endswith((".parquet", ".png"))}
    assert len(hub.sent) - sent == len(large)
    assert f"{len(changed)} files to send, {len(after) - len(changed)} unchanged, 0 to delete" in out
    assert len(repo_of(hub).commits) == 2


def test_old_shards_and_configs_go_in_the_same_commit_and_others_stay(hub: Hub, small: Path, tmp_path: Path) -> None:
    many = small_build(tmp_path / "many", shards=3)[0]
    assert (many / "dataset/data/general/train-00005-of-00006.parquet").exists()
    ok(publish(hub, many, "--repo", "me/ped"))
    repo = repo_of(hub)
    foreign = {"LICENSE": b"mine", "data/extra.parquet": b"mine", "data/other/train-00000-of-00001.parquet": b"mine"}
    gone = {"data/evidiag/test-00000-of-00001.parquet": b"a config of an earlier version"}
    repo.add("main", "by hand", {**repo.at("main").files, **foreign, **gone})  # type: ignore[union-attr]
    commits = len(repo.commits)
    listed = ok(publish(hub, small, "--repo", "me/ped", "--dry-run"))
    deleted = set(re.findall(r"delete +(\S+)", listed))
    assert deleted == (set(local(many)) - set(local(small))) | set(gone)
    assert len(repo.commits) == commits
    ok(publish(hub, small, "--repo", "me/ped", "--private"))
    assert repo.files == {**local(small), **foreign} and repo.private
    assert len(repo.commits) == commits + 1


def test_a_dry_run_lists_files_and_bytes_and_sends_nothing(hub: Hub, small: Path) -> None:
    out = ok(publish(hub, small, "--repo", "me/ped", "--dry-run", "--private", "--tag", token=""))
    for name, content in local(small).items():
        assert re.search(rf"{len(content):,}  new      {re.escape(name)}$", out, re.MULTILINE)
    assert f"{sum(map(len, local(small).values())):,}  bytes in {len(local(small))} files to send" in out
    assert "nothing was sent" in out
    assert not hub.repos and not hub.sent
    assert all(request.startswith("GET ") for request in hub.requests)
    away = publish(Hub(url="http://127.0.0.1:9"), small, "--repo", "me/ped", "--dry-run")
    assert away.returncode == 0 and "counts as new" in away.stderr


def test_branches_and_tags(hub: Hub, small: Path, tmp_path: Path) -> None:
    ok(publish(hub, small, "--repo", "me/ped", "--revision", "draft", "--tag"))
    repo = repo_of(hub)
    assert repo.files == {} and repo.tags["v0.1.0"] == repo.branches["draft"] != repo.branches["main"]
    ok(publish(hub, small, "--repo", "me/ped", "--revision", "draft", "--tag"))  # the same commit: nothing to do
    other = small_build(tmp_path / "other", shards=9)[0]
    told = refused(publish(hub, other, "--repo", "me/ped", "--revision", "draft", "--tag"))
    assert "v0.1.0" in told and "raise dataset.version" in told
    assert len(repo.commits) == 1
    raised = small_build(tmp_path / "raised", shards=9, version="0.2.0")[0]
    ok(publish(hub, raised, "--repo", "me/ped", "--revision", "draft", "--tag"))
    assert set(repo.tags) == {"v0.1.0", "v0.2.0"} and len(repo.commits) == 2


def test_versions_as_tags() -> None:
    assert (version_tag("1.2.0"), version_tag("v3"), version_tag("2026-07")) == ("v1.2.0", "v3", "v2026-07")
    for name in ("1 2", "", "a..b", "x.lock", "-1", "a/b"):
        with pytest.raises(ConfigError):
            version_tag(name)


# --- cut and go on ----------------------------------------------------------------------------------


def test_a_killed_upload_goes_on_without_sending_twice(hub: Hub, small: Path) -> None:
    hub.fail["/upload/"] = [200] + [-1] * 50
    process = subprocess.Popen(
        [sys.executable, "-m", "pedcorpus", "publish", str(small), "--repo", "me/ped"], env=hub_environment(hub)
    )
    waited = time.monotonic() + 60
    while not hub.sent and time.monotonic() < waited:
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(hub.sent) == 1 and repo_of(hub).commits == []
    hub.fail.clear()
    ok(publish(hub, small, "--repo", "me/ped"))
    assert repo_of(hub).files == local(small) and len(repo_of(hub).commits) == 1
    assert len(hub.sent) == len(set(hub.sent)) == sum(name.endswith((".parquet", ".png")) for name in local(small))


def test_a_commit_whose_answer_was_lost_is_not_made_again(hub: Hub, small: Path) -> None:
    hub.fail["/commit/"] = [-2]
    told = refused(publish(hub, small, "--repo", "me/ped"))
    assert "the connection failed" in told
    assert len(repo_of(hub).commits) == 1
    assert "nothing to send" in ok(publish(hub, small, "--repo", "me/ped"))
    assert len(repo_of(hub).commits) == 1


@pytest.mark.parametrize(
    ("place", "status", "words"),
    [
        ("/api/repos/create", 403, "write access"),
        ("/api/datasets/me/ped/refs", 404, "OWNER/NAME"),
        ("/commit/", 409, "run the same command again"),
        ("/commit/", 412, "run the same command again"),
        ("/upload/", 413, "smaller shards"),
        ("/commit/", 429, "wait some minutes"),
        ("/commit/", 0, "check the network"),
        ("/settings", 403, "write access"),
    ],
)
def test_each_refusal_says_what_to_do(place: str, status: int, words: str, hub: Hub, small: Path) -> None:
    hub.fail[place] = [status] * 40
    told = refused(publish(hub, small, "--repo", "me/ped", "--gated", "manual"))
    assert words in told
    assert status == 0 or f"({status})" in told
    assert all(repo.commits == [] for repo in hub.repos.values())


def test_without_a_login_and_with_a_wrong_one(hub: Hub, small: Path, tmp_path: Path) -> None:
    env_home = {**hub_environment(hub, ""), "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "pedcorpus", "publish", str(small), "--repo", "me/ped"],
        env=env_home, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "hf auth login" in refused(done) and not hub.requests
    told = refused(publish(hub, small, "--repo", "me/ped", token="hf_wrong"))
    assert "hf auth login" in told and "hf_wrong" not in told
    assert "OWNER/NAME" in refused(publish(hub, small, "--repo", "not a name"))


def test_what_fits_no_form_of_the_command(hub: Hub, small: Path) -> None:
    for arguments in (
        ("--repo", "me/ped"),
        (small, "--model", small, "--repo", "me/ped"),
        (small, "--base", "me/base", "--repo", "me/ped"),
        ("--model", small, "--tag", "--repo", "me/ped"),
    ):
        assert publish(hub, *arguments).returncode == 2
    assert not hub.requests


# --- what may leave the house -----------------------------------------------------------------------


def test_a_source_of_unknown_license_is_refused_by_name(hub: Hub, unlicensed: Path) -> None:
    told = refused(publish(hub, unlicensed, "--repo", "me/ped"))
    assert "clinic_notes (license unknown)" in told and "--exclude-unpublishable" in told
    assert not hub.requests


def test_a_source_that_is_not_publishable_is_left_out_and_the_card_says_so(hub: Hub, tmp_path: Path) -> None:
    build, result = small_build(tmp_path, notes='license = "apache-2.0"\npublishable = false')
    assert "clinic_notes (not publishable)" in refused(publish(hub, build, "--repo", "me/ped"))
    before = hashes(build)
    out = ok(publish(hub, build, "--repo", "me/ped", "--exclude-unpublishable"))
    assert hashes(build) == before
    files = repo_of(hub).files
    total = sum(sum(by_split.values()) for by_split in result.dataset["rows"].values())
    manifest = json.loads(files["manifest.json"])
    left = sum(sum(by_split.values()) for by_split in manifest["rows"].values())
    assert manifest["excluded"] == {"clinic_notes": total - left} and total > left > 0
    assert f"left out: {total - left:,} rows of clinic_notes (not publishable)" in out
    card = files["README.md"].decode()
    assert "## Left out of this copy" in card and f"| `clinic_notes` | apache-2.0 | {total - left:,} |" in card
    held = [
        row
        for name, content in files.items()
        if name.endswith(".parquet")
        for row in pq.read_table(pa.BufferReader(content)).to_pylist()
    ]
    assert len(held) == left and all(row["source_id"] != "clinic_notes" for row in held)
    names = {*manifest["shards"], *manifest["files"], "manifest.json"}
    assert set(files) == names
    commits = list(repo_of(hub).commits)
    assert "nothing to send" in ok(publish(hub, build, "--repo", "me/ped", "--exclude-unpublishable"))
    assert repo_of(hub).commits == commits


def test_a_row_rests_on_every_record_its_evidence_points_into(small: Path, tmp_path: Path) -> None:
    build = shutil.copytree(small, tmp_path / "build")
    [path] = (build / "records").glob("*.parquet")
    table = pq.read_table(path)
    data = table.to_pylist()
    chosen = rows(build, "safety")[0]
    for record in data:
        if record["id"] == chosen["evidence"][0]["record_id"]:
            record.update(source_id="borrowed", license="", publishable=True)
    write_table(path, pa.Table.from_pylist(data, schema=table.schema))
    dataset = json.loads((build / "dataset" / "manifest.json").read_text(encoding="utf-8"))
    found = find_withheld(build, dataset)
    assert found.sources == {"borrowed": "license unknown"}
    assert found.rows == {chosen["id"]: "borrowed"}
    folder = tmp_path / "copy"
    manifest = write_copy(build, dataset, found, folder)
    assert manifest["rows"]["safety"]["train"] == dataset["rows"]["safety"]["train"] - 1
    assert {name: about for name, about in manifest["shards"].items() if "/safety/train" not in name} == {
        name: about for name, about in dataset["shards"].items() if "/safety/train" not in name
    }


def test_the_copy_of_nothing_is_the_build_to_the_byte(small: Path, tmp_path: Path) -> None:
    dataset = json.loads((small / "dataset" / "manifest.json").read_text(encoding="utf-8"))
    write_copy(small, dataset, Withheld(), tmp_path)
    assert hashes(tmp_path) == hashes(small / "dataset")


def test_rewritten_shards_keep_their_borders(tmp_path: Path) -> None:
    build = small_build(tmp_path / "many", shards=3)[0]
    dataset = json.loads((build / "dataset" / "manifest.json").read_text(encoding="utf-8"))
    first = rows(build, "general")[0]["id"]
    manifest = write_copy(
        build, dataset, Withheld({"general": "not publishable"}, {first: "general"}), tmp_path / "copy"
    )
    counts = [
        pq.read_metadata(tmp_path / "copy" / name).num_rows for name in manifest["shards"] if "general/train" in name
    ]
    assert set(counts[:-1]) == {3} and sum(counts) == manifest["rows"]["general"]["train"]


@pytest.mark.parametrize("name", [".cache", "data/medkqa/.tmp", "state/llm-cache.sqlite", "notes.txt"])
def test_what_is_no_part_of_the_dataset_never_leaves(name: str, small: Path, tmp_path: Path) -> None:
    build = shutil.copytree(small, tmp_path / "build")
    path = build / "dataset" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("secret")
    with pytest.raises(Refused, match="no part of this dataset"):
        check(build)


def test_a_changed_picture_is_refused(small: Path, tmp_path: Path) -> None:
    build = shutil.copytree(small, tmp_path / "build")
    with (build / "dataset" / "assets" / "rows.png").open("ab") as handle:
        handle.write(b"x")
    with pytest.raises(Refused, match=r"rows\.png: the bytes"):
        check(build)


@pytest.mark.parametrize("place", ["rejected", "disease", "note"])
def test_personal_data_beside_the_messages_is_refused(place: str, small: Path, tmp_path: Path) -> None:
    build = shutil.copytree(small, tmp_path / "build")
    path = build / "dataset" / "data" / "dfpo" / "train-00000-of-00001.parquet"
    table = pq.read_table(path)
    data: list[dict[str, Any]] = table.to_pylist()
    text = "请打电话13800138000找我"
    if place == "rejected":
        data[0]["rejected"][0]["content"] = text
    elif place == "disease":
        data[0]["disease"] = text
    else:
        data[0]["quality"] = [{"check": "judge", "score": 1.0, "detail": text}]
    write_table(path, pa.Table.from_pylist(data, schema=table.schema))
    manifest = build / "dataset" / "manifest.json"
    held = json.loads(manifest.read_text(encoding="utf-8"))
    name = path.relative_to(build / "dataset").as_posix()
    held["shards"][name] = {"sha256": hashes(path.parent)[path.name], "bytes": path.stat().st_size}
    manifest.write_text(json.dumps(held), encoding="utf-8")
    with pytest.raises(Refused, match=r"personal data is left: \[电话\]"):
        check(build)


def test_a_dataset_without_a_publishable_row_is_refused(tmp_path: Path) -> None:
    build = small_build(tmp_path)[0]
    dataset = json.loads((build / "dataset" / "manifest.json").read_text(encoding="utf-8"))
    for source in dataset["sources"]:
        source["publishable"] = False
    with pytest.raises(Refused, match="no row is left"):
        check_build(build, dataset, exclude=True)


def check(build: Path) -> None:
    check_build(build, json.loads((build / "dataset" / "manifest.json").read_text(encoding="utf-8")), exclude=False)


def test_the_header_rolls_licenses_up(small: Path) -> None:
    header = yaml.safe_load((small / "dataset" / "README.md").read_text(encoding="utf-8").split("---\n")[1])
    assert header["license"] == ["apache-2.0", "cc-by-4.0"]
