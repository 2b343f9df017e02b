"""Completion texts and preference pairs: made of accepted rows, worse by rule, and never across a disease."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from pedcorpus.derive import completion, derive, preference
from pedcorpus.quantities import doses, missing
from pedcorpus.records import Row, row_from_dict
from pedcorpus.run import BuildResult
from pedcorpus.splits import disease_key
from pedcorpus.text import key
from tests.builds import rows as built_rows
from tests.making import ALL_TASKS, row

ANSWER = (
    "水痘一般不需要特殊治疗。患儿要隔离到全部疱疹结痂，注意剪短指甲、避免抓破。如果高热不退或精神很差，请及时就医。"
)
CAUSE = "水痘由水痘-带状疱疹病毒引起，通过飞沫和接触传播，冬春季多见，患过的人再次感染的很少。"
QUESTION = "孩子得了水痘，应该怎样护理？"


def care(**values: object) -> Row:
    return row(ANSWER, question=QUESTION, disease="水痘", **values)  # type: ignore[arg-type]


def cause(**values: object) -> Row:
    return row(CAUSE, question="水痘的病因是什么？", task="medkqa", disease="水痘", **values)  # type: ignore[arg-type]


def pairs(item: Row, others: tuple[Row, ...] = (), seeds: int = 60) -> list[Row]:
    return [pair for seed in range(seeds) if (pair := preference(item, [item, *others], seed)) is not None]


# --- completion ---


@pytest.mark.parametrize("seed", range(8))
def test_a_completion_holds_question_and_answer(seed: int) -> None:
    made = completion(care(), seed)
    assert made.task == "cpt" and made.messages == () and made.text is not None
    assert made.text.count(QUESTION) == 1 and made.text.count(ANSWER) == 1
    assert made.evidence == care().evidence and made.disease == "水痘"
    assert made.provenance.generator == "instruction" and made.provenance.prompt_id == "extractive/cpt@1.2"


def test_a_completion_of_a_talk_labels_its_turns_with_one_pair_of_speakers() -> None:
    talk = [("user", "孩子咳嗽。"), ("assistant", "几天了？"), ("user", "三天。"), ("assistant", "多喝水，明天复诊。")]
    seen = set()
    for seed in range(40):
        text = completion(row("", messages=talk), seed).text or ""
        lines = text.split("\n")
        labels = [line.split("：", 1)[0] for line in lines]
        assert [line.split("：", 1)[1] for line in lines] == [said for _, said in talk]
        assert labels[0] == labels[2] and labels[1] == labels[3]
        seen.add((labels[0], labels[1]))
    assert seen == {("患儿家长", "儿科医生"), ("家长", "医生"), ("问", "答"), ("咨询者", "医师")}


def test_an_english_row_is_completed_in_english() -> None:
    english = row("Give plenty of water.", question="What helps a child with diarrhoea?", language="en-GB")
    texts = [completion(english, seed).text or "" for seed in range(20)]
    assert all(text.isascii() for text in texts) and len(set(texts)) >= 4


def test_forms_of_completion_vary_with_seed_and_row() -> None:
    assert len({(completion(care(), seed).text or "").replace(ANSWER, "") for seed in range(30)}) >= 4
    assert completion(care(), 3) == completion(care(), 3)


# --- preference pairs ---


def test_a_pair_keeps_prompt_and_chosen_as_they_were() -> None:
    for pair in pairs(care(), (cause(),)):
        assert pair.task == "dfpo" and pair.messages == () and pair.text is None
        assert [m.content for m in pair.prompt] == [QUESTION] and pair.chosen[0].content == ANSWER
        assert pair.rejected[0].role == "assistant" and pair.rejected_from == "rule"
        assert key(pair.rejected[0].content) != key(ANSWER)
        assert pair.evidence == care().evidence


def test_every_rule_is_used_and_makes_the_answer_worse_in_its_way() -> None:
    made = pairs(care(), (cause(),), 120)
    seen = Counter(pair.reason for pair in made)
    assert set(seen) == {"off_topic", "curt", "padded", "overconfident"} and min(seen.values()) >= 8
    first = ANSWER.split("。")[0] + "。"
    for pair in made:
        rejected = pair.rejected[0].content
        if pair.reason == "off_topic":
            assert rejected == CAUSE, "an answer, but to another question"
        elif pair.reason == "curt":
            assert first in rejected and "结痂" not in rejected and "就医" not in rejected
            assert len(rejected) < len(ANSWER)
        elif pair.reason == "padded":
            assert ANSWER in rejected and len(rejected) > len(ANSWER) * 1.2
        else:
            assert "及时就医" not in rejected, "no word of a doctor but that none is needed"
            assert re.search(r"不用再去医院|不必再看医生|用不着再问医生", rejected)
            assert re.search(r"肯定|百分之百|保证", rejected)
            assert "结痂" in rejected


def test_the_source_of_the_chosen_answer_is_told() -> None:
    for kind, told in (
        ("knowledge_graph", "kg"),
        ("conversation", "doctor"),
        ("textbook", "source"),
        ("distilled", "source"),
    ):
        pair = preference(care(kind=kind), [], 1)
        assert pair is not None and pair.chosen_from == told


@pytest.mark.parametrize(
    "other",
    [
        row(CAUSE, question="麻疹的病因是什么？", task="medkqa", disease="麻疹"),
        row(CAUSE, question="水痘的病因是什么？", task="medkqa", disease=None),
        row(CAUSE, question="水痘应该怎样治疗？", task="trerecom", disease="水痘"),
        row(CAUSE, question=QUESTION, task="medkqa", disease="水痘"),
        row(f"{ANSWER}此外要多喝水。", question="水痘要注意什么？", task="medkqa", disease="水痘"),
        row("一般不需要特殊治疗", question="水痘要特殊治疗吗？", task="medkqa", disease="水痘"),
        row("阿昔洛韦每次20mg/kg，一日四次，共五天。", question="水痘的用药剂量？", task="medkqa", disease="水痘"),
        row("潜伏期一般为14天左右，前两天最容易传染。", question="水痘的潜伏期？", task="medkqa", disease="水痘"),
        row(CAUSE, question="水痘的病因是什么？", task="general", kind="general", disease="水痘"),
    ],
    ids=["other disease", "no disease", "same task", "same question", "holds it", "held by it", "dose", "number", "general"],
)  # fmt: skip
def test_some_answers_are_never_the_other_one(other: Row) -> None:
    base = (
        care()
        if "特殊治疗吗" not in other.questions()[0]
        else row("水痘一般不需要特殊治疗。", question=QUESTION, disease="水痘")
    )
    assert "off_topic" not in {pair.reason for pair in pairs(base, (other,), 80)}


def test_a_row_without_disease_has_no_other_answer() -> None:
    alone = row(ANSWER, question=QUESTION, kind="distilled")
    other = row(CAUSE, question="水痘的病因是什么？", task="medkqa", kind="distilled")
    assert "off_topic" not in {pair.reason for pair in pairs(alone, (other,), 80)}


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        (
            "根据《儿童水痘诊疗指南（示例）》：\n先隔离到全部结痂。再对症处理，注意皮肤清洁，不要抓破。",
            "先隔离到全部结痂。",
        ),
        ("这可能是新生儿低钙血症，需要进一步检查和治疗，请尽快到医院。", "这可能是新生儿低钙血症"),
        ("先对症处理并注意皮肤清洁；再隔离到全部结痂为止，不要抓破。", "先对症处理并注意皮肤清洁"),
    ],
)
def test_a_curt_answer_says_something_and_ends(answer: str, kept: str) -> None:
    curt = [pair.rejected[0].content for pair in pairs(row(answer, question=QUESTION)) if pair.reason == "curt"]
    assert curt
    for rejected in curt:
        assert kept in rejected and "根据《" not in rejected
        assert f"{kept.rstrip('。')}。" in rejected, "a full stop before what follows"


def test_an_answer_too_short_to_cut_is_not_cut() -> None:
    assert "curt" not in {pair.reason for pair in pairs(row("多喝水，多休息。", question=QUESTION))}


def test_what_follows_an_open_end_begins_a_sentence() -> None:
    for pair in pairs(row("可能是血管瘤，先观察，不要挤压", question=QUESTION)):
        assert not re.search(r"挤压(?:肯定|绝对|按我说的|总之|以上)", pair.rejected[0].content)


def test_a_very_long_answer_is_not_said_twice() -> None:
    long = "要注意观察孩子的精神、体温、尿量和呼吸。" * 90
    assert "padded" not in {pair.reason for pair in pairs(row(long, question=QUESTION))}


def test_pairs_are_the_same_for_a_seed_and_differ_between_seeds() -> None:
    rows = [care(), cause(), row(ANSWER[::-1] + "。", question="水痘如何治疗？", disease="水痘")]
    first = list(derive(rows, ALL_TASKS, 17))
    assert first == list(derive(rows, ALL_TASKS, 17))
    assert [item.rejected for item in first] != [item.rejected for item in derive(rows, ALL_TASKS, 18)]


def test_only_medical_instructions_are_derived_from_and_only_what_is_wanted() -> None:
    rows = [
        care(),
        row("好的。", task="general", kind="general"),
        row("纯文本" * 20, task="cpt"),
        row("不行。", task="safety", kind="safety"),
    ]
    assert [item.task for item in derive(rows, ALL_TASKS, 17)] == ["cpt", "dfpo"]
    assert [item.task for item in derive(rows, frozenset({"cpt", "medkqa"}), 17)] == ["cpt"]
    assert list(derive(rows, frozenset({"medkqa"}), 17)) == []


# --- what holds of the sample's pairs ---


@pytest.fixture(scope="module")
def sample_pairs(sample_build: tuple[Path, BuildResult]) -> list[Row]:
    found = [row_from_dict(item) for item in built_rows(sample_build[0], "dfpo")]
    assert len(found) > 400
    return found


def test_no_rejected_answer_brings_a_dose_that_its_evidence_does_not_hold(sample_pairs: list[Row]) -> None:
    with_dose = 0
    for pair in sample_pairs:
        held = [item.quote for item in pair.evidence]
        rejected = pair.rejected[0].content
        for question in pair.questions():
            rejected = rejected.replace(question, "")
        with_dose += bool(doses(rejected))
        lost = {quantity.pair for quantity in missing(rejected, held)}
        assert not [quantity for quantity in doses(rejected) if quantity.pair in lost], rejected
    assert with_dose > 10, "there are doses to look at"


def test_no_pair_crosses_diseases_or_splits(sample_build: tuple[Path, BuildResult], sample_pairs: list[Row]) -> None:
    answers: dict[str, set[str]] = {}
    for task in ("medkqa", "evidiag", "trerecom"):
        for item in built_rows(sample_build[0], task):
            text = item["messages"][-1]["content"]
            answers.setdefault(key(text), set()).add(disease_key(item["disease"]) if item["disease"] else "")
    off = [pair for pair in sample_pairs if pair.reason == "off_topic"]
    assert len(off) > 40
    for pair in off:
        assert pair.disease is not None
        assert disease_key(pair.disease) in answers[key(pair.rejected[0].content)]


def test_length_does_not_tell_which_answer_was_chosen(sample_pairs: list[Row]) -> None:
    longer = sum(len(pair.rejected[0].content) > len(pair.chosen[0].content) for pair in sample_pairs)
    share = longer / len(sample_pairs)
    assert 0.38 < share < 0.62, f"the longer answer is the rejected one in {share:.0%}"


def test_every_reason_is_there(sample_pairs: list[Row]) -> None:
    seen = Counter(pair.reason for pair in sample_pairs)
    assert set(seen) == {"off_topic", "curt", "padded", "overconfident"}
    assert min(seen.values()) > len(sample_pairs) * 0.08
