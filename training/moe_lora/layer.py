"""The layer: a frozen linear layer with one universal and T specific low-rank experts beside it.

The formulas are those of PediatricsGPT (arXiv 2405.19266). The computation is not: as all experts share their input,
their ``A`` matrices, and with them the rows of the router, form one matrix; and as a gate is one number per token and
expert, it can scale the ``r`` inner values of its expert instead of the full-width output. That leaves two products,

    ``[h, g, n] = x [A_u; A_s1; ..; A_sT; W_g; W_n]^T`` and ``delta = (h * (alpha / r) [1, G]) [B_u, B_s1, .., B_sT]^T``

and nothing of the shape (batch, sequence, experts, d_out) ever exists.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import Tensor, nn
from torch.nn import functional

from pedcorpus.training.moe_lora.config import MoeLoraConfig

NO_MERGE = (
    "MoE-LoRA cannot be merged into the base weights: each token weighs the experts by its own gates, so no one matrix "
    "gives the same output. Keep the adapter beside the base model: save_pretrained, and PeftModel.from_pretrained to "
    "load it. unload() gives the base model back."
)

GateHook = Callable[[str, Tensor], None]


def _linear(layers: nn.ModuleDict, adapter: str) -> nn.Linear:
    return cast(nn.Linear, layers[adapter])


class MoeLoraLayer(BaseTunerLayer):
    """What a layer with experts holds, for each adapter by its name.

    - ``moe_lora_A``: a linear map (d_in → (T + 1) · r); the universal expert's rows come first.
    - ``moe_lora_B``: a linear map ((T + 1) · r → d_out), in the same order.
    - ``moe_lora_gate``: a linear map (d_in → T), ``W_g``; absent when T = 0.
    - ``moe_lora_noise``: a linear map (d_in → T), ``W_n``; absent when T = 0 or without noise.
    """

    adapter_layer_names: tuple[str, ...] = ("moe_lora_A", "moe_lora_B", "moe_lora_gate", "moe_lora_noise")
    other_param_names: tuple[str, ...] = ("r", "num_experts", "scaling", "moe_lora_dropout")

    def __init__(self, base_layer: nn.Linear, **kwargs: Any) -> None:
        self.base_layer = base_layer
        self.r: dict[str, int] = {}
        self.num_experts: dict[str, int] = {}
        self.scaling: dict[str, float] = {}
        self.moe_lora_dropout = nn.ModuleDict()
        self.moe_lora_A = nn.ModuleDict()
        self.moe_lora_B = nn.ModuleDict()
        self.moe_lora_gate = nn.ModuleDict()
        self.moe_lora_noise = nn.ModuleDict()
        self._disable_adapters = False
        self.merged_adapters: list[str] = []
        self.kwargs = kwargs
        self._gate_hooks: list[GateHook] = []
        linear = cast(nn.Linear, self.get_base_layer())
        self.in_features: int = linear.in_features
        self.out_features: int = linear.out_features

    def update_layer(self, adapter_name: str, config: MoeLoraConfig) -> None:
        """Add the adapter ``adapter_name``; its output is zero until it is trained."""
        total = (config.num_experts + 1) * config.r
        self.r[adapter_name] = config.r
        self.num_experts[adapter_name] = config.num_experts
        self.scaling[adapter_name] = config.scaling
        self.moe_lora_dropout[adapter_name] = nn.Dropout(config.lora_dropout) if config.lora_dropout else nn.Identity()
        self.moe_lora_A[adapter_name] = nn.Linear(self.in_features, total, bias=False)
        self.moe_lora_B[adapter_name] = nn.Linear(total, self.out_features, bias=False)
        if config.num_experts:
            self.moe_lora_gate[adapter_name] = nn.Linear(self.in_features, config.num_experts, bias=False)
            if config.noise:
                self.moe_lora_noise[adapter_name] = nn.Linear(self.in_features, config.num_experts, bias=False)
        self.reset_adapter_parameters(adapter_name, official=config.official_init)
        self._move_adapter_to_device_of_base_layer(adapter_name)
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

    @torch.no_grad()
    def reset_adapter_parameters(self, adapter_name: str, official: bool = False) -> None:
        """Draw the start values: ``A`` and ``W_g`` as LoRA draws ``A``, zeros in ``B`` and ``W_n``.

        With ``official``, ``A`` lies within ``1 / sqrt(d_in * r)`` and ``W_n`` within ``1 / sqrt(T)``, the ranges that
        the published code gives by handing its stacked matrices to the same rule.
        """
        down = _linear(self.moe_lora_A, adapter_name).weight
        if official:
            bound = 1 / math.sqrt(self.in_features * self.r[adapter_name])
            nn.init.uniform_(down, -bound, bound)
        else:
            nn.init.kaiming_uniform_(down, a=math.sqrt(5))
        nn.init.zeros_(_linear(self.moe_lora_B, adapter_name).weight)
        if adapter_name in self.moe_lora_gate:
            nn.init.kaiming_uniform_(_linear(self.moe_lora_gate, adapter_name).weight, a=math.sqrt(5))
        if adapter_name in self.moe_lora_noise:
            noise = _linear(self.moe_lora_noise, adapter_name).weight
            if official:
                bound = 1 / math.sqrt(self.num_experts[adapter_name])
                nn.init.uniform_(noise, -bound, bound)
            else:
                nn.init.zeros_(noise)

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:
        """Refuse.

        Raises:
            ValueError: Always, with the reason.
        """
        raise ValueError(NO_MERGE)

    def unmerge(self) -> None:
        """Refuse.

        Raises:
            ValueError: Always, with the reason.
        """
        raise ValueError(NO_MERGE)


class MoeLoraLinear(nn.Module, MoeLoraLayer):
    """A linear layer with experts.

    The input has the shape (..., d_in), the output (..., d_out) and the type of the base layer's output.
    """

    def __init__(self, base_layer: nn.Linear, adapter_name: str, config: MoeLoraConfig, **kwargs: Any) -> None:
        super().__init__()  # type: ignore[call-arg]
        MoeLoraLayer.__init__(self, base_layer, **kwargs)
        self._active_adapter = adapter_name
        self.update_layer(adapter_name, config)

    def forward(self, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """The base layer's output plus that of every active adapter.

        While training, each adapter with noise draws one normal number for each token and specific expert, by one
        ``torch.randn_like`` from the default generator of the device, in the type of the gates (float32, or float64 for
        float64 weights): the same seed gives the same noise.
        """
        if self.disable_adapters:
            return self.base_layer(x, *args, **kwargs)  # type: ignore[no-any-return]
        shape = x.shape
        # In two dimensions both paths end in a plain product, so autograd can add up the two gradients of x in place.
        flat = x.dim() > 2 and type(self.base_layer) is nn.Linear
        if flat:
            x = x.flatten(0, -2)
        result: Tensor = self.base_layer(x, *args, **kwargs)
        dtype = result.dtype
        for adapter in self.active_adapters:
            if adapter in self.moe_lora_A:
                down, up = _linear(self.moe_lora_A, adapter), _linear(self.moe_lora_B, adapter)
                inner = self._inner(adapter, self._cast_input_dtype(x, down.weight.dtype))
                if inner.dim() == 2 and inner.dtype == result.dtype:
                    result = torch.addmm(result, inner, up.weight.t())
                else:
                    delta = up(inner)
                    # No backward pass needs the product itself, so the sum may take its place.
                    fits = torch.promote_types(delta.dtype, result.dtype) == delta.dtype
                    result = delta.add_(result) if fits else result + delta
        result = result.to(dtype)
        return result.view(*shape[:-1], self.out_features) if flat else result

    def _inner(self, adapter: str, x: Tensor) -> Tensor:
        """The inner values of all experts, weighed and scaled, of shape (..., (T + 1) · r): what ``B`` is applied to."""
        down = _linear(self.moe_lora_A, adapter)
        dropout = self.moe_lora_dropout[adapter]
        experts = self.num_experts[adapter]
        if not experts:
            return down(dropout(x)) * self.scaling[adapter]  # type: ignore[no-any-return]
        rows = [_linear(self.moe_lora_gate, adapter).weight]
        if self.training and adapter in self.moe_lora_noise:
            rows.append(_linear(self.moe_lora_noise, adapter).weight)
        if self.training and isinstance(dropout, nn.Dropout):
            inner, router = down(dropout(x)), functional.linear(x, torch.cat(rows))
        else:
            folded = functional.linear(x, torch.cat([down.weight, *rows]))
            inner, router = torch.split(folded, [down.out_features, experts * len(rows)], dim=-1)
        gates = self._gates(adapter, *torch.split(router, experts, dim=-1))
        weights = functional.pad(gates, (1, 0), value=1.0) * self.scaling[adapter]
        each: Tensor = inner.unflatten(-1, (experts + 1, self.r[adapter]))
        return (each * weights.to(each.dtype).unsqueeze(-1)).flatten(-2)

    def _gates(self, adapter: str, logits: Tensor, noise: Tensor | None = None) -> Tensor:
        """G(x), of shape (..., T), in float32 or wider; ``noise`` is x W_n."""
        exact = torch.promote_types(logits.dtype, torch.float32)
        logits = logits.to(exact)
        if noise is not None:
            logits = logits + torch.randn_like(logits) * functional.softplus(noise.to(exact))
        gates = torch.softmax(logits, dim=-1)
        for hook in self._gate_hooks:
            hook(adapter, gates.detach())
        return gates

    def __repr__(self) -> str:
        return "moe_lora." + super().__repr__()


_WRAPPERS = re.compile(r"(^|(?<=\.))(_fsdp_wrapped_module|_orig_mod|_checkpoint_wrapped_module|module)\.")


class RoutingRecord:
    """How much each specific expert was used: sums of gates and counts of tokens, by group and by layer.

    A group is a name of the caller's choice, such as a task. Layers go by their names in the base model. Only sums are
    kept, on the device of the layer, so memory does not grow with the number of tokens.
    """

    def __init__(self) -> None:
        self._sums: dict[str, dict[str, Tensor]] = {}
        self._counts: dict[str, dict[str, Tensor]] = {}
        self._masks: dict[str, Tensor] | None = None

    @contextmanager
    def counting(self, masks: Tensor | Mapping[str, Tensor]) -> Iterator[None]:
        """Count the forward passes inside this context; those outside of it are not counted.

        Args:
            masks: Which tokens count, of the shape (batch, sequence) of the forward pass; true or 1 means that the
                token counts, and other numbers weigh it. One mask counts under the group "all"; a mapping gives one
                mask for each group.
        """
        before = self._masks
        self._masks = dict(masks) if isinstance(masks, Mapping) else {"all": masks}
        try:
            yield
        finally:
            self._masks = before

    def add_gates(self, layer: str, gates: Tensor) -> None:
        """Take the gates of one forward pass, of shape (..., T), of the layer called ``layer``.

        What a checkpointed layer computes again in the backward pass is left out.

        Raises:
            ValueError: A mask has not one entry for each token.
        """
        if self._masks is None or torch._C._current_graph_task_id() != -1:
            return
        flat = gates.detach().reshape(-1, gates.shape[-1])
        exact = torch.float32 if flat.device.type == "mps" else torch.float64
        for group, mask in self._masks.items():
            if mask.numel() != len(flat):
                raise ValueError(
                    f"The mask of group {group!r} has the shape {tuple(mask.shape)}, but layer {layer} saw "
                    f"{len(flat)} tokens. Give a mask of the shape of input_ids."
                )
            weights = mask.to(device=flat.device, dtype=exact).reshape(-1)
            self._add(group, layer, weights @ flat.to(exact), weights.sum())

    def _add(self, group: str, layer: str, sums: Tensor, count: Tensor) -> None:
        layers, counts = self._sums.setdefault(group, {}), self._counts.setdefault(group, {})
        if layer in layers:
            layers[layer] += sums
            counts[layer] += count
        else:
            layers[layer], counts[layer] = sums, count

    def totals(self) -> dict[str, dict[str, tuple[list[float], float]]]:
        """By group and layer: the T sums of gates, and the number of tokens. Plain numbers that can be sent about."""
        return {
            group: {layer: (sums.tolist(), float(self._counts[group][layer])) for layer, sums in layers.items()}
            for group, layers in self._sums.items()
        }

    def add_totals(self, totals: Mapping[str, Mapping[str, tuple[list[float], float]]]) -> None:
        """Add what :meth:`totals` gave elsewhere, such as in another process."""
        for group, layers in totals.items():
            for layer, (sums, count) in layers.items():
                known = self._sums.get(group, {}).get(layer)
                like = torch.zeros(0, dtype=torch.float64) if known is None else known
                self._add(group, layer, like.new_tensor(sums), like.new_tensor(count))

    def means(self) -> dict[str, dict[str, list[float]]]:
        """By group and layer: the mean gate of each of the T specific experts; the means of a layer add up to 1.

        Groups in which no token counted are left out.
        """
        return {
            group: {layer: [value / count for value in sums] for layer, (sums, count) in layers.items()}
            for group, layers in self.totals().items()
            if all(count for _, count in layers.values())
        }

    def clear(self) -> None:
        """Forget all sums, as after writing them to a log."""
        self._sums.clear()
        self._counts.clear()


@contextmanager
def record_routing(model: nn.Module, adapter_name: str | None = None) -> Iterator[RoutingRecord]:
    """Record the gates of ``model`` while inside this context.

    For example::

        with record_routing(model) as record:
            for batch in batches:
                with record.counting(batch["attention_mask"]):
                    model(**batch)
        record.means()["all"]["model.layers.0.mlp.up_proj"]  # mean gate of each specific expert

    Call ``model.eval()`` first to see the router without noise.

    Args:
        model: A model with MoE-LoRA layers, wrapped in whatever way.
        adapter_name: The adapter to record; the active one when None.

    Raises:
        ValueError: No layer of the model has an adapter of that name with a router, or several adapters are active.
    """
    layers = {name: module for name, module in model.named_modules() if isinstance(module, MoeLoraLayer)}
    if adapter_name is None:
        active = sorted({name for layer in layers.values() for name in layer.active_adapters})
        if len(active) > 1:
            raise ValueError(f"The adapters {', '.join(active)} are active. Say which one to record in adapter_name.")
        adapter_name = active[0] if active else None
    layers = {name: layer for name, layer in layers.items() if adapter_name and adapter_name in layer.moe_lora_gate}
    if not layers:
        raise ValueError(
            f"No layer of the model has a router for the adapter {adapter_name!r}. "
            "Give a model with a MoE-LoRA adapter whose num_experts is at least 1."
        )
    record = RoutingRecord()

    def hook_of(layer_name: str) -> GateHook:
        def hook(adapter: str, gates: Tensor) -> None:
            if adapter == adapter_name:
                record.add_gates(layer_name, gates)

        return hook

    hooks: list[tuple[MoeLoraLayer, GateHook]] = []
    try:
        for name, layer in layers.items():
            hook = hook_of(_WRAPPERS.sub("", name).removeprefix("base_model.model."))
            layer._gate_hooks.append(hook)
            hooks.append((layer, hook))
        yield record
    finally:
        for layer, hook in hooks:
            layer._gate_hooks.remove(hook)
