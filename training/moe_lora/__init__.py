"""MoE-LoRA: one universal and T specific low-rank experts per linear layer, as a PEFT tuner.

The method is the mixture of universal-specific experts of PediatricsGPT (arXiv 2405.19266). Importing this package
registers it with PEFT, so that ``get_peft_model``, ``PeftModel.from_pretrained`` and ``AutoPeftModel`` know it. A
program that loads a saved adapter has to import this package first.
"""

from __future__ import annotations

from pedcorpus.training.moe_lora.config import MoeLoraConfig
from pedcorpus.training.moe_lora.layer import MoeLoraLayer, MoeLoraLinear, RoutingRecord, record_routing
from pedcorpus.training.moe_lora.model import MoeLoraModel, register

register()

__all__ = [
    "MoeLoraConfig",
    "MoeLoraLayer",
    "MoeLoraLinear",
    "MoeLoraModel",
    "RoutingRecord",
    "record_routing",
    "register",
]
