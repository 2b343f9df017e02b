"""Keep benchmark items out of the dataset: character n-grams, so that unspaced Chinese is seen."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pedcorpus.dedup.signatures import gram_hashes
from pedcorpus.errors import ConfigError
from pedcorpus.text import key

_QUESTIONS = (
    "question",
    "query",
    "instruction",
    "prompt",
    "problem",
    "ask",
    "stem",
    "题目",
    "问题",
    "题干",
    "content",
    "text",
)
_OPTIONS = ("options", "option", "choices", "选项")
_SAFE = re.compile(r"[^A-Za-z0-9_.-]+")


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One benchmark's n-grams. ``short`` are whole items too short for one."""

    name: str
    grams: npt.NDArray[np.uint64]
    short: tuple[str, ...]
    items: int

    def hit(self, text: str, ngram: int) -> bool:
        """Whether ``text`` holds an n-gram of some item, or the whole of a short one."""
        return self.hit_key(key(text), ngram)

    def hit_key(self, folded: str, ngram: int) -> bool:
        """`hit` for a text that `pedcorpus.text.key` has folded."""
        if any(item in folded for item in self.short):
            return True
        hashes = gram_hashes(folded, ngram)
        if not len(hashes) or not len(self.grams):
            return False
        places = np.searchsorted(self.grams, hashes)
        places[places == len(self.grams)] = 0
        return bool(np.any(self.grams[places] == hashes))


def load_benchmarks(paths: Sequence[Path], ngram: int) -> list[Benchmark]:
    """Read the benchmark files; a folder stands for the files in it.

    An item is its question; one shorter than ``ngram`` is its question with its options. The answer's
    explanation is no part of it: textbooks explain the same facts.

    Raises:
        ConfigError: a path is missing or a file holds no item.
    """
    found = []
    for path in paths:
        if not path.exists():
            raise ConfigError(f"decontaminate.benchmarks: path does not exist: {path}", "mend the path")
        files = (
            sorted(item for item in path.rglob("*") if item.is_file() and not item.name.startswith("."))
            if path.is_dir()
            else [path]
        )
        for file in files:
            found.append(_benchmark(file, ngram))
    return found


def _benchmark(file: Path, ngram: int) -> Benchmark:
    try:
        items = [item for item in _items(file, ngram) if item]
    except (OSError, ValueError, csv.Error, RecursionError) as error:
        raise ConfigError(f"decontaminate.benchmarks: {file}: {error}", "mend the file or the config") from error
    if not items:
        raise ConfigError(
            f"decontaminate.benchmarks: {file} holds no question", f"its items need one of: {', '.join(_QUESTIONS[:6])}"
        )
    grams = [gram_hashes(folded, ngram) for folded in items if len(folded) >= ngram]
    short = tuple(sorted({folded for folded in items if 8 <= len(folded) < ngram}))
    joined = np.unique(np.concatenate(grams)) if grams else np.empty(0, dtype=np.uint64)
    return Benchmark(_SAFE.sub("_", file.stem) or "benchmark", joined, short, len(items))


def _items(file: Path, ngram: int) -> Iterator[str]:
    for item in _rows(file):
        if isinstance(item, str):
            yield key(item)
        elif isinstance(item, Mapping):
            folded = _item_key(item, ngram)
            if folded:
                yield folded


def _item_key(item: Mapping[str, Any], ngram: int) -> str:
    fields = {str(name).strip().lower(): value for name, value in item.items()}
    question = next((str(fields[name]) for name in _QUESTIONS if fields.get(name)), "")
    folded = key(question)
    if len(folded) >= ngram:
        return folded
    options = next((fields[name] for name in _OPTIONS if fields.get(name)), "")
    return folded + key(_flat(options)) if folded else ""


def _flat(options: Any) -> str:
    if isinstance(options, Mapping):
        return " ".join(str(value) for value in options.values())
    if isinstance(options, list | tuple):
        return " ".join(_flat(value) for value in options)
    return re.sub(r"\\n|\n", " ", str(options))


def _rows(file: Path) -> Iterator[Any]:
    data = file.read_bytes()
    for name in ("utf-8-sig", "gb18030", "utf-16"):
        try:
            text = data.decode(name)
            break
        except UnicodeDecodeError:
            continue
    else:
        raise ValueError("not UTF-8, GB18030 or UTF-16")
    start = text.lstrip()[:1]
    if start == "[":
        yield from json.loads(text)
    elif start == "{":
        whole = _try_json(text)
        if isinstance(whole, Mapping) and not any(name.lower() in (*_QUESTIONS, *_OPTIONS) for name in map(str, whole)):
            for value in whole.values():
                yield from value if isinstance(value, list) else [value]
        elif isinstance(whole, Mapping):
            yield whole
        else:
            yield from (json.loads(line) for line in text.split("\n") if line.strip())
    elif file.suffix.lower() in (".csv", ".tsv"):
        yield from csv.DictReader(
            io.StringIO(text, newline=""), delimiter="\t" if file.suffix.lower() == ".tsv" else ","
        )
    else:
        yield from (line for line in text.splitlines() if line.strip())


def _try_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def contaminated_by(texts: Iterable[str], benchmarks: Sequence[Benchmark], ngram: int) -> str | None:
    """The name of the first benchmark that some text overlaps."""
    for text in texts:
        folded = key(text)
        for benchmark in benchmarks:
            if benchmark.hit_key(folded, ngram):
                return benchmark.name
    return None
