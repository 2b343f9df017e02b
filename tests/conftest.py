"""What every test may use. No test reaches the network: the Hub is told to stay offline before anything is imported."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"

import pytest
from hypothesis import HealthCheck, settings

from pedcorpus.config import load_config
from pedcorpus.pipeline import build
from pedcorpus.run import BuildResult
from pedcorpus.sources import SourceFile, SourceInfo, hash_file

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "examples" / "sample"

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("default")

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def run() -> Run:
    """The program in a process of its own: ``run("build", "--config", path)``."""

    def run_program(
        *arguments: object, cwd: Path | None = None, env: Mapping[str, str] | None = None, timeout: float = 300
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pedcorpus", *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run_program


@pytest.fixture(scope="session")
def sample_build(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, BuildResult]:
    """The bundled sample, built once; tests only read it."""
    output = tmp_path_factory.mktemp("sample") / "build"
    return output, build(load_config(SAMPLE / "pedcorpus.toml"), output, workers=2)


@pytest.fixture
def source() -> Callable[..., SourceInfo]:
    """A source of some kind: ``source("textbook", title="…")``."""

    def make(kind: str, **values: Any) -> SourceInfo:
        given: dict[str, Any] = {
            "id": "source",
            "title": None,
            "license": "apache-2.0",
            "publishable": True,
            "edition": None,
            "language": "zh",
            "deidentify": True,
        }
        return SourceInfo(kind=kind, **{**given, **values})

    return make


@pytest.fixture
def source_file(tmp_path: Path) -> Callable[[str, bytes | str], SourceFile]:
    """A file of a source: ``source_file("book.md", "# …")``."""

    def make(name: str, content: bytes | str) -> SourceFile:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return SourceFile(path, name, path.stat().st_size, hash_file(path))

    return make


Project = Callable[..., Path]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A config file with the given sources beside it: ``project(sources, files, more)`` gives its path."""

    def make(sources: str, files: Mapping[str, bytes | str], more: str = "") -> Path:
        for name, content in files.items():
            path = tmp_path / "project" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        config = tmp_path / "project" / "pedcorpus.toml"
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(f'[dataset]\nname = "test"\n{more}\n{sources}', encoding="utf-8")
        return config

    yield make
