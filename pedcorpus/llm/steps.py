"""The steps of a build that ask models: what they need to know, candidate rows, verdicts and preference pairs."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pedcorpus import stages
from pedcorpus.builddir import read_json, write_json, write_text
from pedcorpus.plugins import GenerateContext
from pedcorpus.records import digest
from pedcorpus.run import Part, Run, StageCount, follow

if TYPE_CHECKING:
    from pedcorpus.llm.asking_parts import AskTask, Work
    from pedcorpus.llm.session import Session


def prepare(run: Run, screened: Sequence[Part]) -> frozenset[str]:
    """Note the drugs and diseases that the sources name, for the filter of what models say.

    Returns the ids of records that no server may see, since masking has left something in them.
    """
    from pedcorpus.grounding import Names

    folder = run.home.parts("prepare").folder
    folder.mkdir(parents=True, exist_ok=True)
    tasks = [
        stages.PrepareTask(run.key("prepare", part.key), folder, run.home.parts("screen").folder, part.key)
        for part in screened
    ]
    run.run("prepare", stages.prepare, tasks, lambda task: stages.prepared_file(folder, task.key).exists())
    names = Names.collect([])
    unmasked: set[str] = set()
    for task in tasks:
        found = read_json(stages.prepared_file(folder, task.key))
        names = names.merge(Names.from_json(found["names"]))
        unmasked.update(found["unmasked"])
    content = names.to_json()
    run.names_file = run.home.state / f"names-{digest(content)}.json"
    write_text(run.names_file, content)
    for name in ("names", "said"):
        run.options = {**run.options, name: {**run.options.get(name, {}), "path": str(run.names_file)}}
    return frozenset(unmasked)


def ask(
    run: Run, screened: Sequence[Part], context: GenerateContext, said: str, records: int, unmasked: frozenset[str]
) -> list[str]:
    """Ask models about the records; returns the parts' keys."""
    from pedcorpus.llm.asking_parts import AskTask, ask_about, load_records

    assert run.calls is not None
    folder = run.home.parts("screen").folder
    depends = json.dumps([said, run.calls.described("generator")], ensure_ascii=False)
    tasks = [AskTask(run.key("ask", part.key, depends), partial(load_records, folder, part.key)) for part in screened]

    def work(session: Session) -> Work:
        return partial(ask_about, context=context, session=session, unmasked=unmasked)

    _ask(run, "ask", tasks, work, records)
    return [task.key for task in tasks]


def _ask(run: Run, stage: str, tasks: Sequence[AskTask], work: Callable[[Session], Work], items: int) -> None:
    """Ask for those of ``tasks`` whose part is not there yet, or waits to be asked again."""
    from pedcorpus.llm.asking_parts import is_asked

    assert run.calls is not None
    parts = run.home.parts(stage)
    run.used.setdefault(stage, []).extend(task.key for task in tasks)
    waiting = [task for task in tasks if not is_asked(parts, task.key)]
    write_json(
        run.home.state / "plan" / f"{stage}.json", {"parts": [task.key for task in tasks], "waiting": len(waiting)}
    )
    run.home.event("stage", stage=stage, parts=len(tasks), waiting=len(waiting))
    run.progress.start(stage, len(waiting))
    if len(waiting) < len(tasks):
        items = sum(len(task.load()) for task in waiting)
    run.calls.run(stage, parts, waiting, work, items)
    for _ in waiting:
        run.progress.advance(stage)


def judge(run: Run, rows: Sequence[Part], counts: list[StageCount]) -> list[Part]:
    """Rows that a model made and another finds good enough; all others pass."""
    from pedcorpus.llm.asking_parts import AskTask, judge_row, load_rows

    assert run.calls is not None
    depends = json.dumps([run.config.judge().threshold, run.config.dataset.language, run.calls.described("judge")])
    folder = run.home.parts("decontaminate").folder
    tasks = [AskTask(run.key("judge", part.key, depends), partial(load_rows, folder, part.key)) for part in rows]
    language, threshold = run.config.dataset.language, run.config.judge().threshold
    _ask(
        run,
        "judge",
        tasks,
        lambda session: partial(
            judge_row, session=session, language=language, threshold=threshold, seed=run.config.dataset.seed
        ),
        counts[-1].kept,
    )
    run.count(counts, "judge", [task.key for task in tasks], counts[-1].kept)
    run.source_of_derived = "judge"
    return follow(rows, tasks)


def pairs(run: Run, rows: Sequence[Part], folder: Path, count: int) -> list[str]:
    """Ask for preference pairs of the rows; returns the parts' keys."""
    from pedcorpus.llm.asking_parts import AskTask, load_rows_with_records, pair_row

    assert run.calls is not None
    depends = json.dumps(
        [run.config.dataset.seed, run.config.dataset.language, run.calls.described("generator", "assistant")]
    )
    screened = run.home.parts("screen").folder
    names = run.names_file.name if run.names_file else ""
    tasks = [
        AskTask(
            run.key("pairs", part.key, depends, names, run.content(run.source_of_derived, part.key)),
            partial(load_rows_with_records, folder, part.key, screened, part.records),
        )
        for part in rows
    ]
    context = GenerateContext(run.config.dataset.seed, 1, frozenset({"dfpo"}), {}, run.config.dataset.language)
    _ask(
        run,
        "pairs",
        tasks,
        lambda session: partial(pair_row, context=context, session=session, names=run.names_file),
        count,
    )
    return [task.key for task in tasks]
