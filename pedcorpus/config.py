"""The config file (``pedcorpus.toml``): read, checked as a whole, every mistake told at once.

Unknown keys are errors and the nearest known key is named. Paths are relative to the file;
``${VAR}`` and ``${VAR:-default}`` expand in them. A relative path that a variable holds counts from the file too.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from pedcorpus.errors import ConfigError
from pedcorpus.records import Task
from pedcorpus.toml_files import read_model

_ID = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DatasetConfig(_Section):
    """What the dataset is called, and the seed of every choice made in building it."""

    name: Annotated[str, Field(min_length=1, max_length=96, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    version: str = "0.1.0"
    language: str = "zh"
    license: str = "unknown"
    seed: int = 17
    pretty_name: str | None = None


class SourceOptions(_Section):
    """Options of the extractor of one source."""

    select: Literal["pediatric", "all"] | None = None
    """Which records pass the pediatric selection; by default ``all`` for general, safety and self_cognition."""
    fields: dict[str, str] = {}
    """Names of the file's columns or keys for: question, answer, input, history, messages, title, department, disease, text."""
    require: list[str] = []
    """Rows without these keys are left out (ledger: ``extract.not_selected``)."""
    task: Literal["medkqa", "evidiag", "trerecom", "safety", "self_cognition", "general"] | None = None
    """The task of every row of this source, instead of what its questions ask."""


class SourceConfig(_Section):
    """One source: what kind it is, where it lies, whose it is."""

    id: str
    kind: str
    path: str
    title: str | None = None
    license: str = "unknown"
    publishable: bool = True
    edition: str | None = None
    options: SourceOptions = SourceOptions()

    @field_validator("id")
    @classmethod
    def _safe_id(cls, value: str) -> str:
        if not _ID.match(value):
            raise ValueError("use letters, digits, '.', '_' and '-', 64 at most, beginning with a letter or digit")
        return value

    @property
    def select(self) -> str:
        """``pediatric`` or ``all``."""
        if self.options.select:
            return self.options.select
        return "all" if self.kind in ("general", "safety", "self_cognition") else "pediatric"


class IdentityConfig(_Section):
    """What fills ``{{name}}``, ``{{author}}`` and ``{{limits}}`` in self-cognition rows. Rows with an unfilled one are refused."""

    name: str | None = None
    maker: str | None = None
    limits: str | None = None
    """What the model does not do, in half a sentence."""


class GenerateConfig(_Section):
    """How instructions are made."""

    backend: Literal["extractive", "openai"] = "extractive"
    """``openai`` asks the server of ``[llm]`` wherever a task has a generator for it; the rest stays extractive."""
    tasks: list[Task] | None = None
    """The tasks to make; each must get rows. Left out: whatever the sources can feed."""
    per_record: Annotated[int, Field(ge=1, le=50)] = 3
    n_demos: Annotated[int, Field(ge=0, le=8)] = 2
    """Demonstrations shown to the model that rewrites a dialogue."""


Price = Annotated[Decimal, Field(ge=0, max_digits=20, decimal_places=9)]


class EndpointConfig(_Section):
    """An OpenAI-compatible server and a model on it."""

    base_url: Annotated[str, Field(pattern=r"^https?://[^\s@/?#]+(?:/[^\s?#@]*)?$")]
    model: Annotated[str, Field(min_length=1)]
    api_key_env: str = "OPENAI_API_KEY"
    """The environment variable that holds the key; "" where the server takes none."""
    max_in_flight: Annotated[int, Field(ge=1, le=4096)] = 64
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.7
    max_tokens: Annotated[int, Field(ge=16)] = 2048
    """Tokens that a reply may have. One that is cut there is not used."""
    timeout: Annotated[float, Field(gt=0)] = 120.0
    """Seconds."""
    price_input: Price | None = None
    price_output: Price | None = None
    """USD per million tokens. 0 for a server of one's own, which is what a server on this machine counts as."""


class LlmConfig(EndpointConfig):
    """The server that makes instructions; beside it the weaker model of preference pairs, and the judge."""

    budget_usd: Price | None = None
    """What all runs of this build may cost together."""
    assistant: EndpointConfig | None = None
    judge: EndpointConfig | None = None


class JudgeConfig(_Section):
    """``[filters.judge]``: a model reads each row that a model made, after every other check."""

    enabled: bool = False
    threshold: Annotated[float, Field(ge=1, le=5)] = 3.5
    """The mean of usefulness, correctness, consistency and smoothness (1 to 5) that a row needs."""


class DeidentifyConfig(_Section):
    """Masking of personal data as a text is read."""

    enabled: bool = True


class DedupConfig(_Section):
    """What counts as nearly the same row: either measure suffices."""

    jaccard: Annotated[float, Field(gt=0, le=1)] = 0.8
    edit: Annotated[float, Field(gt=0, le=1)] = 0.9


class DecontaminateConfig(_Section):
    """Benchmarks that must not leak into the dataset."""

    benchmarks: list[str] = []
    ngram: Annotated[int, Field(ge=5, le=50)] = 13


class ReviewConfig(_Section):
    """What doctors decided: files that `pedcorpus review` wrote."""

    decisions: list[str] = []


class SplitConfig(_Section):
    """Shares of the units that go to validation and test."""

    validation: Annotated[float, Field(ge=0, le=0.5)] = 0.02
    test: Annotated[float, Field(ge=0, le=0.5)] = 0.02


class ShardsConfig(_Section):
    """Rows of one Parquet file."""

    rows: Annotated[int, Field(ge=1)] = 50_000


class Config(_Section):
    """The whole file."""

    dataset: DatasetConfig
    sources: Annotated[list[SourceConfig], Field(min_length=1)]
    identity: IdentityConfig = IdentityConfig()
    generate: GenerateConfig = GenerateConfig()
    llm: LlmConfig | None = None
    deidentify: DeidentifyConfig = DeidentifyConfig()
    filters: dict[str, dict[str, Any]] = {}
    dedup: DedupConfig = DedupConfig()
    decontaminate: DecontaminateConfig = DecontaminateConfig()
    review: ReviewConfig = ReviewConfig()
    split: SplitConfig = SplitConfig()
    shards: ShardsConfig = ShardsConfig()

    @model_validator(mode="after")
    def _distinct_ids(self) -> Config:
        seen: set[str] = set()
        for source in self.sources:
            if source.id in seen:
                raise ValueError(f"two sources have the id {source.id!r}: give each its own")
            seen.add(source.id)
        return self

    @model_validator(mode="after")
    def _servers(self) -> Config:
        judged = self.judge().enabled
        if self.generate.backend != "openai":
            if judged:
                raise ValueError(
                    'filters.judge.enabled = true needs generate.backend = "openai": it reads what a model made'
                )
            return self
        if self.llm is None:
            raise ValueError('generate.backend = "openai" needs [llm] with base_url and model')
        for name, endpoint in self.endpoints().items():
            local = is_local(endpoint.base_url)
            if not local and (endpoint.price_input is None or endpoint.price_output is None):
                raise ValueError(
                    f"{_place(name)}: say price_input and price_output, USD per million tokens (0 for a server of your own)"
                )
            if not local and not self.deidentify.enabled:
                raise ValueError(f"deidentify.enabled = false: text may not go to {endpoint.base_url} unmasked")
        return self

    def endpoints(self) -> dict[str, EndpointConfig]:
        """The servers by role; the judge is the generator's where it has none of its own."""
        if self.llm is None:
            return {}
        found: dict[str, EndpointConfig] = {"generator": self.llm, "judge": self.llm.judge or self.llm}
        return found | ({"assistant": self.llm.assistant} if self.llm.assistant else {})

    def judge(self) -> JudgeConfig:
        """``[filters.judge]``, checked."""
        return JudgeConfig.model_validate(self.filters.get("judge", {}))

    def wants(self, task: str) -> bool:
        """Whether rows of ``task`` are made at all."""
        return self.generate.tasks is None or task in self.generate.tasks


def is_local(base_url: str) -> bool:
    """Whether a server is on this machine."""
    host = urlsplit(base_url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def _place(role: str) -> str:
    return "llm" if role == "generator" else f"llm.{role}"


class LoadedConfig:
    """A checked config and the folder that its paths count from.

    ``sha256`` is the hash of the file's values before variables expand, so that it names no machine.
    """

    def __init__(self, config: Config, path: Path, sha256: str) -> None:
        self.config = config
        self.path = path
        self.base = path.parent
        self.sha256 = sha256

    def resolve(self, value: str, field: str) -> Path:
        """A path of the config as an absolute path.

        Raises:
            ConfigError: a variable without a default is not set.
        """
        return self.base / Path(expand(value, field, self.path))


def expand(value: str, field: str, file: Path) -> str:
    """``value`` with ``${VAR}`` and ``${VAR:-default}`` filled from the environment and ``~`` from home."""

    def fill(match: re.Match[str]) -> str:
        found = os.environ.get(match["name"])
        if found or (found is not None and match["default"] is None):
            return found
        if match["default"] is not None:
            return match["default"]
        raise ConfigError(
            f"{file}: {field}: the environment variable {match['name']} is not set",
            f"set it, or write ${{{match['name']}:-a/default/path}}",
        )

    return os.path.expanduser(_VARIABLE.sub(fill, value))  # noqa: PTH111  a text, which may be a Hub path


def load_config(path: Path) -> LoadedConfig:
    """Read and check a config file.

    Raises:
        ConfigError: the file is missing, is no TOML, or says something that cannot be done; the message
            lists every mistake with its line.
    """
    config, data = read_model(
        path,
        Config,
        missing="run `pedcorpus init DIR` for a ready project, or name one with --config",
        help_page="docs/config.md",
    )
    sha256 = hashlib.sha256(json.dumps(data, ensure_ascii=False, sort_keys=True, default=str).encode()).hexdigest()
    return LoadedConfig(config, path.resolve(), sha256)
