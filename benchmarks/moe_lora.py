"""Time and memory of one MoE-LoRA layer, forward and backward, against two others.

- *published*: the formulas of PediatricsGPT (arXiv 2405.19266) taken as they stand: every expert's output in the full
  width d, weighed by the gates, summed.
- *lora*: PEFT's LoRA of the same total rank, (T + 1) r.

All three wrap the same frozen linear layer (d → d) and get the same input, whose gradient is asked for too, as between
the layers of a model. They take turns, in an order that changes from round to round; what is reported are medians of
the ratios of a round. Time is processor time on a CPU and time between events on a GPU. Memory is the peak of
what a step allocates, as the allocator tells: the weights, the input and the gradient from above, which all three
share or hold alike, are not in it.

    python benchmarks/moe_lora.py --d 2048 --rank 8 --experts 3 --seq 512
    python benchmarks/moe_lora.py --device cuda          # d = 4096 and 5120, 4096 tokens, bfloat16
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from peft import LoraConfig, get_peft_model

from pedcorpus.training.moe_lora import MoeLoraConfig, MoeLoraLinear

MIB = 1024**2
AIMS = (
    ("published / ours, time", "≥", 1.6),
    ("ours / published, peak", "≤", 0.3),
    ("ours / lora, time", "≤", 1.1),
)


class Published(nn.Module):
    """The mixture as its formula reads; all experts' outputs exist at full width."""

    def __init__(self, base: nn.Linear, rank: int, experts: int, alpha: float) -> None:
        super().__init__()
        d_in, d_out = base.in_features, base.out_features
        self.base = base
        self.scaling = alpha / rank
        self.down = nn.Parameter(torch.empty(experts + 1, rank, d_in).uniform_(-(d_in**-0.5), d_in**-0.5))
        self.up = nn.Parameter(torch.empty(experts + 1, d_out, rank).normal_(std=0.02))
        self.gate = nn.Parameter(torch.empty(d_in, experts).uniform_(-(d_in**-0.5), d_in**-0.5))
        self.noise = nn.Parameter(torch.zeros(d_in, experts))

    def forward(self, x: Tensor) -> Tensor:
        """The input has the shape (batch, sequence, d_in), the output (batch, sequence, d_out)."""
        base: Tensor = self.base(x)
        x = x.to(self.down.dtype)
        logits = x @ self.gate
        if self.training:
            logits = logits + torch.randn_like(logits) * functional.softplus(x @ self.noise)
        gates = logits.softmax(-1)
        inner = torch.einsum("bsd,erd->bser", x, self.down)
        outputs = torch.einsum("bser,eor->bseo", inner, self.up)
        universal, specific = outputs[..., 0, :], outputs[..., 1:, :]
        mixed = (gates.unsqueeze(-1) * specific).sum(-2) + universal
        return (base + self.scaling * mixed).to(base.dtype)


class Holder(nn.Module):
    """A model of one layer, for PEFT."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.layer = base

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output."""
        return self.layer(x)  # type: ignore[no-any-return]


def make_layers(d: int, rank: int, experts: int, dtype: torch.dtype, device: str) -> dict[str, nn.Module]:
    """The three layers around one frozen weight of shape (d, d), in training mode, none of them with zeros in B.

    The published one and ours hold the same weights, and are checked to give the same output.
    """
    base = nn.Linear(d, d, bias=False).requires_grad_(False).to(device=device, dtype=dtype)

    def shared() -> Holder:
        copy = nn.Linear(d, d, bias=False, device="meta")
        copy.weight = base.weight
        return Holder(copy)

    total = (experts + 1) * rank
    layers = {
        "published": Published(base, rank, experts, 2.0 * rank).to(device),
        "ours": get_peft_model(
            shared(),
            MoeLoraConfig(r=rank, num_experts=experts, lora_alpha=2 * rank, target_modules=["layer"]),
        ),
        "lora": get_peft_model(
            shared(),
            LoraConfig(r=total, lora_alpha=2 * total, target_modules=["layer"]),
        ),
    }
    for layer in layers.values():
        for name, parameter in layer.named_parameters():
            if "_B." in name:
                nn.init.normal_(parameter, std=0.02)
    plain, ours = layers["published"], layers["ours"].get_submodule("base_model.model.layer")
    assert isinstance(plain, Published)
    assert isinstance(ours, MoeLoraLinear)
    for mine, parts in (
        (plain.down.flatten(0, 1), ours.moe_lora_A),
        (plain.up.movedim(0, 1).flatten(1), ours.moe_lora_B),
        (plain.gate.T, ours.moe_lora_gate),
        (plain.noise.T, ours.moe_lora_noise),
    ):
        parts["default"].get_parameter("weight").data.copy_(mine.data)
    x = torch.randn(1, 32, d, device=device, dtype=dtype)
    with torch.no_grad():
        torch.testing.assert_close(
            ours.eval()(x), plain.eval()(x), rtol=2e-2, atol=1e-2 if dtype.itemsize < 4 else 1e-4
        )
    for layer in layers.values():
        layer.train()
    return layers


def step(layer: nn.Module, x: Tensor, upstream: Tensor) -> None:
    """One forward and backward pass; the gradients are dropped."""
    layer(x).backward(upstream)
    x.grad = None
    for parameter in layer.parameters():
        parameter.grad = None


def peak_bytes(layer: nn.Module, x: Tensor, upstream: Tensor) -> int:
    """The most bytes that a step holds at once, besides the weights, the input and the upstream gradient."""
    step(layer, x, upstream)
    if x.device.type == "cuda":
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        step(layer, x, upstream)
        torch.cuda.synchronize()
        return int(torch.cuda.max_memory_allocated()) - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        step(layer, x, upstream)
    kineto: Any = seen.profiler.kineto_results
    memory = sorted(
        (event for event in kineto.events() if event.name() == "[memory]"), key=lambda event: int(event.start_ns())
    )
    return max(accumulate(int(event.nbytes()) for event in memory))


def timed(action: Callable[[], None], device: str) -> float:
    """Milliseconds of processor time, or between two events on a GPU."""
    if device == "cuda":
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        start.record()
        action()
        end.record()
        torch.cuda.synchronize()
        return float(start.elapsed_time(end))
    before = time.process_time()
    action()
    return (time.process_time() - before) * 1000


def measure(
    d: int, rank: int, experts: int, seq: int, dtype: torch.dtype, device: str, rounds: int, repeats: int
) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """The ratios of the aims by name, the median milliseconds by layer, the peak MiB by layer."""
    torch.manual_seed(0)
    layers = make_layers(d, rank, experts, dtype, device)
    x = torch.randn(1, seq, d, device=device, dtype=dtype, requires_grad=True)
    upstream = torch.randn(1, seq, d, device=device, dtype=dtype)
    peaks = {name: peak_bytes(layer, x, upstream) / MIB for name, layer in layers.items()}
    order = list(layers)
    times: dict[str, list[float]] = {name: [] for name in order}

    def repeated(layer: nn.Module) -> Callable[[], None]:
        def run() -> None:
            for _ in range(repeats):
                step(layer, x, upstream)

        return run

    for name in order:
        step(layers[name], x, upstream)
    for number in range(rounds):
        turn = order[number % len(order) :] + order[: number % len(order)]
        for name in turn if number % 2 else reversed(turn):
            times[name].append(timed(repeated(layers[name]), device) / repeats)

    def ratio(over: str, under: str) -> float:
        return statistics.median(a / b for a, b in zip(times[over], times[under], strict=True))

    ratios = {
        AIMS[0][0]: ratio("published", "ours"),
        AIMS[1][0]: peaks["ours"] / peaks["published"],
        AIMS[2][0]: ratio("ours", "lora"),
    }
    return ratios, {name: statistics.median(values) for name, values in times.items()}, peaks


def main() -> int:
    """Measure and print; 1 when an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--d", type=int, nargs="+", help="width of the layer (2048; on a GPU 4096 and 5120)")
    parser.add_argument("--rank", type=int, nargs="+", default=[8], help="rank of one expert (8)")
    parser.add_argument("--experts", type=int, nargs="+", default=[3], help="specific experts T (3)")
    parser.add_argument("--seq", type=int, help="tokens (512; on a GPU 4096)")
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], help="of the base layer (float32; bfloat16 on GPU)")
    parser.add_argument("--rounds", type=int, default=15, help="rounds, each with a turn of every layer (15)")
    parser.add_argument("--repeats", type=int, help="steps in a turn (2; on a GPU 20)")
    parser.add_argument("--threads", type=int, default=1, help="threads on a CPU (1)")
    options = parser.parse_args()
    gpu = options.device == "cuda"
    if gpu and not torch.cuda.is_available():
        parser.error("no GPU is at hand; leave --device out to measure on the CPU")
    torch.set_num_threads(options.threads)
    seq = options.seq or (4096 if gpu else 512)
    dtype = getattr(torch, options.dtype or ("bfloat16" if gpu else "float32"))
    missed = 0
    for d in options.d or ([4096, 5120] if gpu else [2048]):
        for rank in options.rank:
            for experts in options.experts:
                repeats = options.repeats or (20 if gpu else 2)
                ratios, times, peaks = measure(d, rank, experts, seq, dtype, options.device, options.rounds, repeats)
                print(
                    f"d={d} r={rank} T={experts} seq={seq} {str(dtype).removeprefix('torch.')} {options.device}, "
                    f"{options.rounds} rounds"
                )
                for name in times:
                    print(f"  {name:<24} {times[name]:10.2f} ms {peaks[name]:10.1f} MiB")
                for name, sign, aim in AIMS:
                    met = ratios[name] >= aim if sign == "≥" else ratios[name] <= aim
                    missed += not met
                    print(f"  {name:<24} {ratios[name]:10.2f}    aim {sign} {aim}: {'met' if met else 'MISSED'}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
