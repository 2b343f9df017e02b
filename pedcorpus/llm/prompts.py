"""Prompt templates under ``prompts/llm/``: load, hash, render. No prompt text lives in Python.

A template is ``NAME.zh.jinja`` or ``NAME.en.jinja``: a TOML header between two lines of ``+++``, then one part a
message, each begun by a line such as ``=== user ===``. The header says ``id``, ``version``, ``reply`` (the name of the
reply's schema, "" for plain text), ``variables`` (what the template takes) and ``example`` (a reply that fits the
schema: the dry run's stand-in for a model).

Text of sources enters through the filter ``data`` alone. It stands between two marks that carry a hash of that very
text, so no text can close its own mark, and tokens that chat templates give a meaning to lose it.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from pedcorpus.errors import PedcorpusError
from pedcorpus.records import Message, digest

_PART = re.compile(r"^=== (system|user|assistant) ===\n", re.MULTILINE)
_SPECIAL = re.compile(
    r"<\|[^|<>\n]{0,40}\|>|</?s>|\[/?INST\]|<</?SYS>>|<\uff5c[^<>\n]{0,40}\uff5c>|<(?:start|end)_of_turn>"
)
"""Tokens that a server may read as the border of a message."""
_WIDE = str.maketrans({"<": "＜", ">": "＞", "[": "［", "]": "］", "|": "｜"})
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u08e2\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ud800-\uf8ff"
    "\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff\U000f0000-\U0010ffff]"
)
"""Control, format, private-use and surrogate characters, blank and line feed left out."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """One template. ``sha256`` is over the file's bytes and goes into the provenance of every row made with it."""

    id: str
    version: str
    language: str
    sha256: str
    reply: str
    variables: frozenset[str]
    example: str
    parts: tuple[tuple[str, str], ...]

    @property
    def name(self) -> str:
        """``id@version``, as rows carry it."""
        return f"{self.id}@{self.version}"

    def render(self, values: Mapping[str, Any]) -> tuple[Message, ...]:
        """The messages with ``values`` filled in.

        Raises:
            PedcorpusError: ``values`` are not the variables that the header names.
        """
        if values.keys() != self.variables:
            wrong = ", ".join(sorted(values.keys() ^ self.variables))
            raise PedcorpusError(f"prompt {self.id}: missing or unknown variables: {wrong}", "report this")
        return tuple(Message(role, _template(source).render(**values).strip()) for role, source in self.parts)


def prompt_language(language: str) -> str:
    """The language of the prompts for a dataset: Chinese ones for ``zh`` and its kinds, else English ones."""
    return "zh" if language.lower().split("-")[0] == "zh" else "en"


@cache
def load_prompt(name: str, language: str) -> Prompt:
    """The template ``prompts/llm/NAME.LANGUAGE.jinja``.

    Raises:
        PedcorpusError: there is no such file, or its header lacks something.
    """
    try:
        content = files("pedcorpus.prompts").joinpath(f"llm/{name}.{language}.jinja").read_bytes()
    except (FileNotFoundError, ModuleNotFoundError) as error:
        raise PedcorpusError(f"no prompt file prompts/llm/{name}.{language}.jinja", "reinstall pedcorpus") from error
    return parse_prompt(content.decode("utf-8"), f"{name}.{language}", hashlib.sha256(content).hexdigest(), language)


def prompt_files() -> list[tuple[str, str]]:
    """(name, language) of every template, for schemas and tests."""
    room = files("pedcorpus.prompts").joinpath("llm")
    found = []
    for folder in room.iterdir():
        for file in folder.iterdir() if folder.is_dir() else ():
            if file.name.endswith(".jinja"):
                part, language, _ = file.name.split(".")
                found.append((f"{folder.name}/{part}", language))
    return sorted(found)


def parse_prompt(text: str, where: str, sha256: str, language: str) -> Prompt:
    """A prompt from the text of its file; ``where`` names it in errors.

    Raises:
        PedcorpusError: the header or the parts are not as they should be.
    """
    pieces = text.split("+++\n", 2)
    if len(pieces) != 3 or pieces[0].strip():
        raise PedcorpusError(f"prompt {where}: no header between two lines of +++", "mend the file")
    try:
        header = tomllib.loads(pieces[1])
        found = _PART.split(pieces[2])
        parts = tuple(zip(found[1::2], found[2::2], strict=True))
        if found[0].strip() or not parts:
            raise ValueError("the text must begin with a line such as === system ===")
        return Prompt(
            id=header["id"],
            version=header["version"],
            language=language,
            sha256=sha256,
            reply=header["reply"],
            variables=frozenset(header["variables"]),
            example=header["example"].strip(),
            parts=parts,
        )
    except (KeyError, ValueError) as error:
        raise PedcorpusError(f"prompt {where}: {error}", "mend the file") from error


def data(value: object, label: str) -> str:
    """``value`` as marked data of a prompt: text as it is, anything else as JSON."""
    text = harmless(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=1))
    mark = digest("data", label, text, length=12)
    return f'<{label} id="{mark}">\n{text}\n</{label} id="{mark}">'


def harmless(text: str) -> str:
    """``text`` without control and invisible format characters and without what a chat template reads as its own."""
    plain = _UNSEEN.sub("", text)
    return _SPECIAL.sub(lambda match: match[0].translate(_WIDE), plain)


@cache
def _environment() -> Any:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    made = SandboxedEnvironment(undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True)
    made.filters["data"] = data
    return made


@cache
def _template(source: str) -> Any:
    return _environment().from_string(source)
