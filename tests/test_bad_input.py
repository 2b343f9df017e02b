"""Bad input is normal input: a broken file or line is a ledger entry, a broken config or output folder ends with 2."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from tests.builds import records, rejects, rows
from tests.conftest import ROOT, SAMPLE, Project, Run

PAIRS = (
    "question,answer\n孩子三岁，发热一天怎么办？,可以先给孩子多喝水、减少衣物，观察精神状态，持续高热请到医院就诊。\n"
)
GOOD = """
[[sources]]
id = "good"
kind = "conversation"
path = "good.csv"
"""


def build(run: Run, config: Path, *more: object) -> tuple[subprocess.CompletedProcess[str], Path]:
    output = config.parent.parent / "build"
    return run("build", "--config", config, "--output", output, "--workers", 1, *more), output


def one_source(kind: str, path: str, **more: str) -> str:
    lines = "".join(f"{name} = {value}\n" for name, value in more.items())
    return f'[[sources]]\nid = "bad"\nkind = "{kind}"\npath = "{path}"\n{lines}'


def no_traceback(done: subprocess.CompletedProcess[str]) -> None:
    assert "Traceback" not in done.stderr + done.stdout


def pdf(draw: Callable[[Canvas], None], **options: object) -> bytes:
    buffer = BytesIO()
    canvas = Canvas(buffer, **options)
    draw(canvas)
    canvas.save()
    return buffer.getvalue()


def written_page(canvas: Canvas) -> None:
    for line in range(20):
        canvas.drawString(72, 700 - 20 * line, f"A child of {line + 1} years with fever needs fluids and rest.")
    canvas.showPage()


def picture_page(canvas: Canvas) -> None:
    canvas.drawImage(ImageReader(Image.new("RGB", (300, 400), (200, 210, 220))), 72, 200, 300, 400)
    canvas.showPage()


# --- broken files and lines: the build carries on ----------------------------------------------------


BROKEN: dict[str, tuple[str, str, bytes, str]] = {
    "empty file": ("conversation", "bad.csv", b"", "extract.empty_file"),
    "blank file": ("textbook", "bad.md", b" \n\n\t\n", "extract.empty_file"),
    "truncated PDF": ("textbook", "bad.pdf", pdf(written_page)[:600], "extract.broken_pdf"),
    "encrypted PDF": (
        "guideline",
        "bad.pdf",
        pdf(written_page, encrypt=StandardEncryption("secret", ownerPassword="owner")),
        "extract.encrypted",
    ),
    "image-only PDF": ("guideline", "bad.pdf", pdf(picture_page), "extract.image_page"),
    "text named pdf": ("textbook", "bad.pdf", "这不是PDF，只是改了名字的文本。\n".encode(), "extract.wrong_content"),
    "zip named csv": ("conversation", "bad.csv", b"PK\x03\x04" + bytes(range(256)) * 4, "extract.wrong_content"),
    "wrong extension": ("textbook", "bad.docx", b"PK\x03\x04" + bytes(range(256)) * 4, "extract.unsupported"),
    "pointer of Git-LFS": (
        "conversation",
        "bad.csv",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 12345\n",
        "extract.lfs_pointer",
    ),
    "no JSON": ("distilled", "bad.json", b'[{"instruction": "x", "output"', "extract.json"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_file_is_a_ledger_entry(case: str, project: Project, run: Run) -> None:
    kind, name, content, reason = BROKEN[case]
    config = project(GOOD + one_source(kind, name), {"good.csv": PAIRS, name: content})
    done, output = build(run, config)
    no_traceback(done)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith("; 1 files, pages or rows could not be read")
    entries = rejects(output, "extract")
    assert [entry["reason"] for entry in entries] == [reason]
    assert entries[0]["detail"].startswith(name)
    assert entries[0]["source_id"] == "bad"
    assert len(rows(output, "trerecom")) == 1


def test_an_unreadable_file_is_a_ledger_entry(project: Project, run: Run) -> None:
    config = project(GOOD + one_source("conversation", "folder"), {"good.csv": PAIRS, "folder/a.csv": PAIRS})
    (config.parent / "folder" / "gone.csv").symlink_to("nowhere.csv")
    done, output = build(run, config)
    assert done.returncode == 0, done.stderr
    assert [(entry["reason"], entry["detail"][:8]) for entry in rejects(output, "extract")] == [
        ("extract.unreadable", "gone.csv")
    ]


def test_one_broken_line_in_ten_thousand(project: Project, run: Run) -> None:
    lines = [
        json.dumps(
            {
                "instruction": f"第{n}题：请写一句和数字{n}有关的话。",
                "output": f"这句话里有数字{n}，它是一个普通的数字。",
            },
            ensure_ascii=False,
        )
        for n in range(10_000)
    ]
    lines[7_331] = lines[7_331][:-9]
    config = project(one_source("general", "bad.jsonl"), {"bad.jsonl": "\n".join(lines)})
    done, output = build(run, config, "--limit", 20_000)
    assert done.returncode == 0, done.stderr
    [entry] = rejects(output, "extract")
    assert entry["reason"] == "extract.json"
    assert "7332" in entry["detail"].replace(",", "")
    assert len(records(output)) == 9_999


def test_a_field_of_the_wrong_type_names_file_line_and_field(project: Project, run: Run) -> None:
    lines = [
        {"instruction": "请介绍一下你最喜欢的季节。", "output": "我最喜欢秋天，天气凉爽，树叶变黄，适合散步。"},
        {"instruction": "请介绍一下春天。", "output": 12},
        {"instruction": {"text": "请介绍一下夏天。"}, "output": "夏天很热，白天很长，适合游泳。"},
        {"output": "只有回答，没有问题。"},
    ]
    text = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
    done, output = build(run, project(one_source("general", "bad.jsonl"), {"bad.jsonl": text}))
    assert done.returncode == 0, done.stderr
    found = [(entry["reason"], entry["detail"]) for entry in rejects(output, "extract")]
    assert [reason for reason, _ in found] == ["extract.field"] * 3
    for number, (field, (_, detail)) in enumerate(zip(("output", "instruction", "question"), found, strict=True), 2):
        assert detail.startswith("bad.jsonl")
        assert f"line {number}" in detail
        assert field in detail


def test_mixed_line_ends(project: Project, run: Run) -> None:
    text = "# 儿科手册\r\n\r\n## 流行性感冒\r\r### 临床表现\n\n患儿常有高热、寒战、头痛和全身酸痛，\r\n婴幼儿可有呕吐和腹泻。\r\n\r\n### 预防\n\n六月龄以上的儿童可接种流感疫苗。\r"
    done, output = build(run, project(one_source("textbook", "bad.md"), {"bad.md": text}))
    assert done.returncode == 0, done.stderr
    found = {tuple(record["section_path"])[-1]: record["text"] for record in records(output)}
    assert set(found) == {"临床表现", "预防"}
    assert "\r" not in "".join(found.values())


def test_invalid_bytes_in_gb18030(project: Project, run: Run) -> None:
    good = "# 儿科手册\n\n## 麻疹\n\n### 临床表现\n\n患儿发热三四天后，从耳后开始出现红色斑丘疹，口腔黏膜可见麻疹黏膜斑。\n\n".encode(
        "gb18030"
    )
    bad = "### 治疗\n\n患儿应卧床休息，补充维生素A。".encode("gb18030")
    done, output = build(run, project(one_source("textbook", "bad.txt"), {"bad.txt": good + b"\xff\xff" + bad}))
    assert done.returncode == 0, done.stderr
    assert any(entry["reason"] == "extract.encoding" for entry in rejects(output, "extract"))
    assert any("麻疹黏膜斑" in record["text"] for record in records(output))


def test_duplicate_ids_and_rows_are_told_apart(project: Project, run: Run) -> None:
    line = {
        "id": 7,
        "instruction": "请介绍一下你最喜欢的季节。",
        "output": "我最喜欢秋天，天气凉爽，树叶变黄，适合散步。",
    }
    other = {**line, "instruction": "请说说北方的冬天。", "output": "北方的冬天寒冷干燥，常有大雪，屋里有暖气。"}
    text = "\n".join(json.dumps(item, ensure_ascii=False) for item in (line, other, line))
    done, output = build(run, project(one_source("general", "bad.jsonl"), {"bad.jsonl": text}))
    assert done.returncode == 0, done.stderr
    assert len({record["id"] for record in records(output)}) == 3
    assert [entry["reason"] for entry in rejects(output, "screen")] == ["screen.duplicate"]
    assert len(rows(output, "general")) == 2


def test_a_source_without_license_builds_as_unknown(project: Project, run: Run) -> None:
    done, output = build(run, project(GOOD, {"good.csv": PAIRS}))
    assert done.returncode == 0, done.stderr
    assert {row["license"] for row in rows(output, "trerecom")} == {"unknown"}
    manifest = json.loads((output / "dataset" / "manifest.json").read_text(encoding="utf-8"))
    assert [source["license"] for source in manifest["sources"]] == ["unknown"]


# --- broken configs: 2, before any work --------------------------------------------------------------


def refused(done: subprocess.CompletedProcess[str], output: Path, *words: str) -> None:
    no_traceback(done)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: ")
    for word in words:
        assert word in done.stderr
    assert not output.exists()


def test_missing_path(project: Project, run: Run) -> None:
    done, output = build(run, project(GOOD, {}))
    refused(done, output, "sources[0] (good)", "path does not exist", "good.csv", "hint: ")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[dedup]\njacard = 0.8\n", ("dedup.jacard", "jaccard")),
        ("[dedups]\njaccard = 0.8\n", ("dedups", "dedup")),
        ("[dedup]\njaccard = 8\n", ("dedup.jaccard", "1")),
        ("[dedup]\njaccard = 'high'\n", ("dedup.jaccard", "number")),
        ("[filters.lenght]\nshortest = 3\n", ("filters.lenght", "length")),
        ("[filters.dose]\nenabled = false\n", ("filters.dose", "safety")),
        ("[generate]\ntasks = ['medkq']\n", ("generate.tasks", "medkqa")),
        ("[generate]\ntasks = ['dfpo']\n", ("generate.tasks", "dfpo", "medkqa")),
        ("[dataset\n", ("line",)),
    ],
)
def test_a_broken_config_names_the_place_and_the_nearest_key(
    text: str, words: tuple[str, ...], project: Project, run: Run
) -> None:
    config = project(f"{text}{GOOD}", {"good.csv": PAIRS})
    done, output = build(run, config)
    refused(done, output, str(config), *words)


def test_unknown_key_of_a_source_and_unknown_kind(project: Project, run: Run) -> None:
    done, output = build(run, project(one_source("conversation", "good.csv", licence='"mit"'), {"good.csv": PAIRS}))
    refused(done, output, "sources[0]", "licence", "license")
    done, output = build(run, project(one_source("conversations", "good.csv"), {"good.csv": PAIRS}))
    refused(done, output, "sources[0].kind", "conversation")


def test_two_sources_with_one_id(project: Project, run: Run) -> None:
    done, output = build(run, project(GOOD + GOOD, {"good.csv": PAIRS}))
    refused(done, output, "two sources have the id 'good'")


def test_every_mistake_is_told_at_once(project: Project, run: Run) -> None:
    config = project("[dedup]\njacard = 1\nedit = 7\n" + one_source("conversation", "good.csv", licence='"x"'), {})
    done, output = build(run, config)
    refused(done, output, "jacard", "edit", "licence")


def test_missing_config_and_unset_variable(project: Project, run: Run, tmp_path: Path) -> None:
    output = tmp_path / "build"
    done = run("build", "--config", tmp_path / "nothing.toml", "--output", output)
    refused(done, output, "nothing.toml", "pedcorpus init")
    done, output = build(run, project(one_source("conversation", "${NO_SUCH_VARIABLE}/x"), {}))
    refused(done, output, "NO_SUCH_VARIABLE", "not set")


# --- output folders that cannot be used ---------------------------------------------------------------


def test_output_in_a_file_or_beside_other_files(run: Run, tmp_path: Path) -> None:
    taken = tmp_path / "taken"
    taken.write_text("x")
    done = run("build", "--config", SAMPLE / "pedcorpus.toml", "--output", taken)
    assert done.returncode == 2
    assert str(taken) in done.stderr
    assert taken.read_text() == "x"
    full = tmp_path / "full"
    full.mkdir()
    (full / "thesis.txt").write_text("x")
    done = run("build", "--config", SAMPLE / "pedcorpus.toml", "--output", full)
    assert done.returncode == 2
    assert "thesis.txt" in done.stderr
    assert [path.name for path in full.iterdir()] == ["thesis.txt"]


@pytest.mark.skipif(
    os.geteuid() == 0 and not shutil.which("setpriv"), reason="root may write everywhere, and no setpriv"
)
def test_output_not_writable(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o555)
    command = [sys.executable, "-m", "pedcorpus", "build", "--config", str(SAMPLE / "pedcorpus.toml")]
    command += ["--output", str(folder / "build")]
    if os.geteuid() == 0:  # give up the power to override permissions
        command = ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override", *command]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=120, check=False
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"error: cannot write under {folder}")
    assert "Permission denied" in done.stderr
    assert "hint: " in done.stderr


@pytest.mark.parametrize("workers", [1, 2])
def test_no_space_left(workers: int, run: Run, tmp_path: Path, sample_build: tuple[Path, object]) -> None:
    """A limit on the size of files stands in for a full disk; afterwards the build goes on and is complete."""
    output = tmp_path / "build"
    command = f"ulimit -f 40; exec {sys.executable} -m pedcorpus build --workers {workers} "
    command += f"--config {SAMPLE / 'pedcorpus.toml'} --output {output}"
    done = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=120,
        check=False,
    )
    no_traceback(done)
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("error: no space left while writing under ")
    assert "it goes on where it stopped" in done.stderr
    assert not list(output.rglob("*.tmp"))
    done = run("build", "--config", SAMPLE / "pedcorpus.toml", "--output", output)
    assert done.returncode == 0, done.stderr
    expected = sample_build[0] / "dataset" / "manifest.json"
    assert (output / "dataset" / "manifest.json").read_bytes() == expected.read_bytes()


def test_fields_that_no_row_has_are_told(project: Project, run: Run) -> None:
    """A column that the config names and no row has is an entry that names it; a build without rows says why."""
    source = one_source("conversation", "pairs.csv", options='{ fields = { answer = "医嘱" } }')
    done, output = build(run, project(source, {"pairs.csv": PAIRS}))
    assert done.returncode == 1
    no_traceback(done)
    entries = rejects(output, "extract")
    assert {entry["reason"] for entry in entries} == {"extract.field"}
    assert all("no field '医嘱' with the answer" in entry["detail"] for entry in entries)
    assert "error: no row was made" in done.stderr
    assert f"extract.field ({len(entries)})" in done.stderr


def test_a_mistyped_field_is_refused_before_any_work(project: Project, run: Run) -> None:
    source = one_source("conversation", "pairs.csv", options='{ fields = { answr = "医嘱" } }')
    done, output = build(run, project(source, {"pairs.csv": PAIRS}))
    assert done.returncode == 2
    no_traceback(done)
    assert "unknown field 'answr'" in done.stderr
    assert "'answer'" in done.stderr
    assert not output.exists()
