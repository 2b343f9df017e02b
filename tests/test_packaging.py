"""The wheel holds what the tree holds, and works where no checkout is."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

ROOMS = {"extractors", "training", "prompts", "schemas", "examples"}


def tree() -> set[str]:
    """What belongs into the wheel, by its name there."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "pedcorpus", *sorted(ROOMS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert listed
    found = set()
    for name in filter(None, listed.split("\0")):
        top = name.split("/")[0]
        if (ROOT / name).is_symlink() or not (ROOT / name).exists():
            continue
        found.add(name if top == "pedcorpus" else f"pedcorpus/{name}")
    return found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """sdist, and the wheel made of it, built in a copy so that the checkout stays clean."""
    if not (ROOT / ".git").exists():
        pytest.skip("the list of files comes from git")
    folder = tmp_path_factory.mktemp("dist")
    source = tmp_path_factory.mktemp("source") / "pedcorpus"
    names = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for name in filter(None, names):
        target, origin = source / name, ROOT / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if origin.is_symlink():
            target.symlink_to(origin.readlink())
        elif origin.exists():
            target.write_bytes(origin.read_bytes())
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(folder), str(source)],
        check=True,
        capture_output=True,
        timeout=300,
    )
    return folder


def test_wheel_holds_the_tree(built: Path) -> None:
    [wheel] = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if not name.split("/")[0].endswith(".dist-info")}
        licenses = [name for name in archive.namelist() if name.endswith("LICENSE")]
    assert held == tree()
    assert licenses


def test_sdist_holds_the_rooms(built: Path) -> None:
    [sdist] = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        held = {name.split("/", 1)[1] for name in archive.getnames() if "/" in name}
    assert {f"{room}/__init__.py" for room in ROOMS} <= held
    assert {"README.md", "LICENSE", "pyproject.toml"} <= held


def test_the_wheel_works_elsewhere(built: Path, tmp_path: Path) -> None:
    """Unpacked away from any checkout, beside the libraries of this environment: init and build."""
    [wheel] = built.glob("*.whl")
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    env = {**os.environ, "PYTHONPATH": str(site)}
    code = "import pedcorpus, sys; sys.stdout.write(pedcorpus.__file__)"
    where = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    assert where.stdout.startswith(str(site))
    for arguments in (["init", "project"], ["build", "--config", "project/pedcorpus.toml", "--limit", "5"]):
        done = subprocess.run(
            [sys.executable, "-m", "pedcorpus", *arguments],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "build" / "report.html").exists()


def test_every_folder_of_code_is_a_listed_package() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = set(config["tool"]["setuptools"]["packages"])
    found = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "pedcorpus").glob("**/__init__.py")}
    found |= {
        ".".join(["pedcorpus", *path.parent.relative_to(ROOT).parts])
        for room in ROOMS
        for path in (ROOT / room).glob("**/__init__.py")
    }
    assert listed == found


def test_constraints_name_every_dependency_exactly() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.split("==")[0].lower().replace("_", "-") for line in lines if "==" in line}
    wanted = [
        *config["dependencies"],
        *config["optional-dependencies"]["dev"],
        *config["optional-dependencies"]["train"],
    ]
    for line in wanted:
        name = line.split(">")[0].split("<")[0].split("[")[0].lower().replace("_", "-")
        assert name in pinned, f"{name} has no exact version in constraints.txt"
    assert "torch==2.13.0" in lines


def test_core_imports_neither_torch_nor_a_file_format() -> None:
    """Import direction: extractors → core ← training."""
    for path in (ROOT / "pedcorpus").glob("**/*.py"):
        if path.is_symlink() or any((ROOT / "pedcorpus" / room) in path.parents for room in ROOMS):
            continue
        text = path.read_text(encoding="utf-8")
        for line in text.splitlines():
            words = line.split()
            if words[:1] in (["from"], ["import"]) and len(words) > 1:
                assert words[1].split(".")[0] not in ("torch", "transformers", "trl", "peft"), f"{path}: {line}"
                lazy = path.name == "train_cli.py" and line.startswith("    ")  # the commands reach training, lazily
                assert lazy or not words[1].startswith(("pedcorpus.extractors", "pedcorpus.training")), (
                    f"{path}: {line}"
                )
    for path in (ROOT / "extractors").glob("**/*.py"):
        assert "pedcorpus.training" not in path.read_text(encoding="utf-8")
