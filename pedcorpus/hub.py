"""The Hugging Face Hub: one commit, and errors in the words of who must mend them.

The credential comes from the standard login alone (``hf auth login`` or ``HF_TOKEN``) and is never printed.
Of a dataset only those files travel whose bytes differ from the repository's; large ones go ahead of the commit, so that
what arrived before a cut is not sent again. The commit names the one it was planned upon: if the repository has
changed meanwhile, the Hub takes nothing.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pedcorpus.builddir import read_json
from pedcorpus.errors import ConfigError, PedcorpusError
from pedcorpus.manifests import FileLine
from pedcorpus.records import SPLITS, TASKS

if TYPE_CHECKING:
    from huggingface_hub import HfApi

Result = TypeVar("Result")
MAIN = "main"

_HINTS: Mapping[int, tuple[str, str]] = {
    401: ("the Hub does not know who you are", "log in with `hf auth login`, or set HF_TOKEN"),
    403: ("your account may not write there", "use a token with write access, or a repository of your own"),
    404: ("the Hub finds no such repository or revision", "check the name: OWNER/NAME"),
    409: ("somebody else changed the repository meanwhile", "run the same command again"),
    412: ("somebody else changed the repository meanwhile", "run the same command again"),
    413: ("the Hub refuses a file of that size", "take smaller shards ([shards] rows) and build again"),
    429: ("the Hub asks to slow down", "wait some minutes and run the same command again"),
}


class HubError(PedcorpusError):
    """The Hub did not take what was sent."""


def hub_call(what: str, call: Callable[[], Result]) -> Result:
    """``call()``, with whatever goes wrong on the way turned into a `HubError` that says what to do.

    Raises:
        HubError: refused, not reachable, or cut off.
        ConfigError: no name that a repository can have.
    """
    try:
        return call()
    except PedcorpusError:
        raise
    except Exception as error:
        told = next(filter(None, (_told(what, cause) for cause in _causes(error))), None)
        if told is None:
            raise
        raise told from error


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and those it was raised from: the client wraps what befalls one file of an upload."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _told(what: str, error: BaseException) -> PedcorpusError | None:
    """What one error means to the user; None where it is none of the Hub's."""
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError, OfflineModeIsEnabled

    if isinstance(error, LocalTokenNotFoundError):
        return no_login(what)
    if isinstance(error, OfflineModeIsEnabled):
        return HubError(f"{what}: HF_HUB_OFFLINE is set", "unset it and run the same command again")
    if isinstance(error, HFValidationError):
        return ConfigError(f"{what}: {error}", "a repository is called OWNER/NAME")
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code if error.response is not None else 0
        told, hint = _HINTS.get(status, (f"the Hub answered {status}", "run the same command again later"))
        return HubError(f"{what}: {told} ({status})", hint)
    if type(error) is ValueError and str(error).startswith(("Invalid metadata", "LFS batch API")):
        return HubError(f"{what}: {' '.join(str(error).split())}", "run the same command again later")
    if isinstance(error, PermissionError) and type(error).__module__.startswith("hf_xet"):
        return HubError(f"{what}: {_HINTS[403][0]} ({type(error).__name__})", _HINTS[403][1])
    network = any(kind.__module__.startswith(("httpx", "hf_xet")) for kind in type(error).__mro__)
    if network or isinstance(error, ConnectionError | TimeoutError):
        return HubError(
            f"{what}: the connection failed ({type(error).__name__})",
            "check the network and run the same command again: files that arrived are not sent twice",
        )
    return None


def no_login(what: str) -> HubError:
    """The error for somebody who has not logged in."""
    return HubError(f"{what}: no login found", "log in with `hf auth login`, or set HF_TOKEN")


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


# --- a dataset --------------------------------------------------------------------------------------

_OURS = re.compile(
    rf"data/(?:{'|'.join(TASKS)})/(?:{'|'.join(SPLITS)})-\d{{5}}-of-\d{{5}}\.parquet|assets/(?:rows|lengths|stages)\.png"
)
"""What an earlier version may have left in the repository. Other files there are somebody's own and stay."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where a dataset goes, and how the repository is to be: ``gated`` is auto, manual or None for as it is."""

    repo: str
    revision: str = MAIN
    private: bool = False
    gated: str | None = None
    tag: str | None = None


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of the repository: hash of its bytes where it is a large one, else git's hash of it."""

    size: int
    sha256: str | None
    blob: str


@dataclass(slots=True)
class Remote:
    """What the repository holds at the head of the branch. ``head`` is None where there is no such branch."""

    exists: bool = False
    private: bool = False
    gated: str | None = None
    head: str | None = None
    tagged: str | None = None
    """The commit of the tag that is wanted, where it is there."""
    files: dict[str, RemoteFile] = field(default_factory=dict)


@dataclass(slots=True)
class Plan:
    """What a commit would do: files to send as new or changed, those that are there already, and old shards to delete."""

    files: dict[str, FileLine]
    state: dict[str, str] = field(default_factory=dict)
    delete: list[str] = field(default_factory=list)

    @property
    def send(self) -> list[str]:
        """Names of the files that travel."""
        return [name for name, state in self.state.items() if state != "same"]

    @property
    def bytes(self) -> int:
        """Bytes of the files that travel."""
        return sum(self.files[name]["bytes"] for name in self.send)

    def lines(self) -> list[str]:
        """The plan for people: one line a file."""
        shown = [f"{self.files[name]['bytes']:>14,}  {state:<8} {name}" for name, state in self.state.items()]
        return shown + [f"{0:>14,}  {'delete':<8} {name}" for name in self.delete]

    def summary(self) -> str:
        """The plan in one line."""
        same = len(self.state) - len(self.send)
        return f"{self.bytes:>14,}  bytes in {len(self.send)} files to send, {same} unchanged, {len(self.delete)} to delete"


def hub_api() -> HfApi:
    """The Hub's client, which finds the login by itself. Its own remarks on each retry show signed addresses: it keeps them."""
    from huggingface_hub import HfApi

    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    return HfApi(library_name="pedcorpus")


def read_remote(api: HfApi, target: Target) -> Remote:
    """What the repository holds now.

    Raises:
        HubError: the Hub does not say.
    """
    from huggingface_hub import RepoFile
    from huggingface_hub.errors import RepositoryNotFoundError

    def look() -> Remote:
        try:
            info = api.dataset_info(target.repo)
        except RepositoryNotFoundError:
            return Remote()
        refs = api.list_repo_refs(target.repo, repo_type="dataset")
        heads = {branch.name: branch.target_commit for branch in refs.branches}
        remote = Remote(True, bool(info.private), info.gated or None, heads.get(target.revision))
        if target.tag in {tag.name for tag in refs.tags}:
            remote.tagged = api.dataset_info(target.repo, revision=target.tag).sha
        if remote.head is not None:
            tree = api.list_repo_tree(target.repo, recursive=True, revision=remote.head, repo_type="dataset")
            for item in tree:
                if isinstance(item, RepoFile):
                    remote.files[item.path] = RemoteFile(item.size, item.lfs.sha256 if item.lfs else None, item.blob_id)
        return remote

    return hub_call(f"cannot read {target.repo}", look)


def plan_upload(folder: Path, files: Mapping[str, FileLine], remote: Remote) -> Plan:
    """What must travel so that the repository holds the ``files`` of ``folder`` and no older shards."""
    plan = Plan(dict(files))
    for name, about in files.items():
        there = remote.files.get(name)
        plan.state[name] = "new" if there is None else "same" if _is_same(folder / name, about, there) else "changed"
    plan.delete = sorted(name for name in remote.files if name not in files and _OURS.fullmatch(name))
    return plan


def _is_same(path: Path, about: FileLine, there: RemoteFile) -> bool:
    if there.size != about["bytes"]:
        return False
    return there.sha256 == about["sha256"] if there.sha256 else there.blob == _blob_id(path.read_bytes())


def _blob_id(content: bytes) -> str:
    """Git's name of a file's content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def check_tag(target: Target, remote: Remote, plan: Plan) -> None:
    """A tag that is there stays where it is.

    Raises:
        ConfigError: it names other files than those that are to be published.
    """
    if remote.tagged is not None and (plan.send or plan.delete or remote.tagged != remote.head):
        raise ConfigError(
            f"{target.repo}: the tag {target.tag} is there and names other files",
            "raise dataset.version in the config and build again, or publish without --tag",
        )


def prepare_repo(api: HfApi, target: Target, remote: Remote) -> Remote:
    """Make the repository and the branch where they are missing, and close it as wanted before anything goes there.

    Raises:
        HubError: the Hub refuses.
    """
    repo, what = target.repo, f"cannot create {target.repo}"
    if not remote.exists:
        hub_call(
            what, lambda: api.create_repo(repo, repo_type="dataset", private=target.private or None, exist_ok=True)
        )
    made = read_remote(api, target) if not remote.exists else remote
    if target.private and not made.private:
        hub_call(what, lambda: api.update_repo_settings(repo, private=True, repo_type="dataset"))
    if target.gated is not None and target.gated != made.gated:
        gated: Any = target.gated
        hub_call(what, lambda: api.update_repo_settings(repo, gated=gated, repo_type="dataset"))
    if made.head is None and target.revision != MAIN:
        hub_call(what, lambda: api.create_branch(repo, branch=target.revision, repo_type="dataset", exist_ok=True))
        made = read_remote(api, target)
    return made


def send_files(api: HfApi, target: Target, folder: Path, plan: Plan, head: str | None, message: str) -> str:
    """Large files ahead, then one commit upon ``head``; the commit's address.

    Raises:
        HubError: the Hub refuses, or a file is no longer what was checked.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, DatasetCard

    def send() -> str:
        try:
            DatasetCard.load(folder / "README.md").validate()  # before anything large travels
        except ValueError as error:
            raise HubError(f"the Hub refuses the card's header: {error}", "mend [dataset] in the config") from error
        additions = [CommitOperationAdd(name, str(folder / name)) for name in plan.send]
        for addition in additions:
            if addition.upload_info.sha256.hex() != plan.files[addition.path_in_repo]["sha256"]:
                raise HubError(
                    f"{addition.path_in_repo} has changed since it was checked", "let the build end, and run this again"
                )
        api.preupload_lfs_files(
            target.repo, additions, repo_type="dataset", revision=target.revision, free_memory=False
        )
        commit = api.create_commit(
            target.repo,
            [*additions, *(CommitOperationDelete(name) for name in plan.delete)],
            commit_message=message,
            repo_type="dataset",
            revision=target.revision,
            parent_commit=head,
        )
        return str(commit.commit_url)

    what = f"cannot upload to {target.repo}"
    try:
        return hub_call(what, send)
    except (RuntimeError, OSError) as error:  # of the xet library, which has no classes of its own
        told = re.sub(r"\?\S+", "?…", str(error).split("\n", 1)[0])[:200]
        raise HubError(
            f"{what}: {told}", "run the same command again: files that arrived are not sent twice"
        ) from error


def set_tag(api: HfApi, target: Target) -> None:
    """Tag the head of the branch.

    Raises:
        HubError: the Hub refuses.
    """
    tag = target.tag
    if tag is not None:
        hub_call(
            f"cannot tag {target.repo}",
            lambda: api.create_tag(target.repo, tag=tag, revision=target.revision, repo_type="dataset"),
        )


def fetch_dataset(repo: str, revision: str | None) -> Path:
    """A folder with all files of a dataset, from the Hub or its local cache.

    Raises:
        HubError: there is no such dataset or revision, or it is not for this account.
    """
    from huggingface_hub import snapshot_download

    what = f"cannot fetch {repo}"
    return Path(hub_call(what, lambda: snapshot_download(repo, repo_type="dataset", revision=revision)))
