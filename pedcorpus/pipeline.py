"""The way of the data, from sources to shards. Read `build` from top to bottom: each step is a stage of the manifest.

    sources -> extract -> screen -> generate -> filter -> dedup -> decontaminate -> derive -> split -> shards

A stage is a list of tasks for `pedcorpus.stages`, one a part. What must be known of all parts at once
(editions, duplicates, units) is decided here, in part order, from small tables that the workers left.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pedcorpus import __version__, plugins, stages
from pedcorpus.builddir import BuildDir, read_json, total, write_json
from pedcorpus.config import LoadedConfig
from pedcorpus.engines.local import LocalEngine
from pedcorpus.errors import ConfigError, LostItemsError, PluginError, SourceError
from pedcorpus.manifests import BenchmarkLine, BuildManifest, DatasetManifest, StageLine
from pedcorpus.plugins import GenerateContext
from pedcorpus.reasons import is_broken, is_known
from pedcorpus.records import TASKS, digest
from pedcorpus.screen import DocumentNote, superseded
from pedcorpus.sources import SourceFile, SourceInfo, find_files, hash_file

if TYPE_CHECKING:
    from pedcorpus.decontaminate import Benchmark


class Progress(Protocol):
    """Where a build tells how far it is."""

    def start(self, stage: str, total: int) -> None:
        """A stage begins with ``total`` parts to do."""

    def advance(self, stage: str) -> None:
        """One part is done."""

    def finish(self, stage: str, kept: int, rejected: int) -> None:
        """A stage is done."""


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


@dataclass(slots=True)
class BuildResult:
    """What a build ends with. ``empty_tasks`` are tasks that the config names and that got no rows."""

    manifest: BuildManifest
    dataset: DatasetManifest
    empty_tasks: list[str] = field(default_factory=list)

    @property
    def broken(self) -> int:
        """Files, pages and rows that could not be read."""
        return sum(count for reason, count in self.manifest["stages"][0]["rejected"].items() if is_broken(reason))


def build(
    loaded: LoadedConfig,
    output: Path,
    workers: int,
    limit: int | None = None,
    fresh: bool = False,
    progress: Progress | None = None,
) -> BuildResult:
    """Build the dataset of a config in ``output``, going on from whatever an earlier run left there.

    Raises:
        PedcorpusError: something the user must mend; nothing finished is lost.
    """
    config = loaded.config
    options = filter_options(loaded)
    _check(loaded, options)
    listed = [find_files(loaded, source, index) for index, source in enumerate(config.sources)]
    benchmark_paths = [
        loaded.resolve(path, f"decontaminate.benchmarks[{index}]")
        for index, path in enumerate(config.decontaminate.benchmarks)
    ]
    from pedcorpus.decontaminate import load_benchmarks

    benchmarks = load_benchmarks(benchmark_paths, config.decontaminate.ngram)
    _refuse_output_in_sources(loaded, output, listed)
    with BuildDir(output) as home, LocalEngine(workers) as engine:
        if fresh:
            home.forget_parts()
        home.manifest.unlink(missing_ok=True)  # its presence says that the build is finished
        home.event("start", version=__version__, workers=workers, limit=limit, config=str(loaded.path))
        sources = [_source(loaded, index, found) for index, found in enumerate(listed)]
        write_json(
            home.state / "sources.json",
            {source.info.id: {file.name: str(file.path) for file in source.files} for source in sources},
        )
        run = _Run(home, engine, loaded, progress or _Silent(), options, code_fingerprint())
        if benchmarks:
            run.save_benchmarks(benchmarks)
        counts: list[StageCount] = []
        extracted = run.extract(sources, limit, counts)
        screened = run.screen(extracted, sources, counts)
        rows = run.generate(screened, counts)
        rows = run.filter(rows, counts)
        rows, alike = run.dedup(rows, counts)
        rows = run.decontaminate(rows, counts)
        rows = run.derive(rows, counts)
        splits = run.split(rows, alike, counts)
        result = run.publish(sources, extracted, rows, splits, counts)
        run.clean_up()
        home.event("end", rows=sum(sum(item.values()) for item in result.dataset["rows"].values()))
        return result


def filter_options(loaded: LoadedConfig) -> dict[str, dict[str, Any]]:
    """The filters' options, the dataset's language among them."""
    options = {name: dict(values) for name, values in loaded.config.filters.items()}
    options.setdefault("language", {}).setdefault("language", loaded.config.dataset.language)
    return options


def _check(loaded: LoadedConfig, options: Mapping[str, Mapping[str, Any]]) -> None:
    """What the models of the config cannot know: plug-ins, and tasks that need others."""
    try:
        for index, source in enumerate(loaded.config.sources):
            plugins.check_source(f"sources[{index}]", source.kind, source.options.fields)
        plugins.filters(options)
    except ConfigError as error:
        raise ConfigError(f"{loaded.path}: {error.message}", error.hint) from None
    tasks = loaded.config.generate.tasks
    if tasks is not None and "dfpo" in tasks and not {"medkqa", "evidiag", "trerecom"} & set(tasks):
        raise ConfigError(
            f"{loaded.path}: generate.tasks: dfpo pairs are made of medkqa, evidiag and trerecom rows",
            "name at least one of them beside dfpo",
        )


def _refuse_output_in_sources(loaded: LoadedConfig, output: Path, listed: Sequence[Sequence[tuple[Path, str]]]) -> None:
    """A build inside a source folder would read itself the next time."""
    target = output.resolve()
    for index, (source, found) in enumerate(zip(loaded.config.sources, listed, strict=True)):
        root = loaded.resolve(source.path, f"sources[{index}].path")
        around = root.is_dir() and root.resolve() in (target, *target.parents)
        if around or any(target in path.absolute().parents for path, _ in found):
            raise ConfigError(
                f"{loaded.path}: sources[{index}] ({source.id}): the output folder {output} lies inside this source",
                "name another with --output",
            )


def _source(loaded: LoadedConfig, index: int, found: Sequence[tuple[Path, str]]) -> Source:
    config = loaded.config.sources[index]
    info = SourceInfo(
        id=config.id,
        kind=config.kind,
        title=config.title,
        license=config.license,
        publishable=config.publishable,
        edition=config.edition,
        language=loaded.config.dataset.language,
        deidentify=loaded.config.deidentify.enabled,
        options=config.options,
    )
    listed = []
    for path, name in found:
        try:
            listed.append(SourceFile(path, name, path.stat().st_size, hash_file(path)))
        except OSError:
            listed.append(SourceFile(path, name, -1, "unreadable"))
    if all(file.size < 0 for file in listed):
        raise SourceError(
            f"{loaded.path}: sources[{index}] ({config.id}): no file of it can be read",
            "check the permissions of the files",
        )
    return Source(info, tuple(listed), config.select)


@cache
def code_fingerprint() -> str:
    """Hash of the program's own text, of libraries' versions and of plug-ins: another program makes other parts."""
    from pedcorpus.output import library_versions

    parts = [__version__, plugins.fingerprint(), json.dumps(library_versions(), sort_keys=True)]
    for package in ("pedcorpus", "pedcorpus.extractors", "pedcorpus.prompts"):
        root = Path(str(files(package)))
        pattern = "**/*" if package == "pedcorpus.prompts" else "**/*.py"
        for path in sorted(root.glob(pattern)):
            if path.is_file() and "__pycache__" not in path.parts and path.suffix in (".py", ".toml", ".jinja"):
                parts += [path.relative_to(root).as_posix(), hash_file(path)]
    return digest(*parts)


class _Silent:
    def start(self, stage: str, total: int) -> None:
        """Nothing."""

    def advance(self, stage: str) -> None:
        """Nothing."""

    def finish(self, stage: str, kept: int, rejected: int) -> None:
        """Nothing."""


class _Run:
    """One run over the stages."""

    def __init__(
        self,
        home: BuildDir,
        engine: LocalEngine,
        loaded: LoadedConfig,
        progress: Progress,
        options: Mapping[str, Mapping[str, Any]],
        code: str,
    ) -> None:
        self.home = home
        self.engine = engine
        self.loaded = loaded
        self.config = loaded.config
        self.progress = progress
        self.options = options
        self.code = code
        self.used: dict[str, list[str]] = {}
        self.benchmark_file: Path | None = None
        self.benchmark_hash = ""
        self.benchmarks: list[BenchmarkLine] = []

    # --- running tasks ---

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

    # --- stages ---

    def extract(self, sources: Sequence[Source], limit: int | None, counts: list[StageCount]) -> list[Part]:
        """Files to raw records; a task is a file, or what must be read with it."""
        folder = self.home.parts("extract").folder
        tasks: list[tuple[int, stages.ExtractTask]] = []
        for index, source in enumerate(sources):
            units = [tuple(unit) for unit in plugins.units(source.info.kind, source.files, source.info)]
            groups = [tuple(units)] if limit is not None else [(unit,) for unit in units]
            for group in groups:
                names = [f"{file.name}\0{file.sha256}" for unit in group for file in unit]
                key = self.key("extract", source.info.fingerprint(), str(limit), *names)
                tasks.append((index, stages.ExtractTask(key, folder, source.info, group, limit)))
        self.run(
            "extract",
            stages.extract,
            [task for _, task in tasks],
            lambda task: stages.done_marker(folder, task.key).exists(),
        )
        parts = []
        for index, task in tasks:
            made = int(read_json(stages.done_marker(folder, task.key))["parts"])
            parts += [Part(index, f"{task.key}-{number:05d}") for number in range(made)]
        self.used["extract"] += [part.key for part in parts]
        self.count(counts, "extract", [part.key for part in parts], None)
        return parts

    def screen(self, extracted: Sequence[Part], sources: Sequence[Source], counts: list[StageCount]) -> list[Part]:
        """Records that something may be made of: decided a part at a time, with what the survey says of all."""
        records = self.home.parts("extract").folder
        surveys = [
            stages.SurveyTask(
                self.key("survey", part.key, sources[part.source].select),
                self.home.parts("survey").folder,
                records,
                part.key,
                sources[part.source].select,
            )
            for part in extracted
        ]
        self.run("survey", stages.survey, surveys)
        newer, doubles = self._survey_findings([task.key for task in surveys])
        tasks = []
        for part, (own_newer, own_doubles) in zip(extracted, zip(newer, doubles, strict=True), strict=True):
            select = sources[part.source].select
            found = json.dumps([own_newer, own_doubles, select], sort_keys=True, ensure_ascii=False)
            key = self.key("screen", part.key, found, self.benchmark_hash)
            tasks.append(
                stages.ScreenTask(
                    key,
                    self.home.parts("screen").folder,
                    records,
                    part.key,
                    select,
                    own_newer,
                    own_doubles,
                    self.benchmark_file,
                    self.config.decontaminate.ngram,
                )
            )
        self.run("screen", stages.screen_part, tasks)
        self.count(counts, "screen", [task.key for task in tasks], counts[-1].kept)
        return [Part(part.source, task.key, task.key) for part, task in zip(extracted, tasks, strict=True)]

    def _survey_findings(self, keys: Sequence[str]) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
        """A part at a time: superseded documents, and records that repeat an earlier one.

        Only records that pass the screen by themselves count: one that is dropped shadows no other.
        """
        parts = self.home.parts("survey")
        documents: dict[str, DocumentNote] = {}
        for key in keys:
            table = parts.kept(key, ["document_id", "title", "edition"]).to_pydict()
            for document, title, edition in zip(table["document_id"], table["title"], table["edition"], strict=True):
                documents.setdefault(document, DocumentNote(document, title, edition, len(documents)))
        old = superseded(list(documents.values()))
        first: dict[bytes, str] = {}
        newer: list[dict[str, str]] = []
        doubles: list[dict[str, str]] = []
        for key in keys:
            table = parts.kept(key, ["id", "document_id", "digest", "stays"]).to_pydict()
            newer.append(
                {document: old[document] for document in dict.fromkeys(table["document_id"]) if document in old}
            )
            own: dict[str, str] = {}
            columns = (table["id"], table["document_id"], table["digest"], table["stays"])
            for record, document, text, stays in zip(*columns, strict=True):
                if document in old or not stays:
                    continue
                earlier = first.setdefault(text, record)
                if earlier != record:
                    own[record] = earlier
            doubles.append(own)
        return newer, doubles

    def generate(self, screened: Sequence[Part], counts: list[StageCount]) -> list[Part]:
        """Candidate rows of each record."""
        config = self.config
        wanted = frozenset(task for task in TASKS if config.wants(task))
        fills = {"name": config.identity.name, "author": config.identity.maker, "maker": config.identity.maker}
        context = GenerateContext(
            seed=config.dataset.seed,
            per_record=config.generate.per_record,
            tasks=wanted,
            fills={name: value for name, value in fills.items() if value},
            language=config.dataset.language,
        )
        said = json.dumps(
            [context.seed, context.per_record, sorted(wanted), context.fills], ensure_ascii=False, sort_keys=True
        )
        tasks = [
            stages.GenerateTask(
                self.key("generate", part.key, said),
                self.home.parts("generate").folder,
                self.home.parts("screen").folder,
                part.key,
                context,
            )
            for part in screened
        ]
        self.run("generate", stages.generate, tasks)
        self.count(counts, "generate", [task.key for task in tasks], None, records=counts[-1].kept)
        return _follow(screened, tasks)

    def filter(self, rows: Sequence[Part], counts: list[StageCount]) -> list[Part]:
        """Rows whose evidence holds and that every filter keeps."""
        said = json.dumps(self.options, ensure_ascii=False, sort_keys=True)
        tasks = [
            stages.FilterTask(
                self.key("filter", part.key, said),
                self.home.parts("filter").folder,
                self.home.parts("generate").folder,
                part.key,
                self.home.parts("screen").folder,
                part.records,
                self.options,
            )
            for part in rows
        ]
        self.run("filter", stages.filter_part, tasks)
        self.count(counts, "filter", [task.key for task in tasks], counts[-1].kept)
        return _follow(rows, tasks)

    def dedup(self, rows: Sequence[Part], counts: list[StageCount]) -> tuple[list[Part], list[tuple[str, str]]]:
        """Rows without their duplicates, and pairs of units that shared some."""
        from pedcorpus.dedup.search import search_duplicates

        filtered = self.home.parts("filter").folder
        signed = [
            stages.SignTask(self.key("sign", part.key), self.home.parts("sign").folder, filtered, part.key)
            for part in rows
        ]
        self.run("sign", stages.sign, signed)
        units = self._place(rows, filtered)
        drops, alike = search_duplicates(
            self.home.parts("sign"),
            self.home.parts("filter"),
            [(task.key, part.key) for task, part in zip(signed, rows, strict=True)],
            units,
            self.config.dedup,
        )
        tasks = []
        for part, dropped in zip(rows, drops, strict=True):
            said = json.dumps(sorted(dropped.items()), ensure_ascii=False)
            tasks.append(
                stages.DropTask(
                    self.key("dedup", part.key, said), self.home.parts("dedup").folder, filtered, part.key, dropped
                )
            )
        self.run("dedup", stages.drop_rows, tasks)
        self.count(counts, "dedup", [task.key for task in tasks], counts[-1].kept)
        return _follow(rows, tasks), alike

    def _place(self, rows: Sequence[Part], folder: Path) -> list[list[str]]:
        """The unit of each row, a part at a time."""
        tasks = [
            stages.PlaceTask(
                self.key("place", part.key),
                self.home.parts("place").folder,
                folder,
                part.key,
                self.home.parts("screen").folder,
                part.records,
            )
            for part in rows
        ]
        self.run("place", stages.place, tasks)
        return [self.home.parts("place").kept(task.key, ["unit"]).column("unit").to_pylist() for task in tasks]

    def decontaminate(self, rows: Sequence[Part], counts: list[StageCount]) -> list[Part]:
        """Rows that overlap no benchmark."""
        tasks = [
            stages.DecontaminateTask(
                self.key("decontaminate", part.key, self.benchmark_hash),
                self.home.parts("decontaminate").folder,
                self.home.parts("dedup").folder,
                part.key,
                self.benchmark_file,
                self.config.decontaminate.ngram,
            )
            for part in rows
        ]
        self.run("decontaminate", stages.decontaminate, tasks)
        self.count(counts, "decontaminate", [task.key for task in tasks], counts[-1].kept)
        return _follow(rows, tasks)

    def derive(self, rows: Sequence[Part], counts: list[StageCount]) -> list[Part]:
        """The rows, and those made of them."""
        wanted = frozenset(task for task in ("cpt", "dfpo") if self.config.wants(task))
        tasks = [
            stages.DeriveTask(
                self.key("derive", part.key, str(sorted(wanted)), str(self.config.dataset.seed)),
                self.home.parts("derive").folder,
                self.home.parts("decontaminate").folder,
                part.key,
                wanted,
                self.config.dataset.seed,
            )
            for part in rows
        ]
        self.run("derive", stages.derive_part, tasks)
        self.count(counts, "derive", [task.key for task in tasks], None, records=counts[-1].kept)
        return _follow(rows, tasks)

    def split(
        self, rows: Sequence[Part], alike: Sequence[tuple[str, str]], counts: list[StageCount]
    ) -> list[list[tuple[str, str]]]:
        """(task, split) of each row, a part at a time."""
        from pedcorpus.splits import Placed, assign, join_units

        self._place(rows, self.home.parts("derive").folder)
        placed: list[list[tuple[str, str]]] = []

        def spans() -> Iterator[list[Placed]]:
            for part in rows:
                table = self.home.parts("place").kept(self.key("place", part.key)).to_pylist()
                placed.append([(item["task"], item["unit"]) for item in table])
                yield [
                    Placed(
                        item["unit"], tuple((span["record_id"], span["start"], span["end"]) for span in item["spans"])
                    )
                    for item in table
                ]

        units = join_units(spans(), alike)
        chosen = assign(units.roots(), self.config.dataset.seed, self.config.split)
        kept = sum(map(len, placed))
        if kept != counts[-1].kept:
            raise LostItemsError(f"split: {counts[-1].kept} rows in, {kept} placed", "run with --fresh, and report it")
        counts.append(StageCount("split", kept, kept, Counter()))
        self.progress.finish("split", kept, 0)
        return [[(task, chosen[units.root(unit)]) for task, unit in part] for part in placed]

    def publish(
        self,
        sources: Sequence[Source],
        extracted: Sequence[Part],
        rows: Sequence[Part],
        splits: Sequence[Sequence[tuple[str, str]]],
        counts: list[StageCount],
    ) -> BuildResult:
        """Write records, ledger, dataset, manifests and report."""
        from pedcorpus import output
        from pedcorpus.report import write_report

        self.progress.start("write", 1)
        lines = [count.as_line() for count in counts]
        output.write_ledger(self.home, {count.name: self.used.get(count.name, []) for count in counts})
        output.write_records(self.home, [part.key for part in extracted])
        dataset = output.dataset_manifest(self.loaded, sources, lines, self.benchmarks)
        output.write_dataset(self.home, self.loaded, dataset, [part.key for part in rows], splits)
        manifest = output.build_manifest(self.loaded, dataset)
        write_json(self.home.manifest, manifest)
        write_report(self.home.root)
        self.progress.advance("write")
        empty: list[str] = [task for task in self.config.generate.tasks or [] if task not in dataset["rows"]]
        return BuildResult(manifest, dataset, empty)

    def save_benchmarks(self, benchmarks: Sequence[Benchmark]) -> None:
        """Put the benchmarks' n-grams where workers can load them."""
        import io

        import numpy as np

        about = [{"name": item.name, "short": list(item.short), "items": item.items} for item in benchmarks]
        arrays: dict[str, Any] = {f"grams{index}": item.grams for index, item in enumerate(benchmarks)}
        self.benchmark_hash = digest(
            str(self.config.decontaminate.ngram),
            json.dumps(about),
            *(digest(item.grams.tobytes().hex()) for item in benchmarks),
        )
        self.benchmark_file = self.home.state / f"benchmarks-{self.benchmark_hash}.npz"
        self.benchmarks = [{"name": item.name, "items": item.items} for item in benchmarks]
        if not self.benchmark_file.exists():
            from pedcorpus.builddir import atomic

            buffer = io.BytesIO()
            np.savez(buffer, about=np.array(json.dumps(about, ensure_ascii=False)), **arrays)
            with atomic(self.benchmark_file) as temporary:
                temporary.write_bytes(buffer.getvalue())

    def clean_up(self) -> None:
        """Delete what no stage of this build used."""
        self.home.keep_only({stage: [key.split(".", 1)[0] for key in keys] for stage, keys in self.used.items()})
        for path in self.home.state.glob("benchmarks-*.npz"):
            if path != self.benchmark_file:
                path.unlink(missing_ok=True)


def _follow(parts: Sequence[Part], tasks: Sequence[Any]) -> list[Part]:
    """Parts with the keys of the stage that was just done."""
    return [Part(part.source, task.key, part.records) for part, task in zip(parts, tasks, strict=True)]
