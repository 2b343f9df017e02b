"""Answers of a trained model: whole weights or an unmerged adapter, in batches, always the same for a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer

from pedcorpus.errors import ConfigError
from pedcorpus.training.handover import model_place, read_stage
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
        return [text.strip() for text in self.tokenizer.batch_decode(said[:, width:], skip_special_tokens=True)]


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
            from peft import AutoPeftModelForCausalLM

            import pedcorpus.training  # noqa: F401  makes MoE-LoRA known to PEFT

            model = AutoPeftModelForCausalLM.from_pretrained(place)
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
