"""DFPO: the loss, its gradient and its references against a formula written out by hand in float64."""

from __future__ import annotations

import copy
import dataclasses
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training needs the [train] extra")
pytest.importorskip("trl", reason="training needs the [train] extra")

from datasets import Dataset, IterableDataset  # noqa: E402
from peft import LoraConfig, get_peft_model  # noqa: E402
from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: E402
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM  # noqa: E402
from trl.trainer.dpo_config import DPOConfig  # noqa: E402
from trl.trainer.dpo_trainer import DPOTrainer  # noqa: E402

from pedcorpus.training import dfpo  # noqa: E402
from pedcorpus.training.dfpo import DFPOConfig, DFPOTrainer, UnsupportedTRLError  # noqa: E402

WORDS = [f"w{i}" for i in range(190)]
SPECIAL = ["<pad>", "<unk>", "<user>", "<assistant>", "<end>"]
TEMPLATE = (
    "{% for m in messages %}<{{ m['role'] }}> {{ m['content'] }} <end> {% endfor %}"
    "{% if add_generation_prompt %}<assistant> {% endif %}"
)
CLOSE = 1e-6

Row = dict[str, Any]
Model = Any


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    vocabulary = {word: i for i, word in enumerate(SPECIAL + WORDS)}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=core,
        pad_token="<pad>",
        unk_token="<unk>",
        eos_token="<end>",
        additional_special_tokens=["<user>", "<assistant>"],
        chat_template=TEMPLATE,
    )


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerFast) -> Path:
    """A tiny saved model with its tokeniser."""
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=128,
        initializer_range=0.1,
        tie_word_embeddings=False,
    )
    path = tmp_path_factory.mktemp("parent")
    Qwen3ForCausalLM(config).save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def messages(number: int, seed: int = 0) -> list[Row]:
    """Conversations of one to three turns with answers of unlike lengths."""
    rng = random.Random(seed)

    def words(low: int, high: int) -> str:
        return " ".join(rng.choices(WORDS, k=rng.randint(low, high)))

    rows: list[Row] = []
    for i in range(number):
        prompt = [{"role": "user", "content": words(2, 6)}]
        for _ in range(i % 3):
            prompt += [{"role": "assistant", "content": words(1, 5)}, {"role": "user", "content": words(1, 5)}]
        rows.append(
            {
                "prompt": prompt,
                "chosen": [{"role": "assistant", "content": words(1, 4) if i % 2 else words(8, 14)}],
                "rejected": [{"role": "assistant", "content": words(1, 9)}],
            }
        )
    return rows


def tokenised(rows: Sequence[Row], tokenizer: PreTrainedTokenizerFast) -> list[Row]:
    def ids(text: str) -> list[int]:
        return list(tokenizer(text, add_special_tokens=False)["input_ids"])

    done = []
    for row in rows:
        prompt = "".join(f"<{m['role']}> {m['content']} <end> " for m in row["prompt"]) + "<assistant> "
        done.append(
            {
                "prompt_ids": ids(prompt),
                "chosen_ids": ids(row["chosen"][0]["content"] + " <end>"),
                "rejected_ids": ids(row["rejected"][0]["content"] + " <end>"),
            }
        )
    return done


@pytest.fixture(scope="module")
def rows(tokenizer: PreTrainedTokenizerFast) -> list[Row]:
    return tokenised(messages(5), tokenizer)


def perturb(model: Model, size: float = 0.05, seed: int = 1, only: str = "") -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in model.named_parameters():
            if only in name:
                value += size * torch.randn(value.shape, generator=generator, dtype=torch.float64)


def load(parent: Path, dtype: Any = torch.float64) -> Model:
    return AutoModelForCausalLM.from_pretrained(parent, dtype=dtype)


@pytest.fixture
def policy(parent: Path) -> Model:
    model = load(parent)
    perturb(model)
    return model


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., DFPOConfig]:
    def make(**values: Any) -> DFPOConfig:
        return DFPOConfig(**(basic(tmp_path) | values))

    return make


def basic(path: Path) -> dict[str, Any]:
    return {
        "output_dir": str(path),
        "beta": 0.2,
        "use_cpu": True,
        "bf16": False,
        "gradient_checkpointing": False,
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": False,
        "save_strategy": "no",
        "per_device_train_batch_size": 8,
    }


def trainer_of(model: Model, rows: Sequence[Row], args: DFPOConfig, tokenizer: Any, **kwargs: Any) -> DFPOTrainer:
    data = kwargs.pop("train_dataset", None) or Dataset.from_list(list(rows))
    return DFPOTrainer(model, args=args, train_dataset=data, processing_class=tokenizer, **kwargs)


def batch(trainer: DPOTrainer) -> dict[str, Any]:
    assert trainer.data_collator is not None and isinstance(trainer.train_dataset, Dataset)
    return dict(trainer.data_collator(list(trainer.train_dataset)))


# The formula, one row at a time and unpadded, from the logits of the plain model


def answer_log_prob(model: Model, prompt: list[int], answer: list[int]) -> Any:
    logits = model(input_ids=torch.tensor([prompt + answer]), use_cache=False).logits[0].double()
    log_probs = torch.log_softmax(logits, -1)
    total = torch.zeros((), dtype=torch.float64)
    for position, token in enumerate(answer, start=len(prompt)):
        total = total + log_probs[position - 1, token]
    return total


def pair_log_probs(model: Model, row: Row) -> tuple[Any, Any]:
    chosen, rejected = (answer_log_prob(model, row["prompt_ids"], row[c]) for c in ("chosen_ids", "rejected_ids"))
    return chosen, rejected


def reference_log_probs(model: Model, rows: Sequence[Row]) -> list[tuple[float, float]]:
    with torch.no_grad():
        return [(chosen.item(), rejected.item()) for chosen, rejected in (pair_log_probs(model, row) for row in rows)]


def by_hand(
    model: Model,
    reference: Sequence[tuple[float, float]],
    rows: Sequence[Row],
    *,
    mu: float,
    beta: float = 0.2,
    smoothing: float = 0.0,
    phi: str = "sequence",
) -> tuple[Any, Any]:
    """The loss and Phi, float64 scalars."""
    preference, negative, lengths = [], [], []
    for row, (ref_chosen, ref_rejected) in zip(rows, reference, strict=True):
        chosen, rejected = pair_log_probs(model, row)
        z = beta * ((chosen - ref_chosen) - (rejected - ref_rejected))
        likelihood = 1 / (1 + torch.exp(-z))
        preference.append(-(1 - smoothing) * torch.log(likelihood) - smoothing * torch.log(1 - likelihood))
        negative.append(-chosen)
        lengths.append(len(row["chosen_ids"]))
    if phi == "sequence":
        phi_value = sum(n / length for n, length in zip(negative, lengths, strict=True)) / len(rows)
    else:
        phi_value = sum(negative) / sum(lengths)
    return sum(preference) / len(rows) + mu * phi_value, phi_value


def relative(found: Any, expected: Any) -> float:
    found, expected = (torch.as_tensor(x, dtype=torch.float64) for x in (found, expected))
    return float((found - expected).norm() / expected.norm())


def gradient(model: Model) -> Any:
    return torch.cat([p.grad.double().flatten() for p in model.parameters() if p.grad is not None])


@pytest.mark.parametrize("phi", ["sequence", "token"])
@pytest.mark.parametrize(("mu", "smoothing"), [(0.37, 0.0), (0.0, 0.0), (2.5, 0.0), (0.37, 0.1), (0.0, 0.3)])
def test_loss_and_gradient_are_those_of_the_formula(
    policy: Model,
    parent: Path,
    rows: list[Row],
    settings: Callable[..., DFPOConfig],
    tokenizer: Any,
    phi: str,
    mu: float,
    smoothing: float,
) -> None:
    plain = copy.deepcopy(policy)
    expected, expected_phi = by_hand(
        plain, reference_log_probs(load(parent), rows), rows, mu=mu, smoothing=smoothing, phi=phi
    )
    expected.backward()

    trainer = trainer_of(policy, rows, settings(mu=mu, phi=phi, label_smoothing=smoothing), tokenizer)
    loss = trainer.compute_loss(policy, batch(trainer))
    loss.backward()

    assert relative(loss.detach(), expected.detach()) <= CLOSE
    assert relative(gradient(policy), gradient(plain)) <= CLOSE
    metrics = trainer._metrics["eval"]
    assert relative(metrics["phi"][0], expected_phi.detach()) <= CLOSE
    assert metrics["preference_loss"][0] == pytest.approx((expected - mu * expected_phi).item(), rel=2e-6)
    assert {"rewards/margins", "rewards/accuracies", "rewards/chosen", "rewards/rejected"} <= set(metrics)


def test_both_forms_differ_on_unequal_lengths_and_agree_on_one_row(
    policy: Model, rows: list[Row], settings: Callable[..., DFPOConfig], tokenizer: Any
) -> None:
    losses = {}
    for phi in ("sequence", "token"):
        model = copy.deepcopy(policy)
        trainer = trainer_of(model, rows, settings(phi=phi), tokenizer)
        collate: Any = trainer.data_collator
        with torch.no_grad():
            losses[phi] = [trainer.compute_loss(model, collate(some)).item() for some in (rows, rows[:1])]
    assert abs(losses["sequence"][0] - losses["token"][0]) > 1e-3
    assert relative(losses["sequence"][1], losses["token"][1]) <= CLOSE


def test_without_phi_it_is_exactly_the_dpo_of_trl(
    parent: Path, policy: Model, rows: list[Row], settings: Callable[..., DFPOConfig], tokenizer: Any, tmp_path: Path
) -> None:
    theirs_model = copy.deepcopy(policy)
    ours = trainer_of(policy, rows, settings(mu=0.0), tokenizer)
    theirs: Any = DPOTrainer(
        theirs_model,
        args=DPOConfig(**basic(tmp_path)),
        train_dataset=Dataset.from_list(messages(5)),
        processing_class=tokenizer,
    )
    ours_loss = ours.compute_loss(policy, batch(ours))
    theirs_loss = theirs.compute_loss(theirs_model, batch(theirs))
    ours_loss.backward()
    theirs_loss.backward()
    assert torch.equal(ours_loss, theirs_loss)
    assert torch.equal(gradient(policy), gradient(theirs_model))
    for key in ("rewards/margins", "rewards/accuracies", "logps/chosen", "logps/rejected"):
        assert ours._metrics["eval"][key] == theirs._metrics["eval"][key]


def test_messages_and_our_ids_of_them_are_the_same_rows(
    policy: Model, rows: list[Row], settings: Callable[..., DFPOConfig], tokenizer: Any
) -> None:
    from_messages = trainer_of(copy.deepcopy(policy), messages(5), settings(), tokenizer)
    both = [message | row for message, row in zip(messages(5), rows, strict=True)]
    from_ids = trainer_of(policy, both, settings(), tokenizer)
    for key, value in batch(from_messages).items():
        assert torch.equal(value, batch(from_ids)[key]), key


def test_ids_are_used_as_they_are_and_earlier_turns_are_not_scored(
    policy: Model, rows: list[Row], settings: Callable[..., DFPOConfig], tokenizer: Any
) -> None:
    marked = [row | {"chosen_ids": [*row["chosen_ids"], 7]} for row in rows]
    trainer = trainer_of(policy, marked, settings(), tokenizer)
    found = batch(trainer)
    for i, row in enumerate(marked):
        scored = found["input_ids"][i][found["completion_mask"][i].bool()].tolist()
        assert scored == row["chosen_ids"]


def test_reference_is_the_adapter_off(
    policy: Model, rows: list[Row], settings: Callable[..., DFPOConfig], tokenizer: Any
) -> None:
    config = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    trainer = trainer_of(policy, rows, settings(mu=0.37), tokenizer, peft_config=config)
    model: Any = trainer.model
    perturb(model, only="lora_B")
    with model.disable_adapter():
        reference = reference_log_probs(model, rows)
    assert relative(reference, reference_log_probs(model, rows)) > 1e-3
    expected, _ = by_hand(model, reference, rows, mu=0.37)
    assert relative(trainer.compute_loss(model, batch(trainer)).detach(), expected.detach()) <= CLOSE


def test_reference_is_a_copy_of_the_adapter_that_was_given(
    policy: Model, rows: list[Row], settings: Callable[..., DFPOConfig], tokenizer: Any
) -> None:
    config = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    model: Any = get_peft_model(policy, config)
    perturb(model, only="lora_B")
    reference = reference_log_probs(model, rows)
    trainer = trainer_of(model, rows, settings(mu=0.37), tokenizer)
    perturb(model, only="lora_B.default", seed=2)
    expected, _ = by_hand(model, reference, rows, mu=0.37)
    assert relative(trainer.compute_loss(model, batch(trainer)).detach(), expected.detach()) <= CLOSE


def test_copy_of_an_adapter_that_trl_leaves_incomplete_is_refused(
    policy: Model, rows: list[Row], settings: Callable[..., DFPOConfig], tokenizer: Any
) -> None:
    config = LoraConfig(r=4, target_modules=["embed_tokens", "q_proj"], task_type="CAUSAL_LM")
    model = get_peft_model(policy, config)
    perturb(model, only="lora_")
    with pytest.raises(ValueError, match=r"differs from it in 2 tensors, first .*lora_embedding_A"):
        trainer_of(model, rows, settings(), tokenizer)


@pytest.mark.parametrize("adapter", [False, True], ids=["full", "peft"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_reference_is_precomputed(
    policy: Model,
    rows: list[Row],
    settings: Callable[..., DFPOConfig],
    tokenizer: Any,
    adapter: bool,
    smoothing: float,
) -> None:
    reference = reference_log_probs(policy, rows)
    config = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM") if adapter else None
    args = settings(mu=0.37, label_smoothing=smoothing, precompute_ref_log_probs=True)
    trainer = trainer_of(policy, rows, args, tokenizer, peft_config=config)
    assert trainer.ref_model is None
    model: Any = trainer.model
    perturb(model, only="lora_B" if adapter else "", seed=2)
    expected, _ = by_hand(model, reference, rows, mu=0.37, smoothing=smoothing)
    assert relative(trainer.compute_loss(model, batch(trainer)).detach(), expected.detach()) <= CLOSE


def test_precomputed_values_in_the_rows_are_taken(
    policy: Model, parent: Path, rows: list[Row], settings: Callable[..., DFPOConfig], tokenizer: Any
) -> None:
    reference = reference_log_probs(load(parent), rows)
    given = [
        row | {"ref_chosen_logps": chosen, "ref_rejected_logps": rejected}
        for row, (chosen, rejected) in zip(rows, reference, strict=True)
    ]
    trainer = trainer_of(policy, given, settings(mu=0.37, precompute_ref_log_probs=True), tokenizer)
    expected, _ = by_hand(policy, reference, rows, mu=0.37)
    assert relative(trainer.compute_loss(policy, batch(trainer)).detach(), expected.detach()) <= CLOSE


def test_reference_is_a_saved_parent(
    policy: Model, rows: list[Row], settings: Callable[..., DFPOConfig], tokenizer: Any, parent: Path, tmp_path: Path
) -> None:
    other = load(parent)
    perturb(other, seed=9)
    other.save_pretrained(tmp_path / "other")
    tokenizer.save_pretrained(tmp_path / "other")
    trainer = trainer_of(policy, rows, settings(mu=0.37), tokenizer, ref_model=tmp_path / "other")
    assert trainer.ref_model is not None and trainer.ref_model.dtype == torch.float64
    expected, _ = by_hand(policy, reference_log_probs(load(tmp_path / "other"), rows), rows, mu=0.37)
    assert relative(trainer.compute_loss(policy, batch(trainer)).detach(), expected.detach()) <= CLOSE


def one_step(parent: Path, rows: list[Row], args: DFPOConfig, tokenizer: Any) -> tuple[Any, Any, dict[str, float]]:
    """Loss, gradient and log of one optimizer step: plain gradient descent at rate 1 moves by the gradient."""
    model = load(parent)
    perturb(model)
    before = torch.cat([p.detach().flatten().clone() for p in model.parameters()])
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
    trainer = trainer_of(model, rows, args, tokenizer, optimizers=(optimizer, schedule))
    result = trainer.train()
    after = torch.cat([p.detach().flatten() for p in model.parameters()])
    return result.training_loss, before - after, trainer.state.log_history[0]


@pytest.mark.parametrize(
    ("number", "cuts"), [(4, [(4, 1), (2, 2), (1, 4)]), (5, [(5, 1), (2, 3), (3, 2), (1, 5)])], ids=["even", "uneven"]
)
def test_a_step_does_not_depend_on_the_cut_into_micro_batches(
    parent: Path,
    rows: list[Row],
    settings: Callable[..., DFPOConfig],
    tokenizer: Any,
    number: int,
    cuts: list[tuple[int, int]],
) -> None:
    plain = load(parent)
    perturb(plain)
    reference = reference_log_probs(load(parent), rows[:number])
    expected, _ = by_hand(plain, reference, rows[:number], mu=0.37, smoothing=0.1)
    expected.backward()
    for size, steps in cuts:
        args = settings(
            mu=0.37,
            label_smoothing=0.1,
            per_device_train_batch_size=size,
            gradient_accumulation_steps=steps,
            num_train_epochs=1,
            max_grad_norm=0.0,
            logging_steps=1,
        )
        loss, moved, logged = one_step(parent, rows[:number], args, tokenizer)
        assert relative(loss, expected.detach()) <= CLOSE, (size, steps)
        assert relative(moved, gradient(plain)) <= CLOSE, (size, steps)
        assert {"phi", "preference_loss", "rewards/margins", "rewards/accuracies"} <= set(logged)


def test_phi_makes_the_preferred_answer_likelier(
    parent: Path, rows: list[Row], settings: Callable[..., DFPOConfig], tokenizer: Any
) -> None:
    def chosen_gain(mu: float) -> float:
        model = load(parent)
        trainer = trainer_of(model, rows, settings(mu=mu), tokenizer)
        before = sum(w for w, _ in reference_log_probs(model, rows))
        trainer.compute_loss(model, batch(trainer)).backward()
        with torch.no_grad():
            for value in model.parameters():
                value -= 1e-2 * value.grad
        return sum(w for w, _ in reference_log_probs(model, rows)) - before

    assert chosen_gain(1.0) > max(chosen_gain(0.0), 0.0)


def test_training_lowers_the_loss_and_evaluation_logs_phi(
    parent: Path, rows: list[Row], settings: Callable[..., DFPOConfig], tokenizer: Any
) -> None:
    args = settings(
        max_steps=6,
        learning_rate=2e-3,
        logging_steps=1,
        eval_strategy="steps",
        eval_steps=6,
        eval_on_start=True,
        per_device_eval_batch_size=2,
    )
    trainer = trainer_of(load(parent, torch.float32), rows, args, tokenizer, eval_dataset=Dataset.from_list(rows))
    trainer.train()
    before, after = (entry for entry in trainer.state.log_history if "eval_phi" in entry)
    assert after["eval_loss"] < before["eval_loss"]
    assert after["eval_phi"] < before["eval_phi"]
    assert after["eval_preference_loss"] < before["eval_preference_loss"]
    assert after["eval_rewards/margins"] > before["eval_rewards/margins"] == 0


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"mu": -0.1}, "mu = -0.1: allowed"),
        ({"mu": float("nan")}, "mu = nan: allowed"),
        ({"beta": 0.0}, "beta = 0.0: allowed"),
        ({"beta": -1.0}, "beta = -1.0: allowed"),
        ({"label_smoothing": 0.5}, "label_smoothing = 0.5: allowed"),
        ({"label_smoothing": -0.01}, "label_smoothing = -0.01: allowed"),
        ({"phi": "sum"}, "'sequence' and 'token'"),
        ({"loss_type": ["sigmoid", "sft"]}, "loss_type"),
        ({"loss_weights": [2.0]}, "loss_weights"),
        ({"ld_alpha": 0.5}, "ld_alpha"),
        ({"use_weighting": True}, "use_weighting"),
        ({"f_divergence_type": "forward_kl"}, "f_divergence_type"),
    ],
)
def test_settings_that_make_no_sense_are_refused(
    settings: Callable[..., DFPOConfig], values: dict[str, Any], told: str
) -> None:
    with pytest.raises(ValueError, match=told):
        settings(**values)


def test_settings_can_be_replaced(settings: Callable[..., DFPOConfig]) -> None:
    args: Any = settings(mu=0.5, phi="token", label_smoothing=0.2)
    assert dataclasses.replace(args, mu=0.25).phi == "token"
    assert args.to_dict()["mu"] == 0.5


@pytest.mark.parametrize("column", ["prompt_ids", "chosen_ids", "rejected_ids"])
def test_rows_without_ids_are_refused(
    policy: Model, rows: list[Row], settings: Callable[..., DFPOConfig], tokenizer: Any, column: str
) -> None:
    with pytest.raises(ValueError, match=f"row 2 of train: {column} is empty"):
        trainer_of(policy, [*rows[:2], rows[2] | {column: []}], settings(), tokenizer)


def test_rows_whose_prompt_fills_the_length_are_left_out(
    policy: Model,
    rows: list[Row],
    settings: Callable[..., DFPOConfig],
    tokenizer: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    long = rows[0] | {"prompt_ids": rows[0]["prompt_ids"] * 30}
    with caplog.at_level("WARNING", logger=dfpo.__name__):
        trainer = trainer_of(policy, [*rows, long], settings(max_length=64), tokenizer)
    assert isinstance(trainer.train_dataset, Dataset) and len(trainer.train_dataset) == len(rows)
    assert "1 of 6 rows of train" in caplog.text
    with pytest.raises(ValueError, match="nothing is left to train on"):
        trainer_of(policy, [long], settings(max_length=64), tokenizer)


def test_rows_may_be_streamed(
    policy: Model, rows: list[Row], settings: Callable[..., DFPOConfig], tokenizer: Any
) -> None:
    stream = Dataset.from_list(rows).to_iterable_dataset()
    assert isinstance(stream, IterableDataset)
    trainer = trainer_of(policy, rows, settings(max_steps=2, logging_steps=1), tokenizer, train_dataset=stream)
    trainer.train()
    assert "phi" in trainer.state.log_history[0]


def test_reference_that_cannot_be_read_is_told(
    policy: Model, parent: Path, rows: list[Row], settings: Callable[..., DFPOConfig], tokenizer: Any, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="allowed is the directory of a saved model"):
        trainer_of(policy, rows, settings(), tokenizer, ref_model=tmp_path / "nowhere")
    with pytest.raises(ValueError, match="never saved"):
        trainer_of(Qwen3ForCausalLM(policy.config.__class__(**small())), rows, settings(), tokenizer)
    policy.config._name_or_path = str(tmp_path / "gone")
    with pytest.raises(ValueError, match="but it is gone"):
        trainer_of(policy, rows, settings(), tokenizer)


def small() -> dict[str, Any]:
    return {"vocab_size": 195, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "head_dim": 8}


def test_another_config_is_refused(policy: Model, rows: list[Row], tokenizer: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="DFPOConfig"):
        trainer_of(policy, rows, DPOConfig(**basic(tmp_path)), tokenizer)  # type: ignore[arg-type]


def test_unexpected_internals_of_trl_are_told(
    policy: Model,
    rows: list[Row],
    settings: Callable[..., DFPOConfig],
    tokenizer: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trainer = trainer_of(policy, rows, settings(), tokenizer)
    inputs = batch(trainer)

    def loss_without_log_probs(self: Any, model: Any, inputs: Any, return_outputs: Any) -> Any:
        model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
        return torch.zeros(())

    def loss_without_model(self: Any, model: Any, inputs: Any, return_outputs: Any) -> Any:
        return torch.zeros(())

    def other_signature(self: Any, model: Any, inputs: Any) -> Any:
        return torch.zeros(())

    for replacement, told in ((loss_without_log_probs, "log_probs"), (loss_without_model, "did not call the model")):
        monkeypatch.setattr(DPOTrainer, "_compute_loss", replacement)
        with pytest.raises(UnsupportedTRLError, match=told):
            trainer.compute_loss(policy, inputs)
    with pytest.raises(UnsupportedTRLError, match="completion_mask"):
        trainer.compute_loss(policy, {k: v for k, v in inputs.items() if k != "completion_mask"})

    monkeypatch.setattr(DPOTrainer, "_compute_loss", other_signature)
    with pytest.raises(UnsupportedTRLError) as caught:
        trainer_of(policy, rows, settings(), tokenizer)
    assert dfpo.SUPPORTED_TRL in caught.value.message and dfpo.SUPPORTED_TRL in caught.value.hint
