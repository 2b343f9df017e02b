"""The report: one page, no network, nothing of a source taken for markup."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

from pedcorpus.config import load_config
from pedcorpus.pipeline import build
from pedcorpus.run import BuildResult
from tests.builds import rejects

VOID = {"meta", "br", "hr", "img", "input", "link", "rect", "line"}


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.text += " "
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def page(path: Path) -> Page:
    parsed = Page()
    parsed.feed(path.read_text(encoding="utf-8"))
    assert parsed.open == []
    return parsed


def test_self_contained(sample_build: tuple[Path, BuildResult]) -> None:
    source = (sample_build[0] / "report.html").read_text(encoding="utf-8")
    found = page(sample_build[0] / "report.html")
    for tag, attributes in found.tags:
        assert tag not in ("script", "link", "iframe", "object")
        for name in ("src", "href"):
            assert not (attributes.get(name) or "#").startswith(("http", "//"))
    assert "url(" not in source
    assert "@import" not in source


def test_figures(sample_build: tuple[Path, BuildResult]) -> None:
    output, result = sample_build
    found = page(output / "report.html")
    told = re.sub(r"\s+", " ", found.text)
    for stage in result.manifest["stages"]:
        assert f"{stage['in']:,}" in told
        for reason, count in stage["rejected"].items():
            assert f"{stage['name']} {reason} {count:,}" in told
            assert any(
                entry["detail"][:40] in found.text
                for entry in rejects(output, stage["name"])
                if entry["reason"] == reason
            )
    for task, by_split in result.dataset["rows"].items():
        cells = [f"{by_split.get(split, 0):,}" for split in ("train", "validation", "test")]
        assert f"{task} {' '.join(cells)} {sum(by_split.values()):,}" in told
    for source in result.dataset["sources"]:
        assert f"{source['id']} {source['kind']}" in told


def test_source_text_is_never_markup(project: Callable[..., Path], tmp_path: Path) -> None:
    text = '孩子<script>alert(1)</script><img src="http://x/y.png">，今年三岁，每天早睡早起，喜欢画画和踢球，也喜欢和小朋友一起读书讲故事。'
    config = project(
        '[[sources]]\nid = "g"\nkind = "general"\npath = "g.csv"\ntitle = "<b>{{ name }}</b>"\n',
        {"g.csv": f'question,answer\n请把这句话改得更通顺一些，谢谢你。,"{text.replace(chr(34), chr(34) * 2)}"\n'},
    )
    build(load_config(config), tmp_path / "b", workers=1)
    found = page(tmp_path / "b" / "report.html")
    assert {tag for tag, _ in found.tags}.isdisjoint({"script", "b", "img"})
    assert "alert(1)" in found.text
    assert "<b>{{ name }}</b>" in found.text
