"""The way of the data, from sources to shards. Read `build` from top to bottom: each step is a stage of the manifest.

    sources -> extract -> screen -> generate -> filter -> dedup -> decontaminate -> judge -> review -> derive
    -> split -> shards

A stage is a list of tasks for `pedcorpus.stages`, one a part. What must be known of all parts at once
(editions, duplicates, units) is decided here, in part order, from small tables that the workers left. With
``generate.backend = "openai"`` models are asked in between (`pedcorpus.llm`): for rows before ``generate``, for
verdicts in ``judge``, for preference pairs before ``derive``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from decimal import Decimal
from functools import cache
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from pedcorpus import __version__, plugins, steps
from pedcorpus.builddir import BuildDir, write_json
from pedcorpus.config import LoadedConfig
from pedcorpus.engines.local import LocalEngine
from pedcorpus.errors import ConfigError, SourceError
from pedcorpus.reasons import ASKED_AGAIN
from pedcorpus.records import digest
from pedcorpus.run import BuildResult, Progress, Run, Silent, Source, StageCount
from pedcorpus.sources import SourceFile, SourceInfo, find_files, hash_file

if TYPE_CHECKING:
    from pedcorpus.llm.calls import CallOptions, Calls
    from pedcorpus.llm.estimate import Estimate


def build(
    loaded: LoadedConfig,
    output: Path,
    workers: int,
    limit: int | None = None,
    fresh: bool = False,
    progress: Progress | None = None,
    asking: CallOptions | None = None,
) -> BuildResult:
    """Build the dataset of a config in ``output``, going on from whatever an earlier run left there.

    ``asking`` says how models are asked, where the config asks any.

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
    decisions = [
        loaded.resolve(path, f"review.decisions[{index}]") for index, path in enumerate(config.review.decisions)
    ]
    _refuse_output_in_sources(loaded, output, listed)
    progress = progress or Silent()
    with BuildDir(output) as home, LocalEngine(workers) as engine, _calls(loaded, home, asking, progress) as calls:
        if fresh:
            home.forget_parts()
        home.manifest.unlink(missing_ok=True)  # its presence says that the build is finished
        home.event("start", version=__version__, workers=workers, limit=limit, config=str(loaded.path))
        sources = [_source(loaded, index, found) for index, found in enumerate(listed)]
        write_json(
            home.state / "sources.json",
            {source.info.id: {file.name: str(file.path) for file in source.files} for source in sources},
        )
        run = Run(home, engine, loaded, progress, options, code_fingerprint(), calls)
        if benchmarks:
            steps.save_benchmarks(run, benchmarks)
        counts: list[StageCount] = []
        extracted = steps.extract(run, sources, limit, counts)
        screened = steps.screen(run, extracted, sources, counts)
        rows = steps.generate(run, screened, counts)
        rows = steps.filter_rows(run, rows, counts)
        rows, alike = steps.dedup(run, rows, counts)
        rows = steps.decontaminate(run, rows, counts)
        if run.judges:
            from pedcorpus.llm.steps import judge

            rows = judge(run, rows, counts)
        if decisions:
            from pedcorpus.review.step import review

            rows = review(run, rows, counts, decisions)
        rows = steps.derive(run, rows, counts)
        splits = steps.split(run, rows, alike, counts)
        result = steps.publish(run, sources, extracted, rows, splits, counts)
        run.clean_up()
        result.reviewed = run.reviewed
        if calls is not None:
            if not any(result.rejected(reason) for reason in ASKED_AGAIN):  # else the next run asks for the rest
                calls.close_round()
            result.missing, result.spent = calls.missing, calls.spent
        home.event("end", rows=sum(sum(item.values()) for item in result.dataset["rows"].values()))
        return result


def estimate(loaded: LoadedConfig, output: Path, workers: int, limit: int | None, budget: Decimal | None) -> Estimate:
    """What the calls of a build would be and cost. Works in a temporary folder; ``output`` is only read for replies.

    Raises:
        PedcorpusError: something the user must mend.
    """
    from pedcorpus.builddir import CACHE_NAME
    from pedcorpus.llm.cache import Cache
    from pedcorpus.llm.estimate import estimate_calls

    config = loaded.config
    if config.llm is None or config.generate.backend != "openai":
        raise ConfigError(
            f"{loaded.path}: --dry-run estimates calls, and this config makes none",
            'set generate.backend = "openai" and [llm], or build: the extractive backend costs nothing',
        )
    options = filter_options(loaded)
    _check(loaded, options)
    listed = [find_files(loaded, source, index) for index, source in enumerate(config.sources)]
    with (
        TemporaryDirectory(prefix="pedcorpus-") as folder,
        BuildDir(Path(folder) / "build") as home,
        LocalEngine(workers) as engine,
        Cache(output / "state" / CACHE_NAME, write=False) as cache,
    ):
        sources = [_source(loaded, index, found) for index, found in enumerate(listed)]
        run = Run(home, engine, loaded, Silent(), options, code_fingerprint(), None)
        counts: list[StageCount] = []
        screened = steps.screen(run, steps.extract(run, sources, limit, counts), sources, counts)
        parts = [part.key for part in screened]
        cap = budget if budget is not None else config.llm.budget_usd
        return estimate_calls(home.parts("screen").folder, parts, run.context(), config, cache, cap)


def filter_options(loaded: LoadedConfig) -> dict[str, dict[str, Any]]:
    """The filters' options, the dataset's language among them. The judge is no filter of rows one by one."""
    options = {name: dict(values) for name, values in loaded.config.filters.items() if name != "judge"}
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
    for name in ("names", "said"):
        if "path" in loaded.config.filters.get(name, {}):
            raise ConfigError(f"{loaded.path}: filters.{name}.path: the build sets it", "take it out")
    tasks = loaded.config.generate.tasks
    if tasks is not None and "dfpo" in tasks and not {"medkqa", "evidiag", "trerecom"} & set(tasks):
        raise ConfigError(
            f"{loaded.path}: generate.tasks: dfpo pairs are made of medkqa, evidiag and trerecom rows",
            "name at least one of them beside dfpo",
        )


def _calls(
    loaded: LoadedConfig, home: BuildDir, asking: CallOptions | None, progress: Progress
) -> AbstractContextManager[Calls | None]:
    """The calls of a build whose config asks models."""
    if loaded.config.generate.backend != "openai":
        return nullcontext()
    from pedcorpus.llm.calls import CallOptions, Calls

    return Calls(loaded.config, home, asking or CallOptions(), progress)


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
