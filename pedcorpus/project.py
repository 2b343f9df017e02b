"""A ready project for a new user: the bundled sample."""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from pathlib import Path

from pedcorpus.errors import BuildDirError, PedcorpusError, wrap_os_error


def init_project(directory: Path) -> int:
    """Copy the sample project to ``directory``; the answer is the number of files.

    Raises:
        BuildDirError: the folder is not empty or cannot be written.
    """
    try:
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise BuildDirError(f"{directory} exists and is not empty", "name a new folder")
        with as_file(files("pedcorpus.examples").joinpath("sample")) as sample:
            if not (sample / "pedcorpus.toml").exists():
                raise PedcorpusError("the sample is missing from this installation", "reinstall pedcorpus")
            shutil.copytree(
                sample, directory, dirs_exist_ok=True, ignore=shutil.ignore_patterns("build", "__pycache__", ".*")
            )
    except OSError as error:
        raise wrap_os_error(error, str(directory)) from error
    return sum(path.is_file() for path in directory.rglob("*"))
