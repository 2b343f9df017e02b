"""Time of a DFPO step against a step of TRL's own DPO, with a live and with a precomputed reference.

    python benchmarks/dfpo.py [--hidden 256 --layers 4 --vocabulary 8000 --length 256 --pairs 4 --rounds 15]

A step is forward, backward and optimizer on one batch, the same batch for all. Each round runs every variant once, in
an order that rotates from round to round; what is reported is the median over rounds of the ratio to TRL's DPO *of the
same round*, of wall time and of CPU time of the process. ``trl again`` is a second, equal trainer: how far its ratio is
from 1 is what the machine alone does to a ratio. Random weights, nothing is downloaded.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TQDM_DISABLE", "1")

import datasets
import torch
import transformers
from datasets import Dataset
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.utils import hash_module

from pedcorpus.training.dfpo import DFPOConfig, DFPOTrainer

BASE = "trl"
LIVE = "dfpo"
PRECOMPUTED = "dfpo, precomputed reference"
PRECOMPUTING = "precomputing one batch"


def main() -> None:
    """Run the benchmark and print its table."""
    options = read_options()
    datasets.disable_progress_bars()
    messages: Any = transformers.utils.logging
    messages.disable_progress_bar()
    messages.set_verbosity_error()
    warnings.simplefilter("ignore", FutureWarning)
    with tempfile.TemporaryDirectory() as folder:
        result = measure(options, Path(folder))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    show(result)


def read_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Time of a DFPO step against TRL's DPO.")
    parser.add_argument("--hidden", type=int, default=256, help="width of the model (multiple of 64)")
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--vocabulary", type=int, default=8000)
    parser.add_argument("--length", type=int, default=256, help="longest sequence, tokens; half of it is the prompt")
    parser.add_argument("--pairs", type=int, default=4, help="pairs in a batch")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--warmup", type=int, default=2, help="rounds that are not counted")
    parser.add_argument("--rows", type=int, default=32, help="pairs for timing the precomputation")
    parser.add_argument("--phi", choices=["sequence", "token"], default="sequence")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write all timings to this file")
    return parser.parse_args()


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Time all variants; returns settings, seconds of every round and the summary."""
    tokenizer = save_parent(options, folder / "parent")
    rows = make_rows(options)
    common: dict[str, Any] = {
        "output_dir": str(folder / "out"),
        "beta": 0.1,
        "use_cpu": options.device == "cpu",
        "bf16": options.bf16,
        "gradient_checkpointing": False,
        "report_to": "none",
        "disable_tqdm": True,
        "max_length": options.length,
        "per_device_train_batch_size": options.pairs,
        "dataloader_pin_memory": False,
        "precompute_ref_batch_size": options.pairs,
    }
    dfpo = {**common, "mu": 1.0, "phi": options.phi}

    def policy() -> Any:
        dtype = torch.bfloat16 if options.bf16 else torch.float32
        return AutoModelForCausalLM.from_pretrained(folder / "parent", dtype=dtype)

    def theirs() -> DPOTrainer:
        # TRL tokenises text only; its own row is never used, the batches come from the ids
        texts = Dataset.from_list([{"prompt": "w1 w2", "chosen": " w3", "rejected": " w4"}])
        return DPOTrainer(policy(), args=DPOConfig(**common), train_dataset=texts, processing_class=tokenizer)

    def ours(precompute: bool) -> TimedTrainer:
        args = DFPOConfig(**dfpo, precompute_ref_log_probs=precompute)
        return TimedTrainer(policy(), args=args, train_dataset=Dataset.from_list(rows), processing_class=tokenizer)

    trainers: dict[str, DPOTrainer] = {BASE: theirs(), "trl again": theirs(), LIVE: ours(False)}
    trainers[PRECOMPUTED] = precomputed = ours(True)
    collate: Any = precomputed.data_collator
    data: Any = precomputed.train_dataset
    batch = collate(list(data.select(range(options.pairs))))
    live = {key: value for key, value in batch.items() if not key.startswith("ref_")}
    steps = {name: make_step(trainer, batch if trainer is precomputed else live) for name, trainer in trainers.items()}

    engine: Any = precomputed
    steps[PRECOMPUTING] = lambda: engine.compute_ref_log_probs(engine.model, live)
    untrained = policy()
    started = time.perf_counter()
    hash_module(untrained)
    hashing = time.perf_counter() - started

    wall: dict[str, list[float]] = {name: [] for name in steps}
    processor: dict[str, list[float]] = {name: [] for name in steps}
    names = list(steps)
    for number in range(-options.warmup, options.rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            synchronise(options)
            wall_start, processor_start = time.perf_counter(), time.process_time()
            steps[name]()
            synchronise(options)
            if number >= 0:
                wall[name].append(time.perf_counter() - wall_start)
                processor[name].append(time.process_time() - processor_start)
    return {
        "settings": {key: value for key, value in vars(options).items() if key != "json"},
        "parameters": sum(value.numel() for value in untrained.parameters()),
        "tokens_per_pass": live["input_ids"].numel(),
        "threads": torch.get_num_threads(),
        "wall_s": wall,
        "cpu_s": processor,
        "precompute": {"pairs": len(rows), "seconds": precomputed.seconds, "hashing_s": hashing},
    }


class TimedTrainer(DFPOTrainer):
    """Keeps the seconds that precomputing took."""

    seconds = 0.0

    def _precompute_ref_logps(self, dataset: Dataset, name: str, batch_size: int) -> Dataset:
        started = time.perf_counter()
        done = super()._precompute_ref_logps(dataset, name, batch_size)
        self.seconds += time.perf_counter() - started
        return done


def make_step(trainer: DPOTrainer, batch: dict[str, Any]) -> Callable[[], None]:
    """A function that takes one optimizer step on ``batch``."""
    engine: Any = trainer
    optimizer = engine.create_optimizer()
    engine.current_gradient_accumulation_steps = 1
    pairs = len(batch["input_ids"]) // 2

    def step() -> None:
        engine.training_step(engine.model, dict(batch), num_items_in_batch=pairs)
        optimizer.step()
        optimizer.zero_grad()

    return step


def save_parent(options: argparse.Namespace, path: Path) -> PreTrainedTokenizerFast:
    """Save a model with random weights and a tokeniser of whole words; returns the tokeniser."""
    torch.manual_seed(options.seed)
    config = Qwen3Config(
        vocab_size=options.vocabulary,
        hidden_size=options.hidden,
        intermediate_size=3 * options.hidden,
        num_hidden_layers=options.layers,
        num_attention_heads=options.hidden // 64,
        num_key_value_heads=max(1, options.hidden // 128),
        head_dim=64,
        max_position_embeddings=options.length,
    )
    Qwen3ForCausalLM(config).save_pretrained(path)
    words = ["<pad>", "<unk>", "<end>", *(f"w{i}" for i in range(options.vocabulary - 3))]
    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    kind: Any = PreTrainedTokenizerFast
    tokenizer: PreTrainedTokenizerFast = kind(
        tokenizer_object=core, pad_token="<pad>", unk_token="<unk>", eos_token="<end>"
    )
    tokenizer.save_pretrained(path)
    return tokenizer


def make_rows(options: argparse.Namespace) -> list[dict[str, list[int]]]:
    """Pairs of random ids; answers are a quarter to a half of the length, the first row fills it."""
    rng = random.Random(options.seed)
    half = options.length // 2

    def ids(number: int) -> list[int]:
        return [rng.randrange(3, options.vocabulary) for _ in range(number)]

    rows = []
    for i in range(max(options.rows, options.pairs)):
        chosen = half if i == 0 else rng.randint(half // 2, half)
        rows.append(
            {"prompt_ids": ids(half), "chosen_ids": ids(chosen), "rejected_ids": ids(rng.randint(half // 2, half))}
        )
    return rows


def synchronise(options: argparse.Namespace) -> None:
    """Wait until the device has done its work."""
    if options.device == "cuda":
        torch.cuda.synchronize()


def show(result: dict[str, Any]) -> None:
    """Print the table."""
    print(f"{result['parameters'] / 1e6:.1f} M parameters, {result['tokens_per_pass']} tokens a pass,", end=" ")
    print(f"{result['threads']} threads, {len(result['wall_s'][BASE])} rounds; {result['settings']}")
    print(f"{'':30}{'s/step':>10}{'wall ratio (quartiles)':>28}{'CPU ratio (quartiles)':>28}")
    for name, seconds in result["wall_s"].items():
        row = f"{name:30}{statistics.median(seconds):10.3f}"
        for kind in ("wall_s", "cpu_s"):
            low, middle, high = ratio_quartiles(result[kind][name], result[kind][BASE])
            row += f"{f'{middle:.3f} ({low:.3f} to {high:.3f})':>28}"
        print(row)
    once = result["precompute"]
    print(
        f"precomputing {once['pairs']} pairs: {once['seconds']:.2f} s, and {once['hashing_s']:.2f} s to hash the model"
    )
    wall = result["wall_s"]
    saved = statistics.median(live - done for live, done in zip(wall[LIVE], wall[PRECOMPUTED], strict=True))
    price = statistics.median(wall[PRECOMPUTING])
    told = f"a batch: {price:.3f} s once, {saved:.3f} s saved in each epoch"
    print(f"{told}: pays after {price / saved:.2f} epochs" if saved > 0 else f"{told}: does not pay")


def ratio_quartiles(seconds: list[float], base: list[float]) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile of the ratios round by round."""
    ratios = [a / b for a, b in zip(seconds, base, strict=True)]
    if len(ratios) < 2:
        return ratios[0], ratios[0], ratios[0]
    low, _, high = statistics.quantiles(ratios, n=4)
    return low, statistics.median(ratios), high


if __name__ == "__main__":
    main()
