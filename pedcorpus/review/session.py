"""One run of the page: its build, its sample, and the reviewer who has come."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pedcorpus.builddir import open_build
from pedcorpus.review.journal import Journal, check_name, default_path
from pedcorpus.review.sample import Item, choose_tasks, in_order, load_records, load_sample
from pedcorpus.review.view import still_holds


@dataclass(frozen=True, slots=True)
class Progress:
    """Decided and all rows of a config."""

    task: str
    done: int
    total: int
    accept: int
    edit: int
    reject: int


class Review:
    """The sample of a build, and one reviewer's decisions on it. Rows count from 1 in that reviewer's order."""

    def __init__(
        self,
        root: Path,
        tasks: Sequence[str] = (),
        count: int = 50,
        seed: int | None = None,
        target: Path | None = None,
    ) -> None:
        """Load the sample of a finished build; ``seed`` None is the build's own.

        Raises:
            PedcorpusError: no finished build, or nothing to review in it.
        """
        manifest = open_build(root)
        self.root = root
        self.name = f"{manifest['dataset']['name']} {manifest['dataset']['version']}"
        self.seed = int(manifest["seed"]) if seed is None else seed
        self.tasks = choose_tasks(root, tasks)
        self.items = load_sample(root, self.tasks, count, self.seed)
        self.records: dict[str, dict[str, Any]] = load_records(root, self.items)
        self.journal: Journal | None = None
        self._target = target
        self._guard = threading.Lock()

    def begin(self, reviewer: str) -> Journal:
        """Open the reviewer's file. Only the first to come is taken: one run, one reviewer.

        Raises:
            PedcorpusError: the name will not do, or the file cannot be held.
        """
        name = check_name(reviewer)
        with self._guard:
            if self.journal is None:
                journal = Journal(self._target or default_path(self.root, name), name)
                self.items = in_order(self.items, name, self.seed)
                self.journal = journal
            return self.journal

    def opened(self) -> Journal:
        """The journal of the reviewer who has come."""
        assert self.journal is not None
        return self.journal

    def is_open(self, item: Item) -> bool:
        """Whether the reviewer has yet to decide on a row as it is now."""
        decision = self.opened().last(item.row.id)
        return decision is None or not still_holds(item.row, decision)

    def done(self) -> int:
        """How many rows of the sample are decided."""
        return sum(not self.is_open(item) for item in self.items)

    def after(self, number: int, undecided: bool) -> int | None:
        """The row to show after ``number``; of undecided ones the search starts over at the end. None: no more."""
        total = len(self.items)
        if not undecided:
            return number + 1 if number < total else None
        places: list[int] = [*range(number, total), *range(min(number - 1, total))]
        for place in places:
            if self.is_open(self.items[place]):
                return place + 1
        return None

    def before(self, number: int, undecided: bool) -> int | None:
        """The row to show before ``number``."""
        for place in range(number - 2, -1, -1):
            if not undecided or self.is_open(self.items[place]):
                return place + 1
        return None

    def recent(self) -> int | None:
        """The row that was decided last, where it is in the sample."""
        wanted = self.opened().recent
        return next((place for place, item in enumerate(self.items, 1) if item.row.id == wanted), None)

    def progress(self) -> list[Progress]:
        """A line a config."""
        lines = []
        for task in self.tasks:
            items = [item for item in self.items if item.row.task == task]
            said = []
            for item in items:
                decision = self.opened().last(item.row.id)
                if decision is not None and still_holds(item.row, decision):
                    said.append(decision.decision)
            counts = [said.count(verdict) for verdict in ("accept", "edit", "reject")]
            lines.append(Progress(task, len(said), len(items), *counts))
        return lines

    def close(self) -> None:
        """Let go of the decision file."""
        if self.journal is not None:
            self.journal.close()
