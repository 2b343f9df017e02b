"""Builds that ask a scripted server: sources made to measure, the program in a process of its own, and its cache."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from pedcorpus.builddir import CACHE_NAME, read_json
from tests.conftest import ROOT
from tests.llm.server import Script

_WORDS = "风寒暑湿燥火心肝脾肺肾胃胆肠骨髓脑耳鼻喉舌齿发肤筋脉气血津液精神春夏秋冬东西南北金木水土山石田江河湖海云雨雷电星辰日月松竹梅兰菊桂枫柏杨柳"
_SIGNS = (
    "发热",
    "咳嗽",
    "呕吐",
    "腹泻",
    "皮疹",
    "头痛",
    "乏力",
    "盗汗",
    "气促",
    "拒食",
    "嗜睡",
    "烦躁",
    "便秘",
    "黄疸",
)
_CARES = ("卧床休息", "多饮温水", "保持口腔清洁", "少食多餐", "定期复查", "保持室内通风", "注意保暖", "观察精神状态")


def word(number: int) -> str:
    """A made-up name that no other number has."""
    size = len(_WORDS)
    return _WORDS[number % size] + _WORDS[number // size % size] + _WORDS[(number // size**2 + 7 * number) % size]


def section(number: int) -> str:
    """A section on a made-up disease, unlike every other."""
    name = f"小儿{word(number)}病"
    one, two, three = (_SIGNS[(number * step + step) % len(_SIGNS)] for step in (1, 3, 5))
    care, more = _CARES[number % len(_CARES)], _CARES[(number // 8 + 3) % len(_CARES)]
    return (
        f"## {name}\n\n### 临床表现\n\n{name}多见于{word(number + 31)}地区的学龄前儿童，以{one}和{two}为主要表现。"
        f"部分患儿出现{three}，{word(number * 3)}征阳性时应当考虑{name}。{name}的病程与{word(number * 5)}有关。\n\n"
        f"### 护理\n\n{name}患儿应当{care}，同时{more}。{two}明显的{name}患儿由{word(number * 7)}科医生复诊。"
        f"家长发现患儿{three}加重时应当及时就医。\n"
    )


def book(sections: int, first: int = 0) -> str:
    return "# 儿科学\n\n" + "\n".join(section(number) for number in range(first, first + sections))


@dataclass(frozen=True, slots=True)
class Project:
    """A config and its sources, and the folder that it is built in."""

    config: Path
    output: Path
    env: Mapping[str, str]

    @property
    def cache(self) -> Path:
        return self.output / "state" / CACHE_NAME

    def start(self, *options: object) -> subprocess.Popen[str]:
        """A build in a process group of its own."""
        command = [sys.executable, "-m", "pedcorpus", "build", "--config", self.config, "--output", self.output]
        return subprocess.Popen(
            [*map(str, command), "--workers", "1", *map(str, options)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "OPENAI_API_KEY": "", **self.env},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )

    def build(self, *options: object, timeout: float = 240) -> subprocess.CompletedProcess[str]:
        """A build to its end."""
        running = self.start(*options)
        try:
            out, errors = running.communicate(timeout=timeout)
        except BaseException:
            kill(running)
            raise
        return subprocess.CompletedProcess(running.args, running.returncode, out, errors)

    def within(self, output: Path) -> Project:
        """The same config in another folder."""
        return Project(self.config, output, self.env)

    def manifest(self) -> dict[str, Any]:
        return read_json(self.output / "manifest.json")

    def stage(self, name: str) -> dict[str, Any]:
        """A stage's line, which adds up."""
        line: dict[str, Any] = next(item for item in self.manifest()["stages"] if item["name"] == name)
        assert line["in"] == line["kept"] + sum(line["rejected"].values())
        return line


def kill(running: subprocess.Popen[str]) -> None:
    """End a build and its workers at once."""
    with suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)
    running.communicate()


def write_project(
    folder: Path,
    base_url: str,
    *,
    sections: int = 20,
    tasks: str = '["medkqa"]',
    per_record: int = 3,
    prices: tuple[str, str] = ("0.5", "2"),
    llm: str = "",
    more: str = "",
    env: Mapping[str, str] | None = None,
) -> Project:
    """A project of one book whose sections are asked about; ``llm`` are lines of its section."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "book.md").write_text(book(sections), encoding="utf-8")
    config = folder / "pedcorpus.toml"
    config.write_text(
        f"""
[dataset]
name = "asked"
license = "apache-2.0"

[[sources]]
id = "book"
kind = "textbook"
path = "book.md"
title = "儿科学"
license = "apache-2.0"
options = {{ select = "all" }}

[generate]
backend = "openai"
tasks = {tasks}
per_record = {per_record}

[llm]
base_url = "{base_url}"
model = "scripted"
api_key_env = "OPENAI_API_KEY"
price_input = {prices[0]}
price_output = {prices[1]}
{llm}
{more}
""",
        encoding="utf-8",
    )
    return Project(config, folder / "build", env or {})


def priced(**values: Any) -> Script:
    """A script of a server that asks for what `write_project` says."""
    return Script(price_input="0.5", price_output="2", **values)


def rows(cache: Path, query: str) -> list[tuple[Any, ...]]:
    """Rows of a query to a cache that may be in use or left by a killed build."""
    with closing(sqlite3.connect(cache, timeout=30)) as opened:
        return opened.execute(query).fetchall()


def replies(cache: Path) -> dict[str, str]:
    """How each reply that a server gave ended, by request; what stands for an error is left out."""
    return dict(rows(cache, "SELECT key, finish FROM replies WHERE finish NOT IN ('filter', 'request')"))


def outcomes(cache: Path) -> dict[str, int]:
    """How the calls ended; "" those that nobody waited for."""
    return dict(rows(cache, "SELECT COALESCE(outcome, ''), COUNT(*) FROM calls GROUP BY 1"))


def spent(cache: Path) -> Decimal:
    return sum((Decimal(cost) for (cost,) in rows(cache, "SELECT COALESCE(cost, reserved) FROM calls")), Decimal(0))


def wait_until(true: Callable[[], bool], running: subprocess.Popen[str] | None = None, seconds: float = 120) -> None:
    """Until ``true`` or the build has ended; an error when neither comes."""
    deadline = time.monotonic() + seconds
    while not true():
        if running is not None and running.poll() is not None:
            return
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)
