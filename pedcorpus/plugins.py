"""The one door to plug-ins: built-in ones by name, third parties' by entry point, one protocol for both."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Protocol, cast

from pedcorpus.errors import ConfigError, PluginError
from pedcorpus.records import RawRecord, Reject, Row
from pedcorpus.sources import SourceFile, SourceInfo

if TYPE_CHECKING:
    from pedcorpus.llm.asking import Ask

_EXTRACTORS: dict[str, str] = {
    "textbook": "pedcorpus.extractors.textbook",
    "guideline": "pedcorpus.extractors.guideline",
    "knowledge_graph": "pedcorpus.extractors.knowledge_graph",
    "conversation": "pedcorpus.extractors.exchanges",
    "distilled": "pedcorpus.extractors.exchanges",
    "general": "pedcorpus.extractors.exchanges",
    "safety": "pedcorpus.extractors.exchanges",
    "self_cognition": "pedcorpus.extractors.exchanges",
    "plain_text": "pedcorpus.extractors.plain_text",
}
_GENERATORS: dict[str, str] = {
    "sections": "pedcorpus.generators.sections:SectionGenerator",
    "syndromes": "pedcorpus.generators.syndromes:SyndromeGenerator",
    "graph": "pedcorpus.generators.graph:GraphGenerator",
    "exchanges": "pedcorpus.generators.exchanges:ExchangeGenerator",
    "passages": "pedcorpus.generators.passages:PassageGenerator",
}
_ASKING_GENERATORS: dict[str, str] = {
    "roleplay": "pedcorpus.generators.llm.roleplay:RoleplayGenerator",
    "diagnosis": "pedcorpus.generators.llm.diagnosis:DiagnosisGenerator",
    "treatment": "pedcorpus.generators.llm.treatment:TreatmentGenerator",
    "regularise": "pedcorpus.generators.llm.regularise:RegulariseGenerator",
    "reconstruct": "pedcorpus.generators.llm.reconstruct:ReconstructGenerator",
    "safety": "pedcorpus.generators.llm.safety:SafetyGenerator",
    "identity": "pedcorpus.generators.llm.identity:IdentityGenerator",
}
_FILTERS: dict[str, str] = {
    "empty": "pedcorpus.filters.empty:EmptyFilter",
    "placeholder": "pedcorpus.filters.placeholder:PlaceholderFilter",
    "personal": "pedcorpus.filters.personal:PersonalFilter",
    "number": "pedcorpus.filters.number:NumberFilter",
    "names": "pedcorpus.filters.names:NamesFilter",
    "said": "pedcorpus.filters.said:SaidFilter",
    "dose": "pedcorpus.filters.dose:DoseFilter",
    "toxic": "pedcorpus.filters.toxic:ToxicFilter",
    "classics": "pedcorpus.filters.classics:ClassicsFilter",
    "identity": "pedcorpus.filters.identity:IdentityFilter",
    "length": "pedcorpus.filters.length:LengthFilter",
    "language": "pedcorpus.filters.language:LanguageFilter",
    "repetition": "pedcorpus.filters.repetition:RepetitionFilter",
    "spun": "pedcorpus.filters.spun:SpunFilter",
    "coverage": "pedcorpus.filters.coverage:CoverageFilter",
}
"""Hard and cheap checks first: rows meet them in this order, third parties' after them."""
HARD_FILTERS: frozenset[str] = frozenset(
    {"empty", "placeholder", "personal", "number", "names", "said", "dose", "toxic", "classics"}
)
"""Filters that no config turns off: what they drop is no matter of taste."""


class Extractor(Protocol):
    """Reads the files of one source kind.

    ``units(files, source)`` is optional: the groups of files that are read together, the file itself first. So is
    ``FIELDS``: the names that ``options.fields`` may have.
    """

    def extract(self, files: Sequence[SourceFile], source: SourceInfo) -> Iterator[RawRecord | Reject]:
        """Raw records and ledger entries of one unit, in order; made by the methods of ``source``."""
        ...


@dataclass(frozen=True, slots=True)
class GenerateContext:
    """What a generator may know beside the record: the seed, how many rows a record may propose, the identity."""

    seed: int
    per_record: int
    tasks: frozenset[str]
    fills: Mapping[str, str]
    language: str
    n_demos: int = 2


class AskingGenerator(Protocol):
    """Proposes rows of one record with a model's help.

    ``asks`` is true: that tells it from a generator that works in process. ``tasks`` are what it makes of a record
    that it takes: the others leave those to it, unless it has ``replaces = False``.
    """

    name: str
    asks: bool
    tasks: frozenset[str]

    def takes(self, record: RawRecord) -> bool:
        """Whether anything is asked about ``record``; no call is made for the others."""
        ...

    async def generate(self, record: RawRecord, context: GenerateContext, ask: Ask) -> list[Row | Reject]:
        """Candidate rows, and rejects for candidates that are refused at once.

        Raises:
            CallFailedError: a reply was not to be had; the build notes it for the whole record.
        """
        ...


class Generator(Protocol):
    """Proposes rows of one record."""

    name: str

    def generate(self, record: RawRecord, context: GenerateContext) -> Iterator[Row | Reject]:
        """Candidate rows, and rejects for candidates that are refused at once."""
        ...


@dataclass(frozen=True, slots=True)
class Keep:
    """A row passes; ``score`` and ``detail`` go into its ``quality`` when either is given."""

    score: float | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class Drop:
    """A row is dropped for ``reason``, a code of `pedcorpus.reasons`."""

    reason: str
    detail: str


class Filter(Protocol):
    """One check. Its options are the keyword arguments of its class, with defaults."""

    name: str

    def check(self, row: Row) -> Keep | Drop:
        """Keep or drop one row."""
        ...


@cache
def _third_party(group: str) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in sorted(entry_points(group=group), key=lambda entry: entry.name)}


def known_kinds() -> list[str]:
    """Source kinds that some extractor reads."""
    return [*_EXTRACTORS, *(name for name in _third_party("pedcorpus.extractors") if name not in _EXTRACTORS)]


@cache
def extractor(kind: str) -> Extractor:
    """The extractor of a source kind.

    Raises:
        PluginError: no extractor of that name, or it cannot be loaded.
    """
    if kind in _EXTRACTORS:
        return cast(Extractor, import_module(_EXTRACTORS[kind]))
    return cast(Extractor, _load("pedcorpus.extractors", kind))


def units(kind: str, files: Sequence[SourceFile], source: SourceInfo) -> list[list[SourceFile]]:
    """The groups of files that are read together."""
    group = getattr(extractor(kind), "units", None)
    return group(files, source) if group else [[file] for file in files]


@cache
def generators() -> list[Generator]:
    """Every generator that works in process, built-in ones first."""
    built_in = [cast(Generator, _attribute(path)()) for path in _GENERATORS.values()]
    return built_in + [cast(Generator, made) for made in _made_by_others() if not getattr(made, "asks", False)]


@cache
def asking_generators() -> list[AskingGenerator]:
    """Every generator that asks a model, built-in ones first."""
    built_in = [cast(AskingGenerator, _attribute(path)()) for path in _ASKING_GENERATORS.values()]
    return built_in + [cast(AskingGenerator, made) for made in _made_by_others() if getattr(made, "asks", False)]


def askers_of(record: RawRecord, tasks: Set[str]) -> list[AskingGenerator]:
    """The generators that ask about ``record`` for one of ``tasks``."""
    return [made for made in asking_generators() if made.tasks & tasks and made.takes(record)]


def _made_by_others() -> list[Any]:
    taken = _GENERATORS.keys() | _ASKING_GENERATORS.keys()
    return [_load("pedcorpus.generators", name)() for name in _third_party("pedcorpus.generators") if name not in taken]


def filter_names() -> list[str]:
    """Names that ``[filters.NAME]`` may have."""
    return [*_FILTERS, *(name for name in _third_party("pedcorpus.filters") if name not in _FILTERS)]


def filters(options: Mapping[str, Mapping[str, Any]]) -> list[Filter]:
    """The filters in order, each with its options from the config.

    Raises:
        ConfigError: an unknown filter or option.
    """
    names = filter_names()
    for name in options:
        if name not in names:
            raise ConfigError(f"unknown filter [filters.{name}]", _nearest(name, names))
    found = []
    for name in names:
        chosen = dict(options.get(name, {}))
        enabled = chosen.pop("enabled", True)
        if not isinstance(enabled, bool):
            raise ConfigError(f"filters.{name}.enabled must be true or false", "mend the config")
        if not enabled and name in HARD_FILTERS:
            raise ConfigError(f"filters.{name} is a safety check and cannot be turned off", "take `enabled` out")
        kind = _attribute(_FILTERS[name]) if name in _FILTERS else _load("pedcorpus.filters", name)
        try:
            made = cast(Filter, kind(**chosen))
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"[filters.{name}]: {_plain(error, kind)}", "see docs/config.md for its options"
            ) from None
        if enabled:
            found.append(made)
    return found


def _plain(error: Exception, kind: Any) -> str:
    message = str(error)
    if "unexpected keyword argument" in message:
        wrong = message.split("'")[1]
        known = list(getattr(kind, "__dataclass_fields__", {}))
        return f"unknown option {wrong!r}: {_nearest(wrong, known)}" if known else f"unknown option {wrong!r}"
    return message


def _nearest(word: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.4)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"


def check_source(place: str, kind: str, fields: Mapping[str, str]) -> None:
    """Refuse a source kind that nothing reads, and names in ``options.fields`` that its extractor does not look for.

    Raises:
        ConfigError: naming ``place``, the source's place in the config, and what is known.
    """
    known = known_kinds()
    if kind not in known:
        raise ConfigError(f"{place}.kind: no extractor reads {kind!r}", f"known: {', '.join(known)}")
    names = list(getattr(extractor(kind), "FIELDS", ()))
    for field in fields:
        if field not in names:
            hint = _nearest(field, names) if names else f"a {kind} source has no fields to name"
            raise ConfigError(f"{place}.options.fields: unknown field {field!r}", hint)


def fingerprint() -> str:
    """Names and versions of third parties' plug-ins: what they make changes with them."""
    found = []
    for group in ("pedcorpus.extractors", "pedcorpus.generators", "pedcorpus.filters"):
        for name, entry in _third_party(group).items():
            version = entry.dist.version if entry.dist else "?"
            found.append(f"{group}:{name}={entry.value}@{version}")
    return "\n".join(found)


def _attribute(path: str) -> Any:
    module, _, name = path.partition(":")
    return getattr(import_module(module), name)


def _load(group: str, name: str) -> Any:
    entry = _third_party(group).get(name)
    if entry is None:
        raise PluginError(f"no plug-in {name!r} in {group}", "install the package that brings it")
    try:
        return entry.load()
    except Exception as error:
        raise PluginError(
            f"the plug-in {name!r} ({entry.value}) cannot be loaded: {error}", "mend or remove it"
        ) from error
