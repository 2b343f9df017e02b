"""Two steps of MoE-LoRA on a model sharded by FSDP2, for ``torchrun``: ``fsdp2_worker.py DIRECTORY``.

Every process takes its part of one batch. The first one then does the same steps alone on the whole batch, loads what
the sharded model saved, and writes the greatest differences to ``result.json``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from peft import PeftModel, get_peft_model
from torch import Tensor
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor
from transformers import Qwen3Config, Qwen3ForCausalLM

from pedcorpus.training.moe_lora import MoeLoraConfig

STEPS = 2
ROWS = 4


def base_model() -> Any:
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=200,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=64,
    )
    return Qwen3ForCausalLM(config)


def adapted() -> Any:
    model: Any = get_peft_model(base_model(), MoeLoraConfig(r=4, task_type="CAUSAL_LM", noise=False))
    generator = torch.Generator().manual_seed(1)
    for name, parameter in model.named_parameters():
        if "moe_lora_" in name:
            parameter.data.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return model


def train(model: Any, rows: Tensor) -> None:
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1.0)
    model.train()
    for step in range(STEPS):
        optimizer.zero_grad()
        model(input_ids=rows[step], labels=rows[step]).loss.backward()
        optimizer.step()


def main() -> None:
    directory = Path(sys.argv[1])
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    mesh = init_device_mesh("cpu", (world,))
    rows = torch.randint(0, 200, (STEPS, ROWS, 12), generator=torch.Generator().manual_seed(2))

    model = adapted()
    for block in model.base_model.model.model.layers:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    sharded = [p for p in model.parameters() if isinstance(p, DTensor)]
    train(model, rows[:, rank * ROWS // world : (rank + 1) * ROWS // world])
    state: Any = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))

    if rank == 0:
        alone = adapted()
        start = {name: p.detach().clone() for name, p in alone.named_parameters() if p.requires_grad}
        train(alone, rows.view(STEPS, ROWS, -1))
        weights = {name: p.detach() for name, p in alone.named_parameters() if p.requires_grad}
        alone.save_pretrained(directory / "adapter", state_dict=state)
        loaded: Any = PeftModel.from_pretrained(base_model(), directory / "adapter")
        reread = dict(loaded.named_parameters())
        with torch.no_grad():
            logits = [each.eval()(rows[0]).logits for each in (alone, loaded)]
        result = {
            "world": world,
            "sharded": len(sharded),
            "trained": len(weights),
            "moved": min(float((weights[name] - start[name]).abs().max()) for name in weights),
            "weights": max(float((state[name] - weights[name]).abs().max()) for name in weights),
            "reread": max(float((reread[name] - state[name]).abs().max()) for name in weights),
            "logits": float((logits[0] - logits[1]).abs().max()),
        }
        (directory / "result.json").write_text(json.dumps(result), "utf-8")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
