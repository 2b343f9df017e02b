"""The stages of a build in order, each a function of the run and of the parts before it. `pedcorpus.pipeline` calls them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pedcorpus import plugins, stages
from pedcorpus.builddir import atomic, read_json, write_json
from pedcorpus.errors import LostItemsError
from pedcorpus.records import digest
from pedcorpus.run import BuildResult, Part, Run, Source, StageCount, follow
from pedcorpus.screen import DocumentNote, superseded

if TYPE_CHECKING:
    from pedcorpus.decontaminate import Benchmark


def extract(run: Run, sources: Sequence[Source], limit: int | None, counts: list[StageCount]) -> list[Part]:
    """Files to raw records; a task is a file, or what must be read with it."""
    folder = run.home.parts("extract").folder
    tasks: list[tuple[int, stages.ExtractTask]] = []
    for index, source in enumerate(sources):
        units = [tuple(unit) for unit in plugins.units(source.info.kind, source.files, source.info)]
        groups = [tuple(units)] if limit is not None else [(unit,) for unit in units]
        for group in groups:
            names = [f"{file.name}\0{file.sha256}" for unit in group for file in unit]
            key = run.key("extract", source.info.fingerprint(), str(limit), *names)
            tasks.append((index, stages.ExtractTask(key, folder, source.info, group, limit)))
    run.run(
        "extract",
        stages.extract,
        [task for _, task in tasks],
        lambda task: stages.done_marker(folder, task.key).exists(),
    )
    parts = []
    for index, task in tasks:
        made = int(read_json(stages.done_marker(folder, task.key))["parts"])
        parts += [Part(index, f"{task.key}-{number:05d}") for number in range(made)]
    run.used["extract"] += [part.key for part in parts]
    run.count(counts, "extract", [part.key for part in parts], None)
    return parts


def screen(run: Run, extracted: Sequence[Part], sources: Sequence[Source], counts: list[StageCount]) -> list[Part]:
    """Records that something may be made of: decided a part at a time, with what the survey says of all."""
    records = run.home.parts("extract").folder
    surveys = [
        stages.SurveyTask(
            run.key("survey", part.key, sources[part.source].select),
            run.home.parts("survey").folder,
            records,
            part.key,
            sources[part.source].select,
        )
        for part in extracted
    ]
    run.run("survey", stages.survey, surveys)
    newer, doubles = _survey_findings(run, [task.key for task in surveys])
    tasks = []
    for part, (own_newer, own_doubles) in zip(extracted, zip(newer, doubles, strict=True), strict=True):
        select = sources[part.source].select
        found = json.dumps([own_newer, own_doubles, select], sort_keys=True, ensure_ascii=False)
        key = run.key("screen", part.key, found, run.benchmark_hash)
        tasks.append(
            stages.ScreenTask(
                key,
                run.home.parts("screen").folder,
                records,
                part.key,
                select,
                own_newer,
                own_doubles,
                run.benchmark_file,
                run.config.decontaminate.ngram,
            )
        )
    run.run("screen", stages.screen_part, tasks)
    run.count(counts, "screen", [task.key for task in tasks], counts[-1].kept)
    return [Part(part.source, task.key, task.key) for part, task in zip(extracted, tasks, strict=True)]


def _survey_findings(run: Run, keys: Sequence[str]) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """A part at a time: superseded documents, and records that repeat an earlier one.

    Only records that pass the screen by themselves count: one that is dropped shadows no other.
    """
    parts = run.home.parts("survey")
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
        newer.append({document: old[document] for document in dict.fromkeys(table["document_id"]) if document in old})
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


def generate(run: Run, screened: Sequence[Part], counts: list[StageCount]) -> list[Part]:
    """Candidate rows of each record."""
    context = run.context()
    said = json.dumps(
        [context.seed, context.per_record, sorted(context.tasks), context.fills], ensure_ascii=False, sort_keys=True
    )
    asked: list[str] = []
    if run.calls is not None:
        from pedcorpus.llm.steps import ask, prepare

        unmasked = prepare(run, screened)
        asked = ask(run, screened, context, f"{said}{context.n_demos}", counts[-1].kept, unmasked)
    tasks = [
        stages.GenerateTask(
            run.key("generate", part.key, said, *(run.content("ask", key) for key in asked[place : place + 1])),
            run.home.parts("generate").folder,
            run.home.parts("screen").folder,
            part.key,
            context,
            run.home.parts("ask").folder if asked else None,
            asked[place] if asked else "",
        )
        for place, part in enumerate(screened)
    ]
    run.run("generate", stages.generate, tasks)
    run.count(counts, "generate", [task.key for task in tasks], None, records=counts[-1].kept)
    return follow(screened, tasks)


def filter_rows(run: Run, rows: Sequence[Part], counts: list[StageCount]) -> list[Part]:
    """Rows whose evidence holds and that every filter keeps."""
    said = run.filters_said()
    tasks = [
        stages.FilterTask(
            run.key("filter", part.key, said),
            run.home.parts("filter").folder,
            run.home.parts("generate").folder,
            part.key,
            run.home.parts("screen").folder,
            part.records,
            run.options,
        )
        for part in rows
    ]
    run.run("filter", stages.filter_part, tasks)
    run.count(counts, "filter", [task.key for task in tasks], counts[-1].kept)
    return follow(rows, tasks)


def dedup(run: Run, rows: Sequence[Part], counts: list[StageCount]) -> tuple[list[Part], list[tuple[str, str]]]:
    """Rows without their duplicates, and pairs of units that shared some."""
    from pedcorpus.dedup.search import search_duplicates

    filtered = run.home.parts("filter").folder
    signed = [
        stages.SignTask(run.key("sign", part.key), run.home.parts("sign").folder, filtered, part.key) for part in rows
    ]
    run.run("sign", stages.sign, signed)
    units = _place(run, rows, filtered)
    drops, alike = search_duplicates(
        run.home.parts("sign"),
        run.home.parts("filter"),
        [(task.key, part.key) for task, part in zip(signed, rows, strict=True)],
        units,
        run.config.dedup,
    )
    tasks = []
    for part, dropped in zip(rows, drops, strict=True):
        said = json.dumps(sorted(dropped.items()), ensure_ascii=False)
        tasks.append(
            stages.DropTask(
                run.key("dedup", part.key, said), run.home.parts("dedup").folder, filtered, part.key, dropped
            )
        )
    run.run("dedup", stages.drop_rows, tasks)
    run.count(counts, "dedup", [task.key for task in tasks], counts[-1].kept)
    return follow(rows, tasks), alike


def _place(run: Run, rows: Sequence[Part], folder: Path) -> list[list[str]]:
    """The unit of each row, a part at a time."""
    tasks = [
        stages.PlaceTask(
            run.key("place", part.key),
            run.home.parts("place").folder,
            folder,
            part.key,
            run.home.parts("screen").folder,
            part.records,
        )
        for part in rows
    ]
    run.run("place", stages.place, tasks)
    return [run.home.parts("place").kept(task.key, ["unit"]).column("unit").to_pylist() for task in tasks]


def decontaminate(run: Run, rows: Sequence[Part], counts: list[StageCount]) -> list[Part]:
    """Rows that overlap no benchmark."""
    tasks = [
        stages.DecontaminateTask(
            run.key("decontaminate", part.key, run.benchmark_hash),
            run.home.parts("decontaminate").folder,
            run.home.parts("dedup").folder,
            part.key,
            run.benchmark_file,
            run.config.decontaminate.ngram,
        )
        for part in rows
    ]
    run.run("decontaminate", stages.decontaminate, tasks)
    run.count(counts, "decontaminate", [task.key for task in tasks], counts[-1].kept)
    return follow(rows, tasks)


def derive(run: Run, rows: Sequence[Part], counts: list[StageCount]) -> list[Part]:
    """The rows, and those made of them."""
    folder = run.home.parts(run.source_of_derived).folder
    wanted = frozenset(task for task in ("cpt", "dfpo") if run.config.wants(task))
    pairs: list[str] = []
    if run.calls is not None and "dfpo" in wanted:
        from pedcorpus.llm.steps import pairs as pairs_of

        pairs = pairs_of(run, rows, folder, counts[-1].kept)
        wanted -= {"dfpo"}
    depends = [""] * len(rows)
    if pairs:
        depends = [run.filters_said() + run.content("pairs", key) for key in pairs]
    if run.judges or run.decisions:
        depends = [
            said + run.decisions_said + run.content(run.source_of_derived, part.key)
            for said, part in zip(depends, rows, strict=True)
        ]
    tasks = [
        stages.DeriveTask(
            run.key("derive", part.key, str(sorted(wanted)), str(run.config.dataset.seed), depends[place]),
            run.home.parts("derive").folder,
            folder,
            part.key,
            wanted,
            run.config.dataset.seed,
            run.home.parts("pairs").folder if pairs else None,
            pairs[place] if pairs else "",
            run.options if pairs or run.decisions else {},
            run.decisions,
        )
        for place, part in enumerate(rows)
    ]
    run.run("derive", stages.derive_part, tasks)
    run.count(counts, "derive", [task.key for task in tasks], None, records=counts[-1].kept)
    if run.reviewed is not None:
        left = run.undecided - run.ids("derive", [task.key for task in tasks])
        run.reviewed = replace(run.reviewed, unknown=len(left))
    return follow(rows, tasks)


def split(
    run: Run, rows: Sequence[Part], alike: Sequence[tuple[str, str]], counts: list[StageCount]
) -> list[list[tuple[str, str]]]:
    """(task, split) of each row, a part at a time."""
    from pedcorpus.splits import Placed, assign, join_units

    _place(run, rows, run.home.parts("derive").folder)
    placed: list[list[tuple[str, str]]] = []

    def spans() -> Iterator[list[Placed]]:
        for part in rows:
            table = run.home.parts("place").kept(run.key("place", part.key)).to_pylist()
            placed.append([(item["task"], item["unit"]) for item in table])
            yield [
                Placed(item["unit"], tuple((span["record_id"], span["start"], span["end"]) for span in item["spans"]))
                for item in table
            ]

    units = join_units(spans(), alike)
    chosen = assign(units.roots(), run.config.dataset.seed, run.config.split)
    kept = sum(map(len, placed))
    if kept != counts[-1].kept:
        raise LostItemsError(f"split: {counts[-1].kept} rows in, {kept} placed", "run with --fresh, and report it")
    counts.append(StageCount("split", kept, kept, Counter()))
    run.progress.finish("split", kept, 0)
    return [[(task, chosen[units.root(unit)]) for task, unit in part] for part in placed]


def publish(
    run: Run,
    sources: Sequence[Source],
    extracted: Sequence[Part],
    rows: Sequence[Part],
    splits: Sequence[Sequence[tuple[str, str]]],
    counts: list[StageCount],
) -> BuildResult:
    """Write records, ledger, dataset, manifests and report."""
    from pedcorpus import output
    from pedcorpus.report import write_report

    run.progress.start("write", 1)
    lines = [count.as_line() for count in counts]
    output.write_ledger(run.home, {count.name: run.used.get(count.name, []) for count in counts})
    output.write_records(run.home, [part.key for part in extracted])
    dataset = output.dataset_manifest(run.loaded, sources, lines, run.benchmarks)
    output.write_dataset(run.home, run.loaded, dataset, [part.key for part in rows], splits)
    manifest = output.build_manifest(run.loaded, dataset)
    write_json(run.home.manifest, manifest)
    write_report(run.home.root)
    run.progress.advance("write")
    empty: list[str] = [task for task in run.config.generate.tasks or [] if task not in dataset["rows"]]
    return BuildResult(manifest, dataset, empty)


def save_benchmarks(run: Run, benchmarks: Sequence[Benchmark]) -> None:
    """Put the benchmarks' n-grams where workers can load them."""
    import io

    import numpy as np

    about = [{"name": item.name, "short": list(item.short), "items": item.items} for item in benchmarks]
    arrays: dict[str, Any] = {f"grams{index}": item.grams for index, item in enumerate(benchmarks)}
    run.benchmark_hash = digest(
        str(run.config.decontaminate.ngram),
        json.dumps(about),
        *(digest(item.grams.tobytes().hex()) for item in benchmarks),
    )
    run.benchmark_file = run.home.state / f"benchmarks-{run.benchmark_hash}.npz"
    run.benchmarks = [{"name": item.name, "items": item.items} for item in benchmarks]
    if not run.benchmark_file.exists():
        buffer = io.BytesIO()
        np.savez(buffer, about=np.array(json.dumps(about, ensure_ascii=False)), **arrays)
        with atomic(run.benchmark_file) as temporary:
            temporary.write_bytes(buffer.getvalue())
