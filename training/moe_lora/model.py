"""The tuner that puts experts into a model, and its registration with PEFT."""

from __future__ import annotations

from typing import Any, cast

from peft import PeftConfig
from peft.mapping import (
    PEFT_TYPE_TO_CONFIG_MAPPING,
    PEFT_TYPE_TO_PREFIX_MAPPING,
    PEFT_TYPE_TO_TUNER_MAPPING,
)
from peft.tuners.tuners_utils import BaseTuner, BaseTunerLayer
from peft.utils import register_peft_method
from torch import nn

from pedcorpus.training.moe_lora.config import MoeLoraConfig
from pedcorpus.training.moe_lora.layer import NO_MERGE, MoeLoraLayer, MoeLoraLinear
from pedcorpus.training.moe_lora.registry import METHOD, PREFIX, peft_type


class MoeLoraModel(BaseTuner):
    """A model whose linear layers carry universal and specific experts. Made by ``peft.get_peft_model``.

    Raises:
        TypeError: A targeted module is no ``torch.nn.Linear``.
        ValueError: Merging was asked for.
    """

    prefix: str = PREFIX
    tuner_layer_cls = MoeLoraLayer
    target_module_mapping: dict[str, list[str]] = {}  # noqa: RUF012 (as PEFT declares it)

    def _create_and_replace(
        self,
        peft_config: PeftConfig,
        adapter_name: str,
        target: nn.Module,
        target_name: str,
        parent: nn.Module,
        current_key: str,
        parameter_name: str | None = None,
    ) -> None:
        config = cast(MoeLoraConfig, peft_config)
        if isinstance(target, MoeLoraLayer):
            target.update_layer(adapter_name, config)
            return
        base = target.get_base_layer() if isinstance(target, BaseTunerLayer) else target
        if not isinstance(base, nn.Linear):
            raise TypeError(
                f"{current_key} is a {type(base).__module__}.{type(base).__qualname__}; MoE-LoRA works on "
                "torch.nn.Linear only. Take it out of target_modules, or name it in exclude_modules."
            )
        layer = MoeLoraLinear(target, adapter_name, config)  # type: ignore[arg-type]
        if adapter_name not in self.active_adapters:
            layer.requires_grad_(False)
        self._replace_module(parent, target_name, layer, target)

    def _check_merge_allowed(self) -> None:
        raise ValueError(NO_MERGE)

    def unmerge_adapter(self) -> None:
        """Refuse.

        Raises:
            ValueError: Always, with the reason.
        """
        raise ValueError(NO_MERGE)


def register() -> None:
    """Tell PEFT of this method. Calling it again, or late, does no harm.

    Raises:
        RuntimeError: The enum of PEFT's methods does not let the member in, or the name belongs to another method.
    """
    member = peft_type()
    for mapping, ours in ((PEFT_TYPE_TO_CONFIG_MAPPING, MoeLoraConfig), (PEFT_TYPE_TO_TUNER_MAPPING, MoeLoraModel)):
        known: Any = mapping.get(member)
        if known is not None and (known.__module__, known.__qualname__) != (ours.__module__, ours.__qualname__):
            raise RuntimeError(
                f"PEFT already has a method called {METHOD!r}, of {known.__module__}.{known.__qualname__}. "
                "Use peft 0.21, or load only one of the two."
            )
    if member in PEFT_TYPE_TO_CONFIG_MAPPING:  # known from before; the module may have been loaded anew
        PEFT_TYPE_TO_CONFIG_MAPPING[member] = MoeLoraConfig
        PEFT_TYPE_TO_TUNER_MAPPING[member] = MoeLoraModel
        PEFT_TYPE_TO_PREFIX_MAPPING[member] = PREFIX
    else:
        register_peft_method(name=METHOD, config_cls=MoeLoraConfig, model_cls=MoeLoraModel, prefix=PREFIX)
