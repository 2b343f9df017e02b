"""Check a build, or a published dataset, from its files alone: hashes, schemas, evidence, splits, counts, masks, licenses.

A dataset without its build has no records: its quotes cannot be held against them, and that is reported.

Rows are read first and leave what they say of their records, a few numbers each; then the records are streamed
past that. So memory grows with the number of rows, not with their text.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pedcorpus.builddir import open_build, read_batches, read_json, stored_schema
from pedcorpus.deidentify import residue
from pedcorpus.errors import BuildDirError
from pedcorpus.filters.dose import DoseFilter
from pedcorpus.filters.number import NumberFilter
from pedcorpus.filters.placeholder import PlaceholderFilter
from pedcorpus.licenses import is_unknown
from pedcorpus.plugins import Drop, Filter
from pedcorpus.reasons import is_known
from pedcorpus.records import (
    INSTRUCTION_TASKS,
    SPLITS,
    Row,
    record_schema,
    reject_schema,
    row_id,
    row_schema,
    rows_from_table,
)
from pedcorpus.review.decisions import unedited
from pedcorpus.sources import hash_file
from pedcorpus.splits import disease_key

_MOST = 20
_HUBS_OWN = re.compile(r"\.gitattributes$|\.cache/")
"""What the Hub and its client put beside a published dataset."""
_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def verify_build(root: Path) -> dict[str, Any]:
    """What was checked and what is wrong: ``checks`` name to count, ``faults`` a list of {check, where, detail}.

    ``unchecked`` lists what could not be checked, with the reason.

    Raises:
        BuildDirError: ``root`` holds no finished build.
    """
    open_build(root)
    return _Verifier(str(root), root / "dataset", root).run()


def verify(target: str, revision: str | None = None) -> dict[str, Any]:
    """As `verify_build`, of a build, the folder of a dataset, or a dataset on the Hub (``OWNER/NAME``).

    Raises:
        BuildDirError: a folder that is neither build nor dataset.
        HubError: the Hub does not give the dataset.
    """
    folder = Path(target)
    if folder.is_dir():
        manifest = folder / "manifest.json"
        if manifest.exists() and "shards" in read_json(manifest):
            return _Verifier(target, folder, None).run()
        return verify_build(folder)
    if not _HUB_ID.fullmatch(target):
        raise BuildDirError(
            f"no such folder: {target}", "name a build, the folder of a dataset, or OWNER/NAME on the Hub"
        )
    from pedcorpus.hub import fetch_dataset

    found = fetch_dataset(target, revision)
    if not (found / "manifest.json").exists():
        raise BuildDirError(f"{target} has no manifest.json", "only datasets that pedcorpus published can be verified")
    return _Verifier(target, found, None).run()


@dataclass(frozen=True, slots=True)
class _Claim:
    """What one row says of one record: that ``quote`` (its hash) stands at ``start:end``."""

    start: int
    end: int
    quote: bytes
    length: int
    split: str
    task: str
    row: str
    disease: bool
    first: bool


class _Verifier:
    """Checks ``dataset``, the folder, and with ``build`` what lies around it."""

    def __init__(self, name: str, dataset: Path, build: Path | None) -> None:
        self.name = name
        self.dataset = dataset
        self.build = build
        self.shown = "dataset/" if build else ""
        self.checks: Counter[str] = Counter()
        self.faults: list[dict[str, str]] = []
        self.unchecked: list[str] = []
        self.hidden: Counter[str] = Counter()
        self.claims: dict[str, list[_Claim]] = {}
        self.units: dict[str, set[str]] = {}

    def run(self) -> dict[str, Any]:
        """All checks."""
        try:
            dataset = read_json(self.dataset / "manifest.json")
        except BuildDirError as error:
            self.fault("files", f"{self.shown}manifest.json", error.message)
        else:
            self._sums(dataset["stages"])
            self._counts(dataset)
            self._files(dataset)
            self._shards(dataset)
            if self.build:
                manifest = read_json(self.build / "manifest.json")
                self._manifests(manifest, dataset)
                self._ledger(self.build, manifest)
                self._records(self.build, manifest)
            else:
                self._licenses(dataset)
                self._lengths()
                self.unchecked.append("evidence quotes, and splits by section: the records are in the build alone")
            self._leaks()
        for check, count in self.hidden.items():
            self.faults.append({"check": check, "where": "", "detail": f"and {count} more"})
        found = {"build": self.name, "checks": dict(sorted(self.checks.items())), "faults": self.faults}
        return {**found, "unchecked": self.unchecked}

    def fault(self, check: str, where: str, detail: str) -> None:
        """Note a fault; beyond the first of a check only their number."""
        if sum(item["check"] == check for item in self.faults) >= _MOST:
            self.hidden[check] += 1
        else:
            self.faults.append({"check": check, "where": where, "detail": detail})

    # --- counts ---

    def _sums(self, stages: list[dict[str, Any]]) -> None:
        for stage in stages:
            self.checks["invariants"] += 1
            rejected = sum(stage["rejected"].values())
            if stage["in"] != stage["kept"] + rejected:
                self.fault("invariants", stage["name"], f"in {stage['in']}, kept {stage['kept']}, rejected {rejected}")
            for reason in stage["rejected"]:
                if not is_known(reason):
                    self.fault("invariants", stage["name"], f"unknown reason {reason}")

    def _counts(self, dataset: dict[str, Any]) -> None:
        stages = dataset["stages"]
        rows = sum(sum(by_split.values()) for by_split in dataset["rows"].values())
        rows += sum(dataset.get("excluded", {}).values())
        if stages and stages[-1]["kept"] != rows:
            self.fault("invariants", "dataset", f"{stages[-1]['kept']} rows kept, {rows} in the dataset")

    def _manifests(self, manifest: dict[str, Any], dataset: dict[str, Any]) -> None:
        if manifest["stages"] != dataset["stages"]:
            self._sums(manifest["stages"])
        for name in ("stages", "rows", "sources", "config_sha256", "seed"):
            if manifest.get(name) != dataset.get(name):
                self.fault("invariants", "manifest.json", f"{name} differs from dataset/manifest.json")

    def _ledger(self, build: Path, manifest: dict[str, Any]) -> None:
        for stage in manifest["stages"]:
            path = build / "rejects" / f"{stage['name']}.parquet"
            wanted = stage["rejected"]
            if not path.exists():
                if wanted:
                    self.fault("ledger", f"rejects/{path.name}", f"missing; {sum(wanted.values())} entries expected")
                continue
            counts: Counter[str] = Counter()
            for table in self._batches(path, reject_schema(), ["reason"]):
                counts.update(table.column("reason").to_pylist())
            self.checks["ledger"] += counts.total()
            if counts != Counter(wanted):
                self.fault("ledger", f"rejects/{path.name}", f"holds {dict(counts)}, the manifest says {wanted}")

    def _licenses(self, dataset: dict[str, Any]) -> None:
        """Rows that were passed on though their source forbids it."""
        rows: Counter[str] = Counter()
        for shard in dataset["shards"]:
            path = self.dataset / shard
            if path.exists():
                for table in read_batches(path, ["source_id"]):
                    rows.update(table.column("source_id").to_pylist())
        for source in dataset["sources"]:
            self.checks["licenses"] += 1
            why = "not publishable" if not source["publishable"] else "of unknown license" if is_unknown(source["license"]) else ""  # fmt: skip
            if why and rows[source["id"]]:
                self.fault("license", source["id"], f"{rows[source['id']]} rows of a source that is {why}")

    def _lengths(self) -> None:
        """Without records, a span can at least be as long as its quote."""
        for claims in self.claims.values():
            for claim in claims:
                if claim.end - claim.start != claim.length or claim.start < 0:
                    self.fault(
                        "evidence", claim.row, f"the span [{claim.start}:{claim.end}] is not as long as its quote"
                    )

    def _batches(self, path: Path, schema: Any, columns: list[str] | None = None) -> Any:
        """The tables of a file that has ``schema``; a fault where it is damaged or has another."""
        name = path.relative_to(self.build or self.dataset).as_posix()
        try:
            if stored_schema(path).equals(schema):
                yield from read_batches(path, columns)
            else:
                self.fault("schema", name, "not the schema of such a file")
        except BuildDirError as error:
            self.fault("files", name, error.message)

    # --- the dataset ---

    def _files(self, dataset: dict[str, Any]) -> None:
        """Files of the dataset that no manifest names, and papers that are missing or changed."""
        known = {*dataset["shards"], *dataset.get("files", {}), "manifest.json"}
        for path in sorted((self.dataset).rglob("*")):
            name = path.relative_to(self.dataset).as_posix()
            if self.build is None and _HUBS_OWN.match(name):
                continue
            if (path.is_file() or path.is_symlink()) and name not in known:
                self.fault("files", f"{self.shown}{name}", "no part of this dataset")
        for name, about in dataset.get("files", {}).items():
            path = self.dataset / name
            if not path.exists():
                self.fault("files", f"{self.shown}{name}", "missing")
                continue
            self.checks["hash"] += 1
            if hash_file(path) != about["sha256"]:
                self.fault("hash", f"{self.shown}{name}", "the bytes are not those of the manifest")

    def _shards(self, dataset: dict[str, Any]) -> None:
        counts: dict[str, Counter[str]] = {}
        ids: set[str] = set()
        for shard, about in dataset["shards"].items():
            path = self.dataset / shard
            if not path.exists():
                self.fault("hash", shard, "missing")
                continue
            self.checks["hash"] += 1
            if hash_file(path) != about["sha256"] or path.stat().st_size != about["bytes"]:
                self.fault("hash", shard, "the bytes are not those of the manifest")
            _, task, name = shard.split("/")
            split = name.split("-", 1)[0]
            for table in self._batches(path, row_schema(task)):
                counts.setdefault(task, Counter())[split] += table.num_rows
                for row in rows_from_table(table):
                    if row.id in ids:
                        self.fault("rows", row.id, "the same id twice")
                    ids.add(row.id)
                    self._row(row, task, split, shard)
        for task, by_split in dataset["rows"].items():
            held = dict(counts.get(task, Counter()))
            if held != by_split:
                self.fault("invariants", f"{self.shown}data/{task}", f"holds {held}, the manifest says {by_split}")

    def _row(self, row: Row, task: str, split: str, shard: str) -> None:
        where = f"{shard} {row.id}"
        self.checks["rows"] += 1
        if row.task != task:
            self.fault("rows", where, f"task {row.task} in the config {task}")
        if not row.evidence:
            self.fault("evidence", where, "no evidence")
        if row.disease:
            self.units.setdefault(f"disease {disease_key(row.disease)}", set()).add(split)
        for number, item in enumerate(row.evidence):
            self.checks["evidence"] += 1
            quote = (_hash(item.quote), len(item.quote))
            claim = _Claim(item.start, item.end, *quote, split, task, row.id, bool(row.disease), number == 0)
            self.claims.setdefault(item.record_id, []).append(claim)
        if task in INSTRUCTION_TASKS:
            if not row.messages or row.messages[-1].role != "assistant":
                self.fault("rows", where, "the last message is not the assistant's")
            if row_id(task, row.source_id, [message.content for message in unedited(row).messages]) != row.id:
                self.fault("rows", where, "the id is not the hash of the row")
        checks: list[Filter] = [DoseFilter(), PlaceholderFilter()]
        if task != "cpt" or row.provenance.generator != "instruction":  # there the text holds the question as well
            checks.append(NumberFilter())
        for check in checks:
            self.checks["safety"] += 1
            verdict = check.check(row)
            if isinstance(verdict, Drop):
                self.fault("safety", where, f"{verdict.reason}: {verdict.detail}")
        left = {label for text in row.contents() for label in residue(text)} if task != "self_cognition" else set()
        if left:
            self.fault("personal", where, f"unmasked: {', '.join(sorted(left))}")

    # --- records ---

    def _records(self, build: Path, manifest: dict[str, Any]) -> None:
        columns = ["id", "text", "era", "document_id", "section_path"]
        count = 0
        for path in sorted((build / "records").glob("*.parquet")):
            for table in self._batches(path, record_schema(), columns):
                count += table.num_rows
                for record in table.to_pylist():
                    self._claims(record)
        self.checks["records"] = count
        wanted = manifest["stages"][0]["kept"] if manifest["stages"] else count
        if count != wanted:
            self.fault("records", "records/", f"{count} records, the manifest says {wanted}")
        for record_id, claims in self.claims.items():
            for claim in claims:
                self.fault("evidence", claim.row, f"no record {record_id}")

    def _claims(self, record: dict[str, Any]) -> None:
        """Hold one record against all that rows say of it."""
        claims = self.claims.pop(record["id"], [])
        path = record["section_path"] or []
        unit = f"section {record['document_id']} {path[0]}" if path else f"record {record['id']}"
        for claim in claims:
            quote = record["text"][claim.start : claim.end]
            if not 0 <= claim.start < claim.end or _hash(quote) != claim.quote:
                detail = f"record {record['id']} [{claim.start}:{claim.end}] says something else"
                self.fault("evidence", claim.row, detail)
            elif record["era"] == "historic" and claim.task != "cpt":
                self.fault("historic", claim.row, f"record {record['id']} is historic")
            if claim.first and not claim.disease:
                self.units.setdefault(unit, set()).add(claim.split)
        reach: _Claim | None = None
        for claim in sorted(claims, key=lambda claim: (claim.start, claim.end, claim.split)):
            if reach is not None and claim.start < reach.end and claim.split != reach.split:
                detail = f"overlapping evidence in {reach.split} and {claim.split}"
                self.fault("split", f"record {record['id']}", detail)
                break
            reach = claim if reach is None or claim.end > reach.end else reach

    def _leaks(self) -> None:
        for unit, found in self.units.items():
            self.checks["units"] += 1
            if len(found) > 1:
                self.fault("split", unit, f"lies in {', '.join(split for split in SPLITS if split in found)}")


def _hash(quote: str) -> bytes:
    return hashlib.sha256(quote.encode("utf-8", "surrogatepass")).digest()[:12]


def format_findings(found: dict[str, Any]) -> str:
    """Lines for people."""
    faults = found["faults"]
    lines = [f"{found['build']}: {len(faults)} faults" if faults else f"{found['build']}: nothing wrong"]
    lines += [f"  checked {name:<12} {count:>9,}" for name, count in found["checks"].items()]
    lines += [f"  not checked  {what}" for what in found["unchecked"]]
    lines += [f"  FAULT {item['check']}: {item['where']}: {item['detail']}" for item in faults]
    return "\n".join(lines)
