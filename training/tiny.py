"""A small model of our own: a byte-level BPE tokenizer trained on the dataset and a Qwen3-like model, both fresh."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pedcorpus.builddir import write_json
from pedcorpus.errors import PedcorpusError
from pedcorpus.training.recipe import RandomModel
from pedcorpus.training.rows import load_rows, shards_of

RANDOM_FILE = "random.json"
"""Beside the weights: what they were made of. Written last."""
_TEXT_CONFIGS = ("cpt", "general", "self_cognition", "safety")
_END, _PAD, _TURN, _TURN_END = "<|endoftext|>", "<|pad|>", "<|im_start|>", "<|im_end|>"
_PROOF = "患儿，3岁；39.5℃ ～ 10mg/kg·次 “龘”"


def write_random_model(
    folder: Path, target: Path, shape: RandomModel, seed: int, made_of: dict[str, Any] | None = None
) -> None:
    """Write tokenizer and model to ``target``; the same dataset, shape and seed give the same weights.

    ``made_of`` is written beside them, to know them again.

    Raises:
        PedcorpusError: the tokenizer does not give back what it was given.
    """
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

    fast = Tokenizer(models.BPE())
    fast.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    fast.decoder = decoders.ByteLevel()
    fast.train_from_iterator(
        _texts(folder),
        trainers.BpeTrainer(
            vocab_size=shape.vocabulary,
            special_tokens=[_END, _PAD, _TURN, _TURN_END],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=fast, eos_token=_END, pad_token=_PAD)
    if tokenizer.decode(tokenizer(_PROOF)["input_ids"]) != _PROOF:
        raise PedcorpusError("the new tokenizer does not give back its text", "raise model.random.vocabulary")
    torch.manual_seed(seed)
    model = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=shape.hidden,
            intermediate_size=shape.intermediate,
            num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads,
            num_key_value_heads=shape.heads,
            head_dim=shape.hidden // shape.heads,
            max_position_embeddings=shape.context,
            tie_word_embeddings=True,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    new = target.with_name(f".{target.name}.new")
    shutil.rmtree(new, ignore_errors=True)
    model.save_pretrained(new)
    tokenizer.save_pretrained(new)
    write_json(new / RANDOM_FILE, made_of or {})
    shutil.rmtree(target, ignore_errors=True)
    new.replace(target)


def _texts(folder: Path) -> Iterator[str]:
    for config in _TEXT_CONFIGS:
        if shards_of(folder, config, "train"):
            for row in load_rows(folder, config):
                yield row.get("text") or "\n".join(message["content"] for message in row["messages"])
