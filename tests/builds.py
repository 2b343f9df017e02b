"""What tests ask of a build directory."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq


def rows(build: Path, task: str) -> list[dict[str, Any]]:
    """Every row of a config, train first."""
    found: list[dict[str, Any]] = []
    for split in ("train", "validation", "test"):
        for path in sorted((build / "dataset" / "data" / task).glob(f"{split}-*.parquet")):
            found += pq.read_table(path).to_pylist()
    return found


def rejects(build: Path, stage: str) -> list[dict[str, Any]]:
    """Every ledger entry of a stage."""
    path = build / "rejects" / f"{stage}.parquet"
    return pq.read_table(path).to_pylist() if path.exists() else []


def records(build: Path) -> list[dict[str, Any]]:
    """Every raw record."""
    return [row for path in sorted((build / "records").glob("*.parquet")) for row in pq.read_table(path).to_pylist()]


def hashes(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below ``folder``."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
