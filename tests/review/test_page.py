"""The page through Flask's own client: who gets in, what is escaped, what a form may say."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from pedcorpus.records import QualityNote, Version
from pedcorpus.review.app import create_app
from pedcorpus.review.decisions import apply, decide, read_decisions
from pedcorpus.review.guard import Secrets
from pedcorpus.review.sample import Item
from pedcorpus.review.session import Review
from pedcorpus.run import BuildResult
from tests.conftest import ROOT
from tests.review.making import ANSWER, make_decision, make_pair, make_row, said

BAD = "<script>alert(1)</script>\"'&"
HELD = Secrets()


class Page:
    """A client that has come in by the printed address."""

    def __init__(self, review: Review, enter: bool = True) -> None:
        self.review = review
        self.client: FlaskClient = create_app(review, HELD, "en").test_client()
        self.count = 0
        if enter:
            assert self.client.get(f"/?token={HELD.token}").status_code == 303

    def get(self, path: str, **values: Any) -> TestResponse:
        return self.client.get(path, **values)

    def html(self, path: str) -> str:
        answer = self.get(path)
        assert answer.status_code == 200, answer.text
        return answer.text

    def post(self, path: str, body: Any, headers: dict[str, str] | None = None) -> TestResponse:
        return self.client.post(path, json=body, headers={"X-CSRF-Token": HELD.csrf, **(headers or {})})

    def decide(self, number: int, decision: str, seen: int = 0, **values: Any) -> TestResponse:
        self.count += 1
        body = {"request": f"{self.count:032x}", "seen": seen, "decision": decision, **values}
        return self.post(f"/row/{number}/decision", body)


@pytest.fixture
def build(sample_build: tuple[Path, BuildResult]) -> Path:
    return sample_build[0]


@pytest.fixture
def page(build: Path, tmp_path: Path) -> Iterator[Page]:
    review = Review(build, [], 4, None, tmp_path / "li.jsonl")
    review.begin("li")
    yield Page(review)
    review.close()


def put(page: Page, **values: Any) -> None:
    """Make row 1 another one."""
    row = values.pop("row", None) or make_row(**values)
    page.review.items[0] = Item(row, "train", "data/medkqa/train-00000-of-00001.parquet")


# --- who gets in ---


def test_nobody_enters_without_the_token(build: Path, tmp_path: Path) -> None:
    page = Page(Review(build, ["medkqa"], 2, None, tmp_path / "x.jsonl"), enter=False)
    for path in (
        "/",
        "/?token=wrong",
        "/row/1",
        "/row/1/page/1.png",
        "/done",
        "/session",
        "/nothing",
        f"/row/1?token={HELD.token}",
    ):
        answer = page.get(path)
        assert answer.status_code == 403, path
        assert HELD.csrf not in answer.text
    assert page.post("/reviewer", {"reviewer": "x"}).status_code == 403
    assert page.get("/static/review.css").status_code == 200


def test_the_token_becomes_a_cookie_and_leaves_the_address(page: Page) -> None:
    answer = page.get(f"/?token={HELD.token}")
    assert answer.headers["Location"] == "/"
    cookie = answer.headers["Set-Cookie"]
    assert "SameSite=Strict" in cookie and "HttpOnly" in cookie and HELD.token not in cookie
    assert page.get("/").headers["Location"] == "/row/1"


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "evil.example:80", "", "[::1", "10.0.0.1"])
def test_a_foreign_host_is_refused(page: Page, host: str) -> None:
    assert page.get("/row/1", headers={"Host": host}).status_code == 400
    assert page.get("/static/review.js", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1:9", "localhost", "localhost:8000"])
def test_a_tunnel_may_change_the_port(page: Page, host: str) -> None:
    from pedcorpus.review.guard import is_ours

    with page.client.application.test_request_context(headers={"Host": host}) as context:
        assert is_ours(context.request)


def test_a_post_needs_the_csrf_token_json_and_our_origin(page: Page) -> None:
    body = {"request": "0" * 32, "seen": 0, "decision": "accept"}
    path = "/row/1/decision"
    for headers in (
        {},
        {"X-CSRF-Token": "no"},
        {"X-CSRF-Token": HELD.csrf, "Origin": "http://evil.example"},
        {"X-CSRF-Token": HELD.csrf, "Origin": "null"},
    ):
        assert page.client.post(path, json=body, headers=headers).status_code == 403
    form = page.client.post(path, data=body, headers={"X-CSRF-Token": HELD.csrf})
    assert form.status_code == 403
    assert page.review.opened().count() == 0
    assert page.post(path, body, {"Origin": "http://localhost"}).status_code == 200


def test_every_answer_forbids_inline_script_and_frames(page: Page) -> None:
    for path in ("/row/1", "/nothing", "/static/review.js", "/session"):
        headers = page.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"


def test_the_pages_hold_no_inline_script_style_or_foreign_address() -> None:
    folder = ROOT / "pedcorpus" / "review"
    for path in [*folder.glob("templates/*.html"), *folder.glob("static/*")]:
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text, path
        assert "|safe" not in text.replace(" ", "") and "innerHTML" not in text, path
        if path.suffix == ".html":
            assert not re.search(r"\son\w+=|\sstyle=|<style|<script(?! src)", text), path


# --- what it shows ---


def test_every_text_is_escaped(page: Page) -> None:
    row = make_row(
        f"{BAD}？", BAD, source_title=BAD, license=BAD, disease=BAD, department=BAD, id=BAD,
        quality=(QualityNote(BAD, 0.5, BAD),),
        provenance=replace(make_row().provenance, model=BAD, prompt_id=BAD, version_trail=(Version(BAD, BAD),)),
    )  # fmt: skip
    page.review.records["r1"] = {
        "id": "r1", "source_title": BAD, "section_path": [BAD], "edition": BAD, "license": BAD, "boxes": [],
        "text": BAD + "。" * 20, "extra": {},
    }  # fmt: skip
    put(page, row=row)
    html = page.html("/row/1")
    assert "<script>alert" not in html
    assert html.count("&lt;script&gt;alert(1)") > 12
    put(page, row=make_pair(source_title=BAD))
    assert "<script>alert" not in page.html("/row/1")
    assert page.decide(1, "reject", reason="other", detail=BAD).status_code == 200
    assert "<script>alert" not in page.html("/row/1") and "&lt;script&gt;" in page.html("/row/1")
    assert page.decide(1, "edit", seen=1, texts=[BAD]).status_code == 200
    assert "<script>alert" not in page.html("/row/1")
    newer = page.decide(1, "accept", seen=0)
    assert newer.status_code == 409


@pytest.mark.parametrize(
    "task", ["medkqa", "evidiag", "trerecom", "safety", "self_cognition", "general", "cpt", "dfpo"]
)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_config_is_shown(build: Path, tmp_path: Path, task: str, language: str) -> None:
    review = Review(build, [task], 3, None, tmp_path / "x.jsonl")
    review.begin("li")
    page = Page(review)
    for number in range(1, 4):
        html = page.html(f"/row/{number}?lang={language}")
        row = review.items[number - 1].row
        assert row.id in html
        assert "<mark>" in html
        assert ("textarea" in html.split("<footer")[0]) == (task != "cpt")
    review.close()


def test_the_page_of_the_book_is_drawn_and_nothing_else(page: Page) -> None:
    pictures = 0
    for number, _item in enumerate(page.review.items, 1):
        places = len(re.findall(r'class="picture"', page.html(f"/row/{number}")))
        for place in range(1, places + 1):
            drawn = page.get(f"/row/{number}/page/{place}.png")
            assert drawn.content_type == "image/png" and drawn.data.startswith(b"\x89PNG")
            pictures += 1
        assert page.get(f"/row/{number}/page/{places + 1}.png").status_code == 404
    assert pictures
    for path in ("/row/0", "/row/-1", "/row/999", "/row/x", "/row/1/page/0.png", "/row/1/page/..%2f1.png", "/row/1/page/../../x",
                 "/static/../app.py", "/static/..%2fapp.py", "/static/%2e%2e/app.py"):  # fmt: skip
        assert page.get(path).status_code == 404, path


def test_a_source_that_is_gone_is_said_so(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    from pedcorpus.errors import PedcorpusError
    from pedcorpus.review import view

    def gone(*_: object) -> Path:
        raise PedcorpusError("the source file is gone: book.pdf")

    monkeypatch.setattr(view, "source_file", gone)
    shown = [page.html(f"/row/{number}") for number in range(1, len(page.review.items) + 1)]
    assert any("cannot be shown" in html and "book.pdf" in html for html in shown)


def test_what_other_reviewers_said_is_not_shown(page: Page) -> None:
    row = make_row()
    row = apply(
        row,
        decide(
            [
                make_decision("b", "edit", messages=said(row, "改。")),
                make_decision("c", "edit", messages=said(row, "改。")),
            ]
        ),
    )  # type: ignore[assignment]
    put(page, row=row)
    html = page.html("/row/1")
    assert "改。" in html
    assert "2 of 2" not in html and "before review" not in html and ">多饮水，注意休息。</p>" not in html


def test_both_languages_say_the_same_things() -> None:
    said = tomllib.loads((ROOT / "pedcorpus" / "review" / "words.toml").read_text(encoding="utf-8"))
    assert said["zh"].keys() == said["en"].keys()
    for key in said["zh"]:
        assert set(re.findall(r"\{\w+\}", said["zh"][key])) == set(re.findall(r"\{\w+\}", said["en"][key])), key
    used = "".join(
        path.read_text(encoding="utf-8") for path in (ROOT / "pedcorpus" / "review" / "templates").glob("*.html")
    )
    for key in set(re.findall(r"\bw\.(\w+)", used)):
        assert key in said["zh"], key


def test_the_language_is_remembered(page: Page) -> None:
    assert 'lang="en"' in page.html("/row/1")
    assert 'lang="zh-CN"' in page.html("/row/1?lang=zh")
    assert 'lang="zh-CN"' in page.html("/row/2")


# --- what it takes ---


def test_decisions_reach_the_file(page: Page, tmp_path: Path) -> None:
    put(page)
    row = page.review.items[0].row
    assert page.decide(1, "accept").get_json()["next"] == "/row/2"
    assert page.decide(1, "reject", seen=1, reason="wrong_dose").status_code == 200
    assert page.decide(1, "edit", seen=2, texts=[" 改了。\r\n再改。 "]).status_code == 200
    found = list(read_decisions([tmp_path / "li.jsonl"]))
    assert [(item.row_id, item.task, item.reviewer, item.decision, item.reason) for item in found] == [
        (row.id, "medkqa", "li", "accept", None),
        (row.id, "medkqa", "li", "reject", "wrong_dose"),
        (row.id, "medkqa", "li", "edit", None),
    ]
    assert found[2].messages == said(row, "改了。\n再改。")
    assert found[0].time and found[0].row_sha256
    assert "You edited it" in page.html("/row/1")
    assert "Accept the original" in page.html("/row/1")


@pytest.mark.parametrize(
    "body",
    [
        [], {}, {"decision": "maybe"}, {"seen": "0"}, {"seen": True}, {"request": "../x"}, {"request": 1},
        {"decision": "reject"}, {"decision": "reject", "reason": "boring"}, {"decision": "reject", "reason": "other", "detail": " "},
        {"decision": "reject", "reason": "unsafe", "detail": "x" * 3000}, {"decision": "reject", "reason": "unsafe", "detail": 1},
        {"decision": "edit"}, {"decision": "edit", "texts": []}, {"decision": "edit", "texts": ["a", "b"]},
        {"decision": "edit", "texts": [1]}, {"decision": "edit", "texts": ["  "]}, {"decision": "edit", "texts": [ANSWER + "\n"]},
        {"decision": "edit", "texts": ["x" * 60_000]}, {"decision": "edit", "texts": ["a\x00b"]}, {"decision": "edit", "texts": ["\ud800"]},
    ],
)  # fmt: skip
def test_a_form_that_makes_no_sense_is_refused_in_words(page: Page, body: Any) -> None:
    put(page)
    if body:
        body = {"request": "0" * 32, "seen": 0, "decision": "accept", **body}
    answer = page.post("/row/1/decision", body)
    assert answer.status_code == 400
    assert answer.get_json()["error"]
    assert page.review.opened().count() == 0


def test_a_huge_request_is_refused(page: Page) -> None:
    assert page.post("/row/1/decision", {"texts": ["x" * 1_100_000]}).status_code == 413


def test_running_text_cannot_be_edited(page: Page) -> None:
    put(page, task="cpt", messages=(), text="文本")
    assert page.decide(1, "edit", texts=["x"]).status_code == 400
    assert page.decide(1, "accept").status_code == 200


def test_a_stale_tab_gets_the_newer_decision(page: Page) -> None:
    assert page.decide(1, "reject", reason="unsafe").status_code == 200
    answer = page.decide(1, "accept")
    assert answer.status_code == 409
    assert answer.get_json()["seen"] == 1
    assert answer.get_json()["newer"].startswith("You rejected it (unsafe), ")
    assert page.decide(1, "accept", seen=1).status_code == 200


def test_accepting_a_text_that_review_made_names_it(page: Page, tmp_path: Path) -> None:
    row = make_row()
    edited = apply(row, decide([make_decision("b", "edit", messages=said(row, "改。"))]))
    put(page, row=edited)
    assert page.decide(1, "accept").status_code == 200
    mine = next(read_decisions([tmp_path / "li.jsonl"]))
    assert mine.decision == "accept" and mine.messages == said(row, "改。")
    again = apply(row, decide([make_decision("b", "edit", messages=said(row, "改。")), mine]))
    assert again.messages[1].content == "改。"  # type: ignore[union-attr]
    assert not page.review.is_open(page.review.items[0])


def test_a_decision_on_an_earlier_text_is_asked_for_again(page: Page) -> None:
    row = make_row()
    put(page, row=row)
    assert page.decide(1, "accept").status_code == 200
    assert not page.review.is_open(page.review.items[0])
    put(page, row=apply(row, decide([make_decision("b", "edit", messages=said(row, "改。"))])))
    assert page.review.is_open(page.review.items[0])
    assert "earlier text" in page.html("/row/1")


def test_ones_own_edit_in_the_next_build_stays_decided(page: Page, tmp_path: Path) -> None:
    row = make_row()
    put(page, row=row)
    page.decide(1, "edit", texts=["改。"])
    mine = list(read_decisions([tmp_path / "li.jsonl"]))
    put(page, row=apply(row, decide(mine)))
    assert not page.review.is_open(page.review.items[0])


def test_a_full_disk_is_told(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    from pedcorpus.errors import DiskFullError

    def full(*_: object) -> None:
        raise DiskFullError("no space left", "free some")

    monkeypatch.setattr(page.review.opened(), "add", full)
    answer = page.decide(1, "accept")
    assert answer.status_code == 507
    assert "no space left" in answer.get_json()["error"]


# --- going about ---


def test_the_undecided_are_walked_through_to_the_end(page: Page) -> None:
    total = len(page.review.items)
    number = 3
    seen = []
    path = "/row/3?show=undecided"
    while path.startswith("/row"):
        number = int(path.split("/")[2].split("?")[0])
        seen.append(number)
        body = {"request": f"{number:032x}", "seen": 0, "decision": "accept"}
        path = page.post(f"/row/{number}/decision?show=undecided", body).get_json()["next"]
    assert sorted(seen) == list(range(1, total + 1))
    assert path.startswith("/done")
    assert "All done" in page.html(path)
    assert page.get("/").headers["Location"].startswith("/done")


def test_reviewers_get_the_same_rows_in_another_order(build: Path, tmp_path: Path) -> None:
    orders = []
    for name in ("li", "wu"):
        review = Review(build, ["medkqa", "dfpo"], 10, 3, tmp_path / f"{name}.jsonl")
        review.begin(name)
        orders.append([item.row.id for item in review.items])
        review.close()
    assert orders[0] != orders[1]
    assert set(orders[0]) == set(orders[1])
    assert len(orders[0]) == 20
    other = Review(build, ["medkqa", "dfpo"], 10, 4)
    assert {item.row.id for item in other.items} != set(orders[0])


def test_the_page_asks_who_reviews_and_takes_the_first(build: Path, tmp_path: Path) -> None:
    review = Review(build, ["medkqa"], 2, None, tmp_path / "x.jsonl")
    page = Page(review)
    assert "Who reviews?" in page.html("/")
    assert page.get("/row/1").status_code == 404
    assert page.get("/done").status_code == 303
    refused: list[Any] = [{"reviewer": " "}, {"reviewer": 1}, {}, []]
    for bad in refused:
        assert page.post("/reviewer", bad).status_code == 400
    assert page.post("/reviewer", {"reviewer": " 李医生 "}).get_json()["next"] == "/"
    assert page.post("/reviewer", {"reviewer": "other"}).status_code == 200
    assert review.opened().reviewer == "李医生"
    review.close()


def test_unknown_configs_are_named(build: Path) -> None:
    from pedcorpus.errors import PedcorpusError

    with pytest.raises(PedcorpusError, match="no rows of the config 'nope'") as caught:
        Review(build, ["nope"])
    assert "medkqa" in caught.value.hint
