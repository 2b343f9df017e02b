"""Replies that fit the schema of a request and say what its data blocks say. The same request gets the same reply."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

_OPEN = re.compile(r'<([^<>\s]{1,60}) id="([0-9a-f]{6,64})">\n')
_FULL_STOP = re.compile(r"(?<=\.)\s+(?=[A-Z])")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_STOP = re.compile(r"[，。；：！？、,.;:!?()（）#*%\d\n]")
_ENDS = ("。", "！", "？", ".", "!", "?")
_PREFERRED = (
    ("资料", "原文", "source", "passage"),
    ("原回答", "original_answer"),
    ("对话", "dialogue", "conversation"),
    ("回答", "answer"),
)
"""Labels of blocks that replies may cite, best first."""
_GAPS = ("problem", "missing", "misplaced", "gap", "issue", "error")
"""Lists that are empty when all is well."""
_AMOUNT = re.compile(
    r"每?[次日天]?\s*\d[\d.,~～\-–至]*\s*(?:mg|g|ml|mL|µg|μg|毫克|毫升|IU|U|万单位)(?:/[A-Za-z·/次日天]+)?"
)
_DRUG = re.compile(
    r"[\u4e00-\u9fff]{0,4}[\u4e00-\u9fff](?:西林|霉素|洛芬|氨基酚|松|唑|沙星|拉定|啶|韦|坦|素|锌|铁|液|片)"
)
_QUOTES = ("quote", "evidence", "citation", "cited", "excerpt")
_QUESTIONS = ("question", "query", "instruction")
_SAYS = frozenset({"source_says", "answerable"})
_BAD = ("contradict", "unsafe", "harm", "wrong", "error", "leak", "invent", "unsupported", "missing", "refus", "drop")
_GOOD = frozenset({"keep", "yes", "pass", "accept", "supported", "support", "good", "true", "ok", "consistent"})
_DEEPEST = 12

_WORDS = {
    "patient": ("patient", "user", "parent", "mother", "caller", "患", "家长", "病人"),
    "doctor": ("doctor", "assistant", "physician", "clinician", "医"),
    "complaint": ("complain", "chief", "present", "主诉", "reply", "answer", "tell", "say", "respon"),
    "ask": ("ask", "question", "inquir", "enquir", "问"),
    "reply": ("reply", "answer", "respon", "tell", "say", "答", "complain"),
    "conclude": ("conclu", "diagnos", "finding", "final", "advis", "advice", "结论", "诊断", "answer"),
}
"""How schemas may name who speaks and what a turn is, best first."""
_CASE = (
    ("patient", "complaint"),
    ("doctor", "ask"),
    ("patient", "reply"),
    ("doctor", "ask"),
    ("patient", "reply"),
    ("doctor", "conclude"),
)


@dataclass(frozen=True, slots=True)
class Block:
    """A data block of a prompt."""

    label: str
    text: str


def text_of(message: Mapping[str, Any]) -> str:
    """The words of one message."""
    content = message.get("content")
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(str(part.get("text", "")) for part in parts if isinstance(part, dict))


def blocks(messages: Sequence[Mapping[str, Any]]) -> list[Block]:
    """The data blocks of all messages, in order."""
    found = []
    for message in messages:
        text = text_of(message)
        place = 0
        while match := _OPEN.search(text, place):
            end = text.find(f'\n</{match[1]} id="{match[2]}">', match.end() - 1)
            if end < 0:
                place = match.end()
                continue
            found.append(Block(match[1], text[match.end() : end]))
            place = end
    return found


def source_of(messages: Sequence[Mapping[str, Any]]) -> str:
    """The block that is most likely the source: by its label, then by its length; without blocks the last message."""
    found = [block for block in blocks(messages) if block.text.strip()]
    if not found:
        return text_of(messages[-1]) if messages else ""
    for labels in _PREFERRED:
        if named := [block for block in found if block.label.lower() in labels]:
            found = named
            break
    text = max(found, key=lambda block: len(block.text)).text
    return "\n".join(_strings(_parsed(text))) or text


def _parsed(text: str) -> object:
    if text[:1] in ("[", "{"):
        try:
            return json.loads(text)
        except ValueError:
            pass
    return None


def doctor_of(messages: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the doctor says in the last block that is a dialogue in JSON."""
    for block in reversed(blocks(messages)):
        turns = _parsed(block.text)
        if isinstance(turns, list) and turns and all(isinstance(turn, dict) and "role" in turn for turn in turns):
            return [str(turn.get("text", "")) for turn in turns if turn["role"] == "assistant"]
    return []


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)


def sentences_of(text: str) -> list[str]:
    """The sentences of ``text``, verbatim; headings only where there is nothing else."""
    for mark in "。！？!?":
        text = text.replace(mark, mark + "\n")
    if ". " in text:
        text = _FULL_STOP.sub("\n", text)
    pieces = [piece for part in text.split("\n") if (piece := part.strip())]
    whole = [piece for piece in pieces if len(piece) >= 6 and piece.endswith(_ENDS)]
    return list(dict.fromkeys(whole or pieces)) or ["。"]


def schema_of(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """The JSON schema which a request wants its reply to fit."""
    wanted = body.get("response_format")
    if not isinstance(wanted, dict):
        return None
    if wanted.get("type") == "json_object":
        return {"type": "object", "properties": {"answer": {"type": "string"}, "quote": {"type": "string"}}}
    named = wanted.get("json_schema")
    schema = named.get("schema") if isinstance(named, dict) else None
    return schema if isinstance(schema, dict) else None


def reply_content(body: Mapping[str, Any], *, absent: float = 0.0, salt: str = "") -> str:
    """The content of a good reply to the request ``body``.

    ``absent`` is the share of objects that say the source does not say; ``salt`` stands for the body where its hash
    is known already.
    """
    salt = salt or hashlib.sha256(json.dumps(body, sort_keys=True, default=str).encode()).hexdigest()
    messages = body.get("messages") or []
    maker = _Maker(source_of(messages), salt, absent)
    schema = schema_of(body)
    if schema is None:
        return maker.sentence(maker.first)
    maker.doctor = doctor_of(messages) if "turns" in (schema.get("properties") or {}) else []
    maker.defs = schema.get("$defs") or schema.get("definitions") or {}
    return json.dumps(maker.value(schema, "", maker.first), ensure_ascii=False)


class _Maker:
    """Walks a schema. ``at`` is the sentence an object is about; the items of its lists are about those after it."""

    def __init__(self, source: str, salt: str, absent: float) -> None:
        self.source = source
        self.salt = salt
        self.absent = absent
        self.defs: Mapping[str, Any] = {}
        self.seen: dict[int, tuple[object, list[Mapping[str, Any]]]] = {}
        """By the identity of a schema, which is held so that it stays: its branches."""
        self.doctor: list[str] = []
        self.sentences = sentences_of(source)
        self.chinese = bool(_CHINESE.search(source))
        self.first = self.draw("first") % len(self.sentences)

    def draw(self, place: str) -> int:
        return int.from_bytes(hashlib.blake2b(f"{self.salt}/{place}".encode(), digest_size=8).digest(), "big")

    def sentence(self, at: int) -> str:
        return self.sentences[at % len(self.sentences)]

    def question(self, at: int) -> str:
        head, lead = self.words(self.source), self.words(self.sentence(at))
        if self.chinese:
            return f"{head}应当怎样理解？" if head == lead else f"关于{head}，{lead}应当怎样理解？"
        return f"What is known about {head}?" if head == lead else f"On {head}: what is known about {lead}?"

    def words(self, text: str) -> str:
        """The first words of ``text`` without digits."""
        first = next((words for piece in _STOP.split(text[:200]) if (words := piece.strip("- 　"))), "")
        return (first[:12] if self.chinese else " ".join(first.split()[:6])) or ("这种情况" if self.chinese else "this")

    def follow(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        """``schema`` with references and single alternatives resolved."""
        for _ in range(_DEEPEST):
            if "$ref" in schema:
                schema = self.defs.get(str(schema["$ref"]).rsplit("/", 1)[-1], {})
            elif len(schema.get("allOf") or ()) == 1:
                schema = schema["allOf"][0]
            else:
                break
        return schema

    def branches(self, schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """What a value may be, ``null`` last."""
        seen = self.seen.get(id(schema))
        if seen is None:
            seen = self.seen[id(schema)] = (schema, self.resolved(schema))
        return seen[1]

    def resolved(self, schema: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        schema = self.follow(schema)
        options = schema.get("anyOf") or schema.get("oneOf")
        kinds = schema.get("type")
        if options:
            found = [branch for option in options for branch in self.branches(option)]
        elif isinstance(kinds, list):
            found = [{**schema, "type": kind} for kind in kinds]
        else:
            found = [schema]
        return sorted(found, key=_is_null) if len(found) > 1 else found

    def value(
        self, schema: Mapping[str, Any], name: str, at: int, depth: int = 0, gone: bool = False, asks: bool = False
    ) -> Any:
        """A value; ``gone``: the source does not say; ``asks``: plain strings are questions."""
        options = self.branches(schema)
        schema = options[-1] if depth > _DEEPEST else options[0]
        if "const" in schema:
            return schema["const"]
        if values := schema.get("enum"):
            good = [value for value in values if str(value).lower() in _GOOD]
            if all(isinstance(value, int) for value in values):
                good = sorted(values)[len(values) // 2 :]  # scores are mostly good
            return (good or values)[self.draw(f"{name}{at}") % len(good or values)]
        kind = schema.get("type")
        if kind is None:
            kind = "object" if "properties" in schema else "array" if "items" in schema else "string"
        match kind:
            case "object":
                return self.object(schema, at, depth, gone, {}, asks)
            case "array":
                return self.array(schema, name, at, depth, gone, asks)
            case "string":
                return self.string(schema, name.lower(), at, gone, asks)
            case "boolean":
                lower = name.lower()
                return not (any(word in lower for word in _BAD) or (gone and lower in _SAYS))
            case "integer" | "number":
                return self.number(schema, name, at, kind)
        return None

    def object(
        self, schema: Mapping[str, Any], at: int, depth: int, gone: bool, given: Mapping[str, Any], asks: bool
    ) -> dict[str, Any]:
        fields: Mapping[str, Any] = schema.get("properties") or {}
        if not gone and self.absent > 0 and not _SAYS.isdisjoint(fields):
            gone = self.draw(f"says{at}.{depth}") % 10_000 < self.absent * 10_000
        made: dict[str, Any] = {}
        used = 0
        for name, part in fields.items():
            if name in given:
                made[name] = given[name]
                continue
            value = self.value(part, name, at + used, depth + 1, gone, asks)
            if isinstance(value, list) and value and isinstance(value[0], dict):
                # each list of items is about other sentences than those before it
                rest = max(len(self.sentences) - used, int(self.branches(part)[0].get("minItems", 0)))
                value = value[:rest] if name != "turns" else value
                used += len(value)
            made[name] = value
        return made

    def array(self, schema: Mapping[str, Any], name: str, at: int, depth: int, gone: bool, asks: bool) -> list[Any]:
        least, most = int(schema.get("minItems", 0)), int(schema.get("maxItems", 1 << 30))
        fixed = schema.get("prefixItems")
        if fixed:
            return [self.value(part, name, at + place, depth + 1, gone, asks) for place, part in enumerate(fixed)]
        items = schema.get("items") or {}
        if depth > _DEEPEST or gone or any(word in name.lower() for word in _GAPS):
            count = least
        elif name == "turns" and self.doctor and self.branches(items)[0].get("type") == "string":
            longest = int(self.branches(items)[0].get("maxLength", 1 << 30))
            return [text[:longest] for text in self.doctor]
        elif {"drug", "amount"} <= (self.branches(items)[0].get("properties") or {}).keys():
            return self.doses(items, depth, most)[:most] or [
                self.value(items, name, at + place, depth + 1) for place in range(least)
            ]
        elif turns := self.turns(items, at, depth, least, most):
            return turns
        else:
            count = min(max(1 + self.draw(f"{name}{at}") % 3, least), most)
            count = max(min(count, len(self.sentences)), least)  # no sentence twice
        return [self.value(items, name, at + place, depth + 1, gone, asks) for place in range(count)]

    def doses(self, items: Mapping[str, Any], depth: int, most: int) -> list[Any]:
        """An item for each sentence, of the first few, that names a drug and its amount, word for word."""
        made: list[Any] = []
        for place, sentence in enumerate(self.sentences):
            drug, amount = _DRUG.search(sentence), _AMOUNT.search(sentence)
            if drug and amount and len(made) < min(most, 3):
                given = {
                    "drug": drug[0],
                    "amount": amount[0],
                    "for_whom": "",
                    "maximum": "",
                    "quotes": [sentence[:400]],
                }
                made.append(self.object(self.branches(items)[0], place, depth + 1, False, given, False))
        return made

    def turns(self, items: Mapping[str, Any], at: int, depth: int, least: int, most: int) -> list[Any]:
        """A short case where ``items`` are turns of a patient and a doctor, else nothing."""
        options = [branch for branch in self.branches(items) if "properties" in branch]
        told = [(branch, self.voices(branch)) for branch in options]
        if not any(speaker or kind for _, (speaker, kind) in told):
            return []
        said = {word for _, (speakers, kinds) in told for words in (speakers, kinds) for word in words.values()}
        known = {role for role in _WORDS for values in said for value in values if _named(role, value)}
        if not ({"patient", "doctor"} <= known or {"ask", "conclude"} <= known):
            return []
        case = list(_CASE)
        while len(case) < least:
            case[1:1] = _CASE[1:3]
        if len(case) > most:
            case = case[: max(most - 1, 0)] + case[-1:] * (most > 0)
        made = []
        for place, (who, what) in enumerate(case):
            branch, (speakers, kinds) = max(told, key=lambda option: _fits(option[1], who, what))
            given = {name: _pick(values, who) for name, values in speakers.items()}
            given |= {name: _pick(values, what) for name, values in kinds.items()}
            made.append(self.object(branch, at + place, depth + 1, False, given, what == "ask"))
        return made

    def voices(self, branch: Mapping[str, Any]) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
        """The fields of a turn that say who speaks, and those that say what it is, with their values."""
        speakers: dict[str, tuple[str, ...]] = {}
        kinds: dict[str, tuple[str, ...]] = {}
        for name, part in branch["properties"].items():
            part = self.branches(part)[0]
            values = tuple(map(str, [part["const"]] if "const" in part else part.get("enum") or ()))
            if values and name.lower() in ("speaker", "role", "who", "from"):
                speakers[name] = values
            elif values and name.lower() in ("kind", "type", "act", "action", "move", "what", "step"):
                kinds[name] = values
        return speakers, kinds

    def string(self, schema: Mapping[str, Any], name: str, at: int, gone: bool, asks: bool) -> str:
        least, most = int(schema.get("minLength", 0)), int(schema.get("maxLength", 1 << 30))
        if gone and not least:
            return ""
        if any(word in name for word in _QUOTES):
            text = self.sentence(at)
        elif asks or any(word in name for word in _QUESTIONS):
            text = self.question(at)
        else:
            text = self.sentence(at)
        if len(text) < least:
            start = max(self.source.find(text), 0)
            text = self.source[start : start + least].ljust(least, "。" if self.chinese else ".")
        return text[:most]

    def number(self, schema: Mapping[str, Any], name: str, at: int, kind: str) -> int | float:
        """A number within its limits, in the better half of them: scores are mostly good."""
        step = 1 if kind == "integer" else 0.5
        least = schema.get("minimum", schema.get("exclusiveMinimum", -step) + step)
        most = schema.get("maximum", schema.get("exclusiveMaximum", least + 2 + step) - step)
        if kind == "number":
            return float(least + (most - least) * (0.5 + self.draw(f"{name}{at}") % 51 / 100))
        middle = int((least + most + 1) // 2)
        return middle + self.draw(f"{name}{at}") % max(int(most) - middle + 1, 1)


def _is_null(branch: Mapping[str, Any]) -> bool:
    return branch.get("type") == "null"


@cache
def _named(role: str, value: str) -> bool:
    return any(word in value.lower() for word in _WORDS[role])


@cache
def _pick(values: tuple[str, ...], role: str) -> str:
    """The value which names ``role`` best, else the last."""
    for word in _WORDS[role]:
        for value in values:
            if word in value.lower():
                return value
    return values[-1]


def _fits(voices: tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]], who: str, what: str) -> int:
    speakers, kinds = voices
    right = sum(any(_named(who, value) for value in values) for values in speakers.values())
    return right + sum(any(_named(what, value) for value in values) for values in kinds.values())
