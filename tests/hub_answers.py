"""Answers of the Hub's double: listings of files, and what is wrong with a card, as far as the documentation tells."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import yaml


def blob_id(content: bytes) -> str:
    """Git's hash of a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def entry(path: str, content: bytes) -> dict[str, Any]:
    """A file as a listing shows it: a large one by the hash of its pointer and of itself."""
    about: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": blob_id(content)}
    if is_lfs(path):
        sha256 = hashlib.sha256(content).hexdigest()
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {len(content)}\n".encode()
        about["oid"] = blob_id(pointer)
        about["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": len(pointer)}
    return about


def is_lfs(path: str) -> bool:
    """Whether a file is a large one."""
    return path.endswith((".parquet", ".safetensors", ".png"))


def tree(files: dict[str, bytes], folder: str, recursive: bool) -> list[dict[str, Any]]:
    """Entries below a folder, folders among them."""
    start = f"{folder}/" if folder else ""
    inside = [name.removeprefix(start) for name in sorted(files) if name.startswith(start)]
    folders = {"/".join(name.split("/")[:depth]) for name in inside for depth in range(1, name.count("/") + 1)}
    shown = [{"type": "directory", "path": f"{start}{name}", "size": 0, "oid": blob_id(name.encode())}
             for name in sorted(folders) if recursive or "/" not in name]  # fmt: skip
    return shown + [entry(start + name, files[start + name]) for name in inside if recursive or "/" not in name]


_SIZES = re.compile(r"n<1K|1K<n<10K|10K<n<100K|100K<n<1M|1M<n<10M|10M<n<100M|100M<n<1B")
_TASKS = {"question-answering", "text-generation", "text-classification", "text-ranking", "summarization"}


def card_errors(content: str) -> list[str]:
    """What the Hub would fault in the header of a dataset's card. Only rules that are known from its documentation."""
    match = re.match(r"---\n(.*?)\n---\n", content, re.DOTALL)
    if match is None:
        return []
    header = yaml.safe_load(match[1])
    if not isinstance(header, dict):
        return ["the header must be an object"]

    def listed(name: str) -> list[Any]:
        value = header.get(name, [])
        return value if isinstance(value, list) else [value]

    errors = [f'"license" {item!r} must be a license id' for item in listed("license")
              if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]*", str(item))]  # fmt: skip
    if "other" in listed("license") and not re.fullmatch(r"[a-z0-9-.]+", str(header.get("license_name", ""))):
        errors.append('"license_name" must name the license "other"')
    errors += [f'"language" {item!r} must be a code' for item in listed("language")
               if not re.fullmatch(r"[a-z]{2,3}(-[A-Za-z]{2,4})*|code|multilingual", str(item))]  # fmt: skip
    errors += [f"{item!r} is no size" for item in listed("size_categories") if not _SIZES.fullmatch(str(item))]
    errors += [f"{item!r} is no task category" for item in listed("task_categories") if item not in _TASKS]
    errors += [f'"tags" {item!r} must be a string' for item in listed("tags") if not isinstance(item, str)]
    names = [config.get("config_name") for config in listed("configs")]
    if len(set(names)) != len(names) or not all(isinstance(name, str) for name in names):
        errors.append('"configs" need names of their own')
    if sum(bool(config.get("default")) for config in listed("configs")) > 1:
        errors.append('only one of "configs" may be the default')
    for config in listed("configs"):
        for item in config.get("data_files", []):
            if set(item) != {"split", "path"} or not re.fullmatch(r"\w+(\.\w+)*", item["split"]):
                errors.append(f'"data_files" of {config["config_name"]} need "split" and "path"')
    return errors
