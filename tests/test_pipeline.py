"""The whole way on the sample: what comes out, what is dropped, what is promised of both."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pedcorpus.config import load_config
from pedcorpus.errors import ConfigError
from pedcorpus.pipeline import build
from pedcorpus.quantities import doses
from pedcorpus.records import DOSE_EVIDENCE_KINDS, INSTRUCTION_TASKS, TASKS, record_schema, reject_schema, row_schema
from pedcorpus.run import BuildResult
from pedcorpus.verify import verify_build
from tests.builds import records, rejects, rows
from tests.conftest import SAMPLE, Project

Sample = tuple[Path, BuildResult]
DRAFTERS = "张示例 李演示 王样例 赵占位 陈范文 毛模板 冯练习 吴测试 周虚拟 钱草稿 孙格式".split()
"""The invented editors and drafters of the sample's book and guideline."""


def test_the_sample_fills_every_config(sample_build: Sample) -> None:
    tally = sample_build[1].dataset["rows"]
    assert set(tally) == set(TASKS)
    total = sum(sum(by_split.values()) for task, by_split in tally.items() if task in INSTRUCTION_TASKS)
    assert total >= 500
    diseases = {row["disease"] for task in ("medkqa", "evidiag", "trerecom") for row in rows(sample_build[0], task)}
    assert len(diseases - {None}) >= 12


def test_verify_finds_nothing(sample_build: Sample) -> None:
    found = verify_build(sample_build[0])
    assert found["faults"] == []
    assert found["checks"]["rows"] == sum(sum(item.values()) for item in sample_build[1].dataset["rows"].values())


def test_nothing_is_lost(sample_build: Sample) -> None:
    output, result = sample_build
    stages = result.manifest["stages"]
    assert [stage["name"] for stage in stages] == [
        "extract",
        "screen",
        "generate",
        "filter",
        "dedup",
        "decontaminate",
        "derive",
        "split",
    ]
    for stage in stages:
        assert stage["in"] == stage["kept"] + sum(stage["rejected"].values())
        assert Counter(entry["reason"] for entry in rejects(output, stage["name"])) == Counter(stage["rejected"])
    kept = {stage["name"]: stage["kept"] for stage in stages}
    assert stages[1]["in"] == kept["extract"] == len(records(output))
    assert stages[2]["records"] == kept["screen"]
    for before, after in pairwise(stages[2:]):
        assert after.get("records", after["in"]) == before["kept"]
    assert kept["split"] == sum(len(rows(output, task)) for task in TASKS)


def test_ledger_entries_say_what_was_dropped(sample_build: Sample) -> None:
    for stage in sample_build[1].manifest["stages"]:
        for entry in rejects(sample_build[0], stage["name"]):
            assert entry["stage"] == stage["name"]
            assert entry["detail"]
            assert entry["source_id"]
            assert isinstance(json.loads(entry["row"]), dict)


def test_layout_and_schemas_of_the_build(sample_build: Sample) -> None:
    output, result = sample_build
    assert {path.name for path in output.iterdir()} == {
        "manifest.json",
        "records",
        "rejects",
        "dataset",
        "report.html",
        "state",
    }
    assert {path.name for path in (output / "dataset").iterdir()} == {
        "README.md",
        "manifest.json",
        "croissant.json",
        "assets",
        "data",
    }
    for path in (output / "records").iterdir():
        assert pq.read_schema(path).equals(record_schema())
    for path in (output / "rejects").iterdir():
        assert pq.read_schema(path).equals(reject_schema())
    for task in TASKS:
        for path in (output / "dataset" / "data" / task).iterdir():
            assert re.fullmatch(r"(train|validation|test)-\d{5}-of-\d{5}\.parquet", path.name)
            assert pq.read_schema(path).equals(row_schema(task))
    assert sorted(result.dataset["shards"]) == sorted(
        path.relative_to(output / "dataset").as_posix() for path in (output / "dataset" / "data").rglob("*.parquet")
    )


def test_no_row_and_no_manifest_names_this_machine_or_the_time(sample_build: Sample) -> None:
    output = sample_build[0]
    for path in (output / "dataset" / "manifest.json", output / "dataset" / "README.md", output / "manifest.json"):
        text = path.read_text(encoding="utf-8")
        assert str(output) not in text
        assert str(SAMPLE) not in text
    said = "".join(json.dumps(row, ensure_ascii=False) for task in TASKS for row in rows(output, task))
    assert str(SAMPLE.parent) not in said


def test_evidence_is_in_its_record_to_the_character(sample_build: Sample) -> None:
    texts = {record["id"]: record["text"] for record in records(sample_build[0])}
    for task in TASKS:
        for row in rows(sample_build[0], task):
            assert row["evidence"]
            for item in row["evidence"]:
                assert texts[item["record_id"]][item["start"] : item["end"]] == item["quote"]


def test_doses_rest_on_books_alone(sample_build: Sample) -> None:
    """The sample's dialogues and pairs hold doses; no row of theirs does, and the ledger says so."""
    seen = 0
    for task in TASKS:
        for row in rows(sample_build[0], task):
            said = row["text"] if task == "cpt" else row["chosen" if task == "dfpo" else "messages"][-1]["content"]
            if row["source_kind"] in DOSE_EVIDENCE_KINDS:
                seen += bool(doses(said))
            elif task not in ("general", "self_cognition"):
                assert not doses(said), said
    assert seen > 20
    dropped = {entry["source_id"] for entry in rejects(sample_build[0], "filter") if entry["reason"] == "safety.dose"}
    assert {"dialogues", "qa"} <= dropped


def test_no_drafter_and_no_front_matter(sample_build: Sample) -> None:
    output = sample_build[0]
    reasons = Counter(entry["reason"] for entry in rejects(output, "screen"))
    assert reasons["screen.front_matter"] >= 2
    said = "".join(json.dumps(row, ensure_ascii=False) for task in TASKS for row in rows(output, task))
    held = "".join(record["text"] for record in records(output))
    for name in DRAFTERS:
        assert name not in said
        assert name not in held
    assert "专家组成员" not in said


def test_superseded_adult_and_contaminated_texts_are_out(sample_build: Sample) -> None:
    output = sample_build[0]
    reasons = Counter(entry["reason"] for entry in rejects(output, "screen"))
    assert reasons["screen.superseded"] > 3
    assert reasons["screen.not_pediatric"] >= 7
    for task in TASKS:
        assert not [row for row in rows(output, task) if "2016" in row["source_title"]]
    contaminated = [
        entry
        for stage in ("screen", "decontaminate")
        for entry in rejects(output, stage)
        if entry["reason"] == "decontaminate.benchmark"
    ]
    assert contaminated
    benchmark = (SAMPLE / "benchmark" / "benchmark.jsonl").read_text(encoding="utf-8")
    questions = [json.loads(line)["Question"] for line in benchmark.splitlines()]
    said = "".join(json.dumps(row, ensure_ascii=False) for task in TASKS for row in rows(output, task))
    assert not [question for question in questions if question in said]


def test_personal_data_of_the_dialogues_is_masked(sample_build: Sample) -> None:
    raw = (SAMPLE / "sources" / "dialogues" / "consultations.txt").read_text(encoding="utf-8")
    numbers = set(re.findall(r"(?<!\d)1\d{10}(?!\d)", raw))
    assert numbers
    held = json.dumps([*records(sample_build[0]), *rejects(sample_build[0], "screen")], ensure_ascii=False)
    for number in numbers:
        assert number not in held
    assert "[电话]" in held
    assert "[姓名]" in held


def test_derived_rows_come_from_accepted_ones(sample_build: Sample) -> None:
    accepted = [row for task in ("medkqa", "evidiag", "trerecom") for row in rows(sample_build[0], task)]
    told = {json.dumps(row["messages"], ensure_ascii=False): row for row in accepted}
    for pair in rows(sample_build[0], "dfpo"):
        row = told[json.dumps(pair["prompt"] + pair["chosen"], ensure_ascii=False)]
        assert pair["rejected"] != pair["chosen"]
        assert pair["evidence"] == row["evidence"]
    kinds = Counter(row["provenance"]["generator"] for row in rows(sample_build[0], "cpt"))
    assert kinds["passage"] > 100
    assert kinds["instruction"] > 100
    assert set(kinds) == {"passage", "instruction"}


def test_every_row_says_how_it_was_made(sample_build: Sample) -> None:
    for task in TASKS:
        for row in rows(sample_build[0], task):
            made = row["provenance"]
            assert made["extractor"] and made["generator"]
            assert made["model"] is None and made["request_key"] is None
            assert bool(made["prompt_id"]) == bool(made["prompt_sha256"])


# --- small projects -------------------------------------------------------------------------------------


def textbook(body: str) -> str:
    return f"# 儿科学\n\n## 流行性感冒\n\n{body}"


def test_a_planted_benchmark_item_never_comes_through(project: Project, tmp_path: Path) -> None:
    planted = "婴幼儿患流行性感冒时最常见的并发症是哪一种疾病"
    config = project(
        '[decontaminate]\nbenchmarks = ["exam.jsonl"]\n'
        '[[sources]]\nid = "book"\nkind = "textbook"\npath = "book.md"\n'
        '[[sources]]\nid = "pairs"\nkind = "distilled"\npath = "pairs.jsonl"\n',
        {
            "exam.jsonl": json.dumps(
                {"question": f"{planted}？", "options": {"A": "肺炎", "B": "中耳炎"}, "answer": "A"}
            ),
            "book.md": textbook(
                f"### 并发症\n\n{planted}，对此应予以重视，患儿高热不退时应及时就诊。\n\n"
                "### 预防\n\n六月龄以上的儿童可每年接种流感疫苗，流行季节少去人多的地方。\n"
            ),
            "pairs.jsonl": json.dumps(
                {"instruction": f"{planted}？", "output": "最常见的是肺炎，应注意观察孩子的呼吸。"}
            ),
        },
    )
    output = tmp_path / "build"
    result = build(load_config(config), output, workers=1)
    dropped = [
        entry["source_id"]
        for stage in ("screen", "decontaminate")
        for entry in rejects(output, stage)
        if entry["reason"] == "decontaminate.exam"
    ]
    assert set(dropped) == {"book", "pairs"}
    said = "".join(json.dumps(row, ensure_ascii=False) for task in TASKS for row in rows(output, task))
    assert planted not in said
    assert "流感疫苗" in said
    assert result.manifest["benchmarks"] == [{"name": "exam", "items": 1}]
    assert not verify_build(output)["faults"]


def test_the_newer_edition_wins_whatever_the_order(project: Project, tmp_path: Path) -> None:
    def guideline(year: int, advice: str) -> str:
        content = f"一、定义\n小儿腹泻病是大便次数增多、性状改变的一组疾病。\n二、治疗\n{advice}\n三、预防\n注意饮食卫生，饭前便后洗手。"
        return json.dumps(
            {"title": f"小儿腹泻病诊疗指南（{year}年版）", "url": "", "content": content}, ensure_ascii=False
        )

    files = {
        "a.json": guideline(2020, "首选口服补液，并继续喂养，可补锌。"),
        "b.json": guideline(2009, "禁食一日，静脉补液为先。"),
    }
    for names in (("a.json", "b.json"), ("b.json", "a.json")):
        sources = "".join(
            f'[[sources]]\nid = "s{number}"\nkind = "guideline"\npath = "{name}"\n' for number, name in enumerate(names)
        )
        output = tmp_path / names[0]
        build(load_config(project(sources, files)), output, workers=1)
        said = "".join(json.dumps(row, ensure_ascii=False) for task in TASKS for row in rows(output, task))
        assert "口服补液" in said
        assert "禁食一日" not in said
        assert {entry["reason"] for entry in rejects(output, "screen")} == {"screen.superseded"}


def test_historic_texts_feed_no_row(project: Project, tmp_path: Path) -> None:
    classic = "<目录>\n<篇名>小儿方\n书名：小儿古方\n作者：佚名\n朝代：明\n年份：公元1555年\n\n<目录>卷一\n<篇名>惊风\n属性：小儿急惊，朱砂一钱，研末，蜜水调服，立效。\n"
    config = project(
        '[[sources]]\nid = "old"\nkind = "textbook"\npath = "old.txt"\n'
        '[[sources]]\nid = "new"\nkind = "textbook"\npath = "new.md"\n',
        {
            "old.txt": classic.encode("gb18030"),
            "new.md": textbook("### 治疗\n\n患儿应卧床休息，多饮水，高热时可用退热药。\n"),
        },
    )
    output = tmp_path / "build"
    build(load_config(config), output, workers=1)
    assert "screen.historic" in {entry["reason"] for entry in rejects(output, "screen")}
    said = "".join(json.dumps(row, ensure_ascii=False) for task in TASKS for row in rows(output, task))
    assert "朱砂" not in said
    assert "卧床休息" in said


def test_units_with_like_rows_share_a_split(sample_build: Sample) -> None:
    where: dict[str, set[str]] = {}
    for task in TASKS:
        for split in ("train", "validation", "test"):
            for path in (sample_build[0] / "dataset" / "data" / task).glob(f"{split}-*"):
                for disease in pq.read_table(path, columns=["disease"]).column("disease").to_pylist():
                    if disease:
                        where.setdefault(disease, set()).add(split)
    assert all(len(splits) == 1 for splits in where.values())
    assert {split for splits in where.values() for split in splits} >= {"train", "validation", "test"}


def test_shards_are_cut_at_the_config_s_number_of_rows(tmp_path: Path, project: Project) -> None:
    lines = [
        json.dumps(
            {"instruction": f"请用一句话说说数字{n}。", "output": f"{n}是一个自然数，它的后面是{n + 1}。"},
            ensure_ascii=False,
        )
        for n in range(100, 165)
    ]
    config = project(
        "[split]\nvalidation = 0\ntest = 0\n[shards]\nrows = 20\n"
        '[[sources]]\nid = "general"\nkind = "general"\npath = "g.jsonl"\n',
        {"g.jsonl": "\n".join(lines)},
    )
    result = build(load_config(config), tmp_path / "b", workers=1)
    total = result.dataset["rows"]["general"]["train"]
    sizes = [pq.read_metadata(tmp_path / "b" / "dataset" / name).num_rows for name in result.dataset["shards"]]
    assert total > 40
    assert sizes == [20] * (total // 20) + ([total % 20] if total % 20 else [])


def test_an_output_inside_a_source_is_refused(project: Project, tmp_path: Path) -> None:
    config = project('[[sources]]\nid = "all"\nkind = "general"\npath = "."\n', {"a.jsonl": "{}"})
    with pytest.raises(ConfigError, match="lies inside this source"):
        build(load_config(config), tmp_path / "project" / "build", workers=1)
    assert not (tmp_path / "project" / "build").exists()
