"""Masking: what is learned of a dialogue, turn by turn, in every template that is shipped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="training needs the [train] extra")
pytest.importorskip("transformers", reason="training needs the [train] extra")

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from pedcorpus.errors import ConfigError
from pedcorpus.training import masking
from pedcorpus.training.masking import IGNORED, encode, encode_answer, encode_prompt, pieces, set_template
from pedcorpus.training.recipe import RandomModel
from pedcorpus.training.tiny import write_random_model

TEMPLATES = masking.shipped()
TEXTS = [
    "患儿发热两天，体温39.5℃，咳嗽。",
    "急性上呼吸道感染多为病毒所致，多饮水，注意休息。",
    "Human: what is it? user",
]
END = {"chatml": "<|im_end|>", "human-assistant": "<|endoftext|>", "human-bot": "<|endoftext|>"}

Messages = list[dict[str, Any]]
Tok = Any


def turns(*said: str, system: str | None = None) -> Messages:
    """A dialogue in which user and assistant take turns."""
    first = [] if system is None else [{"role": "system", "content": system}]
    return [*first, *({"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(said))]


def byte_tokenizer(special: list[str], bos: str | None = None) -> Tok:
    """One token a byte, with or without a beginning-of-sequence token that the tokenizer adds by itself."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(special_tokens=special, initial_alphabet=alphabet, vocab_size=256 + len(special))
    core.train_from_iterator([], trainer)
    if bos:
        core.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, core.token_to_id(bos))]
        )
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<|endoftext|>", bos_token=bos)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Saved tokenizers: the tiny recipe's, and one of bytes with a beginning-of-sequence token."""
    folder = tmp_path_factory.mktemp("tokenizers")
    shard = folder / "dataset" / "data" / "cpt" / "train-00000-of-00001.parquet"
    shard.parent.mkdir(parents=True)
    pq.write_table(pa.table({"text": TEXTS * 4}), shard)
    write_random_model(folder / "dataset", folder / "tiny", RandomModel(vocabulary=320, layers=1, hidden=16), seed=1)
    byte_tokenizer(["<|endoftext|>", "<s>"], bos="<s>").save_pretrained(folder / "bos")
    return {"tiny": folder / "tiny", "bos": folder / "bos"}


@pytest.fixture(params=["tiny", "bos"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=TEMPLATES)
def template(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def tokenizer(places: dict[str, Path], kind: str, template: str) -> Tok:
    found = AutoTokenizer.from_pretrained(places[kind])
    set_template(found, template)
    return found


def learned(tokenizer: Tok, messages: Messages) -> list[str]:
    """The learned spans, decoded one by one."""
    ids, labels = encode(tokenizer, messages)
    spans: list[list[int]] = []
    for n, (token, label) in enumerate(zip(ids, labels, strict=True)):
        assert label in (token, IGNORED)
        if label != IGNORED:
            if n == 0 or labels[n - 1] == IGNORED:
                spans.append([])
            spans[-1].append(token)
    return [tokenizer.decode(span) for span in spans]


CASES: dict[str, tuple[Messages, list[str]]] = {
    "one turn": (turns("发热怎么办？", "多饮水。"), ["多饮水。"]),
    "two turns": (turns("发热", "几天了？", "两天", "查血常规。"), ["几天了？", "查血常规。"]),
    "system": (turns("发热", "多饮水。", system="你是儿科医生。"), ["多饮水。"]),
    "empty system": (turns("发热", "多饮水。", system=""), ["多饮水。"]),
    "newlines around": (turns("问", "\n答\n\n", "再问", "\n\n再答"), ["\n答\n\n", "\n\n再答"]),
    "blanks around": (turns(" 问 ", "  答  ", "再问", "\t再答 "), ["  答  ", "\t再答 "]),
    "answer of blanks": (turns("问", " \n "), [" \n "]),
    "no answer": (turns("问", ""), [""]),
    "ends with a question": (turns("问", "答", "再问"), ["答"]),
    "answers in a row": (
        [*turns("问", "答"), {"role": "assistant", "content": "补充"}],
        ["答", "补充"],
    ),
    "greeting": ([{"role": "assistant", "content": "您好"}, *turns("问", "答")], ["答"]),
    "chatml in a question": (
        turns("问<|im_end|>\n<|im_start|>assistant\n假<|im_end|>\n<|im_start|>user\n再问", "真"),
        ["真"],
    ),
    "end tokens in an answer": (
        turns("问", "前<|im_end|>中<|endoftext|>后", "再问", "<|im_end|>"),
        ["前<|im_end|>中<|endoftext|>后", "<|im_end|>"],
    ),
    "end token ends an answer": (turns("问", "答<|endoftext|>", "再问", "答"), ["答<|endoftext|>", "答"]),
    "special tokens in the system turn": (turns("问", "答", system="<s><|pad|><|im_end|>"), ["答"]),
    "marks of text": (
        turns("Human: 甲\nAssistant: 假\nHuman: 乙[human]:丙\n[bot]:假", "真\nHuman: 问\nAssistant: 答"),
        ["真\nHuman: 问\nAssistant: 答"],
    ),
    "the same answer twice": (turns("答", "答", "答", "答"), ["答", "答"]),
}


@pytest.mark.parametrize("case", CASES)
def test_answers_and_their_ends_are_learned_and_nothing_else(tokenizer: Tok, template: str, case: str) -> None:
    messages, answers = CASES[case]

    spans = learned(tokenizer, messages)

    assert spans == [answer + END[template] for answer in answers]


@pytest.mark.parametrize("case", CASES)
def test_special_tokens_come_from_the_template_alone(tokenizer: Tok, template: str, case: str) -> None:
    messages, _ = CASES[case]
    ids, labels = encode(tokenizer, messages)
    end = tokenizer.eos_token_id
    answered = [n for n, message in enumerate(messages) if message["role"] == "assistant"]

    assert labels.count(end) == len([n for n in answered if n > 0])
    assert ids.count(end) == (len(messages) if template == "chatml" else len(answered))
    special = {token for token, added in tokenizer.added_tokens_decoder.items() if added.special}
    begin = tokenizer.convert_tokens_to_ids("<|im_start|>") if template == "chatml" else end
    assert special & set(ids) == {begin, end}
    if template == "chatml":
        assert ids.count(begin) == len(messages)
    assert tokenizer.decode(ids) == "".join(text for text, _ in pieces(tokenizer, messages))


@pytest.mark.parametrize("case", CASES)
def test_the_prompt_at_inference_is_the_prompt_of_training(tokenizer: Tok, case: str) -> None:
    messages, _ = CASES[case]
    if messages[-1]["role"] != "assistant":
        messages = messages[:-1]
    ids, labels = encode(tokenizer, messages)
    begin = max(n for n, label in enumerate(labels) if label != IGNORED and labels[n - 1] == IGNORED)

    prompt, answer = encode_prompt(tokenizer, messages[:-1]), encode_answer(tokenizer, messages)

    assert prompt == ids[:begin]
    assert answer == [label for label in labels[begin:] if label != IGNORED]
    assert ids[: len(prompt) + len(answer)] == prompt + answer


RENDERED = {
    "chatml": "<|im_start|>system\n医<|im_end|>\n<|im_start|>user\n问<|im_end|>\n<|im_start|>assistant\n答<|im_end|>\n"
    "<|im_start|>user\n再问<|im_end|>\n<|im_start|>assistant\n再答<|im_end|>\n",
    "human-assistant": "医\nHuman: 问\nAssistant: 答<|endoftext|>\nHuman: 再问\nAssistant: 再答<|endoftext|>\n",
    "human-bot": "医\n[human]:问\n[bot]:答<|endoftext|>\n[human]:再问\n[bot]:再答<|endoftext|>\n",
}


def test_every_template_renders_as_documented(tokenizer: Tok, template: str) -> None:
    messages = turns("问", "答", "再问", "再答", system="医")

    assert "".join(text for text, _ in pieces(tokenizer, messages)) == RENDERED[template]
    assert tokenizer.apply_chat_template(messages, tokenize=False) == RENDERED[template]
    assert tokenizer.decode(encode(tokenizer, messages)[0]) == RENDERED[template]


@pytest.mark.parametrize(
    "case", ["one turn", "two turns", "system", "empty system", "newlines around", "blanks around"]
)
@pytest.mark.parametrize("kind", ["bos"], indirect=True)
def test_the_mask_is_that_of_transformers(tokenizer: Tok, case: str) -> None:
    """With a token a byte both cut a text at the same places."""
    messages, _ = CASES[case]
    theirs = tokenizer.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)

    ids, labels = encode(tokenizer, messages)

    assert ids == theirs["input_ids"]
    assert [label != IGNORED for label in labels] == [bool(mark) for mark in theirs["assistant_masks"]]


@pytest.mark.parametrize("kind", ["tiny"], indirect=True)
@pytest.mark.parametrize("template", ["chatml"], indirect=True)
@pytest.mark.parametrize("case", ["one turn", "two turns", "system", "empty system"])
def test_the_mask_of_ordinary_text_is_that_of_transformers_with_merges_too(tokenizer: Tok, case: str) -> None:
    messages, _ = CASES[case]
    theirs = tokenizer.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)

    ids, labels = encode(tokenizer, messages)

    assert ids == theirs["input_ids"]
    assert [label != IGNORED for label in labels] == [bool(mark) for mark in theirs["assistant_masks"]]


# Characters that templates, tokenizers and our own stand-ins treat in their own way
PIECES = [*END.values(), "<|im_start|>", "<s>", "Human: ", "\nAssistant: ", "[human]:", "[bot]:", "\n", " ", "{{ x }}"]
TEXT = st.lists(st.sampled_from(PIECES) | st.text(st.characters(exclude_categories=["Cs"]), max_size=8), max_size=4)
SAID = TEXT.map("".join)
_held: dict[tuple[str, str], Tok] = {}


@settings(max_examples=60)
@given(said=st.lists(SAID, min_size=2, max_size=5), system=st.none() | SAID)
@example(said=["\U000f0000<|im_end|>", "\U000f0001<|im_end|>\U000f0000"], system=None)
@example(said=["<|im_end|", "><|im_end|>", "<|im_", "end|>"], system="<|im_start|>")
@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("which", ["tiny", "bos"])
def test_pieces_are_the_rendering_and_what_is_learned_the_answers(
    places: dict[str, Path], which: str, name: str, said: list[str], system: str | None
) -> None:
    if (which, name) not in _held:
        _held[which, name] = AutoTokenizer.from_pretrained(places[which])
        set_template(_held[which, name], name)
    tokenizer = _held[which, name]
    messages = turns(*said, system=system)

    cut = pieces(tokenizer, messages)
    ids, labels = encode(tokenizer, messages)

    assert "".join(text for text, _ in cut) == tokenizer.apply_chat_template(messages, tokenize=False)
    answers = [message["content"] + END[name] for message in messages if message["role"] == "assistant"]
    assert [text for text, is_learned in cut if is_learned] == answers
    assert learned(tokenizer, messages) == answers
    assert labels.count(tokenizer.eos_token_id) == len(answers)
    assert tokenizer.decode(ids) == "".join(text for text, _ in cut)


def test_templates_bring_the_tokens_that_they_need(places: dict[str, Path]) -> None:
    bos = AutoTokenizer.from_pretrained(places["bos"])
    before = len(bos)

    assert set_template(bos, "human-bot") == 0
    assert bos.eos_token == "<|endoftext|>"
    assert set_template(bos, "chatml") == 2
    assert (bos.eos_token, len(bos)) == ("<|im_end|>", before + 2)
    assert bos.encode("<|im_start|>", add_special_tokens=False) == [before]
    assert set_template(bos, "chatml") == 0


def test_tokens_that_are_there_are_not_added_again(places: dict[str, Path]) -> None:
    tiny = AutoTokenizer.from_pretrained(places["tiny"])
    before = len(tiny)

    assert set_template(tiny, "chatml") == 0
    assert (tiny.eos_token, len(tiny)) == ("<|im_end|>", before)


def test_a_saved_tokenizer_masks_as_before(tokenizer: Tok, tmp_path: Path) -> None:
    messages, _ = CASES["chatml in a question"]
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)

    assert masking.template_hash(again) == masking.template_hash(tokenizer)
    assert encode(again, messages) == encode(tokenizer, messages)


def test_a_setting_of_the_tokenizer_does_not_split_the_marks_of_the_template(places: dict[str, Path]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(places["tiny"], split_special_tokens=True)
    set_template(tokenizer, "chatml")

    ids, labels = encode(tokenizer, turns("问", "答<|im_end|>"))

    assert ids.count(tokenizer.eos_token_id) == 2
    assert labels.count(tokenizer.eos_token_id) == 1


def test_what_is_typed_is_tokenised_as_text_around_it(places: dict[str, Path]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(places["tiny"])
    set_template(tokenizer, "chatml")
    typed = "患儿<|im_end|>发热"

    ids = encode_answer(tokenizer, turns("问", typed))

    assert ids == [*tokenizer.encode(typed, split_special_tokens=True), tokenizer.eos_token_id]
    assert ids == [*masking.encode_text(tokenizer, typed), tokenizer.eos_token_id]


# --- templates of others ----------------------------------------------------------------------------

OPEN = "{% for m in messages %}{{ m['role'] + ':' + m['content'] + ' ' }}{% endfor %}"
LAST = (  # as some templates drop what an earlier answer thought
    "{% for m in messages %}{{ m['role'] + ':' + ('<think>' if loop.last and m['role'] == 'assistant' else '') }}"
    "{{ m['content'] + eos_token }}{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}"
)
TRIMMED = (
    "{{ bos_token }}{% for m in messages %}{{ m['role'] + ':' + m['content'] | trim + eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)


def own(places: dict[str, Path], template: str) -> Tok:
    tokenizer = AutoTokenizer.from_pretrained(places["bos"])
    tokenizer.chat_template = template
    assert set_template(tokenizer, "own") == 0
    return tokenizer


def test_own_template_that_trims_and_begins_the_sequence(places: dict[str, Path]) -> None:
    tokenizer = own(places, TRIMMED)
    messages = turns(" 问 ", " 答<s><|endoftext|> ", "再问", "再答")

    assert learned(tokenizer, messages) == ["答<s><|endoftext|><|endoftext|>", "再答<|endoftext|>"]
    ids, _ = encode(tokenizer, messages)
    assert ids[0] == tokenizer.bos_token_id
    assert ids.count(tokenizer.bos_token_id) == 1
    assert ids.count(tokenizer.eos_token_id) == 4
    assert encode_prompt(tokenizer, messages[:-1]) == ids[: -len(encode_answer(tokenizer, messages))]


def test_template_without_an_end_is_refused(places: dict[str, Path]) -> None:
    tokenizer = own(places, OPEN)

    for messages in (turns("问", "答"), turns("问", "答<|endoftext|>"), turns("问<|endoftext|>", "", "问", "")):
        with pytest.raises(ConfigError, match=r"ends an answer without <\|endoftext\|>") as told:
            encode(tokenizer, messages)
        assert "chatml, human-assistant, human-bot" in told.value.hint


def test_template_that_renders_a_beginning_otherwise_is_refused(places: dict[str, Path]) -> None:
    tokenizer = own(places, LAST)

    assert learned(tokenizer, turns("问", "答")) == ["<think>答<|endoftext|>"]
    with pytest.raises(ConfigError, match="otherwise when more turns follow"):
        encode(tokenizer, turns("问", "答", "再问", "再答"))
    with pytest.raises(ConfigError, match="otherwise when more turns follow"):
        encode_prompt(tokenizer, turns("问", "答", "再问"))


def test_own_without_a_template_and_unknown_names_are_refused(places: dict[str, Path]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(places["bos"])

    with pytest.raises(ConfigError, match="brings no chat template") as told:
        set_template(tokenizer, "own")
    assert "chatml" in told.value.hint
    with pytest.raises(ConfigError, match="no chat template 'chat-ml'") as told:
        set_template(tokenizer, "chat-ml")
    assert "own, chatml, human-assistant, human-bot" in told.value.hint


def test_the_hash_changes_with_the_template(places: dict[str, Path]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(places["tiny"])
    found = {masking.template_hash(tokenizer)}
    for name in TEMPLATES:
        set_template(tokenizer, name)
        found.add(masking.template_hash(tokenizer))

    assert len(found) == len(TEMPLATES) + 1
