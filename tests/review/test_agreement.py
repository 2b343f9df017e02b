"""Kappas against values from the literature, worked by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pedcorpus.errors import PedcorpusError
from pedcorpus.review.agreement import agree, cohen_kappa, fleiss_kappa, format_agreement
from pedcorpus.review.decisions import Decision
from tests.review.making import make_decision, make_row, said


def pairs(*table: tuple[str, str, int]) -> list[tuple[str, str]]:
    return [(first, second) for first, second, count in table for _ in range(count)]


def test_cohen_of_the_textbook_table() -> None:
    # 50 proposals, two readers: both yes 20, both no 15, 5 and 10 apart: p_o 0.7, p_e 0.5
    assert cohen_kappa(pairs(("y", "y", 20), ("y", "n", 5), ("n", "y", 10), ("n", "n", 15))) == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("table", "wanted"),
    [
        # equal agreement, other margins: p_o 0.6 in both
        ([("y", "y", 45), ("y", "n", 15), ("n", "y", 25), ("n", "n", 15)], 0.1304),
        ([("y", "y", 25), ("y", "n", 35), ("n", "y", 5), ("n", "n", 35)], 0.2593),
        # the example of scikit-learn's cohen_kappa_score
        ([("-", "-", 2), ("+", "+", 1), ("0", "0", 1), ("+", "-", 1)], 0.6875),
    ],
)
def test_cohen_of_published_tables(table: list[tuple[str, str, int]], wanted: float) -> None:
    assert cohen_kappa(pairs(*table)) == pytest.approx(wanted, abs=5e-5)


def test_fleiss_of_the_textbook_table() -> None:
    # ten subjects, fourteen raters, five categories: P 0.378, P_e 0.213
    table = [
        (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1),
        (7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
    ]  # fmt: skip
    items = [[str(name) for name, count in enumerate(row) for _ in range(count)] for row in table]
    assert fleiss_kappa(items) == pytest.approx(0.2099, abs=5e-5)


def test_where_a_kappa_is_not_defined() -> None:
    assert cohen_kappa([]) is None
    assert cohen_kappa([("a", "a")] * 3) is None
    assert fleiss_kappa([]) is None
    assert fleiss_kappa([["a"], ["b"]]) is None
    assert fleiss_kappa([["a"] * 3] * 4) is None
    with pytest.raises(ValueError, match="same number"):
        fleiss_kappa([["a", "a"], ["a"]])


NAMES = st.sampled_from("abc")


@given(st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=30))
def test_kappas_keep_to_their_range(items: list[tuple[str, str]]) -> None:
    for found in (cohen_kappa(items), fleiss_kappa(items)):
        assert found is None or -1 - 1e-9 <= found <= 1 + 1e-9
    if all(first == second for first, second in items) and len({first for first, _ in items}) > 1:
        assert cohen_kappa(items) == pytest.approx(1)
        assert fleiss_kappa(items) == pytest.approx(1)


def write(path: Path, decisions: list[Decision]) -> Path:
    path.write_text("".join(item.model_dump_json(exclude_none=True) + "\n" for item in decisions), encoding="utf-8")
    return path


def test_files_of_reviewers_are_compared(tmp_path: Path) -> None:
    rows = [make_row(f"{number}？", "答。") for number in range(5)]
    first = [
        make_decision("a", word, row) for word, row in zip(["accept", "accept", "reject", "accept"], rows, strict=False)
    ]
    second = [make_decision("b", word, row) for word, row in zip(["accept", "reject", "reject"], rows, strict=False)]
    second.append(make_decision("b", "edit", rows[3], messages=said(rows[3], "改。")))
    paths = [
        write(tmp_path / "a.jsonl", [*first, make_decision("a", "accept", rows[4])]),
        write(tmp_path / "b.jsonl", second),
    ]
    found = agree(paths, {row.id for row in rows[1:]})
    assert found["statistic"] == "cohen"
    assert (found["decided"], found["unknown"]) == (5, 1)
    assert [line["config"] for line in found["configs"]] == ["medkqa", "all"]
    line = found["configs"][0]
    assert (line["rows"], line["agreement"], line["agreement_keep"]) == (4, 0.5, 0.75)
    assert line["kappa"] == pytest.approx((0.5 - 5 / 16) / (11 / 16), abs=1e-4)
    assert line["kappa_keep"] == pytest.approx(0.5)
    assert {(tie["row_id"], tie.get("reject"), tie.get("edit")) for tie in found["ties"]} == {
        (rows[1].id, 1, None),
        (rows[3].id, None, 1),
    }
    said_to_people = format_agreement(found)
    assert "2 reviewers, 5 rows decided, Cohen's kappa" in said_to_people
    assert f"{rows[1].id}  medkqa: 1 accept, 1 reject" in said_to_people
    assert "1 of the rows are not in this build" in said_to_people


def test_three_reviewers_get_the_other_kappa(tmp_path: Path) -> None:
    rows = [make_row(f"{number}？", "答。") for number in range(3)]
    words = {
        "a": ["accept", "reject", "accept"],
        "b": ["accept", "reject", "reject"],
        "c": ["accept", "reject", "accept"],
    }
    paths = [
        write(
            tmp_path / f"{name}.jsonl", [make_decision(name, word, row) for word, row in zip(said, rows, strict=True)]
        )
        for name, said in words.items()
    ]
    found = agree(paths, {row.id for row in rows})
    assert found["statistic"] == "fleiss"
    # P = (1 + 1 + 1/3) / 3, P_e = (5/9)^2 + (4/9)^2
    assert found["configs"][-1]["kappa"] == pytest.approx((7 / 9 - 41 / 81) / (1 - 41 / 81), abs=1e-4)
    assert found["ties"] == []


def test_one_reviewer_cannot_agree(tmp_path: Path) -> None:
    with pytest.raises(PedcorpusError, match="two reviewers, found 1"):
        agree([write(tmp_path / "a.jsonl", [make_decision("a", "accept")])], set())
