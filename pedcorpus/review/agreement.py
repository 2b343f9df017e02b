"""How far reviewers agree: percent agreement, Cohen's and Fleiss' kappa, per config."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pedcorpus.errors import PedcorpusError
from pedcorpus.records import TASKS
from pedcorpus.review.decisions import Decision, decide, latest, read_decisions

_ALL = "all"


def cohen_kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Agreement of two reviewers beyond chance; each pair is what the two said of one item.

    kappa = (p_o - p_e) / (1 - p_e), with p_o the share of items on which they agree, and p_e the sum over categories of
    the product of their two shares. J. Cohen, "A coefficient of agreement for nominal scales", Educational and
    Psychological Measurement 20 (1960), 37-46. None where it is not defined: no items, or both used one and the same
    category alone.
    """
    if not pairs:
        return None
    count = len(pairs)
    observed = sum(first == second for first, second in pairs) / count
    firsts, seconds = Counter(first for first, _ in pairs), Counter(second for _, second in pairs)
    expected = sum(firsts[name] * seconds[name] for name in firsts) / count**2
    return None if expected == 1 else (observed - expected) / (1 - expected)


def fleiss_kappa(items: Sequence[Sequence[str]]) -> float | None:
    """Agreement of any number of reviewers beyond chance; each item is what all of them said of it.

    kappa = (P - P_e) / (1 - P_e), with P the mean over items of the share of agreeing pairs of reviewers, and P_e the
    sum over categories of the squared share of all ratings. J. L. Fleiss, "Measuring nominal scale agreement among
    many raters", Psychological Bulletin 76 (1971), 378-382. None where it is not defined: no items, one reviewer, or
    one category alone.

    Raises:
        ValueError: items with unequal numbers of ratings, for which the formula is not made.
    """
    if not items or len(items[0]) < 2:
        return None
    raters = len(items[0])
    if any(len(item) != raters for item in items):
        raise ValueError("every item needs the same number of ratings")
    whole: Counter[str] = Counter()
    agreeing = 0
    for item in items:
        counts = Counter(item)
        whole.update(counts)
        agreeing += sum(count * (count - 1) for count in counts.values())
    observed = agreeing / (len(items) * raters * (raters - 1))
    expected = sum(count**2 for count in whole.values()) / (len(items) * raters) ** 2
    return None if expected == 1 else (observed - expected) / (1 - expected)


def agree(paths: Iterable[Path], known: set[str]) -> dict[str, Any]:
    """Agreement on the rows that all reviewers of ``paths`` decided, for each config and for all together.

    ``known`` are the row ids of the build: decisions on other rows count too, and their number is told.

    Raises:
        ConfigError: a file is no decision file.
        PedcorpusError: fewer than two reviewers.
    """
    by_row = latest(read_decisions(paths))
    reviewers = sorted({decision.reviewer for decisions in by_row.values() for decision in decisions})
    if len(reviewers) < 2:
        raise PedcorpusError(
            f"agreement needs decisions of two reviewers, found {len(reviewers)}", "name the file of each of them"
        )
    ratings: dict[str, list[list[Decision]]] = {}
    ties: list[dict[str, str | int]] = []
    for row_id, decisions in by_row.items():
        task = decisions[0].task
        outcome = decide(decisions)
        if outcome.verdict == "tie":
            tie: dict[str, str | int] = {"row_id": row_id, "task": task}
            tie.update((str(verdict), count) for verdict, count in outcome.said)
            ties.append(tie)
        if len(decisions) == len(reviewers):
            ordered = sorted(decisions, key=lambda decision: decision.reviewer)
            ratings.setdefault(task, []).append(ordered)
    order = [task for task in TASKS if task in ratings] + sorted(ratings.keys() - set(TASKS))
    lines = [_line(task, ratings[task]) for task in order]
    lines.append(_line(_ALL, [item for task in order for item in ratings[task]]))
    return {
        "reviewers": reviewers,
        "statistic": "cohen" if len(reviewers) == 2 else "fleiss",
        "decided": len(by_row),
        "unknown": sum(row_id not in known for row_id in by_row),
        "configs": lines,
        "ties": sorted(ties, key=lambda tie: (str(tie["task"]), str(tie["row_id"]))),
    }


def _line(task: str, items: Sequence[Sequence[Decision]]) -> dict[str, Any]:
    said = [[str(decision.decision) for decision in item] for item in items]
    kept = [["reject" if word == "reject" else "keep" for word in item] for item in said]
    return {
        "config": task,
        "rows": len(items),
        "agreement": _share(said),
        "kappa": _kappa(said),
        "agreement_keep": _share(kept),
        "kappa_keep": _kappa(kept),
    }


def _share(items: Sequence[Sequence[str]]) -> float | None:
    return round(sum(len(set(item)) == 1 for item in items) / len(items), 4) if items else None


def _kappa(items: Sequence[Sequence[str]]) -> float | None:
    two = all(len(item) == 2 for item in items)
    found = cohen_kappa([(item[0], item[1]) for item in items]) if two else fleiss_kappa(items)
    return None if found is None else round(found, 4)


def format_agreement(found: Mapping[str, Any]) -> str:
    """Lines for people."""
    name = "Cohen's kappa" if found["statistic"] == "cohen" else "Fleiss' kappa"
    lines = [
        f"{len(found['reviewers'])} reviewers, {found['decided']:,} rows decided, {name} on rows that all of them decided",
        f"  {'config':<15} {'rows':>6} {'agree':>7} {'kappa':>7}   {'keep or reject:':>15} {'agree':>7} {'kappa':>7}",
    ]
    for line in found["configs"]:
        lines.append(
            f"  {line['config']:<15} {line['rows']:>6} {_percent(line['agreement']):>7} {_number(line['kappa']):>7}"
            f"   {'':>15} {_percent(line['agreement_keep']):>7} {_number(line['kappa_keep']):>7}"
        )
    if found["unknown"]:
        lines.append(f"  {found['unknown']:,} of the rows are not in this build")
    lines.append(f"ties: {len(found['ties'])}; such rows stay as they are")
    for tie in found["ties"]:
        said = ", ".join(f"{tie[verdict]} {verdict}" for verdict in ("accept", "edit", "reject") if verdict in tie)
        lines.append(f"  {tie['row_id']}  {tie['task']}: {said}")
    return "\n".join(lines)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
