"""What an adapter of universal and specific experts looks like."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from peft import PeftConfig

from pedcorpus.training.moe_lora.registry import peft_type

ALL_LINEAR = "all-linear"


@dataclass
class MoeLoraConfig(PeftConfig):
    """One adapter of PediatricsGPT's mixture of universal-specific experts (arXiv 2405.19266).

    A frozen linear layer ``W0`` becomes, for every token ``x``,

        ``z = W0 x + (lora_alpha / r) * (E_u(x) + sum_j G(x)_j * E_sj(x))``, j = 1..T
        ``G(x) = softmax(x W_g + eps * softplus(x W_n))``, eps ~ N(0, 1), while training only

    where every expert is a pair of matrices of rank ``r``. The defaults (rank 8, all linear layers, alpha 16, no
    dropout, T = 3) are those that give the 0.95 % of trainable weights which the paper states for its 7B model.

    Attributes:
        r: Rank of each expert, at least 1. The layer's total rank is ``(num_experts + 1) * r``.
        num_experts: T, the number of specific experts, at least 0. The universal expert comes on top of it and is
            always on. With 0 there is no router, and the adapter computes what LoRA computes.
        lora_alpha: The output of the experts is scaled by ``lora_alpha / r``. Positive.
        lora_dropout: Chance, from 0 to below 1, to drop an input of the experts while training. The router always
            sees the whole input. Above 0 the layer needs more products and more memory.
        target_modules: Names of linear layers (a layer matches by its whole name or by the end of it after a dot), or
            one regular expression for the whole name, or "all-linear": every linear layer except the output head.
        exclude_modules: Names or a regular expression, as above, of layers to leave alone.
        noise: Whether the router has noise while training. Without it there is no ``W_n``. In evaluation there is
            never any.
        official_init: Draw the start values from the ranges that the published code gives, for comparison: ``A``
            within ``1 / sqrt(d_in * r)`` instead of ``1 / sqrt(d_in)``, and ``W_n`` within ``1 / sqrt(T)`` instead of
            zeros. Nothing else of that code is imitated: ``W_n`` is trained and saved, the softmax runs in at least
            float32, and evaluation has no noise.
        bias: Always "none"; the biases of the base model stay frozen.
        modules_to_save: Names of further modules that are trained in full and saved with the adapter. A name matches
            by its end: "norm" also takes "q_norm".
        layers_to_transform: Index, or indices, of the decoder layers to adapt. Needs a list in ``target_modules``.
        layers_pattern: Name, or names, of the module list that ``layers_to_transform`` counts in.

    Raises:
        ValueError: A field has a value that cannot be used; the message names the field.
        RuntimeError: PEFT cannot learn of the method on this Python.
    """

    r: int = field(default=8, metadata={"help": "Rank of each expert."})
    num_experts: int = field(
        default=3, metadata={"help": "Number T of specific experts; one universal expert comes besides."}
    )
    lora_alpha: float = field(default=16, metadata={"help": "The experts are scaled by lora_alpha / r."})
    lora_dropout: float = field(default=0.0, metadata={"help": "Dropout on the input of the experts."})
    target_modules: list[str] | set[str] | str | None = field(
        default=ALL_LINEAR, metadata={"help": "Names or a regular expression of linear layers, or 'all-linear'."}
    )
    exclude_modules: list[str] | set[str] | str | None = field(
        default=None, metadata={"help": "Names or a regular expression of layers to leave alone."}
    )
    noise: bool = field(default=True, metadata={"help": "Whether the router has noise while training."})
    official_init: bool = field(default=False, metadata={"help": "Start values in the ranges of the published code."})
    bias: str = field(default="none", metadata={"help": "Always 'none'."})
    modules_to_save: list[str] | None = field(
        default=None, metadata={"help": "Further modules that are trained in full and saved with the adapter."}
    )
    layers_to_transform: list[int] | int | None = field(
        default=None, metadata={"help": "Indices of the decoder layers to adapt."}
    )
    layers_pattern: list[str] | str | None = field(
        default=None, metadata={"help": "Name of the module list that layers_to_transform counts in."}
    )

    def __post_init__(self) -> None:
        super().__post_init__()  # type: ignore[no-untyped-call]
        self.peft_type = peft_type()
        _check_whole("r", self.r, 1, "Give the rank of one expert, such as 8.")
        _check_whole("num_experts", self.num_experts, 0, "Give the number of specific experts, such as 3, or 0.")
        if not _is_number(self.lora_alpha) or not 0 < self.lora_alpha < float("inf"):
            raise ValueError(f"lora_alpha is {self.lora_alpha!r}. Give a positive number, such as {2 * self.r}.")
        if not _is_number(self.lora_dropout) or not 0 <= self.lora_dropout < 1:
            raise ValueError(f"lora_dropout is {self.lora_dropout!r}. Give a number from 0 to below 1.")
        for name in ("noise", "official_init"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} is {getattr(self, name)!r}. Give true or false.")
        if self.bias != "none":
            raise ValueError(f"bias is {self.bias!r}. MoE-LoRA leaves biases frozen: leave the field at 'none'.")
        if not self.target_modules:
            raise ValueError("target_modules is empty. Name linear layers, or give 'all-linear'.")
        self.target_modules = _names("target_modules", self.target_modules)
        self.exclude_modules = _names("exclude_modules", self.exclude_modules)
        if self.layers_to_transform is not None and isinstance(self.target_modules, str):
            raise ValueError(
                f"layers_to_transform is {self.layers_to_transform!r} while target_modules is the text "
                f"{self.target_modules!r}. Give target_modules as a list, or write the layers into the expression."
            )
        if self.layers_pattern and self.layers_to_transform is None:
            raise ValueError(
                f"layers_pattern is {self.layers_pattern!r} without layers_to_transform. Say which layers as well."
            )

    @property
    def scaling(self) -> float:
        """The factor ``lora_alpha / r`` on the output of the experts."""
        return self.lora_alpha / self.r


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_whole(name: str, value: object, least: int, advice: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} is {value!r}, not a whole number of at least {least}. {advice}")


def _names(name: str, value: Iterable[str] | str | None) -> set[str] | str | None:
    """A regular expression that compiles, or the set of names: PEFT matches against both."""
    if value is None:
        return None
    if isinstance(value, str):
        if value.lower() != ALL_LINEAR:
            try:
                re.compile(value)
            except re.error as error:
                raise ValueError(
                    f"{name} is {value!r}, which is no regular expression ({error}). Give names in a list, or mend it."
                ) from error
        return value
    names = set(value)
    if not all(isinstance(entry, str) for entry in names):
        raise ValueError(f"{name} is {value!r}. Give names of layers, each a text.")
    return names
