"""What a build would ask and cost, told from a sample of its records; nothing is sent and nothing is written.

The generators run as they would, on replies that the cache holds or, where it holds none, on the example of the
prompt. So an estimate of a half-done build counts what is left to pay.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from pedcorpus.config import Config
from pedcorpus.generators.passage import make_row
from pedcorpus.llm.asking import Answer, CallFailedError, ReplyModel
from pedcorpus.llm.asking_parts import load_records, seed_of
from pedcorpus.llm.cache import STOP, Cache
from pedcorpus.llm.calls import endpoints_of
from pedcorpus.llm.prompts import Prompt
from pedcorpus.llm.reading import parse
from pedcorpus.llm.request import Endpoint, request_to
from pedcorpus.plugins import GenerateContext, askers_of, asking_generators, generators
from pedcorpus.records import MEDICAL_TASKS, Evidence, RawRecord, Reject, Row
from pedcorpus.text import HAN

M = TypeVar("M", bound=ReplyModel)

SAMPLE = 40
"""Records a generator and source are estimated from."""
_HAN = re.compile(f"[{HAN}]")
_BYTES_A_TOKEN = 4.0
_TOKENS_A_SECOND = 40.0
"""Of a server that has answered nothing yet."""


def tokens(text: str) -> int:
    """About how many tokens a text is: one for a Han character, one for four bytes of anything else."""
    han = len(_HAN.findall(text))
    rest = len(text.encode("utf-8", "surrogatepass")) - 3 * han
    return math.ceil(han + max(rest, 0) / _BYTES_A_TOKEN)


@dataclass(slots=True)
class Line:
    """Calls of one task to one endpoint. Numbers are those of all records, scaled up from the sample."""

    calls: float = 0.0
    cached: float = 0.0
    prompt_tokens: float = 0.0
    completion_tokens: float = 0.0
    cost: Decimal = Decimal(0)
    seconds: float = 0.0

    def add(self, other: Line, times: float) -> None:
        """Count ``other`` so many times."""
        self.calls += other.calls * times
        self.cached += other.cached * times
        self.prompt_tokens += other.prompt_tokens * times
        self.completion_tokens += other.completion_tokens * times
        self.cost += other.cost * Decimal(times)
        self.seconds += other.seconds * times


@dataclass(slots=True)
class Estimate:
    """Lines by generator, and what the build has spent already."""

    lines: dict[str, Line] = field(default_factory=dict)
    records: int = 0
    spent: Decimal = Decimal(0)
    cap: Decimal | None = None
    measured: bool = False
    """Whether the time rests on replies that came; else on a guess of tokens a second."""

    @property
    def total(self) -> Line:
        """All lines together."""
        found = Line()
        for line in self.lines.values():
            found.add(line, 1.0)
        return found


class DryAsk:
    """`Ask` that sends nothing: what it would send is counted in ``line``."""

    def __init__(
        self, endpoints: Mapping[str, Endpoint], cache: Cache, paces: Mapping[str, float], seed: int, line: Line
    ) -> None:
        self._endpoints = endpoints
        self._cache = cache
        self._paces = paces
        self._seed = seed
        self._line = line

    def _count(
        self, prompt: Prompt, values: Mapping[str, Any], to: str, reply: type[ReplyModel] | None, seed: int
    ) -> tuple[str, str]:
        """The reply's text and key."""
        endpoint = self._endpoints[to]
        request = request_to(endpoint, prompt.render(values), reply, self._seed + seed)
        found = self._cache.find(request.key)
        if found is not None and found.finish == STOP:
            self._line.cached += 1
            return found.content, request.key
        sent = sum(tokens(message.content) for message in request.messages) + tokens(request.schema)
        got = min(endpoint.max_tokens, tokens(prompt.example))
        self._line.calls += 1
        self._line.prompt_tokens += sent
        self._line.completion_tokens += got
        self._line.cost += endpoint.cost(sent, got)
        self._line.seconds += got / self._paces.get(endpoint.model, _TOKENS_A_SECOND) / endpoint.max_in_flight
        return _as_many(prompt.example, values.get("count")), request.key

    async def read(
        self, prompt: Prompt, reply: type[M], values: Mapping[str, Any], *, to: str = "generator", seed: int = 0
    ) -> Answer[M]:
        """See `Ask.read`."""
        said, key = self._count(prompt, values, to, reply, seed)
        try:
            return Answer(parse(said, reply), prompt, "", key)
        except ValidationError:
            raise CallFailedError("generate.schema", "") from None

    async def text(
        self, prompt: Prompt, values: Mapping[str, Any], *, to: str = "generator", seed: int = 0
    ) -> Answer[str]:
        """See `Ask.text`."""
        said, key = self._count(prompt, values, to, None, seed)
        return Answer(said, prompt, "", key)


def _as_many(example: str, count: Any) -> str:
    """An example reply with as many items in each list of texts as the prompt asks for."""
    if not isinstance(count, int) or not example:
        return example
    reply = json.loads(example)
    for name, items in reply.items() if isinstance(reply, dict) else ():
        if isinstance(items, list) and items and all(isinstance(item, str) for item in items):
            reply[name] = [f"{item}{number or ''}" for number in range(count) for item in items[:1]]
    return json.dumps(reply, ensure_ascii=False)


def spread(count: int, most: int = SAMPLE) -> list[int]:
    """At most ``most`` places among ``count``, evenly apart."""
    if count <= most:
        return list(range(count))
    return [round(place * (count - 1) / (most - 1)) for place in range(most)]


Group = list[tuple[str, int]]
"""(part, place in it) of records that one generator asks about in one source."""


def estimate_calls(
    folder: Path, parts: Sequence[str], context: GenerateContext, config: Config, cache: Cache, cap: Decimal | None
) -> Estimate:
    """What asking about the screened records in ``folder`` would take.

    Pairs and verdicts are counted for every candidate row, as if each were kept; pairs also for those of templates.
    """
    endpoints = endpoints_of(config)
    found = Estimate(spent=cache.spent(), cap=cap)
    paces = _paces(endpoints, cache)
    found.measured = bool(paces)
    groups: dict[tuple[str, str], Group] = {}
    for part in parts:
        for place, record in enumerate(load_records(folder, part)):
            askers = askers_of(record, context.tasks)
            found.records += bool(askers)
            for generator in askers:
                groups.setdefault((generator.name, record.source_id), []).append((part, place))
    templates: dict[str, Group] = {}
    for part in parts if config.wants("dfpo") else ():
        for place, record in enumerate(load_records(folder, part)):
            templates.setdefault(record.source_id, []).append((part, place))
    pairs, judged = config.wants("dfpo"), config.judge().enabled
    for (name, _), group in sorted(groups.items()):
        chosen = spread(len(group))
        lines = {label: Line() for label in (name, *(["preference"] if pairs else []), *(["judge"] if judged else []))}
        for record in _records(folder, [group[place] for place in chosen]):
            asyncio.run(_dry(record, name, context, partial(DryAsk, endpoints, cache, paces), lines, config))
        for label, line in lines.items():
            found.lines.setdefault(label, Line()).add(line, len(group) / len(chosen))
    for _, group in sorted(templates.items()):
        chosen = spread(len(group))
        line = Line()
        for record in _records(folder, [group[place] for place in chosen]):
            asyncio.run(_dry_templates(record, context, partial(DryAsk, endpoints, cache, paces), line, config))
        found.lines.setdefault("preference", Line()).add(line, len(group) / len(chosen))
    return found


def _records(folder: Path, wanted: Group) -> Iterator[RawRecord]:
    by_part: dict[str, list[int]] = {}
    for part, place in wanted:
        by_part.setdefault(part, []).append(place)
    for part, places in by_part.items():
        held = load_records(folder, part)
        yield from (held[place] for place in places)


async def _dry(
    record: RawRecord,
    name: str,
    context: GenerateContext,
    ask: Callable[[int, Line], DryAsk],
    lines: Mapping[str, Line],
    config: Config,
) -> None:
    from pedcorpus.generators.llm.preference import PreferenceGenerator
    from pedcorpus.judge import judge

    generator = next(made for made in asking_generators() if made.name == name)
    made: Sequence[Row | Reject] = []
    with contextlib.suppress(CallFailedError):
        made = await generator.generate(record, context, ask(seed_of(context, record.id, name), lines[name]))
    for number in range(len(made)):
        row = _stand_in(record, number)
        if "preference" in lines and generator.tasks & MEDICAL_TASKS:
            with contextlib.suppress(CallFailedError):
                await PreferenceGenerator().pair(
                    row,
                    record,
                    context,
                    ask(number, lines["preference"]),
                    assistant=config.llm is not None and config.llm.assistant is not None,
                    names=None,
                )
        if "judge" in lines:
            with contextlib.suppress(CallFailedError):
                await judge(row, ask(number, lines["judge"]), context.language, config.judge().threshold)


async def _dry_templates(
    record: RawRecord, context: GenerateContext, ask: Callable[[int, Line], DryAsk], line: Line, config: Config
) -> None:
    """The pairs of the rows that templates make of a record."""
    from pedcorpus.generators.llm.preference import PreferenceGenerator

    left = context.tasks.difference(
        *(asker.tasks for asker in askers_of(record, context.tasks) if getattr(asker, "replaces", True))
    )
    assistant = config.llm is not None and config.llm.assistant is not None
    for generator in generators():
        for row in generator.generate(record, replace(context, tasks=left)):
            if isinstance(row, Row) and row.task in MEDICAL_TASKS:
                with contextlib.suppress(CallFailedError):
                    seed = seed_of(context, row.id, PreferenceGenerator.name)
                    await PreferenceGenerator().pair(
                        row, record, context, ask(seed, line), assistant=assistant, names=None
                    )


def _paces(endpoints: Mapping[str, Endpoint], cache: Cache) -> dict[str, float]:
    """Tokens a second of one call, by model, where replies have come."""
    found = {}
    for model in {endpoint.model for endpoint in endpoints.values()}:
        tokens_out, seconds = cache.pace(model)
        if tokens_out and seconds:
            found[model] = tokens_out / seconds
    return found


def _stand_in(record: RawRecord, number: int) -> Row:
    """A row about as long as those that replies give."""
    answer = record.text[:400].strip() or "。"
    heading = " ".join(record.section_path) or record.disease or record.source_title
    evidence = [Evidence(record.id, record.page, 0, len(answer), answer)]
    return make_row(
        record, "medkqa", [("user", f"{heading}{number}？"), ("assistant", answer)], evidence, "estimate", None
    )


def format_estimate(found: Estimate) -> Iterator[str]:
    """Lines for people."""
    yield f"{'':<24} {'calls':>10} {'in cache':>10} {'tokens in':>13} {'tokens out':>13} {'USD':>12} {'hours':>8}"
    rows: Sequence[tuple[str, Line]] = [*found.lines.items(), ("all", found.total)]
    for name, line in rows:
        yield (
            f"{name:<24} {line.calls:>10,.0f} {line.cached:>10,.0f} {line.prompt_tokens:>13,.0f} "
            f"{line.completion_tokens:>13,.0f} {line.cost:>12,.4f} {line.seconds / 3600:>8.2f}"
        )
    pace = "the pace of the replies so far" if found.measured else f"{_TOKENS_A_SECOND:.0f} tokens a second and call"
    yield f"{found.records:,} records would be asked about; estimated from at most {SAMPLE} of a source and generator"
    yield f"tokens are guessed from the text (a Han character is one), the time from {pace}"
    if found.spent:
        yield f"spent so far: {found.spent:.4f} USD"
    if found.cap is not None and found.spent + found.total.cost > found.cap:
        yield f"this is more than the budget of {found.cap} USD: the build would stop with 3 and could go on"
