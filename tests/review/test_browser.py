"""A doctor at the keyboard: a real browser on a real server that is killed in between."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pedcorpus.plugins import Drop
from pedcorpus.records import INSTRUCTION_TASKS, Row
from pedcorpus.review.decisions import apply, decide, latest, read_decisions, unedited
from pedcorpus.review.session import Review
from pedcorpus.run import BuildResult
from tests.builds import rows
from tests.conftest import ROOT, Run
from tests.review.test_build import config_of

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
if CHROMIUM is None:
    pytest.skip("no system chromium (Debian: apt install chromium)", allow_module_level=True)

pytestmark = pytest.mark.slow
PROGRAM = "from pedcorpus.review_cli import review; review()"
SCRIPT = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'>"


def heed_interrupts() -> None:
    """A background job of a shell ignores SIGINT, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Server:
    """`pedcorpus review` in a process of its own."""

    def __init__(self, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-c", PROGRAM, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=heed_interrupts,
        )
        self.said = ""
        self.address = ""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line
            found = re.search(r"http://127\.0\.0\.1:\S+", line)
            if found:
                self.address = found.group()
            if line.startswith("Ctrl-C"):
                break
        assert self.address, self.said

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(20)
        assert self.process.stdout is not None
        self.said += self.process.stdout.read()
        self.process.stdout.close()
        return code


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with api.sync_playwright() as play:
        found = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Desk:
    """One tab and the doctor's hands. ``decided`` counts what the page has confirmed."""

    def __init__(self, tab: Any) -> None:
        self.tab = tab
        self.troubles: list[str] = []
        tab.on("pageerror", lambda error: self.troubles.append(str(error)))
        tab.on("dialog", self._asked)
        tab.on("console", self._heard)
        self.done: dict[str, str] = {}

    def _asked(self, dialog: Any) -> None:
        self.troubles.append(dialog.message)
        dialog.dismiss()

    def _heard(self, message: Any) -> None:
        expected = ("409", "ERR_CONNECTION", "403")
        if message.type == "error" and not any(word in message.text for word in expected):
            self.troubles.append(message.text)

    def row(self) -> str:
        return str(self.tab.get_attribute("#page", "data-row"))

    def press(self, *keys: str) -> None:
        for key in keys:
            self.tab.keyboard.press(key)

    def leaves(self, before: str, decision: str) -> None:
        """Wait for the next page: only then is the decision confirmed."""
        self.tab.wait_for_function("row => document.getElementById('page')?.dataset.row !== row", arg=before)
        self.done[before] = decision

    def accept(self) -> None:
        before = self.row()
        self.press("a")
        self.leaves(before, "accept")

    def reject(self, number: int, text: str = "") -> None:
        before = self.row()
        self.press("r", str(number))
        if text:
            self.tab.keyboard.type(text)
            self.press("Control+Enter")
        self.leaves(before, "reject")

    def edit(self, text: str) -> None:
        before = self.row()
        self.press("e", "Control+End")
        self.tab.keyboard.type(text)
        self.press("Control+Enter")
        self.leaves(before, "edit")


def test_thirty_decisions_by_keyboard_survive_a_crash_and_a_second_tab(
    sample_build: tuple[Path, BuildResult], tmp_path: Path, browser: Any, port: int, run: Run
) -> None:
    build, target = sample_build[0], tmp_path / "li.jsonl"
    arguments = (build, "--reviewer", "li", "--decisions", target, "--sample", 6, "--port", port, "--lang", "en")
    server = Server(*arguments)
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    desk = Desk(context.new_page())
    desk.tab.goto(server.address)
    assert "token" not in desk.tab.url

    for _ in range(6):
        desk.accept()
    for number in range(1, 7):
        desk.reject(number)
    desk.reject(7, "两种剂量互相矛盾 ark")
    instructions = {row["id"] for task in INSTRUCTION_TASKS for row in rows(build, task)}
    while desk.row() not in instructions:  # a pair would be another pair once the row that it is made of is edited
        desk.accept()
    scripted = desk.row()
    desk.edit(SCRIPT)
    desk.press("k")
    desk.tab.wait_for_function("row => document.getElementById('page')?.dataset.row === row", arg=scripted)
    assert SCRIPT in desk.tab.inner_text(".said:has(textarea) > p >> nth=-1")
    assert desk.tab.evaluate("window.hacked") is None
    desk.press("j")
    desk.tab.wait_for_function("row => document.getElementById('page')?.dataset.row !== row", arg=scripted)

    # escape takes back, keys in a text field are text
    before = desk.row()
    desk.press("r", "Escape", "e", "a", "r", "Escape", "?", "?")
    assert desk.row() == before
    assert desk.tab.is_hidden("textarea.edit >> nth=0")

    # the server dies in the middle of a line
    server.end(signal.SIGKILL)
    desk.press("a")
    desk.tab.wait_for_selector("#status.bad button")
    assert "Not saved" in desk.tab.inner_text("#status")
    with target.open("ab") as file:
        file.write(b'{"row_id":"abc","task":"medk')
    server = Server(*arguments)
    assert f"({len(desk.done)} rows decided)" in server.said
    assert "was cut off (28 bytes)" in server.said
    assert target.with_name("li.jsonl.torn").exists()

    # the new address in a second tab; the first one then goes on where it stood
    second = Desk(context.new_page())
    second.tab.goto(server.address)
    assert second.row() == before
    desk.tab.click("#status button")
    desk.leaves(before, "accept")

    # the second tab still shows the row as undecided
    second.press("r", "2")
    second.tab.wait_for_selector("#conflict:not([hidden])")
    assert "You accepted it" in second.tab.inner_text("#newer")
    second.press("2")
    second.leaves(before, "reject")
    desk.done.update(second.done)

    while len(desk.done) < 30:
        if len(desk.done) % 3:
            desk.accept()
        else:
            desk.edit("（已审）")
    assert not desk.troubles and not second.troubles
    assert desk.tab.evaluate("window.hacked") is None
    assert "30 / 42 decided" in desk.tab.inner_text("#decided")
    context.close()
    assert server.end() == 0
    assert "(30 rows decided)" in server.said

    by_row = latest(read_decisions([target]))
    assert {row_id: decisions[0].decision for row_id, decisions in by_row.items()} == desk.done
    assert any(item.detail == "两种剂量互相矛盾 ark" for (item,) in by_row.values())
    assert len(target.read_text(encoding="utf-8").splitlines()) == 31

    # what the next build makes of them
    outcomes = {}
    for item in Review(build, [], 6).items:
        if item.row.id in by_row:
            found = apply(item.row, decide(by_row[item.row.id]))
            outcomes[item.row.id] = "reject" if isinstance(found, Drop) else "keep"
            if isinstance(found, Row) and desk.done[found.id] == "edit":
                assert found.answers() != item.row.answers()
                assert unedited(found).answers() == item.row.answers()
    assert {row: "reject" if said == "reject" else "keep" for row, said in desk.done.items()} == outcomes
    assert SCRIPT in by_row[scripted][0].messages[-1].content  # type: ignore[index]

    # and what it really makes of them
    done = run("build", "--config", config_of(tmp_path, target), "--output", tmp_path / "next")
    assert done.returncode == 0 and "30 rows were decided on" in done.stdout, done.stderr
    kept = {row["id"]: row for task in INSTRUCTION_TASKS for row in rows(tmp_path / "next", task)}
    for row_id, said in desk.done.items():
        if row_id in instructions:
            assert (row_id in kept) == (said != "reject"), said
    assert SCRIPT in kept[scripted]["messages"][-1]["content"]


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_sticks_out(sample_build: tuple[Path, BuildResult], tmp_path: Path, browser: Any, width: int) -> None:
    server = Server(sample_build[0], "--decisions", tmp_path / "x.jsonl", "--sample", 2)
    context = browser.new_context(viewport={"width": width, "height": 860})
    tab = context.new_page()
    tab.goto(server.address)
    tab.fill("#reviewer", "李医生")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("#page")
    for path in [*(f"/row/{number}" for number in range(1, 15)), "/done", "/row/99"]:
        tab.goto(server.address.split("/?")[0] + path)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, path
    context.close()
    assert server.end(signal.SIGINT) == 0
