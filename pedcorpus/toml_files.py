"""TOML files that users write: read, check against a model, tell every mistake with its line."""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from pedcorpus.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)


def read_model(path: Path, model: type[Model], missing: str, help_page: str) -> tuple[Model, dict[str, Any]]:
    """The file as ``model``, and its data as they stand in it.

    ``missing`` is the hint for a file that is not there, ``help_page`` the page that lists every key.

    Raises:
        ConfigError: the file is missing, is no TOML, or does not fit the model.
    """
    data, text = read_toml(path, missing)
    try:
        return model.model_validate(data), data
    except ValidationError as error:
        raise ConfigError(explain(error, model, path, text), f"see {help_page} for every key") from None


def read_toml(path: Path, missing: str) -> tuple[dict[str, Any], str]:
    """Data and text of a TOML file.

    Raises:
        ConfigError: the file cannot be read, or is no TOML.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(f"no config file at {path}", missing) from None
    except IsADirectoryError:
        raise ConfigError(f"{path} is a folder", "name the TOML file inside it") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 (byte {error.start})", "save the file as UTF-8") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", "check the path and its permissions") from error
    try:
        return tomllib.loads(text), text
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}", "mend that line") from None


def explain(error: ValidationError, model: type[BaseModel], path: Path, text: str) -> str:
    """Every mistake on a line: file, line of the file, key and what is wrong with it."""
    lines = []
    for item in error.errors():
        location = item["loc"]
        line = _line_of(location, text)
        where = f"{path}:{line}" if line else str(path)
        name = _dotted(location)
        if item["type"] == "extra_forbidden":
            key = str(location[-1])
            known = _known_keys(model, location[:-1])
            near = difflib.get_close_matches(key, known, n=1, cutoff=0.4)
            advice = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"
            lines.append(f"{where}: unknown key {name}: {advice}")
        elif item["type"] == "missing":
            lines.append(f"{where}: {name} is missing")
        else:
            message = str(item["msg"]).removeprefix("Value error, ")
            lines.append(f"{where}: {name}: {message}" if name else f"{where}: {message}")
    return "\n".join(lines)


def _dotted(location: tuple[int | str, ...]) -> str:
    name = ""
    for part in location:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else part
    return name


def _known_keys(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    for part in location:
        if isinstance(part, int) or part not in model.model_fields:
            continue
        annotation = model.model_fields[part].annotation
        models = [kind for kind in (annotation, *get_args(annotation)) if isinstance(kind, type)]
        inner = next((kind for kind in models if issubclass(kind, BaseModel)), None)
        if inner is None:
            return []
        model = inner
    return list(model.model_fields)


def _line_of(location: tuple[int | str, ...], text: str) -> int | None:
    """The line of the file that ``location`` speaks of, as far as plain searching can tell."""
    if not location:
        return None
    section, index = str(location[0]), location[1] if len(location) > 1 and isinstance(location[1], int) else 0
    lines = text.splitlines()
    header = re.compile(rf"^\s*\[{{1,2}}\s*{re.escape(section)}\s*(\.|\])")
    starts = [number for number, line in enumerate(lines) if header.match(line)]
    if not starts:
        for number, line in enumerate(lines):
            if re.match(rf"^\s*{re.escape(section)}\s*[=.]", line):
                return number + 1
        return None
    start = starts[min(int(index), len(starts) - 1)] if section == "sources" else starts[0]
    key = next((str(part) for part in reversed(location[1:]) if isinstance(part, str)), None)
    if key is None:
        return start + 1
    for number in range(start, len(lines)):
        if number > start and re.match(r"^\s*\[", lines[number]) and section not in lines[number]:
            break
        if re.search(rf"(^|[\s{{,.\[])\"?{re.escape(key)}\"?\s*[=\]]", lines[number]):
            return number + 1
    return start + 1
