"""One run of a build: its folder, its options, and how a stage's tasks are done and counted."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pedcorpus.builddir import BuildDir, total, write_json
from pedcorpus.config import LoadedConfig
from pedcorpus.engines.local import LocalEngine
from pedcorpus.errors import LostItemsError, PluginError
from pedcorpus.manifests import BenchmarkLine, BuildManifest, DatasetManifest, StageLine
from pedcorpus.plugins import GenerateContext
from pedcorpus.reasons import is_broken, is_known
from pedcorpus.records import TASKS, digest
from pedcorpus.sources import SourceFile, SourceInfo, hash_file

if TYPE_CHECKING:
    from pedcorpus.llm.calls import Calls


class Progress(Protocol):
    """Where a build tells how far it is."""

    def start(self, stage: str, total: int) -> None:
        """A stage begins with ``total`` parts to do."""

    def advance(self, stage: str) -> None:
        """One part is done."""

    def finish(self, stage: str, kept: int, rejected: int) -> None:
        """A stage is done."""

    def note(self, stage: str, text: str) -> None:
        """Something to tell about a stage under way: calls and what they cost."""


class Silent:
    """Progress that nobody watches."""

    def start(self, stage: str, total: int) -> None:
        """Nothing."""

    def advance(self, stage: str) -> None:
        """Nothing."""

    def finish(self, stage: str, kept: int, rejected: int) -> None:
        """Nothing."""

    def note(self, stage: str, text: str) -> None:
        """Nothing."""


@dataclass(frozen=True, slots=True)
class Source:
    """A source with its files and its place in the config."""

    info: SourceInfo
    files: tuple[SourceFile, ...]
    select: str


@dataclass(slots=True)
class StageCount:
    """A stage's line in the manifest. ``in`` is ``kept`` and all of ``rejected`` together, and that is checked."""

    name: str
    taken: int
    kept: int
    rejected: Counter[str]
    records: int | None = None

    def as_line(self) -> StageLine:
        """The manifest's form."""
        rejected = dict(sorted(self.rejected.items()))
        if self.records is None:
            return {"name": self.name, "in": self.taken, "kept": self.kept, "rejected": rejected}
        return {"name": self.name, "in": self.taken, "kept": self.kept, "records": self.records, "rejected": rejected}


@dataclass(slots=True)
class Part:
    """One batch on its way: the key of its latest rows, and of the screened records they came from."""

    source: int
    key: str
    records: str = ""


@dataclass(frozen=True, slots=True)
class Reviewed:
    """Rows that reviewers decided on: all of them, those of a tie (ids), and those that this build does not have."""

    rows: int
    ties: tuple[str, ...]
    unknown: int

    def describe(self) -> str:
        """One line for people."""
        ties = f"; {len(self.ties)} ties stay as they are: {', '.join(self.ties[:5])}" if self.ties else ""
        more = ", …" if len(self.ties) > 5 else ""
        unknown = f"; {self.unknown:,} are no rows of this build" if self.unknown else ""
        return f"{self.rows:,} rows were decided on{ties}{more}{unknown}"


@dataclass(slots=True)
class BuildResult:
    """What a build ends with. ``empty_tasks`` are tasks that the config names and that got no rows."""

    manifest: BuildManifest
    dataset: DatasetManifest
    empty_tasks: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """What ``--offline`` found no reply for."""
    spent: Decimal | None = None
    """USD of all runs; None when no model was asked."""
    reviewed: Reviewed | None = None
    """What became of the reviewers' decisions; None when the config names none."""

    def rejected(self, reason: str) -> int:
        """How many items went to the ledger for ``reason``, in any stage."""
        return sum(stage["rejected"].get(reason, 0) for stage in self.manifest["stages"])

    @property
    def broken(self) -> int:
        """Files, pages and rows that could not be read."""
        return sum(count for reason, count in self.manifest["stages"][0]["rejected"].items() if is_broken(reason))


class Run:
    """One run over the stages."""

    def __init__(
        self,
        home: BuildDir,
        engine: LocalEngine,
        loaded: LoadedConfig,
        progress: Progress,
        options: Mapping[str, Mapping[str, Any]],
        code: str,
        calls: Calls | None,
    ) -> None:
        self.home = home
        self.engine = engine
        self.loaded = loaded
        self.config = loaded.config
        self.progress = progress
        self.options = options
        self.code = code
        self.calls = calls
        self.judges = calls is not None and loaded.config.judge().enabled
        self.used: dict[str, list[str]] = {}
        self.source_of_derived = "decontaminate"
        self.decisions: tuple[Path, ...] = ()
        self.decisions_said = ""
        self.reviewed: Reviewed | None = None
        self.undecided: Set[str] = frozenset()
        self.benchmark_file: Path | None = None
        self.names_file: Path | None = None
        self.benchmark_hash = ""
        self.benchmarks: list[BenchmarkLine] = []

    def key(self, stage: str, *parts: str) -> str:
        """The key of a part: a hash of the program, the stage and all that goes in."""
        return digest("part", self.code, stage, *parts)

    def run(
        self,
        stage: str,
        function: Callable[[Any], None],
        tasks: Sequence[Any],
        done: Callable[[Any], bool] | None = None,
    ) -> None:
        """Do those of ``tasks`` whose part is not there yet."""
        parts = self.home.parts(stage)
        self.used.setdefault(stage, []).extend(task.key for task in tasks)
        is_done = done or (lambda task: parts.has(task.key))
        waiting = [task for task in tasks if not is_done(task)]
        write_json(
            self.home.state / "plan" / f"{stage}.json", {"parts": [task.key for task in tasks], "waiting": len(waiting)}
        )
        self.home.event("stage", stage=stage, parts=len(tasks), waiting=len(waiting))
        self.progress.start(stage, len(waiting))
        for _ in self.engine.map(function, waiting):
            self.progress.advance(stage)

    def count(
        self, counts: list[StageCount], stage: str, keys: Sequence[str], taken: int | None, records: int | None = None
    ) -> None:
        """Add a stage's line, and check that nothing was lost."""
        kept, reasons = total(self.home.parts(stage), keys)
        unknown = [reason for reason in reasons if not is_known(reason)]
        if unknown:
            raise PluginError(
                f"{stage}: a plug-in dropped items for {', '.join(unknown)}, which is no known reason",
                "use a code of pedcorpus.reasons",
            )
        rejected = sum(reasons.values())
        if taken is not None and taken != kept + rejected:
            raise LostItemsError(
                f"{stage}: {taken} items in, {kept} kept and {rejected} rejected",
                "this is a fault of pedcorpus: run with --fresh, and report it",
            )
        counts.append(StageCount(stage, kept + rejected, kept, reasons, records))
        self.progress.finish(stage, kept, rejected)
        self.home.event("counted", stage=stage, kept=kept, rejected=rejected)

    def content(self, stage: str, key: str) -> str:
        """A hash of what a part holds. A part with replies that were not to be had is filled by a later build."""
        parts = self.home.parts(stage)
        rejects = parts.rejects_path(key)
        return digest(hash_file(parts.path(key)), hash_file(rejects) if rejects.exists() else "")

    def filters_said(self) -> str:
        """The filters' options for the keys of parts: what a file holds, not where it lies."""
        options = {name: dict(values) for name, values in self.options.items()}
        for name in ("names", "said"):
            if "path" in options.get(name, {}):
                options[name]["path"] = Path(options[name]["path"]).name
        return json.dumps(options, ensure_ascii=False, sort_keys=True)

    def context(self) -> GenerateContext:
        """What generators may know beside the record."""
        config = self.config
        identity = config.identity
        fills = {"name": identity.name, "author": identity.maker, "maker": identity.maker, "limits": identity.limits}
        return GenerateContext(
            seed=config.dataset.seed,
            per_record=config.generate.per_record,
            tasks=frozenset(task for task in TASKS if config.wants(task)),
            fills={name: value for name, value in fills.items() if value},
            language=config.dataset.language,
            n_demos=config.generate.n_demos,
        )

    def ids(self, stage: str, keys: Sequence[str]) -> set[str]:
        """The rows that a stage has seen."""
        parts = self.home.parts(stage)
        kept = {row_id for key in keys for row_id in parts.kept(key, ["id"]).column("id").to_pylist()}
        return kept | {row_id for key in keys for row_id in parts.rejects(key).column("row_id").to_pylist()}

    def clean_up(self) -> None:
        """Delete what no stage of this build used."""
        self.home.keep_only({stage: [key.split(".", 1)[0] for key in keys] for stage, keys in self.used.items()})
        held = (self.benchmark_file, self.names_file, *self.decisions)
        for pattern in ("benchmarks-*.npz", "names-*.json", "decisions-*.jsonl"):
            for path in self.home.state.glob(pattern):
                if path not in held:
                    path.unlink(missing_ok=True)


def follow(parts: Sequence[Part], tasks: Sequence[Any]) -> list[Part]:
    """Parts with the keys of the stage that was just done."""
    return [Part(part.source, task.key, part.records) for part, task in zip(parts, tasks, strict=True)]
