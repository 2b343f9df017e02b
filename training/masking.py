"""Chat templates, and what a model learns of a dialogue written in one: its answers with their end, nothing else.

What somebody typed is text: special tokens come from the template alone, so ``<|im_end|>`` in a question ends no turn.
Marks that are text in the template itself (``Human:``) stay as they were typed; what is learned goes by the messages, so
they move nothing there, but only ``chatml`` keeps a model from taking them for a turn.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from pedcorpus.errors import ConfigError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED = -100
"""The label of a token that is not learned."""
_MARKS = {"chatml": ("<|im_start|>", "<|im_end|>")}
"""Templates that begin and end a turn with tokens of their own; the others end it with the tokenizer's."""
_STAND_INS = range(0xF0000, 0xFFFFE)
"""Private characters, each of which stands for a special token that somebody typed while a template is rendered."""

Messages = Sequence[dict[str, Any]]


def shipped() -> list[str]:
    """Names of the templates that come with the package."""
    folder = files("pedcorpus.training").joinpath("templates")
    return sorted(path.name.removesuffix(".jinja") for path in folder.iterdir() if path.name.endswith(".jinja"))


def template_hash(tokenizer: PreTrainedTokenizerBase) -> str:
    """SHA-256 of the tokenizer's chat template."""
    return hashlib.sha256(str(tokenizer.chat_template or "").encode()).hexdigest()


def set_template(tokenizer: PreTrainedTokenizerBase, name: str) -> int:
    """Give the tokenizer the template ``name`` and the special tokens that it needs; its end token ends a text, too.

    Returns how many tokens were added to the vocabulary.

    Raises:
        ConfigError: no such template, or ``own`` and the tokenizer brings none.
    """
    if name == "own":
        if not tokenizer.chat_template:
            raise ConfigError(
                "the tokenizer brings no chat template", f"set model.template to one of: {', '.join(shipped())}"
            )
        return 0
    if name not in shipped():
        raise ConfigError(f"no chat template {name!r}", f"known: own, {', '.join(shipped())}")
    tokenizer.chat_template = files("pedcorpus.training").joinpath("templates", f"{name}.jinja").read_text("utf-8")
    before = len(tokenizer)
    if name in _MARKS:
        tokenizer.add_tokens([mark for mark in _MARKS[name] if mark not in _special(tokenizer)], special_tokens=True)
        tokenizer.eos_token = _MARKS[name][1]
    return len(tokenizer) - before


def pieces(tokenizer: PreTrainedTokenizerBase, messages: Messages) -> list[tuple[str, bool]]:
    """The rendered dialogue cut into (text, whether it is learned); joined, the texts are the whole rendering.

    An answer is learned from after its generation prompt up to its end-of-turn token, which is included. A dialogue's
    first message is never learned: nobody asked for it.

    Raises:
        ConfigError: the template does not render the beginning of a dialogue as it renders the whole of it, or
            leaves an answer without the tokenizer's end-of-sequence token.
    """
    marked, typed = _marked(tokenizer, messages)
    return [(_typed(text, typed), learned) for text, learned in _cut(tokenizer, marked)]


def encode(tokenizer: PreTrainedTokenizerBase, messages: Messages) -> tuple[list[int], list[int]]:
    """Token ids of a dialogue and its labels: the id where it is learned, else `IGNORED`.

    Each piece is tokenised by itself, so a prompt has the ids it has at inference.
    """
    ids: list[int] = []
    labels: list[int] = []
    for tokens, learned in _tokenised(tokenizer, messages):
        ids += tokens
        labels += tokens if learned else [IGNORED] * len(tokens)
    return ids, labels


def encode_prompt(tokenizer: PreTrainedTokenizerBase, messages: Messages) -> list[int]:
    """Token ids of a dialogue that ends with the user's turn, ready for an answer; the same as in training."""
    return [token for tokens, _ in _tokenised(tokenizer, messages, prompt=True) for token in tokens]


def encode_answer(tokenizer: PreTrainedTokenizerBase, messages: Messages) -> list[int]:
    """Token ids of the last answer of a dialogue, its end-of-turn token included."""
    return [tokens for tokens, learned in _tokenised(tokenizer, messages) if learned][-1]


def encode_text(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """Token ids of a text of the dataset, with no special token among them."""
    return list(tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])


def _tokenised(
    tokenizer: PreTrainedTokenizerBase, messages: Messages, prompt: bool = False
) -> list[tuple[list[int], bool]]:
    marked, typed = _marked(tokenizer, messages)
    special = _special(tokenizer)
    found = []
    for text, learned in _cut(tokenizer, marked, prompt):
        if typed.keys().isdisjoint(text):
            found.append((_ids(tokenizer, text), learned))
            continue
        tokens: list[int] = []
        for part in re.split(f"({_pattern(special)})", text):
            tokens += _ids(tokenizer, part) if part in special else encode_text(tokenizer, _typed(part, typed))
        found.append((tokens, learned))
    return found


def _ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False, split_special_tokens=False)["input_ids"])


def _typed(text: str, typed: dict[str, str]) -> str:
    return "".join(typed.get(character, character) for character in text)


def _pattern(tokens: set[str]) -> str:
    return "|".join(re.escape(token) for token in sorted(tokens, key=lambda token: (-len(token), token)))


def _marked(tokenizer: PreTrainedTokenizerBase, messages: Messages) -> tuple[Messages, dict[str, str]]:
    """The messages with one character for each special token typed in them, and what these characters stand for."""
    said = "".join(message["content"] for message in messages)
    found = {token for token in _special(tokenizer) if token in said}
    if not found:
        return messages, {}
    free = (chr(code) for code in _STAND_INS if chr(code) not in said)
    characters = dict(zip(sorted(found), free, strict=False))
    pattern = re.compile(_pattern(found))
    marked = [
        {**message, "content": pattern.sub(lambda match: characters[match[0]], message["content"])}
        for message in messages
    ]
    return marked, {character: token for token, character in characters.items()}


def _special(tokenizer: PreTrainedTokenizerBase) -> set[str]:
    return {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}


def _cut(tokenizer: PreTrainedTokenizerBase, messages: Messages, prompt: bool = False) -> list[tuple[str, bool]]:
    whole = _render(tokenizer, messages, prompt)
    end = str(tokenizer.eos_token)
    found: list[tuple[str, bool]] = []
    position = 0
    for index, message in enumerate(messages):
        if message["role"] != "assistant" or index == 0:
            continue
        start = _render(tokenizer, messages[:index], prompt=True)
        after = _render(tokenizer, messages[: index + 1])
        if not (whole.startswith(after) and after.startswith(start) and len(start) >= position):
            raise ConfigError(
                "the chat template renders a dialogue otherwise when more turns follow",
                f"set model.template to one of: {', '.join(shipped())}",
            )
        stop = after.rfind(end)
        if stop < len(start) + len(message["content"].strip()):
            raise ConfigError(
                f"the chat template ends an answer without {end}, so a model would never learn to stop",
                f"set model.template to one of: {', '.join(shipped())}",
            )
        stop += len(end)
        found += [(whole[position : len(start)], False), (whole[len(start) : stop], True)]
        position = stop
    found.append((whole[position:], False))
    return [(text, learned) for text, learned in found if text]


def _render(tokenizer: PreTrainedTokenizerBase, messages: Messages, prompt: bool = False) -> str:
    return str(tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=prompt))
