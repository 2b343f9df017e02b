"""Leak-free splits: one unit, one split, in every config and on every machine."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pedcorpus.config import SplitConfig
from pedcorpus.records import Provenance, RawRecord, Row, Turn
from pedcorpus.splits import Placed, Units, assign, disease_key, join_units, unit_of

SHARES = st.builds(SplitConfig, validation=st.floats(0, 0.5), test=st.floats(0, 0.5))
NAMES = st.lists(st.text(st.characters(codec="utf-8"), max_size=6), max_size=30, unique=True)


def row(disease: str | None = None, task: str = "medkqa") -> Row:
    return Row("row", task, "textbook", "s", "书", "x", None, disease, "zh", (), Provenance("e", "g"))


def record(**values: object) -> RawRecord:
    given: dict[str, object] = {
        "id": "r1", "document_id": "d1", "source_kind": "textbook", "source_id": "s", "source_title": "书", "license": "x", "publishable": True,
        "page": None, "section_path": (), "edition": None, "era": "modern", "text": "文",
    }  # fmt: skip
    return RawRecord(**{**given, **values})  # type: ignore[arg-type]


# --- units ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("小儿肺炎", "肺炎"),
        ("儿童肺炎", "肺炎"),
        ("肺炎（重症）", "肺炎"),
        ("肺炎(支原体)", "小儿 肺炎"),
        ("Ⅱ型糖尿病", "ii型糖尿病"),
        ("新生儿 黄疸", "新生儿黄疸"),
    ],
)
def test_two_names_of_one_disease(one: str, other: str) -> None:
    assert disease_key(one) == disease_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("肺炎", "肺结核"),
        ("1型糖尿病", "2型糖尿病"),
        ("新生儿肺炎", "肺炎"),
        ("小儿", "儿童"),
        ("（肺炎）", "（哮喘）"),
    ],
)
def test_two_diseases(one: str, other: str) -> None:
    assert disease_key(one) != disease_key(other)


def test_the_unit_is_disease_then_section_then_record() -> None:
    assert unit_of(row("小儿肺炎"), record()) == unit_of(row("肺炎", "dfpo"), None) == "disease:肺炎"
    book = record(section_path=("第一章", "第二节"))
    assert (
        unit_of(row(), book)
        == unit_of(row(), record(id="r2", section_path=("第一章", "第三节")))
        == "section:d1:第一章"
    )
    assert unit_of(row(), record(section_path=("第一章",), turns=(Turn("user", "问"),))) == "record:r1"
    assert unit_of(row(), record()) == "record:r1"
    assert unit_of(row(), None) == "record:row"


def test_sections_of_two_documents_are_two_units() -> None:
    assert unit_of(row(), record(section_path=("总论",))) != unit_of(
        row(), record(document_id="d2", section_path=("总论",))
    )


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=20))
def test_joined_units_are_connected_components(joins: list[tuple[int, int]]) -> None:
    units = Units()
    groups = {number: {number} for number in range(13)}
    for number in range(13):
        units.root(str(number))
    for first, second in joins:
        units.join(str(first), str(second))
        whole = groups[first] | groups[second]
        for number in whole:
            groups[number] = whole
    for number, group in groups.items():
        assert units.root(str(number)) == min(map(str, group))
    assert units.roots() == sorted({min(map(str, group)) for group in groups.values()})


SPANS = st.lists(
    st.builds(
        lambda unit, record_id, start, length: Placed(f"u{unit}", ((f"r{record_id}", start, start + length),)),
        st.integers(0, 8),
        st.integers(0, 2),
        st.integers(0, 30),
        st.integers(1, 12),
    ),
    max_size=14,
)


@given(SPANS)
def test_units_with_overlapping_evidence_are_one_and_others_are_not(rows: list[Placed]) -> None:
    wanted = Units()
    for one in rows:
        wanted.root(one.unit)
        for other in rows:
            for name, start, end in one.spans:
                for other_name, other_start, other_end in other.spans:
                    if name == other_name and start < other_end and other_start < end:
                        wanted.join(one.unit, other.unit)
    joined = join_units([rows], [])
    assert {item.unit: joined.root(item.unit) for item in rows} == {item.unit: wanted.root(item.unit) for item in rows}


def test_evidence_that_only_touches_does_not_join_and_likeness_does() -> None:
    rows = [Placed("a", (("r", 0, 5),)), Placed("b", (("r", 5, 9),)), Placed("c", (("q", 0, 5),))]
    assert join_units([rows], []).roots() == ["a", "b", "c"]
    joined = join_units([rows], [("c", "b"), ("a", "unknown")])
    assert joined.roots() == ["a", "b"]
    assert joined.root("c") == "b"


# --- splits -----------------------------------------------------------------------------------------


@given(NAMES, st.integers(), SHARES, st.randoms())
def test_every_unit_has_one_split_whatever_the_order(
    names: list[str], seed: int, shares: SplitConfig, random: Random
) -> None:
    placed = assign(names, seed, shares)
    shuffled = list(names)
    random.shuffle(shuffled)
    assert set(placed) == set(names)
    assert set(placed.values()) <= {"train", "validation", "test"}
    assert assign(shuffled, seed, shares) == placed


@given(NAMES, st.integers(), SHARES)
def test_a_share_above_zero_gets_a_unit_and_a_share_of_zero_none(
    names: list[str], seed: int, shares: SplitConfig
) -> None:
    counts = Counter(assign(names, seed, shares).values())
    for split, share in (("test", shares.test), ("validation", shares.validation)):
        if share == 0:
            assert counts[split] == 0
        elif len(names) >= 3:
            assert counts[split] >= 1


@given(
    st.lists(st.text(max_size=6), min_size=60, max_size=90, unique=True), st.integers(), st.text(min_size=7, max_size=9)
)
def test_another_unit_does_not_move_the_others(names: list[str], seed: int, new: str) -> None:
    shares = SplitConfig(validation=0.3, test=0.3)
    before, after = assign(names, seed, shares), assign([*names, new], seed, shares)
    if {"validation", "test"} <= set(before.values()):
        assert {name: after[name] for name in names} == before


def test_shares_are_kept_and_a_seed_makes_another_choice() -> None:
    names = [f"disease:{number}" for number in range(4000)]
    shares = SplitConfig(validation=0.1, test=0.2)
    counts = Counter(assign(names, 17, shares).values())
    assert abs(counts["test"] - 800) < 120
    assert abs(counts["validation"] - 400) < 90
    assert assign(names, 17, shares) != assign(names, 18, shares)


def test_the_choice_is_the_same_on_every_machine() -> None:
    placed = assign(
        [f"disease:{name}" for name in ("肺炎", "哮喘", "腹泻", "麻疹", "水痘", "惊厥")],
        17,
        SplitConfig(validation=0.2, test=0.2),
    )
    assert {name: split for name, split in placed.items() if split != "train"} == {
        "disease:麻疹": "test",
        "disease:惊厥": "validation",
    }
