"""The wording files under ``prompts/``: load, hash, render. No prompt text lives in Python."""

from __future__ import annotations

import hashlib
import random
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from pedcorpus.errors import PedcorpusError


@dataclass(frozen=True, slots=True)
class Wording:
    """One wording file. ``sha256`` is over its bytes and goes into the provenance of every row made with it."""

    id: str
    version: str
    sha256: str
    data: dict[str, Any]


@cache
def load_wording(name: str) -> Wording:
    """The wording file ``prompts/NAME.toml``."""
    try:
        content = files("pedcorpus.prompts").joinpath(f"{name}.toml").read_bytes()
    except (FileNotFoundError, ModuleNotFoundError) as error:
        raise PedcorpusError(f"no wording file prompts/{name}.toml", "reinstall pedcorpus") from error
    data = tomllib.loads(content.decode("utf-8"))
    return Wording(data["id"], data["version"], hashlib.sha256(content).hexdigest(), data)


@cache
def _environment() -> Any:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    return SandboxedEnvironment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False)


@cache
def _template(source: str) -> Any:
    return _environment().from_string(source)


def render(source: str, **values: str) -> str:
    """Fill one template; an undefined variable raises ``jinja2.UndefinedError``."""
    return str(_template(source).render(**values))


def choose(options: list[str], *seeds: str | int) -> str:
    """One of ``options``, the same for the same seeds on every machine."""
    return options[random.Random("\x1f".join(map(str, seeds))).randrange(len(options))]
