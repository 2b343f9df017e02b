"""The step of a build that applies doctors' decisions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pedcorpus import stages
from pedcorpus.builddir import atomic
from pedcorpus.records import digest
from pedcorpus.review.decisions import decide, latest, read_decisions
from pedcorpus.run import Part, Reviewed, Run, StageCount, follow


def review(run: Run, rows: Sequence[Part], counts: list[StageCount], files: Sequence[Path]) -> list[Part]:
    """Rows as their reviewers want them. The decisions are read from copies, since a review may be going on."""
    decided = latest(read_decisions(files))
    copies = []
    for file in files:
        content = file.read_bytes()
        copies.append(run.home.state / f"decisions-{digest(content.hex())}.jsonl")
        with atomic(copies[-1]) as temporary:
            temporary.write_bytes(content)
    run.decisions = tuple(copies)
    run.decisions_said = run.filters_said() + "".join(path.name for path in copies)
    folder, stage = run.home.parts(run.source_of_derived).folder, run.source_of_derived
    tasks = [
        stages.ReviewTask(
            run.key("review", part.key, run.decisions_said, run.content(stage, part.key)),
            run.home.parts("review").folder,
            folder,
            part.key,
            run.decisions,
            run.options,
        )
        for part in rows
    ]
    run.run("review", stages.review_part, tasks)
    run.count(counts, "review", [task.key for task in tasks], counts[-1].kept)
    run.source_of_derived = "review"
    ties = tuple(sorted(row_id for row_id, said in decided.items() if decide(said).verdict == "tie"))
    run.reviewed = Reviewed(len(decided), ties, 0)
    run.undecided = decided.keys() - run.ids(stage, [part.key for part in rows])
    return follow(rows, tasks)
