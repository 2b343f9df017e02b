"""Verify finds what was changed behind the program's back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pedcorpus.errors import BuildDirError
from pedcorpus.verify import verify, verify_build
from tests.builds import hashes
from tests.conftest import Run


@pytest.fixture
def copy(sample_build: tuple[Path, object], tmp_path: Path) -> Path:
    return Path(shutil.copytree(sample_build[0], tmp_path / "build"))


def change(build: Path, shard: str, edit: Callable[[list[dict[str, Any]]], None], mend_hash: bool = True) -> None:
    """Edit the rows of a shard, and cover it up in the manifest."""
    path = build / "dataset" / shard
    schema = pq.read_schema(path)
    rows = pq.read_table(path).to_pylist()
    edit(rows)
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), path)
    if mend_hash:
        manifest = build / "dataset" / "manifest.json"
        data = json.loads(manifest.read_text(encoding="utf-8"))
        data["shards"][shard] = {"sha256": hashes(path.parent)[path.name], "bytes": path.stat().st_size}
        manifest.write_text(json.dumps(data), encoding="utf-8")


def faults(build: Path) -> list[tuple[str, str]]:
    return [(item["check"], item["detail"]) for item in verify_build(build)["faults"]]


MEDKQA = "data/medkqa/train-00000-of-00001.parquet"
CPT = "data/cpt/train-00000-of-00001.parquet"


def test_changed_bytes(copy: Path) -> None:
    change(copy, MEDKQA, lambda rows: None, mend_hash=False)
    assert faults(copy) == [("hash", "the bytes are not those of the manifest")]


def test_changed_answer(copy: Path) -> None:
    def edit(rows: list[dict[str, Any]]) -> None:
        rows[3]["messages"][-1]["content"] += "剂量为每次500mg。"

    change(copy, MEDKQA, edit)
    found = faults(copy)
    assert ("rows", "the id is not the hash of the row") in found
    assert any(check == "safety" and "500mg" in detail for check, detail in found)


def test_changed_quote(copy: Path) -> None:
    def edit(rows: list[dict[str, Any]]) -> None:
        rows[0]["evidence"][0]["quote"] = rows[0]["evidence"][0]["quote"][:-1] + "X"

    change(copy, MEDKQA, edit)
    assert any(check == "evidence" and "says something else" in detail for check, detail in faults(copy))


def test_no_evidence_and_unknown_record(copy: Path) -> None:
    def edit(rows: list[dict[str, Any]]) -> None:
        rows[0]["evidence"] = []
        rows[1]["evidence"][0]["record_id"] = "0" * 32

    change(copy, CPT, edit)
    found = faults(copy)
    assert ("evidence", "no evidence") in found
    assert ("evidence", f"no record {'0' * 32}") in found


def test_unmasked_number(copy: Path) -> None:
    def edit(rows: list[dict[str, Any]]) -> None:
        rows[0]["text"] += "请拨打13912345678联系我们。"

    change(copy, CPT, edit)
    assert any(check == "personal" for check, _ in faults(copy))


def test_a_leak_between_splits(copy: Path) -> None:
    train = pq.read_table(copy / "dataset" / MEDKQA).slice(0, 1)
    shard = "data/medkqa/test-00000-of-00001.parquet"
    row = train.to_pylist()[0]

    def edit(rows: list[dict[str, Any]]) -> None:
        rows[0] = {**row, "id": rows[0]["id"]}

    change(copy, shard, edit)
    assert any(check == "split" for check, _ in faults(copy))


def test_a_row_twice_and_a_lost_row(copy: Path) -> None:
    def edit(rows: list[dict[str, Any]]) -> None:
        rows.append(rows[0])

    change(copy, MEDKQA, edit)
    assert ("rows", "the same id twice") in faults(copy)

    def lose(rows: list[dict[str, Any]]) -> None:
        del rows[-2:]

    change(copy, MEDKQA, lose)
    assert any(check == "invariants" and "the manifest says" in detail for check, detail in faults(copy))


def test_lost_files_and_strangers(copy: Path) -> None:
    (copy / "dataset" / MEDKQA).unlink()
    (copy / "dataset" / "data" / "notes.txt").write_text("x")
    card = copy / "dataset" / "README.md"
    card.write_text(card.read_text(encoding="utf-8") + "changed\n", encoding="utf-8")
    assert ("hash", "dataset/README.md") in {(fault["check"], fault["where"]) for fault in verify_build(copy)["faults"]}
    card.unlink()
    (copy / "rejects" / "screen.parquet").unlink()
    found = faults(copy)
    assert ("hash", "missing") in found
    assert ("files", "no part of this dataset") in found
    assert ("files", "missing") in found
    assert any(check == "ledger" and detail.startswith("missing") for check, detail in found)


def test_damaged_parquet_is_a_fault_and_no_crash(copy: Path) -> None:
    for path in (copy / "dataset" / MEDKQA, copy / "rejects" / "screen.parquet", next((copy / "records").iterdir())):
        path.write_bytes(path.read_bytes()[:100])
    assert {"files", "hash", "records", "ledger"} <= {check for check, _ in faults(copy)}


def test_counts_that_do_not_add_up(copy: Path) -> None:
    path = copy / "manifest.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    data["stages"][1]["kept"] += 1
    path.write_text(json.dumps(data), encoding="utf-8")
    found = faults(copy)
    assert ("invariants", "stages differs from dataset/manifest.json") in found
    assert any(check == "invariants" and detail.startswith("in ") for check, detail in found)


def test_historic_evidence(copy: Path) -> None:
    row = pq.read_table(copy / "dataset" / MEDKQA).to_pylist()[0]
    path = next((copy / "records").iterdir())
    schema = pq.read_schema(path)
    records = pq.read_table(path).to_pylist()
    for record in records:
        if record["id"] == row["evidence"][0]["record_id"]:
            record["era"] = "historic"
    pq.write_table(pa.Table.from_pylist(records, schema=schema), path)
    assert any(check == "historic" for check, _ in faults(copy))


# --- a dataset without its build ---


def test_the_folder_of_a_dataset_is_checked_and_says_what_cannot_be(
    sample_build: tuple[Path, object], run: Run
) -> None:
    done = run("verify", sample_build[0] / "dataset", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0 and found["faults"] == []
    assert found["checks"]["rows"] > 1000 and found["checks"]["licenses"] > 5
    assert len(found["unchecked"]) == 1 and "evidence quotes" in found["unchecked"][0]
    assert "not checked  evidence quotes" in run("verify", sample_build[0] / "dataset").stdout


def test_what_can_be_wrong_in_a_dataset_alone(copy: Path) -> None:
    folder = copy / "dataset"
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest["sources"][0]["license"] = "unknown"
    manifest["sources"][1]["publishable"] = False
    manifest["stages"][-1]["kept"] += 1
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    (folder / "README.md").write_text("changed", encoding="utf-8")
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    found = {(item["check"], item["where"]) for item in verify(str(folder))["faults"]}
    assert ("license", manifest["sources"][0]["id"]) in found and ("license", manifest["sources"][1]["id"]) in found
    assert {("hash", "README.md"), ("files", "notes.txt"), ("invariants", "dataset")} <= found


@pytest.mark.parametrize("target", ["nowhere", "a/b/c", "/nowhere/at/all"])
def test_a_target_that_is_nothing_is_told(target: str) -> None:
    with pytest.raises(BuildDirError, match="no such folder"):
        verify(target)


def test_a_hub_id_is_fetched_and_an_offline_hub_is_told(run: Run) -> None:
    done = run("verify", "somebody/no-such-dataset")
    assert done.returncode == 2 and "cannot fetch somebody/no-such-dataset" in done.stderr
    assert "Traceback" not in done.stderr
