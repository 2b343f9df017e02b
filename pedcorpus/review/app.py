"""The pages: a Flask application around one review."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from pedcorpus.errors import PedcorpusError
from pedcorpus.review import view
from pedcorpus.review.decisions import REASONS, Decision, editable
from pedcorpus.review.forms import FormError, read_form
from pedcorpus.review.guard import Secrets, cookie_name, has_token, protect
from pedcorpus.review.journal import StaleError
from pedcorpus.review.sample import Item
from pedcorpus.review.session import Review

if TYPE_CHECKING:
    from flask import Flask

LANGUAGES = ("zh", "en")
_LARGEST_REQUEST = 1_000_000


@cache
def words(language: str) -> SimpleNamespace:
    """What the page says in a language."""
    said = tomllib.loads((files("pedcorpus.review") / "words.toml").read_text(encoding="utf-8"))
    return SimpleNamespace(**said[language])


def create_app(review: Review, held: Secrets, language: str = "zh") -> Flask:
    """The application of one run; ``language`` is shown until the reviewer chooses another."""
    from flask import Flask, abort, jsonify, make_response, redirect, render_template, request, url_for
    from flask.typing import ResponseReturnValue
    from werkzeug.exceptions import HTTPException

    app = Flask("pedcorpus.review")
    app.config["MAX_CONTENT_LENGTH"] = _LARGEST_REQUEST
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    protect(app, held)

    def chosen_language() -> str:
        for found in (request.args.get("lang"), request.cookies.get(f"{cookie_name(request)}_lang")):
            if found in LANGUAGES:
                return found
        return language

    def page(template: str, code: int = 200, **values: Any) -> ResponseReturnValue:
        spoken = chosen_language()
        html = render_template(
            template, w=words(spoken), language=spoken, csrf=held.csrf, name=review.name, review=review, **values
        )
        response = make_response(html, code)
        if request.args.get("lang") == spoken:
            response.set_cookie(f"{cookie_name(request)}_lang", spoken, samesite="Strict", httponly=True)
        return response

    def refuse(code: int, key: str, more: str = "") -> ResponseReturnValue:
        return jsonify(error=getattr(words(chosen_language()), key, "") + more), code

    def undecided() -> bool:
        return request.args.get("show") == "undecided"

    def address(number: int | None) -> str:
        show = "undecided" if undecided() else None
        return url_for("done", show=show) if number is None else url_for("row", number=number, show=show)

    def item_at(number: int) -> Item:
        if review.journal is None or not 0 < number <= len(review.items):
            abort(404)
        return review.items[number - 1]

    @app.get("/")
    def home() -> ResponseReturnValue:
        if has_token(request, held):
            response = redirect(url_for("home"), 303)
            response.set_cookie(cookie_name(request), held.cookie, samesite="Strict", httponly=True)
            return response
        if review.journal is None:
            return page("start.html")
        return redirect(address(review.after(0, True)), 303)

    @app.post("/reviewer")
    def reviewer() -> ResponseReturnValue:
        form = request.get_json()
        name = form.get("reviewer") if isinstance(form, dict) else None
        if not isinstance(name, str):
            return refuse(400, "bad_request")
        try:
            review.begin(name)
        except PedcorpusError as error:
            return refuse(400, "refused", error.message)
        return jsonify(next=url_for("home"))

    @app.get("/session")
    def session() -> ResponseReturnValue:
        return jsonify(csrf=held.csrf)

    @app.get("/row/<int:number>")
    def row(number: int) -> ResponseReturnValue:
        item = item_at(number)
        journal = review.opened()
        decision = journal.last(item.row.id)
        return page(
            "row.html",
            item=item,
            row=item.row,
            number=number,
            total=len(review.items),
            done=review.done(),
            decision=decision,
            stale=decision is not None and not view.still_holds(item.row, decision),
            seen=journal.number(item.row.id),
            editable=editable(item.row),
            texts=view.texts(item.row),
            answers=view.answers(item.row, decision),
            cited=view.cited(item.row, review.records),
            pages=view.pages(review.root, item.row, review.records),
            checks=view.blind_checks(item.row),
            versions=view.blind_trail(item.row),
            reasons=REASONS,
            undecided=undecided(),
            next=address(review.after(number, undecided())),
            previous=address(review.before(number, undecided()) or number),
            recent=address(review.recent() or number),
        )

    @app.post("/row/<int:number>/decision")
    def decide(number: int) -> ResponseReturnValue:
        item = item_at(number)
        journal = review.opened()
        try:
            decision, seen = read_form(item.row, request.get_json(), journal.reviewer)
            journal.add(decision, seen)
        except FormError as error:
            return refuse(400, error.key)
        except StaleError as error:
            return jsonify(newer=_told(error.newer, chosen_language()), seen=error.number), 409
        except PedcorpusError as error:
            return refuse(507, "refused", f"{error.message}; {error.hint}")
        return jsonify(saved=True, next=address(review.after(number, undecided())))

    @app.get("/row/<int:number>/page/<int:place>.png")
    def picture(number: int, place: int) -> ResponseReturnValue:
        pages = view.pages(review.root, item_at(number).row, review.records)
        if not 0 < place <= len(pages):
            abort(404)
        try:
            drawn = view.picture(pages[place - 1])
        except PedcorpusError:
            abort(404)
        return drawn, 200, {"Content-Type": "image/png"}

    @app.get("/done")
    def done() -> ResponseReturnValue:
        if review.journal is None:
            return redirect(url_for("home"), 303)
        first = address(1) if review.items else None
        left = review.after(0, True)
        return page(
            "done.html",
            lines=review.progress(),
            path=review.journal.path,
            first=first,
            open=None if left is None else url_for("row", number=left, show="undecided"),
        )

    @app.errorhandler(HTTPException)
    def failed(error: HTTPException) -> ResponseReturnValue:
        code = error.code or 500
        if request.method == "POST":
            return refuse(code, "ended" if code == 403 else "bad_request")
        kind = {403: "denied", 404: "missing"}.get(code, "error")
        return page("message.html", code, kind=kind, more=f"{code} {error.name}")

    return app


def _told(decision: Decision, language: str) -> str:
    """A decision in one line, for its own reviewer."""
    said = words(language)
    line = getattr(said, f"yours_{decision.decision}")
    if decision.reason:
        line += f" ({getattr(said, decision.reason)}{': ' + decision.detail if decision.detail else ''})"
    return f"{line}, {decision.time[11:16]}"
