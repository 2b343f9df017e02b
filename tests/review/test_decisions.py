"""Decision files are read strictly, the majority wins, and an edited row can be led back to what its id says."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pedcorpus.errors import ConfigError
from pedcorpus.plugins import Drop
from pedcorpus.records import Row, Version, row_id
from pedcorpus.review.decisions import (
    Decision,
    Outcome,
    apply,
    decide,
    latest,
    read_decisions,
    text_hash,
    unedited,
    with_text,
)
from tests.review.making import ANSWER, make_decision, make_pair, make_row, said

ROW = make_row()


def votes(*words: str) -> list[Decision]:
    """accept, reject, or edit:TEXT of reviewer 0, 1, …"""
    found = []
    for number, word in enumerate(words):
        verdict, _, text = word.partition(":")
        more = {"messages": said(ROW, text)} if text else {}
        found.append(make_decision(str(number), verdict, ROW, **more))
    return found


@pytest.mark.parametrize(
    ("words", "verdict", "share"),
    [
        (["accept"], "accept", "1 of 1"),
        (["reject"], "reject", "1 of 1"),
        (["edit:甲"], "edit", "1 of 1"),
        (["accept", "accept", "reject"], "accept", "2 of 3"),
        (["reject", "accept", "reject"], "reject", "2 of 3"),
        (["edit:甲", "edit:甲", "accept"], "edit", "2 of 3"),
        (["edit:甲", "edit:乙", "edit:乙", "reject"], "edit", "2 of 4"),
        (["accept", "accept", "edit:甲", "reject", "reject"], "accept", "2 of 5"),
        (["accept", "reject"], "tie", ""),
        (["edit:甲", "reject"], "tie", ""),
        (["edit:甲", "edit:乙"], "tie", ""),
        (["accept", "edit:甲", "reject"], "tie", ""),
        (["accept", "edit:甲", "reject", "reject"], "tie", ""),
    ],
)
def test_the_majority_decides(words: list[str], verdict: str, share: str) -> None:
    outcome = decide(votes(*words))
    assert outcome.verdict == verdict
    assert outcome.describe().startswith("tie: " if verdict == "tie" else ("accepted", "edited", "rejected"))
    if share:
        assert f"{outcome.votes} of {outcome.reviewers}" == share
        assert share in outcome.describe()


def test_the_last_decision_of_a_reviewer_holds() -> None:
    lines = [make_decision("a", "reject"), make_decision("b", "accept"), make_decision("a", "accept")]
    assert decide(lines).describe() == "accepted by 2 of 2"
    assert [item.decision for item in latest(lines)[ROW.id]] == ["accept", "accept"]


WORDS = st.lists(st.sampled_from(["accept", "reject", "edit:甲", "edit:乙"]), min_size=1, max_size=7)


@given(WORDS, st.randoms(use_true_random=False))
def test_no_order_of_reviewers_changes_the_outcome(words: list[str], chance: random.Random) -> None:
    lines = votes(*words)
    shuffled = lines[:]
    chance.shuffle(shuffled)
    first, second = decide(lines), decide(shuffled)
    assert (first.verdict, first.votes, first.messages, dict(first.said)) == (
        second.verdict,
        second.votes,
        second.messages,
        dict(second.said),
    )
    rejecting = words.count("reject")
    assert (first.verdict == "reject") == (rejecting * 2 > len(words))
    if first.verdict in ("accept", "edit"):
        assert rejecting * 2 < len(words)
        wanted = "accept" if first.messages is None else f"edit:{first.messages[-1].content}"
        others = [words.count(word) for word in set(words) - {wanted, "reject"}]
        assert words.count(wanted) == first.votes > max(others, default=0)


def test_a_rejected_row_is_dropped_with_the_reasons_and_no_name() -> None:
    found = apply(ROW, decide([make_decision("Dr Li", "reject"), make_decision("Dr Wu", "reject", reason="unsafe")]))
    assert found == Drop("review.rejected", "rejected by 2 of 2, wrong_dose (1), unsafe (1)")


def test_an_accepted_row_says_so() -> None:
    found = apply(ROW, decide(votes("accept", "accept", "reject")))
    assert isinstance(found, Row)
    assert replace(found, quality=()) == ROW
    assert [(note.check, note.score, note.detail) for note in found.quality] == [
        ("review", 0.6667, "accepted by 2 of 3")
    ]


def test_a_tie_leaves_the_row_as_it_is() -> None:
    found = apply(ROW, decide(votes("accept", "reject")))
    assert isinstance(found, Row)
    assert replace(found, quality=()) == ROW
    assert found.quality[0].detail == "tie: 1 accept, 1 reject"


def test_an_edited_row_keeps_its_id_and_its_earlier_text() -> None:
    row = make_row(
        "甲？", "一。", "乙？", "二。", provenance=replace(ROW.provenance, version_trail=(Version("draft", "零"),))
    )
    outcome = decide([make_decision("a", "edit", row, messages=said(row, "一。", "二，改。"))])
    found = apply(row, outcome)
    assert isinstance(found, Row)
    assert found.id == row.id
    assert [message.content for message in found.messages] == ["甲？", "一。", "乙？", "二，改。"]
    assert found.provenance.version_trail == (Version("draft", "零"), Version("before review: messages[3]", "二。"))
    assert row_id(found.task, found.source_id, [message.content for message in unedited(found).messages]) == row.id
    assert replace(unedited(found), quality=()) == row


@given(st.lists(st.text(min_size=1, max_size=5), min_size=2, max_size=2))
def test_edits_can_be_undone(answers: list[str]) -> None:
    row = make_row("甲？", "一。", "乙？", "二。")
    once = with_text(
        row,
        Outcome("edit", 1, 1, (), make_decision("a", "edit", row, messages=said(row, *answers)).text()).messages or (),
    )
    twice = with_text(
        once, tuple(replace(m, content=m.content + "！") if m.role == "assistant" else m for m in once.messages)
    )
    assert unedited(twice) == unedited(once) == row


def test_of_a_pair_the_chosen_answer_is_edited() -> None:
    pair = make_pair()
    found = apply(pair, decide([make_decision("a", "edit", pair, messages=said(pair, "改。"))]))
    assert isinstance(found, Row)
    assert found.chosen[0].content == "改。"
    assert found.rejected == pair.rejected
    assert unedited(found).chosen == pair.chosen


def test_the_trail_of_the_row_that_a_pair_was_made_of_is_left_alone() -> None:
    trail = (Version("before review: messages[1]", "旧。"),)
    pair = make_pair(provenance=replace(ROW.provenance, version_trail=trail))
    assert unedited(pair) == pair


@pytest.mark.parametrize("change", ["short", "user", "cpt"])
def test_an_edit_that_does_not_fit_is_refused(change: str) -> None:
    row, messages = ROW, said(ROW, "改。")
    if change == "short":
        messages = messages[1:]
    elif change == "user":
        messages = (messages[0].model_copy(update={"content": "别的？"}), messages[1])
    else:
        row = make_row(task="cpt", messages=(), text=ANSWER)
    with pytest.raises(ConfigError, match="does not fit"):
        apply(row, decide([make_decision("a", "edit", row, messages=messages)]))


def test_the_hash_tells_rows_apart_by_every_text_a_reviewer_sees() -> None:
    pair = make_pair()
    found = {
        text_hash(row) for row in (ROW, make_row("感冒了怎么办？", "别的。"), pair, replace(pair, rejected=pair.chosen))
    }
    assert len(found) == 4
    assert text_hash(replace(ROW, quality=(), license="other")) == text_hash(ROW)


# --- reading ---


def line(decision: Decision) -> str:
    return decision.model_dump_json(exclude_none=True)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path, other = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    written = [make_decision("a", "accept"), make_decision("a", "edit", messages=said(ROW, "改\n。"))]
    path.write_text("".join(line(item) + "\n" for item in written), encoding="utf-8")
    other.write_text(line(make_decision("b", "reject", detail="x")) + "\n", encoding="utf-8")
    assert list(read_decisions([path, other])) == [*written, make_decision("b", "reject", detail="x")]


def test_a_cut_last_line_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    whole = line(make_decision("李", "accept")).encode() + b"\n"
    for cut in (1, 20, whole.index("李".encode()) + 1, len(whole) - 2):
        path.write_bytes(whole + whole[:cut])
        assert len(list(read_decisions([path]))) == 1
    path.write_bytes(whole + whole[:-1])
    assert len(list(read_decisions([path]))) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "row_id: Field required"),
        ("", "Invalid JSON"),
        ("nonsense", "Invalid JSON"),
        ('{"row_id":"x","task":"medkqa","reviewer":"a","decision":"maybe"}', "decision:"),
        ('{"row_id":"x","task":"medkqa","reviewer":"a","decision":"accept","colour":1}', "colour:"),
        ('{"row_id":"x","task":"medkqa","reviewer":"a","decision":"reject"}', "each rejected row needs one"),
        ('{"row_id":"x","task":"medkqa","reviewer":"a","decision":"reject","reason":"other"}', "needs a `detail`"),
        ('{"row_id":"x","task":"medkqa","reviewer":"a","decision":"edit"}', "needs `messages`"),
    ],
)
def test_a_line_that_is_no_decision_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f"{line(make_decision('a', 'accept'))}\n{text}\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        list(read_decisions([path]))
    assert f"{path}, line 2: " in caught.value.message
    assert message in caught.value.message
    assert caught.value.hint


def test_bytes_that_are_no_text_and_missing_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b"\xff\xfe\n")
    with pytest.raises(ConfigError, match="line 1: not UTF-8"):
        list(read_decisions([path]))
    with pytest.raises(ConfigError, match=r"cannot read the decisions .*none.jsonl: No such file"):
        list(read_decisions([tmp_path / "none.jsonl"]))
