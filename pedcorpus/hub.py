"""The Hugging Face Hub: one commit, and errors in the words of who must mend them.

The credential comes from the standard login alone (``hf auth login`` or ``HF_TOKEN``) and is never printed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pedcorpus.builddir import read_json
from pedcorpus.errors import ConfigError, PedcorpusError

Result = TypeVar("Result")

_HINTS: Mapping[int, tuple[str, str]] = {
    401: ("the Hub does not know who you are", "log in with `hf auth login`, or set HF_TOKEN"),
    403: ("your account may not write there", "use a token with write access, or a repository of your own"),
    404: ("the Hub finds no such repository or revision", "check the name: OWNER/NAME"),
    409: ("somebody else changed the repository meanwhile", "run the same command again"),
    413: ("the Hub refuses a file of that size", "take smaller shards ([shards] rows) and build again"),
    429: ("the Hub asks to slow down", "wait some minutes and run the same command again"),
}


class HubError(PedcorpusError):
    """The Hub did not take what was sent."""


def hub_call(what: str, call: Callable[[], Result]) -> Result:
    """``call()``, with whatever goes wrong on the way turned into a `HubError` that says what to do.

    Raises:
        HubError: refused, not reachable, or cut off.
    """
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError, OfflineModeIsEnabled

    try:
        return call()
    except LocalTokenNotFoundError:
        raise HubError(f"{what}: no login found", "log in with `hf auth login`, or set HF_TOKEN") from None
    except OfflineModeIsEnabled:
        raise HubError(f"{what}: HF_HUB_OFFLINE is set", "unset it and run the same command again") from None
    except HFValidationError as error:
        raise ConfigError(f"{what}: {error}", "a repository is called OWNER/NAME") from None
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        told, hint = _HINTS.get(status, (f"the Hub answered {status}", "run the same command again later"))
        raise HubError(f"{what}: {told} ({status})", hint) from error
    except Exception as error:
        network = any(kind.__module__.startswith("httpx") for kind in type(error).__mro__)
        if not network and not isinstance(error, ConnectionError | TimeoutError):
            raise
        raise HubError(
            f"{what}: the connection failed ({type(error).__name__})",
            "check the network and run the same command again: files that arrived are not sent twice",
        ) from error


def model_files(directory: Path, base: str | None) -> dict[str, Path | bytes]:
    """Name in the repository to a file, or to its new content where it names a path of this machine.

    Raises:
        ConfigError: no stage's directory, or an adapter whose base model is a local folder and no ``base`` is given.
    """
    if not (directory / "stage.json").is_file():
        raise ConfigError(
            f"{directory} is no finished stage (no stage.json)", "name a directory that `pedcorpus train` wrote"
        )
    files: dict[str, Path | bytes] = {
        path.name: path for path in sorted(directory.iterdir()) if path.is_file() and not path.name.startswith(".")
    }
    stage = read_json(directory / "stage.json")
    stage["parent"]["path"] = base or Path(stage["parent"]["path"]).name
    hyperparameters = stage["metrics"].get("reward_model")
    if isinstance(hyperparameters, dict):
        hyperparameters["path"] = Path(hyperparameters["path"]).name
    files["stage.json"] = _json(stage)
    if "adapter_config.json" in files:
        adapter = read_json(directory / "adapter_config.json")
        if base is None and Path(adapter["base_model_name_or_path"]).is_absolute():
            raise ConfigError(
                f"{directory} is an adapter of a model on this machine: {adapter['base_model_name_or_path']}",
                "publish that model first and name its repository with --base OWNER/NAME",
            )
        adapter["base_model_name_or_path"] = base or adapter["base_model_name_or_path"]
        files["adapter_config.json"] = _json(adapter)
    return files


def _json(value: Any) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()


def size(content: Path | bytes) -> int:
    """Bytes of a file that is to be sent."""
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def publish_model(directory: Path, repo: str, private: bool, base: str | None) -> str:
    """Send a stage's directory in one commit; the address of the commit.

    Raises:
        PedcorpusError: the directory cannot be published, or the Hub does not take it.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    files = model_files(directory, base)
    api = HfApi(library_name="pedcorpus")
    hub_call(f"cannot create {repo}", lambda: api.create_repo(repo, private=private, exist_ok=True))
    operations = [
        CommitOperationAdd(path_in_repo=name, path_or_fileobj=content if isinstance(content, bytes) else str(content))
        for name, content in files.items()
    ]
    message = f"Upload the {read_json(directory / 'stage.json')['stage']} stage"
    commit = hub_call(
        f"cannot upload to {repo}", lambda: api.create_commit(repo, operations=operations, commit_message=message)
    )
    return str(commit.commit_url)
