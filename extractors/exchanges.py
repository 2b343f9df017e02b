"""Dialogues, pairs and instruction sets: question-answer tables, histories, message lists, tagged plain text.

One row is one exchange: who said what. The five kinds conversation, distilled, general, safety and
self_cognition are all read here; what becomes of them the generators decide.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pedcorpus.extractors import encoding
from pedcorpus.extractors.rows import ROW_SUFFIXES, Item, is_json, read_rows, refuse
from pedcorpus.records import RawRecord, Reject, Turn
from pedcorpus.sources import Document, SourceFile, SourceInfo

FIELDS: dict[str, tuple[str, ...]] = {
    "messages": ("messages", "conversations", "conversation", "dialogue", "dialog", "turns", "对话"),
    "history": ("history",),
    "question": ("question", "questions", "ask", "query", "instruction", "instruct", "prompt", "问题", "提问", "问", "content"),
    "input": ("input",),
    "answer": (
        "answer", "answers", "output", "response", "reply", "completion", "raw_answer", "raw_anwser", "chosen", "回答", "答案", "答",
    ),
    "department": ("department", "cate1", "dept", "科室"),
    "system": ("system", "system_prompt"),
    "title": ("title", "标题"),
    "disease": ("disease", "related_disease", "疾病"),
}  # fmt: skip
"""What each field may be called, the most telling name first. ``options.fields`` comes before all."""

ROLES: dict[str, str] = {
    **dict.fromkeys(("user", "human", "patient", "患者", "病人", "家长", "家属", "妈妈", "爸爸", "母亲", "父亲", "用户", "提问", "问", "问题", "q"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "doctor", "bot", "model", "医生", "大夫", "医师", "助手", "回答", "答", "答案", "a", "ai"), "assistant"),
    **dict.fromkeys(("system", "系统", "说明"), "system"),
}  # fmt: skip
_TAG = re.compile(
    rf"^[ \t　]*(?P<tag>{'|'.join(sorted((re.escape(tag) for tag in ROLES), key=len, reverse=True))})[ \t]*[：:][ \t]*(?P<text>.*)$",
    re.IGNORECASE,
)
_NUMBERED = r"(?:对话|会话|病例|case|id|dialog(?:ue)?)[ \t]*[=：:#]?[ \t]*\d+[ \t]*[：:]?"
_RULE = re.compile(
    rf"^[ \t]*(?:[=\-*#_~]{{3,}}[ \t]*(?:.{{0,30}}?[=\-*#_~]{{3,}})?|[=\-*#_~\[【]*[ \t]*{_NUMBERED}[ \t]*[=\-*#_~\]】]*)[ \t]*$",
    re.IGNORECASE,
)
_BLANK = frozenset({"", "null", "none", "nan", "n/a", "-", "—", ".", "<noinput>"})
_EMPTY = _BLANK | {"无", "空", "没有", "暂无"}
"""Words that fill an empty field. In a dialogue 无 and 没有 are answers: there only `_BLANK` says nothing."""
_LETTERS = frozenset({"q", "a"})
_WORDS = frozenset({"问", "问题", "提问", "回答", "答", "答案"})


class FieldError(ValueError):
    """A field is missing or has the wrong type; the message names it."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """Turns in order, runs of one speaker merged, and what else the row says."""

    turns: tuple[Turn, ...]
    department: str | None = None
    title: str | None = None
    disease: str | None = None


def extract(files: Sequence[SourceFile], source: SourceInfo) -> Iterator[RawRecord | Reject]:
    """Every exchange of one file as a raw record."""
    file = files[0]
    document = source.document(file)
    rows: Iterable[Item | Reject]
    if file.suffix in ROW_SUFFIXES or is_json(file):
        rows = read_rows(file, source)
    else:
        rows = _tagged(file, source)
    empty = True
    for row in rows:
        empty = False
        if isinstance(row, Reject):
            yield row
        else:
            yield from _records(row, document, file, source)
    if empty:
        yield source.reject("extract.no_text", file, "no row in this file")


def _records(row: Item, document: Document, file: SourceFile, source: SourceInfo) -> Iterator[RawRecord | Reject]:
    missing = [key for key in source.options.require if not (isinstance(row.value, Mapping) and key in row.value)]
    if missing:
        yield source.reject("extract.not_selected", file, f"{row.place}: has no {', '.join(missing)}", row.value)
        return
    try:
        exchanges = list(exchanges_of(row.value, source.options.fields))
    except FieldError as error:
        yield source.reject("extract.field", file, f"{row.place}: {error}", row.value)
        return
    for number, exchange in enumerate(exchanges):
        place = row.place if len(exchanges) == 1 else f"{row.place}.{number}"
        roles = [turn.role for turn in exchange.turns]
        if "assistant" not in roles:
            yield source.reject("extract.no_answer", file, f"{place}: a question without an answer", row.value)
        elif "user" not in roles:
            yield source.reject("extract.field", file, f"{place}: the question is empty", row.value)
        elif roles == ["user", "assistant"]:
            yield source.pair(
                document,
                place,
                exchange.turns[0].text,
                exchange.turns[1].text,
                extractor=source.kind,
                department=exchange.department,
                disease=exchange.disease,
                title=exchange.title,
            )
        else:
            yield source.dialogue(
                document,
                place,
                exchange.turns,
                extractor=source.kind,
                department=exchange.department,
                disease=exchange.disease,
                title=exchange.title,
            )


# --- rows -------------------------------------------------------------------------------------------


def exchanges_of(value: Any, names: Mapping[str, str] | None = None) -> Iterator[Exchange]:
    """The exchanges that one row holds: one, or one a pair where it is a list of pairs.

    Raises:
        FieldError: the row is of no known shape, a field is missing or has the wrong type.
    """
    names = names or {}
    if isinstance(value, list | tuple):
        if len(value) == 2 and all(isinstance(item, str) for item in value):
            yield _exchange([Turn("user", value[0]), Turn("assistant", value[1])])
        elif value and all(isinstance(item, list | tuple) for item in value):
            for item in value:
                yield from exchanges_of(list(item), names)
        elif value and all(isinstance(item, Mapping) for item in value):
            yield _exchange(_messages(value, "messages"))
        else:
            raise FieldError(f"expected an object or a pair, found a list of {len(value)}")
        return
    if not isinstance(value, Mapping):
        raise FieldError(f"expected an object, found {_kind(value)}")
    title, department, disease = (_optional(value, key, names) for key in ("title", "department", "disease"))
    key = _present(value, "messages", names)
    if key is not None and value[key]:
        exchange = _exchange([*_system(value, names), *_messages(value[key], key)])
        yield replace(exchange, title=title, department=department, disease=disease)
        return
    for turns in _question_answer(value, names, title):
        yield replace(_exchange(turns), title=title, department=department, disease=disease)


def _question_answer(value: Mapping[str, Any], names: Mapping[str, str], title: str | None) -> Iterator[list[Turn]]:
    asked = _present(value, "question", names)
    answered = _present(value, "answer", names)
    if answered is None and "answer" in names:
        raise FieldError(f"no field {names['answer']!r} with the answer (has {', '.join(map(str, list(value)[:8]))})")
    if asked is None:
        known = f"{', '.join(FIELDS['question'][:6])} …"
        raise FieldError(
            f"no field with the question (looked for {names.get('question') or known}; has {', '.join(map(str, list(value)[:8]))})"
        )
    questions = _texts(value[asked], asked)
    answers = _texts(value[answered], answered) if answered is not None else []
    if len(answers) > 1 and len(answers) != len(questions) and len(questions) != 1:
        raise FieldError(f"{asked} holds {len(questions)} texts, {answered} {len(answers)}")
    history = [*_system(value, names), *_history(value, names)]
    key = _present(value, "input", names)
    more = "\n".join(text.strip() for text in _texts(value[key], key) if not _is_empty(text)) if key else ""
    for number, question in enumerate(questions or [""]):
        if _is_empty(question):
            question = title or ""
        if more:
            question = f"{question}\n{more}"
        chosen = answers[number : number + 1] if len(questions) == len(answers) else answers
        for answer in chosen:
            yield [*history, Turn("user", question), Turn("assistant", "" if _is_empty(answer) else answer)]
        if not chosen:
            yield [*history, Turn("user", question)]


def _system(value: Mapping[str, Any], names: Mapping[str, str]) -> list[Turn]:
    text = _optional(value, "system", names)
    return [Turn("system", text)] if text else []


def _is_empty(text: str) -> bool:
    return text.strip().lower() in _EMPTY


def _history(value: Mapping[str, Any], names: Mapping[str, str]) -> list[Turn]:
    key = _present(value, "history", names)
    if key is None or not value[key]:
        return []
    history = value[key]
    if not isinstance(history, list | tuple):
        raise FieldError(f"{key}: expected a list of pairs, found {_kind(history)}")
    if all(isinstance(item, Mapping) for item in history):
        return _messages(history, key)
    turns: list[Turn] = []
    for number, pair in enumerate(history):
        if not (isinstance(pair, list | tuple) and len(pair) == 2 and all(isinstance(text, str) for text in pair)):
            raise FieldError(f"{key}[{number}]: expected a pair of texts, found {_kind(pair)}")
        turns += [Turn("user", pair[0]), Turn("assistant", pair[1])]
    return turns


def _messages(messages: Any, key: str) -> list[Turn]:
    if not isinstance(messages, list | tuple):
        raise FieldError(f"{key}: expected a list of messages, found {_kind(messages)}")
    turns = []
    for number, message in enumerate(messages):
        where = f"{key}[{number}]"
        if isinstance(message, str):
            match = _TAG.match(message)
            if not match:
                raise FieldError(f"{where}: a text without a speaker tag")
            turns.append(Turn(ROLES[match["tag"].lower()], message[match.start("text") :]))
            continue
        if isinstance(message, list | tuple) and len(message) == 2 and all(isinstance(text, str) for text in message):
            turns += [Turn("user", message[0]), Turn("assistant", message[1])]
            continue
        if not isinstance(message, Mapping):
            raise FieldError(f"{where}: expected a message, found {_kind(message)}")
        speaker = next((message[name] for name in ("role", "from", "speaker", "角色") if name in message), None)
        text = next(
            (
                message[name]
                for name in ("content", "value", "text", "sentence", "utterance", "内容")
                if name in message
            ),
            None,
        )
        if not isinstance(speaker, str) or speaker.strip().lower() not in ROLES:
            raise FieldError(
                f"{where}: unknown speaker {speaker!r}" if isinstance(speaker, str) else f"{where}: no role"
            )
        if not isinstance(text, str):
            raise FieldError(f"{where}: content: expected a text, found {_kind(text)}")
        turns.append(Turn(ROLES[speaker.strip().lower()], text))
    return turns


def _exchange(turns: Iterable[Turn]) -> Exchange:
    """Blank turns dropped, runs of one speaker merged."""
    merged: list[Turn] = []
    for turn in turns:
        text = encoding.unify_lines(turn.text).strip()
        if text.lower() in _BLANK:
            continue
        if merged and merged[-1].role == turn.role:
            merged[-1] = Turn(turn.role, f"{merged[-1].text}\n{text}")
        else:
            merged.append(Turn(turn.role, text))
    return Exchange(tuple(merged))


def _present(value: Mapping[str, Any], field: str, names: Mapping[str, str]) -> str | None:
    if field in names:
        return names[field] if names[field] in value else None
    found = {str(key).strip().lower(): str(key) for key in value}
    keys = [found[name] for name in FIELDS[field] if name in found and value[found[name]] is not None]
    return next((key for key in keys if value[key] not in ("", [])), keys[0] if keys else None)


def _texts(value: Any, key: str) -> list[str]:
    """A field as texts: a text, or a list of them however wrapped."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list | tuple):
        return [text for item in value for text in _texts(item, key)]
    if value is None:
        return []
    raise FieldError(f"{key}: expected a text, found {_kind(value)}")


def _optional(value: Mapping[str, Any], field: str, names: Mapping[str, str]) -> str | None:
    key = _present(value, field, names)
    text = value[key] if key is not None else None
    return text.strip() or None if isinstance(text, str) else None


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    names = {
        bool: "a truth value",
        int: "a number",
        float: "a number",
        str: "a text",
        dict: "an object",
        list: "a list",
    }
    return names.get(type(value), type(value).__name__)


# --- tagged plain text ------------------------------------------------------------------------------


def _tagged(file: SourceFile, source: SourceInfo) -> Iterator[Item | Reject]:
    """Dialogues of a plain text: lines begin with a speaker's tag; rules or blank lines part dialogues."""
    data = file.path.read_bytes()
    problem = refuse(data, file, source)
    if problem:
        yield problem
        return
    lines = encoding.decode(data).text.lstrip("\ufeff").split("\n")
    ruled = any(_RULE.match(line) for line in lines)
    for start, block in _ruled_blocks(lines) if ruled else _spaced_blocks(lines):
        yield from _tagged_block(block, start, file, source)


def _ruled_blocks(lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    start = 0
    for index, line in enumerate([*lines, "==="]):
        if _RULE.match(line):
            if any(item.strip() for item in lines[start:index]):
                yield start + 1, list(lines[start:index])
            start = index + 1


def _spaced_blocks(lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Blocks of a text without rules: a blank line ends a dialogue where the user speaks next.

    Before the other's words it parts turns, before words without a tag paragraphs. Where every turn is set
    apart, one blank line is no border, but before a question marked as such.
    """
    tags = _speakers(lines)
    chunks: list[tuple[int, list[str]]] = []
    blank = True
    for number, line in enumerate(lines, 1):
        if line.strip():
            if blank:
                chunks.append((number, []))
            chunks[-1][1].append(line)
        blank = not line.strip()
    opening = [next((tag for line in chunk if (tag := _tag(line, tags))), None) for _, chunk in chunks]
    roles = [ROLES[tag] if tag else None for tag in opening]
    answers = sum(ROLES[tag] == "assistant" for line in lines if (tag := _tag(line, tags)))
    apart = roles.count("assistant") * 2 > answers
    block: list[str] = []
    start = end = 1
    for (number, chunk), tag, role in zip(chunks, opening, roles, strict=True):
        wide = apart and number - end > 2
        begins = role in ("user", "system") and (not apart or tag in _WORDS | _LETTERS)
        if block and (begins or (wide and role != "assistant")):
            yield start, block
            block = []
        if not block:
            start = number
        else:
            block.append("")
        block += chunk
        end = number + len(chunk) - 1
    if block:
        yield start, block


def _tag(line: str, tags: frozenset[str]) -> str | None:
    match = _TAG.match(line)
    tag = match["tag"].lower() if match else None
    return tag if tag in tags else None


def _speakers(lines: Iterable[str]) -> frozenset[str]:
    """The tags that mark speakers here: persons before 问 and 答, those before the letters Q and A, as far as both sides need.

    Where 患者 and 医生 speak, ``A：`` is an item of a list.
    """
    seen = {match["tag"].lower() for line in lines if (match := _TAG.match(line))}
    sides = {tag for tag in seen if ROLES[tag] == "system"}
    for family in (seen - _WORDS - _LETTERS, seen & _WORDS, seen & _LETTERS):
        if {"user", "assistant"} <= {ROLES[tag] for tag in sides}:
            break
        sides |= family
    return frozenset(sides)


def _tagged_block(block: list[str], start: int, file: SourceFile, source: SourceInfo) -> Iterator[Item | Reject]:
    if encoding.DAMAGED in "".join(block):
        yield source.reject("extract.encoding", file, f"line {start}: bytes that fit no encoding", "\n".join(block))
        return
    tags = _speakers(block)
    title: list[str] = []
    messages: list[dict[str, str]] = []
    for line in block:
        tag = _tag(line, tags)
        if tag and not (messages and ROLES[tag] == "system" and ROLES[messages[-1]["role"]] != "system"):
            match = _TAG.match(line)
            messages.append({"role": tag, "content": match["text"] if match else ""})
        elif messages:
            messages[-1]["content"] += "\n" + line.strip()
        else:
            title.append(line.strip())
    if messages:
        yield Item(f"line {start}", {"messages": messages, "title": " ".join(filter(None, title))})
    else:
        yield source.reject(
            "extract.field", file, f"line {start}: no speaker tag such as 患者： or 医生：", "\n".join(block)
        )
