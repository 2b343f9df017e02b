"""What holds of every row that the generators make of the bundled sample."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pedcorpus import plugins
from pedcorpus.plugins import GenerateContext
from pedcorpus.quantities import missing
from pedcorpus.records import INSTRUCTION_TASKS, TASKS, RawRecord, Reject, Row, records_from_table
from pedcorpus.run import BuildResult
from pedcorpus.text import key
from tests.making import ALL_TASKS

Sample = tuple[dict[str, RawRecord], list[Row]]
MEDICAL = ("medkqa", "evidiag", "trerecom")


def generate(
    records: list[RawRecord], seed: int = 17, per_record: int = 3, tasks: frozenset[str] = ALL_TASKS
) -> list[Row | Reject]:
    context = GenerateContext(seed, per_record, tasks, {"name": "小儿助手", "author": "示例"}, "zh")
    return [item for record in records for maker in plugins.generators() for item in maker.generate(record, context)]


@pytest.fixture(scope="module")
def records(sample_build: tuple[Path, BuildResult]) -> list[RawRecord]:
    build, _ = sample_build
    return [
        record
        for path in sorted((build / "records").glob("*.parquet"))
        for record in records_from_table(pq.read_table(path))
        if record.era != "historic"
    ]


@pytest.fixture(scope="module")
def sample(records: list[RawRecord]) -> Sample:
    rows = [item for item in generate(records) if isinstance(item, Row)]
    assert len(rows) > 700
    return {record.id: record for record in records}, rows


def test_every_quote_is_its_record_to_the_character(sample: Sample) -> None:
    records, rows = sample
    for row in rows:
        assert row.evidence, row.id
        for item in row.evidence:
            record = records[item.record_id]
            assert item.quote and record.text[item.start : item.end] == item.quote
            assert row.source_id == record.source_id and row.license == record.license


def test_every_quantity_of_an_answer_is_in_its_quotes(sample: Sample) -> None:
    for row in sample[1]:
        if row.source_kind not in ("self_cognition", "general") and row.task != "cpt":
            held = [item.quote for item in row.evidence]
            assert [missing(answer, held) for answer in row.answers()] == [[]] * len(row.answers()), row.answers()


def test_an_extractive_answer_is_its_quotes_after_its_citation(sample: Sample) -> None:
    for row in sample[1]:
        if row.provenance.generator == "sections":
            answer = re.sub(r"^根据《[^》]+》(?:（[^）]+）)?：", "", row.messages[1].content)
            assert key(answer) == key("".join(item.quote for item in row.evidence))


def test_roles_take_turns_and_the_assistant_has_the_last_word(sample: Sample) -> None:
    for row in sample[1]:
        if row.task in INSTRUCTION_TASKS:
            roles = [message.role for message in row.messages if message.role != "system"]
            assert roles == ["user", "assistant"] * (len(roles) // 2) and roles, row.id
            assert all(key(message.content) for message in row.messages)
            assert row.text is None
        else:
            assert row.task == "cpt" and row.text and not row.messages


def test_no_template_is_left_in_any_message(sample: Sample) -> None:
    for row in sample[1]:
        for content in row.contents():
            assert not re.search(r"\{\{|\}\}|\{%|%\}|\bNone\b|undefined", content), content


def test_a_made_question_names_its_disease_and_ends_as_a_question(sample: Sample) -> None:
    for row in sample[1]:
        if row.task in ("medkqa", "trerecom") and row.provenance.generator in ("sections", "graph", "syndromes"):
            question = row.messages[0].content
            assert question.endswith(("？", "。")) and len(question) <= 80, question
            assert not re.search(r"的的|（）|“”|表现有哪些表现|与与|  ", question), question
            assert question.count("（") <= 2 and not re.search(r"（[^）]*（", question), question
            if row.disease is not None:
                bare = re.sub(r"^(?:小儿|儿童)", "", row.disease)
                assert bare in question, (question, row.disease)


def test_what_is_recommended_was_asked_for(sample: Sample) -> None:
    does = re.compile(
        r"治|护理|照顾|预防|怎么办|怎么做|怎样|如何|用药|什么药|吃|忌|注意|办法|建议|应|要|能|可以|避免|处理|就医|方案|补|断|怎么"
    )
    for row in sample[1]:
        if row.task == "trerecom":
            assert does.search("\n".join(row.questions())), row.questions()


def test_a_case_names_the_evidence_of_its_conclusion(sample: Sample) -> None:
    records, rows = sample
    cases = [row for row in rows if row.task == "evidiag" and row.provenance.generator in ("graph", "syndromes")]
    assert len(cases) >= 40
    for row in cases:
        conclusion = row.messages[-1].content
        assert row.disease is not None and row.disease in conclusion
        quotes = [item.quote for item in row.evidence]
        if row.provenance.generator == "graph":
            symptoms = {t.tail for t in records[row.evidence[0].record_id].triples if t.relation == "症状"}
            told = {quote for quote in quotes if quote in symptoms}
            assert len(told) >= 3 and all(symptom in conclusion for symptom in told)
        said = "".join(message.content for message in row.messages)
        for record_symptom in re.findall(r"有([^，。？]{2,40})这些表现", said):
            assert all(part in "".join(quotes) for part in record_symptom.split("、"))
        assert re.search(r"医生|医师|面诊", conclusion)


def test_per_record_bounds_each_task_of_a_record(records: list[RawRecord]) -> None:
    for most in (1, 2):
        count: Counter[tuple[str, str]] = Counter()
        for item in generate(records, per_record=most):
            if isinstance(item, Row):
                count[item.evidence[0].record_id, item.task] += 1
        assert max(count.values()) <= most


@pytest.mark.parametrize("task", TASKS)
def test_only_what_is_wanted_is_made(records: list[RawRecord], task: str) -> None:
    found = {item.task for item in generate(records, tasks=frozenset({task})) if isinstance(item, Row)}
    assert found == ({task} if task != "dfpo" else set())


def test_the_seed_decides_the_wording_and_nothing_else(records: list[RawRecord], sample: Sample) -> None:
    again = [item for item in generate(records) if isinstance(item, Row)]
    assert [row.id for row in again] == [row.id for row in sample[1]] and again == sample[1]
    other = [item for item in generate(records, seed=18) if isinstance(item, Row)]
    mine = [row for row in sample[1] if row.provenance.generator == "sections"]
    theirs = [row for row in other if row.provenance.generator == "sections"]
    assert [row.messages[1] for row in mine] == [row.messages[1] for row in theirs], "the answers are the source's"
    changed = sum(a.messages[0] != b.messages[0] for a, b in zip(mine, theirs, strict=True))
    assert changed > len(mine) / 2, "another seed asks otherwise"
    untouched = [row.messages for row in sample[1] if row.provenance.generator == "exchanges"]
    assert untouched == [row.messages for row in other if row.provenance.generator == "exchanges"]


def test_rows_of_one_id_are_one_row_of_two_records(sample: Sample) -> None:
    same: dict[str, list[Row]] = defaultdict(list)
    for row in sample[1]:
        same[row.id].append(row)
    for rows in same.values():
        assert len({(row.task, row.source_id, *row.contents()) for row in rows}) == 1
        assert len({row.evidence[0].record_id for row in rows}) == len(rows), "no record makes a row twice"


def test_questions_vary(sample: Sample) -> None:
    forms: dict[str, Counter[str]] = defaultdict(Counter)
    for row in sample[1]:
        if row.task in MEDICAL and row.provenance.generator in ("sections", "graph") and row.disease:
            form = row.messages[0].content.replace(row.disease, "X")
            forms[row.provenance.generator][re.sub(r"[（“][^）”]*[）”]", "Y", form)] += 1
    for counts in forms.values():
        assert len(counts) >= 40
        assert counts.most_common(1)[0][1] <= sum(counts.values()) * 0.15, "no form is worn out"


def test_a_version_in_the_provenance_names_the_wording(sample: Sample) -> None:
    for row in sample[1]:
        made = row.provenance
        if made.generator in ("sections", "graph", "syndromes"):
            assert made.prompt_id and re.fullmatch(r"extractive/(?:sections|graph)@\d+\.\d+", made.prompt_id)
            assert made.prompt_sha256 and made.model is None
        else:
            assert made.prompt_id is None
