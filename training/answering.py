"""Answers of a trained model: whole weights or an unmerged adapter, in batches, always the same for a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer

from pedcorpus.builddir import read_json
from pedcorpus.errors import ConfigError
from pedcorpus.training.handover import directory_hash, model_place, read_stage
from pedcorpus.training.masking import Messages, encode_prompt
from pedcorpus.training.watch import quiet


@dataclass(frozen=True, slots=True)
class Sampling:
    """How answers are drawn; temperature 0 takes the likeliest token each time."""

    max_new_tokens: int = 512
    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 17


@dataclass
class Answerer:
    """A model, its tokenizer and how it speaks."""

    model: Any
    tokenizer: Any

    def answer(self, prompts: Sequence[Messages], sampling: Sampling, seed: int | None = None) -> list[str]:
        """One answer a dialogue; ``seed`` takes the place of the sampling's."""
        return [text for text, _ in self.sample(prompts, sampling, seed)]

    def sample(
        self, prompts: Sequence[Messages], sampling: Sampling, seed: int | None = None
    ) -> list[tuple[str, bool]]:
        """`answer`, and of each text whether the model ended it itself; else ``max_new_tokens`` cut it off."""
        ids = [encode_prompt(self.tokenizer, prompt) for prompt in prompts]
        width = max(map(len, ids))
        pad = self.tokenizer.pad_token_id
        batch = torch.tensor([[pad] * (width - len(row)) + row for row in ids], device=self.model.device)
        seen = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in ids], device=self.model.device)
        options: dict[str, Any] = {"do_sample": False}
        if sampling.temperature > 0:
            options = {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
        torch.manual_seed(sampling.seed if seed is None else seed)
        with torch.inference_mode():
            said = self.model.generate(
                input_ids=batch,
                attention_mask=seen,
                max_new_tokens=sampling.max_new_tokens,
                eos_token_id=self.tokenizer.eos_token_id,
                pad_token_id=pad,
                **options,
            )
        new = said[:, width:]
        ended = (new == self.tokenizer.eos_token_id).any(dim=1).tolist()
        texts = self.tokenizer.batch_decode(new, skip_special_tokens=True)
        return [(text.strip(), end) for text, end in zip(texts, ended, strict=True)]


def load_answerer(name: str, trust_remote_code: bool = False) -> Answerer:
    """A stage's directory, an adapter's directory or a Hub id.

    Raises:
        ConfigError: it cannot be loaded, gives no text, or has no chat template.
    """
    quiet()
    place = model_place(name)
    stage = read_stage(Path(place)) if Path(place).is_dir() else None
    if stage is not None and stage["stage"] == "reward":
        raise ConfigError(f"{place} is a reward model and gives no text", "name the model that it was trained from")
    adapter = (Path(place) / "adapter_config.json").exists()
    try:
        tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=trust_remote_code)
        if adapter:
            from peft import PeftModel

            import pedcorpus.training  # noqa: F401  makes MoE-LoRA known to PEFT

            base = AutoModelForCausalLM.from_pretrained(base_of(place), trust_remote_code=trust_remote_code)
            if len(tokenizer) > base.get_input_embeddings().weight.shape[0]:
                base.resize_token_embeddings(len(tokenizer))
            model = PeftModel.from_pretrained(base, place)
        else:
            model = AutoModelForCausalLM.from_pretrained(place, trust_remote_code=trust_remote_code)
    except (OSError, ValueError, KeyError, ImportError, SafetensorError) as error:
        told = str(error).strip().split("\n")[0]
        raise ConfigError(
            f"cannot load {place}: {told}", "check the directory; an adapter needs its base beside it"
        ) from error
    if not tokenizer.chat_template:
        raise ConfigError(f"{place} has no chat template", "take the directory of the sft stage or a later one")
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    model = model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    return Answerer(model, tokenizer)


def base_of(place: str) -> str:
    """The model that the adapter at ``place`` belongs to; where that folder is gone, one of its name beside the adapter.

    Raises:
        ConfigError: it is gone, or was changed since the adapter was trained on it.
    """
    named = str(read_json(Path(place) / "adapter_config.json").get("base_model_name_or_path"))
    folder = Path(named)
    if folder.is_absolute() and not folder.is_dir():
        folder = Path(place).parent / folder.name
        if not folder.is_dir():
            raise ConfigError(f"{place}: its base model is gone: {named}", f"put it back, or at {folder}")
    if not folder.is_dir():
        return named
    stage = read_stage(Path(place))
    if stage is not None and stage["parent"]["sha256"] != directory_hash(folder):
        raise ConfigError(
            f"{folder} is not the model that {place} was trained on: its files were changed",
            "restore it, or train the adapter again",
        )
    return str(folder)
