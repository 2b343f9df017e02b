"""What the page calls saved is on disk: after a crash, a full disk, a second tab and a second program."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pedcorpus.errors import DiskFullError, PedcorpusError
from pedcorpus.review.decisions import read_decisions
from pedcorpus.review.journal import Journal, StaleError, check_name, default_path
from tests.conftest import ROOT
from tests.review.making import make_decision, make_row, said

ROW = make_row()


def test_each_decision_is_a_line_and_the_last_one_holds(tmp_path: Path) -> None:
    path = tmp_path / "reviews" / "a.jsonl"
    journal = Journal(path, "a")
    journal.add(make_decision("a", "accept", request="1"), 0)
    assert len(list(read_decisions([path]))) == 1
    journal.add(make_decision("a", "reject", request="2"), 1)
    journal.close()
    again = Journal(path, "a")
    last = again.last(ROW.id)
    assert last is not None and last.decision == "reject"
    assert (again.number(ROW.id), again.count(), again.recent, again.healed) == (2, 1, ROW.id, 0)
    again.close()


def test_the_same_request_counts_once_even_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    for _ in range(2):
        journal = Journal(path, "a")
        for _ in range(2):
            journal.add(make_decision("a", "accept", request="one"), 0)
        journal.close()
    assert len(path.read_text(encoding="utf-8").splitlines()) == 1


def test_a_tab_that_has_not_seen_the_last_decision_is_told(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a.jsonl", "a")
    journal.add(make_decision("a", "accept", request="1"), 0)
    with pytest.raises(StaleError) as caught:
        journal.add(make_decision("a", "reject", request="2"), 0)
    assert (caught.value.newer.decision, caught.value.number) == ("accept", 1)
    journal.add(make_decision("a", "reject", request="2"), caught.value.number)
    journal.close()


def test_lines_of_others_stay_and_are_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "both.jsonl"
    for name in ("a", "b"):
        journal = Journal(path, name)
        assert journal.last(ROW.id) is None
        journal.add(make_decision(name, "accept"), 0)
        journal.close()
    assert [item.reviewer for item in read_decisions([path])] == ["a", "b"]


TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(st.lists(TEXT, min_size=1, max_size=5), st.data())
def test_a_crash_at_any_byte_loses_no_confirmed_line(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("crash") / "a.jsonl"
    journal = Journal(path, "a")
    for number, text in enumerate(texts):
        journal.add(make_decision("a", "edit", messages=said(ROW, text), request=str(number)), number)
    journal.close()
    whole = path.read_bytes()
    before = whole[:-1].rfind(b"\n") + 1
    cut = data.draw(st.integers(before, len(whole)))
    path.write_bytes(whole[:cut])
    there = list(read_decisions([path]))
    again = Journal(path, "a")
    assert list(read_decisions([path])) == there
    assert len(there) == (len(texts) if cut >= len(whole) - 1 else len(texts) - 1)
    again.add(make_decision("a", "accept", request="next"), len(there))
    again.close()
    assert [item.decision for item in read_decisions([path])] == ["edit"] * len(there) + ["accept"]
    torn = path.with_name("a.jsonl.torn")
    assert torn.exists() == (before < cut < len(whole) - 1) == bool(again.healed)
    if torn.exists():
        assert torn.read_bytes() == whole[before:cut] + b"\n"


def test_a_line_that_was_broken_by_hand_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("broken\n", encoding="utf-8")
    with pytest.raises(PedcorpusError, match="line 1"):
        Journal(path, "a")
    assert path.read_text(encoding="utf-8") == "broken\n"


def test_a_second_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    journal = Journal(path, "a")
    code = (
        "import sys; from pathlib import Path; from pedcorpus.review.journal import Journal\n"
        "try: Journal(Path(sys.argv[1]), 'a')\nexcept Exception as error: print(error)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, str(path)]
    assert (
        "another `pedcorpus review`"
        in subprocess.run(command, capture_output=True, text=True, env=env, check=True).stdout
    )
    journal.close()
    assert subprocess.run(command, capture_output=True, text=True, env=env, check=True).stdout == ""


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jsonl"
    journal = Journal(path, "a")
    journal.add(make_decision("a", "accept", request="1"), 0)
    before = path.read_bytes()
    write = os.write

    def full(handle: int, data: bytes) -> int:
        if len(data) < 50:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, data[:-20])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(DiskFullError):
        journal.add(make_decision("a", "reject", request="2"), 1)
    monkeypatch.undo()
    assert path.read_bytes() == before
    last = journal.last(ROW.id)
    assert last is not None and last.decision == "accept"
    journal.add(make_decision("a", "reject", request="2"), 1)
    journal.close()
    assert len(list(read_decisions([path]))) == 2


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(PedcorpusError, match="file"):
        Journal(tmp_path / "file" / "a.jsonl", "a")


@pytest.mark.parametrize("name", ["li", "张医生", "reviewer-2", "../../etc/passwd", "a/b", ".", "Dr. Li", "x" * 60])
def test_every_name_gets_a_file_of_its_own_beside_the_build(tmp_path: Path, name: str) -> None:
    path = default_path(tmp_path / "build", check_name(name))
    assert path.parent == tmp_path / "reviews"
    assert path.name.endswith(".jsonl") and len(path.name) < 90
    assert path != default_path(tmp_path / "build", name + "_")
    assert default_path(tmp_path / "build", "a/b") != default_path(tmp_path / "build", "a_b")


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\0", "x" * 61])
def test_names_that_will_not_do(name: str) -> None:
    with pytest.raises(PedcorpusError, match="printable"):
        check_name(name)
