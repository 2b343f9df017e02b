"""The MoE-LoRA layer against its formula, and the tuner in all that PEFT, transformers and TRL do with one."""

from __future__ import annotations

import enum
import importlib.util
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed: pip install 'pedcorpus[train]'")
pytest.importorskip("peft", reason="peft is not installed: pip install 'pedcorpus[train]'")
pytest.importorskip("transformers", reason="transformers is not installed: pip install 'pedcorpus[train]'")

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import AutoPeftModelForCausalLM, LoraConfig, PeftConfig, PeftModel, PeftType, get_peft_model
from torch import Tensor, nn
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import AutoModelForCausalLM, Qwen3Config, Qwen3ForCausalLM

from pedcorpus.training.moe_lora import MoeLoraConfig, MoeLoraLayer, MoeLoraLinear, RoutingRecord, record_routing
from pedcorpus.training.moe_lora import register as register_again
from pedcorpus.training.moe_lora.registry import extend_enum

ROOT = Path(__file__).resolve().parent.parent.parent
TOLERANCE = 1e-12
LAYER = "model.layers.0.mlp.down_proj"


def randomize(model: nn.Module, adapter: str = "default", seed: int = 5) -> None:
    """Put random numbers into every weight of an adapter, so that each has an effect."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if "moe_lora_" in name and f".{adapter}." in name:
            parameter.data.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)


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
        max_position_embeddings=128,
        pad_token_id=0,
        eos_token_id=1,
    )
    model: Any = Qwen3ForCausalLM(config)
    return model.eval()


def config(**fields: Any) -> MoeLoraConfig:
    return MoeLoraConfig(**{"task_type": "CAUSAL_LM", "r": 4, **fields})


def wrapped(model: Any = None, **fields: Any) -> Any:
    model = get_peft_model(model or base_model(), config(**fields))
    randomize(model)
    return model


@pytest.fixture
def ids() -> Tensor:
    return torch.randint(2, 200, (2, 9), generator=torch.Generator().manual_seed(3))


@torch.no_grad()
def logits(model: Any, ids: Tensor) -> Tensor:
    out: Tensor = model.eval()(ids).logits
    return out


def layer_of(
    d_in: int, d_out: int, bias: bool = False, dtype: torch.dtype = torch.float64, **fields: Any
) -> MoeLoraLinear:
    torch.manual_seed(1)
    base = nn.Linear(d_in, d_out, bias=bias, dtype=dtype).requires_grad_(False)
    layer = MoeLoraLinear(base, "default", MoeLoraConfig(**fields))
    randomize(layer)
    return layer


def weight(layer: Any, which: str) -> Tensor:
    found: Tensor = getattr(layer, f"moe_lora_{which}")["default"].weight
    return found


def formula(layer: MoeLoraLinear, x: Tensor, eps: Tensor | None, dropped: Tensor | None = None) -> dict[str, Tensor]:
    """The plain formula in float64 with one matrix for each expert; leaves of its own, for the gradients."""
    rank, experts = layer.r["default"], layer.num_experts["default"]
    down = weight(layer, "A").detach().double().reshape(experts + 1, rank, -1).requires_grad_()
    up = weight(layer, "B").detach().double().reshape(layer.out_features, experts + 1, rank).requires_grad_()
    parts = {"A": down, "B": up}
    x = x.detach().double().requires_grad_()
    inner = x if dropped is None else x * dropped
    each = torch.einsum("oer,...er->...eo", up, torch.einsum("erd,...d->...er", down, inner))
    mixed = each[..., 0, :]
    if experts:
        parts["gate"] = weight(layer, "gate").detach().double().requires_grad_()
        scores = torch.einsum("td,...d->...t", parts["gate"], x)
        if eps is not None:
            parts["noise"] = weight(layer, "noise").detach().double().requires_grad_()
            spread = torch.log1p(torch.exp(torch.einsum("td,...d->...t", parts["noise"], x)))
            scores = scores + eps * spread
        powers = torch.exp(scores - scores.amax(-1, keepdim=True))
        shares = powers / powers.sum(-1, keepdim=True)
        for expert in range(experts):
            mixed = mixed + shares[..., expert : expert + 1] * each[..., expert + 1, :]
    base = layer.base_layer
    out = torch.einsum("od,...d->...o", base.weight.double(), x) + layer.scaling["default"] * mixed
    if base.bias is not None:
        out = out + base.bias.double()
    return {"out": out, "x": x, **parts}


def check_against_formula(
    layer: MoeLoraLinear, x: Tensor, eps: Tensor | None, dropped: Tensor | None = None, seed: int = 11
) -> None:
    expected = formula(layer, x, eps, dropped)
    layer.zero_grad()
    x = x.detach().clone().requires_grad_()
    torch.manual_seed(seed)
    out = layer(x)
    upstream = torch.randn(out.shape, dtype=out.dtype, generator=torch.Generator().manual_seed(2))
    torch.autograd.backward([out, expected["out"]], [upstream, upstream])
    assert (out - expected["out"]).abs().max() <= TOLERANCE
    assert x.grad is not None
    grads = {"x": x.grad} | {name: weight(layer, name).grad for name in expected if name not in ("x", "out")}
    for name, got in grads.items():
        want = expected[name].grad
        assert got is not None and want is not None, name
        assert (got - want.reshape(got.shape)).abs().max() <= TOLERANCE, name


def draw(shape: tuple[int, ...], seed: int = 11) -> Tensor:
    torch.manual_seed(seed)
    return torch.randn(shape, dtype=torch.float64)


@pytest.mark.parametrize("experts", [1, 3])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("mode", ["noise", "no noise", "evaluation"])
def test_output_and_gradients_follow_the_formula(experts: int, bias: bool, mode: str) -> None:
    layer = layer_of(20, 12, bias, r=4, num_experts=experts, noise=mode != "no noise").train(mode != "evaluation")
    x = torch.randn(2, 5, 20, dtype=torch.float64)
    check_against_formula(layer, x, draw((2, 5, experts)) if mode == "noise" else None)


def test_dropout_reaches_the_experts_and_not_the_router() -> None:
    layer = layer_of(20, 12, r=4, lora_dropout=0.5).train()
    x = torch.randn(2, 5, 20, dtype=torch.float64)
    torch.manual_seed(11)
    dropped = functional.dropout(torch.ones(10, 20, dtype=torch.float64), 0.5).view(2, 5, 20)
    assert 0 < int((dropped == 0).sum()) < dropped.numel()
    eps = torch.randn(2, 5, 3, dtype=torch.float64)
    check_against_formula(layer, x, eps, dropped)
    check_against_formula(layer.eval(), x, None)


@settings(max_examples=25)
@given(
    lead=st.lists(st.integers(0, 3), max_size=3),
    d_in=st.integers(1, 9),
    d_out=st.integers(1, 9),
    rank=st.integers(1, 4),
    experts=st.integers(0, 5),
    train=st.booleans(),
)
def test_any_shape_follows_the_formula(
    lead: list[int], d_in: int, d_out: int, rank: int, experts: int, train: bool
) -> None:
    layer = layer_of(d_in, d_out, r=rank, num_experts=experts, lora_alpha=3).train(train)
    x = torch.randn(*lead, d_in, dtype=torch.float64)
    eps = draw((*lead, experts)) if train and experts else None
    torch.manual_seed(11)
    out = layer(x)
    assert out.shape == (*lead, d_out)
    torch.testing.assert_close(out, formula(layer, x, eps)["out"], rtol=0, atol=TOLERANCE)


class Largest(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The number of elements of the largest tensor that any operation gives."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for value in torch.utils._pytree.tree_leaves(out):
            if isinstance(value, Tensor):
                self.elements = max(self.elements, value.numel())
        return out


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_no_tensor_holds_the_full_width_output_of_the_experts(dropout: float) -> None:
    layer = layer_of(64, 64, r=2, num_experts=3, lora_dropout=dropout).train()
    x = torch.randn(2, 50, 64, dtype=torch.float64, requires_grad=True)
    with Largest() as seen:  # type: ignore[no-untyped-call]
        layer(x).sum().backward()
    assert seen.elements == x.numel()


def test_with_no_specific_expert_it_is_lora(ids: Tensor) -> None:
    ours = wrapped(num_experts=0, lora_alpha=6).train()
    assert not any("moe_lora_gate" in name or "moe_lora_noise" in name for name, _ in ours.named_parameters())
    lora = get_peft_model(base_model(), LoraConfig(r=4, lora_alpha=6, target_modules="all-linear")).train()
    theirs = dict(lora.named_parameters())
    pairs = [(p, theirs[name.replace("moe_lora_", "lora_")]) for name, p in ours.named_parameters() if "moe_" in name]
    assert len(pairs) == 2 * 7 * 2
    for mine, other in pairs:
        assert mine.shape == other.shape
        other.data.copy_(mine.data)
    losses = [model(input_ids=ids, labels=ids).loss for model in (ours, lora)]
    assert torch.allclose(losses[0], losses[1], rtol=0, atol=1e-6)
    for loss in losses:
        loss.backward()
    for mine, other in pairs:
        torch.testing.assert_close(mine.grad, other.grad, rtol=1e-4, atol=1e-6)


def test_a_new_adapter_changes_nothing_and_starts_with_even_noise(ids: Tensor) -> None:
    model: Any = get_peft_model(base_model(), config())
    assert torch.equal(logits(model, ids), logits(base_model(), ids))
    layer = model.get_submodule("base_model.model." + LAYER)
    assert not weight(layer, "noise").any() and not weight(layer, "B").any()
    assert weight(layer, "A").abs().max() <= 1 / math.sqrt(96)
    assert weight(layer, "A").std().item() == pytest.approx(1 / math.sqrt(3 * 96), rel=0.1)


def test_the_published_start_values_on_request() -> None:
    layer = MoeLoraLinear(nn.Linear(400, 8), "default", MoeLoraConfig(r=4, num_experts=3, official_init=True))
    assert weight(layer, "A").std().item() == pytest.approx(1 / math.sqrt(3 * 400 * 4), rel=0.1)
    assert weight(layer, "noise").std().item() == pytest.approx(1 / 3, rel=0.1)
    assert weight(layer, "gate").std().item() == pytest.approx(1 / math.sqrt(3 * 400), rel=0.1)
    assert not weight(layer, "B").any()


def test_noise_while_training_only(ids: Tensor) -> None:
    model = wrapped()
    assert torch.equal(logits(model, ids), logits(model, ids))
    model.train()
    assert not torch.equal(model(ids).logits, model(ids).logits)
    torch.manual_seed(4)
    first = model(ids).logits
    torch.manual_seed(4)
    assert torch.equal(first, model(ids).logits)
    quiet = wrapped(noise=False).train()
    assert torch.equal(quiet(ids).logits, quiet(ids).logits)
    assert not any("moe_lora_noise" in name for name, _ in quiet.named_parameters())


def test_every_adapter_weight_is_trained_and_nothing_else(ids: Tensor) -> None:
    model: Any = get_peft_model(base_model(), config()).train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    for _ in range(2):  # with zeros in B, the first step reaches B alone
        optimizer.zero_grad()
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
    kinds = set()
    for name, parameter in model.named_parameters():
        assert parameter.requires_grad == ("moe_lora_" in name), name
        if parameter.requires_grad:
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
            kinds.add(name.split(".")[-3])
            assert ".default." in name
    assert kinds == {"moe_lora_A", "moe_lora_B", "moe_lora_gate", "moe_lora_noise"}
    assert not any("lm_head" in name for name, p in model.named_parameters() if p.requires_grad)


@pytest.mark.parametrize("low_cpu_mem_usage", [False, True])
def test_what_is_saved_loads_to_the_same_logits(tmp_path: Path, ids: Tensor, low_cpu_mem_usage: bool) -> None:
    model = wrapped(modules_to_save=["lm_head"])
    model.base_model.model.lm_head.modules_to_save["default"].weight.data.mul_(1.1)
    before = logits(model, ids)
    model.save_pretrained(tmp_path)
    loaded = PeftModel.from_pretrained(base_model(), tmp_path, low_cpu_mem_usage=low_cpu_mem_usage)
    assert torch.equal(logits(loaded, ids), before)
    weights = {name: p for name, p in model.named_parameters() if "moe_lora" in name or "lm_head" in name}
    assert all(any(kind in name for name in weights) for kind in ("moe_lora_gate", "moe_lora_noise", "lm_head"))
    reread = dict(loaded.named_parameters())
    for name, parameter in weights.items():
        assert torch.equal(reread[name], parameter), name
    assert isinstance(loaded.peft_config["default"], MoeLoraConfig)
    assert not any(p.requires_grad for p in loaded.parameters())


def test_saved_adapters_load_by_their_directory_alone(tmp_path: Path, ids: Tensor) -> None:
    base_model().save_pretrained(tmp_path / "base")
    model = wrapped(AutoModelForCausalLM.from_pretrained(tmp_path / "base"), num_experts=2)
    before = logits(model, ids)
    model.save_pretrained(tmp_path / "adapter")
    saved = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text("utf-8"))
    assert (saved["peft_type"], saved["r"], saved["num_experts"]) == ("MOE_LORA", 4, 2)
    assert isinstance(PeftConfig.from_pretrained(str(tmp_path / "adapter")), MoeLoraConfig)
    assert torch.equal(logits(AutoPeftModelForCausalLM.from_pretrained(tmp_path / "adapter"), ids), before)
    assert torch.equal(logits(AutoModelForCausalLM.from_pretrained(tmp_path / "adapter"), ids), before)


def test_several_adapters_of_different_size(tmp_path: Path, ids: Tensor) -> None:
    model = wrapped()
    first = logits(model, ids)
    model.add_adapter("second", config(r=2, num_experts=5, lora_alpha=3, noise=False))
    randomize(model, "second", seed=8)
    assert torch.equal(logits(model, ids), first)
    model.set_adapter("second")
    second = logits(model, ids)
    assert not torch.equal(first, second)
    trained = {name.split(".")[-2] for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {"second"}
    model.base_model.set_adapter(["default", "second"])
    both = logits(model, ids)
    assert not torch.equal(both, first) and not torch.equal(both, second)
    with pytest.raises(ValueError, match="Say which one"), record_routing(model):
        pass
    model.set_adapter("default")
    assert torch.equal(logits(model, ids), first)
    model.save_pretrained(tmp_path)
    loaded: Any = PeftModel.from_pretrained(base_model(), tmp_path)
    loaded.load_adapter(tmp_path / "second", adapter_name="again")
    assert torch.equal(logits(loaded, ids), first)
    loaded.set_adapter("again")
    assert torch.equal(logits(loaded, ids), second)
    model.delete_adapter("default")
    assert not any(".default." in name for name in model.state_dict())
    model.set_adapter("second")
    assert torch.equal(logits(model, ids), second)


def test_disabled_or_unloaded_it_is_the_base_model_bit_for_bit(ids: Tensor) -> None:
    model = wrapped()
    plain = logits(base_model(), ids)
    assert not torch.equal(logits(model, ids), plain)
    with model.disable_adapter():
        assert torch.equal(logits(model, ids), plain)
        assert torch.equal(model.train()(ids).logits, plain)
    unloaded = model.unload()
    assert not any(isinstance(module, MoeLoraLayer) for module in unloaded.modules())
    assert torch.equal(logits(unloaded, ids), plain)


@pytest.mark.parametrize(
    "merge",
    [
        lambda model: model.merge_and_unload(),
        lambda model: model.merge_adapter(),
        lambda model: model.unmerge_adapter(),
        lambda model: model.base_model.model.get_submodule(LAYER).merge(),
        lambda model: model.base_model.model.get_submodule(LAYER).unmerge(),
    ],
)
def test_merging_is_refused_with_the_reason(merge: Callable[[Any], object], ids: Tensor) -> None:
    model = wrapped()
    before = logits(model, ids)
    with pytest.raises(ValueError, match="each token weighs the experts by its own gates"):
        merge(model)
    assert torch.equal(logits(model, ids), before)


def test_a_bfloat16_base_with_a_float32_adapter(ids: Tensor) -> None:
    model = wrapped(base_model().to(torch.bfloat16)).train()
    assert {p.dtype for name, p in model.named_parameters() if "moe_lora" in name} == {torch.float32}
    out = model(input_ids=ids, labels=ids)
    assert out.logits.dtype == torch.bfloat16
    out.loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)
    layer = layer_of(32, 16, dtype=torch.bfloat16, r=4).float()
    layer.get_base_layer().to(torch.bfloat16)
    x = torch.randn(2, 6, 32).to(torch.bfloat16)
    for mode, eps in ((False, None), (True, torch.randn(2, 6, 3, generator=torch.manual_seed(11)))):
        torch.manual_seed(11)
        got = layer.train(mode)(x)
        want = formula(layer, x, None if eps is None else eps.double())["out"]
        assert got.dtype == torch.bfloat16
        assert (got.double() - want).abs().max() < 0.02 * want.abs().max()


def test_gates_are_exact_under_autocast_and_half_precision() -> None:
    layer = layer_of(32, 16, dtype=torch.float32, r=4).eval()
    seen: list[Tensor] = []
    layer._gate_hooks.append(lambda _, gates: seen.append(gates))
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.randn(3, 32)).dtype == torch.bfloat16
    layer.to(torch.bfloat16)(torch.randn(3, 32, dtype=torch.bfloat16))
    assert [gates.dtype for gates in seen] == [torch.float32] * 2
    assert all(torch.allclose(gates.sum(-1), torch.ones(3), atol=1e-6) for gates in seen)


@pytest.mark.parametrize("reentrant", [False, True])
def test_gradient_checkpointing_gives_the_same_gradients(ids: Tensor, reentrant: bool) -> None:
    grads: list[dict[str, Tensor]] = []
    counts = []
    for checkpointing in (False, True):
        model = wrapped(base_model()).train()
        if checkpointing:
            model.enable_input_require_grads()
            model.gradient_checkpointing_enable({"use_reentrant": reentrant})
        torch.manual_seed(9)
        with record_routing(model) as record, record.counting(torch.ones_like(ids)):
            model(input_ids=ids, labels=ids).loss.backward()
        counts.append({count for layers in record.totals().values() for _, count in layers.values()})
        grads.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert grads[0].keys() == grads[1].keys() and len(grads[0]) == 2 * 7 * 4
    for name, grad in grads[0].items():
        torch.testing.assert_close(grads[1][name], grad, rtol=1e-5, atol=1e-7)
    assert counts == [{float(ids.numel())}] * 2, "a layer computed again in the backward pass counts once"


def test_generate_with_a_cache(ids: Tensor) -> None:
    model = wrapped().eval()
    fields = {"max_new_tokens": 5, "do_sample": False, "attention_mask": torch.ones_like(ids)}
    first = model.generate(ids, use_cache=True, **fields)
    assert torch.equal(first, model.generate(ids, use_cache=False, **fields))
    assert first.shape[1] > ids.shape[1]


def test_added_by_transformers_itself(ids: Tensor) -> None:
    model = base_model()
    plain = logits(model, ids)
    model.add_adapter(config(num_experts=2), adapter_name="own")
    randomize(model, "own")
    changed = logits(model, ids)
    assert not torch.equal(changed, plain)
    model.disable_adapters()
    assert torch.equal(logits(model, ids), plain)
    model.enable_adapters()
    assert torch.equal(logits(model, ids), changed)
    assert {name.split(".")[-2] for name in model.get_adapter_state_dict("own")} >= {"moe_lora_gate", "moe_lora_A"}


def test_targets(ids: Tensor) -> None:
    model = wrapped(target_modules=["up_proj", "down_proj"], layers_to_transform=[1])
    found = sorted(name for name, module in model.named_modules() if isinstance(module, MoeLoraLayer))
    assert [name.removeprefix("base_model.model.model.") for name in found] == [
        "layers.1.mlp.down_proj",
        "layers.1.mlp.up_proj",
    ]
    model = wrapped(target_modules=r".*\.(q|k)_proj", exclude_modules=["k_proj"])
    found = [name for name, module in model.named_modules() if isinstance(module, MoeLoraLayer)]
    assert [name.rpartition(".")[2] for name in found] == ["q_proj"] * 2
    with pytest.raises(TypeError, match=r"model\.embed_tokens is a .*Embedding; MoE-LoRA works on torch\.nn\.Linear"):
        wrapped(target_modules=["embed_tokens"])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"r": 0}, "^r is 0"),
        ({"r": 2.5}, "^r is 2.5"),
        ({"num_experts": -1}, "^num_experts is -1"),
        ({"num_experts": True}, "^num_experts is True"),
        ({"lora_alpha": 0}, "^lora_alpha is 0"),
        ({"lora_alpha": math.inf}, "^lora_alpha is inf"),
        ({"lora_dropout": 1.0}, "^lora_dropout is 1.0"),
        ({"noise": "yes"}, "^noise is 'yes'"),
        ({"official_init": 1}, "^official_init is 1"),
        ({"bias": "all"}, "^bias is 'all'"),
        ({"target_modules": []}, "^target_modules is empty"),
        ({"target_modules": "(q_proj"}, "^target_modules is .* no regular expression"),
        ({"exclude_modules": [1]}, "^exclude_modules is"),
        ({"layers_to_transform": 1}, "^layers_to_transform is 1"),
        ({"target_modules": ["q_proj"], "layers_pattern": "layers"}, "^layers_pattern is 'layers'"),
        ({"task_type": "nonsense"}, "task type"),
    ],
)
def test_a_field_that_cannot_be_used_is_named(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MoeLoraConfig(**fields)


def test_the_routing_of_the_tokens_that_count(ids: Tensor) -> None:
    model = wrapped().eval()
    masks = {
        "first": torch.zeros_like(ids).index_fill_(0, torch.tensor([0]), 1),
        "none": torch.zeros_like(ids),
        "some": (ids % 2).bool(),
    }
    seen: list[Tensor] = []
    layer = model.get_submodule("base_model.model." + LAYER)
    layer._gate_hooks.append(lambda _, gates: seen.append(gates.reshape(2, 9, 3)))
    with record_routing(model) as record:
        model(ids)
        assert record.means() == {}, "outside of counting(), nothing counts"
        with record.counting(masks):
            model(ids)
            model(ids)
        with record.counting(torch.ones_like(ids)):
            model(ids)
        with pytest.raises(ValueError, match="group 'all' has the shape"), record.counting(torch.ones(2, 8)):
            model(ids)
    assert all(module._gate_hooks == [] for module in model.modules() if module is not layer and hasattr(module, "r"))
    means = record.means()
    assert means.keys() == {"first", "some", "all"}
    assert len(means["all"]) == 2 * 7
    assert means["first"][LAYER] == pytest.approx(seen[0][0].mean(0).tolist(), abs=1e-6)
    assert means["some"][LAYER] == pytest.approx(seen[0][masks["some"]].mean(0).tolist(), abs=1e-6)
    assert sum(means["all"][LAYER]) == pytest.approx(1)
    assert record.totals()["first"][LAYER][1] == 2 * 9
    other = RoutingRecord()
    other.add_totals(record.totals())
    other.add_totals(record.totals())
    assert other.totals()["first"][LAYER][1] == 4 * 9
    assert other.means()["some"][LAYER] == pytest.approx(means["some"][LAYER])
    other.clear()
    assert other.totals() == {}


def test_nothing_to_record_is_an_error() -> None:
    for model in (base_model(), wrapped(num_experts=0)):
        with pytest.raises(ValueError, match="num_experts is at least 1"), record_routing(model):
            pass


def test_the_enum_of_methods_takes_the_member_once() -> None:
    count = len(PeftType)
    register_again()
    register_again()
    assert len(PeftType) == count
    assert PeftType("MOE_LORA") is PeftType["MOE_LORA"]
    assert "MOE_LORA" in list(PeftType) and f"{PeftType('MOE_LORA').value}" == "MOE_LORA"

    class Method(str, enum.Enum):  # noqa: UP042 (as PEFT's own)
        OLD = "OLD"

    new: Any = extend_enum(Method, "NEW")
    assert (
        [*Method] == [Method.OLD, new] and new == "NEW" and Method("NEW") is new and new is extend_enum(Method, "NEW")
    )
    assert isinstance(new, Method) and new in Method and new.name == new.value == "NEW"

    class Number(enum.IntEnum):
        ONE = 1

    with pytest.raises(RuntimeError, match="cannot take the member 'TWO'"):
        extend_enum(Number, "TWO")


def test_registered_late_and_loaded_anew(tmp_path: Path) -> None:
    wrapped().save_pretrained(tmp_path)
    program = f"""
import importlib, sys
import peft
try:
    peft.PeftConfig.from_pretrained({str(tmp_path)!r})
except KeyError:
    print("unknown")
import pedcorpus.training.moe_lora as moe
print(type(peft.PeftConfig.from_pretrained({str(tmp_path)!r})) is moe.MoeLoraConfig)
importlib.reload(moe.config); importlib.reload(moe.layer); importlib.reload(moe.model); importlib.reload(moe)
print(type(peft.PeftConfig.from_pretrained({str(tmp_path)!r})) is moe.MoeLoraConfig)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout.split() == ["unknown", "True", "True"]


@pytest.fixture
def tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "<eos>", "<unk>", *"孩子发热怎么办多喝水去医院不知道"]
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys(words))}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    kind: Any = PreTrainedTokenizerFast
    return kind(tokenizer_object=inner, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>")


SETTINGS: dict[str, Any] = {
    "use_cpu": True,
    "bf16": False,
    "report_to": "none",
    "gradient_checkpointing": False,
    "dataloader_pin_memory": False,
    "disable_tqdm": True,
    "save_strategy": "no",
    "max_steps": 2,
    "per_device_train_batch_size": 2,
    "learning_rate": 1e-3,
    "logging_steps": 1,
}
needs_trl = pytest.mark.skipif(
    importlib.util.find_spec("trl") is None, reason="trl is not installed: pip install 'pedcorpus[train]'"
)


@needs_trl
def test_trl_copies_every_tensor_into_its_reference(tmp_path: Path, tokenizer: Any) -> None:
    from datasets import Dataset
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer

    model = wrapped()
    rows = [{"prompt": "孩子发热怎么办", "chosen": "多喝水", "rejected": "不知道"}] * 4
    trainer: Any = DPOTrainer(
        model=model,
        args=DPOConfig(output_dir=str(tmp_path), **SETTINGS),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )
    weights = dict(trainer.model.named_parameters())
    names = [name for name in weights if "moe_lora_" in name and ".default." in name]
    assert len(names) == 2 * 7 * 4
    assert {name.replace(".default.", ".ref.") for name in names} == {name for name in weights if ".ref." in name}
    before = {name: weights[name].detach().clone() for name in names}
    for name in names:
        assert torch.equal(weights[name.replace(".default.", ".ref.")], weights[name]), name
    trainer.train()
    assert trainer.state.log_history[0]["loss"] == pytest.approx(math.log(2), abs=0.3)
    for name in names:
        assert torch.equal(weights[name.replace(".default.", ".ref.")], before[name]), name
        assert not torch.equal(weights[name], before[name]), name


@needs_trl
def test_trl_fine_tunes_and_saves_the_adapter(tmp_path: Path, tokenizer: Any) -> None:
    from datasets import Dataset
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    rows = [{"input_ids": [5, 6, 7, 8, 1], "labels": [-100, -100, 7, 8, 1]}] * 4
    trainer: Any = SFTTrainer(
        model=base_model(),
        args=SFTConfig(output_dir=str(tmp_path), **SETTINGS),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=config(),
    )
    trainer.train()
    trainer.save_model(str(tmp_path / "out"))
    probe = torch.tensor([[5, 6, 7]])
    after = logits(trainer.model, probe)
    loaded = PeftModel.from_pretrained(base_model(), tmp_path / "out")
    assert not torch.equal(after, logits(base_model(), probe))
    assert torch.equal(logits(loaded, probe), after)
