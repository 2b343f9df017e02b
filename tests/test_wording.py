"""The wording files: found, hashed, rendered, chosen the same everywhere."""

from __future__ import annotations

import hashlib
import random
from importlib.resources import files

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pedcorpus.errors import PedcorpusError
from pedcorpus.wording import choose, load_wording, render

NAMES = sorted(
    path.name.removesuffix(".toml")
    for path in files("pedcorpus.prompts").joinpath("extractive").iterdir()
    if path.name.endswith(".toml")
)


@pytest.mark.parametrize("name", NAMES)
def test_every_wording_file_loads_with_the_hash_of_its_bytes(name: str) -> None:
    wording = load_wording(f"extractive/{name}")
    content = files("pedcorpus.prompts").joinpath(f"extractive/{name}.toml").read_bytes()
    assert wording.sha256 == hashlib.sha256(content).hexdigest()
    assert wording.id and wording.version
    assert wording is load_wording(f"extractive/{name}")


def test_wording_ids_differ() -> None:
    assert len({load_wording(f"extractive/{name}").id for name in NAMES}) == len(NAMES) > 2


@pytest.mark.parametrize("name", ["extractive/none", "none/none"])
def test_no_such_wording(name: str) -> None:
    with pytest.raises(PedcorpusError, match="no wording file"):
        load_wording(name)


def test_render_fills_and_does_not_escape() -> None:
    assert render("{{ disease }}<{{ dose }}&", disease="肺炎", dose="5") == "肺炎<5&"


def test_render_refuses_what_is_not_given() -> None:
    with pytest.raises(jinja2.UndefinedError):
        render("{{ disease }} {{ dose }}", disease="肺炎")


@given(st.text())
def test_a_value_is_never_a_template(value: str) -> None:
    assert render("{{ value }}|", value="{{ 1 + 1 }}" + value) == "{{ 1 + 1 }}" + value + "|"


def test_a_template_cannot_reach_python() -> None:
    with pytest.raises(jinja2.exceptions.SecurityError):
        render("{{ value.__class__.__mro__[1].__subclasses__() }}", value="x")


@given(st.lists(st.text(), min_size=1, max_size=9), st.lists(st.one_of(st.text(), st.integers()), max_size=3))
def test_choose_gives_the_same_for_the_same_seeds(options: list[str], seeds: list[str | int]) -> None:
    state = random.getstate()
    chosen = choose(options, *seeds)
    assert chosen in options
    assert choose(list(options), *seeds) == chosen
    assert random.getstate() == state


def test_choose_reaches_every_option_and_stays_as_it_is() -> None:
    options = ["甲", "乙", "丙"]
    assert {choose(options, "seed", number) for number in range(40)} == set(options)
    assert "".join(choose(options, "seed", number) for number in range(8)) == "乙丙甲丙丙甲丙乙"
