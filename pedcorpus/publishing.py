"""Publish a finished build: what may leave the house, the copy without what may not, and the way to the Hub.

Refused is what ``verify`` faults, what rests on a source that is not publishable or whose license is unknown, and what
holds personal data. A row rests on its own source and on that of every record its evidence points into.
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

from pedcorpus.builddir import open_build, read_batches, read_count, read_json
from pedcorpus.deidentify import residue
from pedcorpus.errors import ConfigError, PedcorpusError, wrap_os_error
from pedcorpus.hub import (
    MAIN,
    HubError,
    Target,
    check_tag,
    hub_api,
    no_login,
    plan_upload,
    prepare_repo,
    read_remote,
    send_files,
    set_tag,
)
from pedcorpus.licenses import is_unknown
from pedcorpus.manifests import DatasetManifest, FileLine
from pedcorpus.output import file_line, write_papers
from pedcorpus.records import SPLITS, TASKS
from pedcorpus.shards import write_shards

if TYPE_CHECKING:
    import pyarrow as pa

Say = Callable[[str], object]
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


class PublishRefusedError(PedcorpusError):
    """The build may not leave the house as it is."""


@dataclass(slots=True)
class Withheld:
    """Sources that may not be passed on, with the reason, and the rows that rest on them."""

    sources: dict[str, str] = field(default_factory=dict)
    rows: dict[str, str] = field(default_factory=dict)
    """Row id to the source that forbids it; the first by name where there are several."""

    def counts(self) -> dict[str, int]:
        """Rows by source."""
        return dict(sorted(Counter(self.rows.values()).items()))


def publish_dataset(root: Path, target: Target, tag: bool, exclude: bool, dry_run: bool, say: Say) -> None:
    """Send ``root/dataset`` to the Hub in one commit; ``say`` is told what happens, line by line.

    Raises:
        PublishRefusedError: the build may not be published.
        PedcorpusError: it is no build, or the Hub does not take it.
    """
    open_build(root)
    dataset = cast("DatasetManifest", read_json(root / "dataset" / "manifest.json"))
    if tag:
        target = Target(target.repo, target.revision, target.private, target.gated, version_tag(dataset["version"]))
    if not dry_run:
        _need_login(target.repo)
    withheld = check_build(root, dataset, exclude)
    if is_unknown(dataset["license"]):
        say("warning: the dataset states no license of its own: say dataset.license in the config")
    with publishable_files(root, dataset, withheld) as (folder, manifest):
        for source, count in manifest["excluded"].items():
            say(f"left out: {count:,} rows of {source} ({withheld.sources[source]})")
        files = {"manifest.json": file_line(folder / "manifest.json"), **manifest["files"], **manifest["shards"]}
        (_preview if dry_run else _send)(target, folder, manifest, dict(sorted(files.items())), say)


def version_tag(version: str) -> str:
    """The tag of a dataset's version: ``v0.1.0``.

    Raises:
        ConfigError: git takes no such name.
    """
    if not _TAG.fullmatch(version) or ".." in version or version.endswith((".", ".lock")):
        raise ConfigError(f"dataset.version = {version!r} can be no tag", "write it like 1.2.0 and build again")
    return version if version.startswith("v") else f"v{version}"


def _need_login(repo: str) -> None:
    from huggingface_hub import get_token

    if get_token() is None:
        raise no_login(f"cannot publish to {repo}")


def _preview(target: Target, folder: Path, manifest: DatasetManifest, files: Mapping[str, FileLine], say: Say) -> None:
    from pedcorpus.hub import Remote

    try:
        remote = read_remote(hub_api(), target)
    except HubError as error:
        say(f"warning: {error.message}; each file counts as new")
        remote = Remote()
    plan = plan_upload(folder, files, remote)
    for line in plan.lines():
        say(line)
    say(f"{plan.summary()}; to {_place(target)}; nothing was sent")
    check_tag(target, remote, plan)


def _send(target: Target, folder: Path, manifest: DatasetManifest, files: Mapping[str, FileLine], say: Say) -> None:
    api = hub_api()
    remote = read_remote(api, target)
    check_tag(target, remote, plan_upload(folder, files, remote))
    remote = prepare_repo(api, target, remote)
    plan = plan_upload(folder, files, remote)
    if plan.send or plan.delete:
        message = f"Publish {manifest['name']} {manifest['version']}"
        address = send_files(api, target, folder, plan, remote.head, message)
        say(f"{plan.summary()}; to {_place(target)}")
        say(address)
    else:
        say(f"nothing to send: {_place(target)} holds these {len(files)} files already")
    if target.tag is not None and remote.tagged is None:
        set_tag(api, target)
    if target.tag is not None:
        say(f"tag      {target.tag}")


def _place(target: Target) -> str:
    return target.repo if target.revision == MAIN else f"{target.repo}@{target.revision}"


# --- what may leave ---------------------------------------------------------------------------------


def check_build(root: Path, dataset: DatasetManifest, exclude: bool) -> Withheld:
    """Refuse what may not be published; the answer is what must be left out, which is nothing unless ``exclude``.

    Raises:
        PublishRefusedError: with the first reason found.
    """
    from pedcorpus.verify import verify_build

    faults = verify_build(root)["faults"]
    if faults:
        first = faults[0]
        raise PublishRefusedError(
            f"{root}: verify finds {len(faults)} faults; the first: {first['check']}: {first['where']}: {first['detail']}",
            f"run `pedcorpus verify {root}` for all of them, and build again with --fresh",
        )
    withheld = find_withheld(root, dataset)
    if withheld.rows and not exclude:
        told = "; ".join(
            f"{source} ({withheld.sources[source]}): {count:,} rows" for source, count in withheld.counts().items()
        )
        raise PublishRefusedError(
            f"{root}: rows rest on sources that may not be published: {told}",
            "say the license of the source in the config and build again, or leave its rows out with --exclude-unpublishable",
        )
    if len(withheld.rows) == sum(sum(by_split.values()) for by_split in dataset["rows"].values()):
        raise PublishRefusedError(
            f"{root}: no row is left to publish", "name sources that may be published in the config, and build again"
        )
    _refuse_personal(root, dataset, withheld)
    return withheld


def find_withheld(root: Path, dataset: DatasetManifest) -> Withheld:
    """The sources of this build that may not be passed on, as its manifest and its records say, and their rows."""
    found = Withheld()
    for source in dataset["sources"]:
        _note(found, source["id"], source["publishable"], source["license"])
    records: dict[str, str] = {}
    for path in sorted((root / "records").glob("*.parquet")):
        for table in read_batches(path, ["id", "source_id", "license", "publishable"]):
            for record in table.to_pylist():
                _note(found, record["source_id"], record["publishable"], record["license"])
                if record["source_id"] in found.sources:
                    records[record["id"]] = record["source_id"]
    for _, table in _tables(root, dataset, ["id", "source_id", "license", "evidence"]):
        for row in table.to_pylist():
            if is_unknown(row["license"]):
                _note(found, row["source_id"], True, row["license"])
            sources = {records.get(item["record_id"]) for item in row["evidence"]}
            sources.add(row["source_id"] if row["source_id"] in found.sources else None)
            forbidding = sorted(source for source in sources if source)
            if forbidding:
                found.rows[row["id"]] = forbidding[0]
    return found


def _note(found: Withheld, source: str, publishable: bool, license_: str) -> None:
    if not publishable:
        found.sources[source] = "not publishable"
    elif is_unknown(license_):
        found.sources.setdefault(source, "license unknown")


def _tables(root: Path, dataset: DatasetManifest, columns: list[str] | None = None) -> Iterator[tuple[str, pa.Table]]:
    """Shard by shard the rows of the dataset in small tables."""
    for shard in dataset["shards"]:
        for table in read_batches(root / "dataset" / shard, columns):
            yield shard, table


def _refuse_personal(root: Path, dataset: DatasetManifest, withheld: Withheld) -> None:
    """`verify` has looked through what is said in a row; here is the rest of it: quotes, rejected answers, notes.

    Raises:
        PublishRefusedError: masking would still change one of these texts.
    """
    clean: set[int] = set()
    for shard, table in _tables(root, dataset):
        for row in table.to_pylist():
            if row["task"] == "self_cognition" or row["id"] in withheld.rows:
                continue
            for text in _side_texts(row):
                if hash(text) in clean:
                    continue
                if left := residue(text):
                    raise PublishRefusedError(
                        f"{root}: {shard} {row['id']}: personal data is left: {', '.join(sorted(set(left)))}",
                        "build again with deidentify.enabled = true; what a rule misses can be taken out of the source",
                    )
                clean.add(hash(text))


def _side_texts(row: Mapping[str, Any]) -> Iterator[str]:
    for name in ("department", "disease", "reason"):
        yield row.get(name) or ""
    for item in row["evidence"]:
        yield item["quote"] or ""
    for message in row.get("rejected") or ():
        yield message["content"]
    for version in row["provenance"]["version_trail"] or ():
        yield version["content"]
    for note in row["quality"] or ():
        yield note["detail"] or ""


# --- the copy ---------------------------------------------------------------------------------------


@contextmanager
def publishable_files(
    root: Path, dataset: DatasetManifest, withheld: Withheld
) -> Iterator[tuple[Path, DatasetManifest]]:
    """The folder that is sent and its manifest: the build's own, or a passing copy without the withheld rows."""
    if not withheld.rows:
        yield root / "dataset", dataset
        return
    with TemporaryDirectory(prefix="pedcorpus-publish-") as name:
        folder = Path(name)
        try:
            manifest = write_copy(root, dataset, withheld, folder)
        except OSError as error:
            raise wrap_os_error(error, name) from error
        yield folder, manifest


def write_copy(root: Path, dataset: DatasetManifest, withheld: Withheld, folder: Path) -> DatasetManifest:
    """Write the dataset without the withheld rows to ``folder``; the answer is its manifest.

    Shards of a config and split that loses nothing are copied, the others written by the build's writer with the same
    borders, so that the same build gives the same copy.
    """
    held: dict[tuple[str, str], list[str]] = {}
    for shard in sorted(dataset["shards"]):
        _, task, name = shard.split("/")
        held.setdefault((task, name.split("-", 1)[0]), []).append(shard)
    limit = max(read_count(root / "dataset" / shard) for shard in dataset["shards"])
    manifest = cast("DatasetManifest", {**dataset, "rows": {}, "shards": {}, "excluded": withheld.counts()})
    left: dict[str, dict[str, int]] = {}
    for (task, split), shards in held.items():
        kept = dataset["rows"][task][split] - _lost(root, shards, withheld)
        if not kept:
            continue
        left.setdefault(task, {})[split] = kept
        target = folder / "data" / task
        if kept == dataset["rows"][task][split]:
            target.mkdir(parents=True, exist_ok=True)
            names = [shutil.copyfile(root / "dataset" / shard, target / Path(shard).name).name for shard in shards]
        else:
            names = write_shards(target, task, split, _kept(root, shards, withheld), kept, limit)
        for name in names:
            manifest["shards"][f"data/{task}/{name}"] = file_line(target / name)
    manifest["rows"] = {
        task: {split: left[task][split] for split in SPLITS if split in left[task]} for task in TASKS if task in left
    }
    write_papers(folder, manifest)
    return manifest


def _lost(root: Path, shards: list[str], withheld: Withheld) -> int:
    return sum(
        row in withheld.rows
        for shard in shards
        for table in read_batches(root / "dataset" / shard, ["id"])
        for row in table.column("id").to_pylist()
    )


def _kept(root: Path, shards: list[str], withheld: Withheld) -> Iterator[pa.Table]:
    import pyarrow as pa

    for shard in shards:
        for table in read_batches(root / "dataset" / shard):
            mask = [row not in withheld.rows for row in table.column("id").to_pylist()]
            yield table.filter(pa.array(mask))
