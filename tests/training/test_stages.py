"""The stages on a small model: what they leave, that they learn, and what they say when something is wrong."""

from __future__ import annotations

import errno
import itertools
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

torch = pytest.importorskip("torch", reason="training needs the [train] extra")
pytest.importorskip("trl", reason="training needs the [train] extra")
pytest.importorskip("peft", reason="training needs the [train] extra")

from safetensors.torch import load_file, save_file  # noqa: E402
from transformers import (  # noqa: E402
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    Trainer,
)

from pedcorpus.cli import main  # noqa: E402
from pedcorpus.errors import BuildDirError, ConfigError, DiskFullError, PedcorpusError  # noqa: E402
from pedcorpus.training import whole  # noqa: E402
from pedcorpus.training.handover import TrainingError, directory_hash  # noqa: E402
from pedcorpus.training.masking import template_hash  # noqa: E402
from pedcorpus.training.rows import config_hashes  # noqa: E402
from pedcorpus.training.whole import WHOLE, train_all, train_stage  # noqa: E402
from tests.conftest import ROOT  # noqa: E402
from tests.training.small import at_step, metrics, one_thread, set_options, small_recipe, stop  # noqa: E402, F401

KEYS = {
    "stage", "parent", "dataset", "template_sha256", "eos_token_id", "pad_token_id", "hyperparameters", "versions",
    "metrics",
}  # fmt: skip
PNG = b"\x89PNG\r\n\x1a\n"
STEPS = 8
ON_CLI = {
    "model.random.hidden": 64, "model.random.intermediate": 128, "model.random.vocabulary": 512, "sft.rows": 16,
    "sft.max_steps": 4, "sft.max_length": 512,
}  # fmt: skip


@pytest.fixture(scope="module")
def dataset(sample_build: tuple[Path, Any]) -> Path:
    return sample_build[0] / "dataset"


@pytest.fixture(scope="module")
def models(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The four stages, with rates at which a few steps show in the loss."""
    folder = tmp_path_factory.mktemp("models")
    rates = ["cpt.learning_rate=5e-3", "cpt.batch_size=8", "sft.learning_rate=5e-3", "sft.batch_size=16"]
    train_all(small_recipe(*rates, steps=STEPS), dataset, None, folder)
    return folder


@pytest.fixture(scope="module")
def reward(models: Path, dataset: Path) -> Path:
    train_stage("reward", small_recipe(), dataset, str(models / "sft"), models / "reward")
    return models / "reward"


def stage_json(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "stage.json").read_text("utf-8"))
    return found


def header(folder: Path) -> dict[str, Any]:
    text = (folder / "README.md").read_text("utf-8")
    found: dict[str, Any] = yaml.safe_load(text.split("---\n")[1])
    return found


def generates(model: Any, tokenizer: Any) -> str:
    ids = tokenizer("患儿，3岁，发热", return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        said = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=4, do_sample=False)
    assert said.shape[1] > ids.shape[1]
    return str(tokenizer.decode(said[0]))


class TestWhatIsLeft:
    @pytest.mark.parametrize("stage", WHOLE)
    def test_loads_and_generates(self, models: Path, stage: str) -> None:
        folder = models / stage
        tokenizer = AutoTokenizer.from_pretrained(folder)
        if stage == "moe-lora":
            from peft import AutoPeftModelForCausalLM

            model: Any = AutoPeftModelForCausalLM.from_pretrained(folder)
            assert not (folder / "model.safetensors").exists(), "an adapter alone"
        else:
            model = AutoModelForCausalLM.from_pretrained(folder)
            assert model.generation_config.eos_token_id == tokenizer.eos_token_id, "so it can stop"
            assert model.config.eos_token_id == tokenizer.eos_token_id
        assert generates(model.eval(), tokenizer)
        assert tokenizer.eos_token == ("<|endoftext|>" if stage == "cpt" else "<|im_end|>")
        assert bool(tokenizer.chat_template) == (stage != "cpt")

    @pytest.mark.parametrize("stage", WHOLE)
    def test_papers(self, models: Path, dataset: Path, stage: str) -> None:
        folder, found = models / stage, stage_json(models / stage)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        parent = models / ("base" if stage == "cpt" else WHOLE[WHOLE.index(stage) - 1])
        assert set(found) == KEYS
        assert found["stage"] == stage
        assert found["parent"] == {"path": str(parent.resolve()), "sha256": directory_hash(parent)}
        assert found["dataset"] == config_hashes(dataset, list(found["dataset"]))
        assert set(found["dataset"]) >= {"cpt": {"cpt"}, "dfpo": {"dfpo"}}.get(stage, {"medkqa", "general"})
        assert found["template_sha256"] == template_hash(tokenizer)
        assert (found["eos_token_id"], found["pad_token_id"]) == (tokenizer.eos_token_id, tokenizer.pad_token_id)
        assert found["hyperparameters"]["max_steps"] == STEPS and found["hyperparameters"]["seed"] == 17
        assert found["versions"]["trl"].startswith("1.16")
        lines = metrics(folder)
        assert [line["step"] for line in lines] == list(range(1, STEPS + 1))
        assert found["metrics"]["first_loss"] == lines[0]["loss"]
        assert found["metrics"]["last_loss"] == lines[-1]["loss"]
        assert found["metrics"]["train_loss"] == pytest.approx(sum(line["loss"] for line in lines) / STEPS)
        assert found["metrics"]["steps"] == STEPS
        assert found["metrics"]["supervised_tokens"] > 0

    @pytest.mark.parametrize("stage", WHOLE)
    def test_files(self, models: Path, stage: str) -> None:
        folder = models / stage
        assert (folder / "loss.png").read_bytes().startswith(PNG)
        assert (folder / "experts.png").exists() == (stage == "moe-lora")
        if stage == "moe-lora":
            assert (folder / "experts.png").read_bytes().startswith(PNG)
        assert list((folder / "tensorboard").glob("events.out.tfevents.*"))
        assert not (folder / "training_args.bin").exists()
        assert not (folder / "checkpoints").exists()
        assert not [path for path in folder.iterdir() if path.name.startswith(".")]
        card = (folder / "README.md").read_text("utf-8")
        assert header(folder)["library_name"] == ("peft" if stage == "moe-lora" else "transformers")
        assert header(folder)["language"] == ["zh"] and stage in header(folder)["tags"]
        assert str(models) not in card and not re.search(r"[ `'\"(]/(home|tmp|root|work|Users)/", card)
        assert "not medical advice" in card

    def test_every_stage_moves_what_it_trains(self, models: Path) -> None:
        names = ("base", *WHOLE[:-1])
        for before, after in itertools.pairwise(names):
            old, new = (load_file(models / name / "model.safetensors") for name in (before, after))
            assert set(old) == set(new)
            still = [name for name in old if torch.equal(old[name], new[name])]
            assert not still, f"{after} left {still} as they were"

    def test_experts_leave_the_base_as_it_is(self, models: Path) -> None:
        from peft import AutoPeftModelForCausalLM

        model = AutoPeftModelForCausalLM.from_pretrained(models / "moe-lora")
        base = load_file(models / "dfpo" / "model.safetensors")
        inside = {
            name.removeprefix("base_model.model.").replace(".base_layer", ""): value
            for name, value in model.state_dict().items()
            if "moe_lora_" not in name
        }
        assert set(base) <= set(inside)
        assert all(torch.equal(inside[name], value) for name, value in base.items())
        adapter = load_file(models / "moe-lora" / "adapter_model.safetensors")
        assert any(value.abs().sum() > 0 for name, value in adapter.items() if "_b" in name.lower())

    @pytest.mark.parametrize("stage", ["cpt", "sft"])
    def test_the_loss_falls(self, models: Path, stage: str) -> None:
        losses = [line["loss"] for line in metrics(models / stage)]
        assert losses[-1] < losses[0]

    def test_router_weights_are_logged(self, models: Path) -> None:
        [line] = [
            json.loads(line)
            for line in (models / "moe-lora" / "metrics.jsonl").read_text("utf-8").splitlines()
            if "router" in line
        ]
        assert set(line["router"]) == {"medkqa", "evidiag", "trerecom", "general"}
        assert all(sum(weights) == pytest.approx(1) for weights in line["router"].values())


class TestOtherRoutes:
    def test_reward_model(self, reward: Path, models: Path) -> None:
        model = AutoModelForSequenceClassification.from_pretrained(reward, num_labels=1)
        with torch.inference_mode():
            assert model(input_ids=torch.tensor([[5, 6, 7]])).logits.shape == (1, 1)
        assert "score.weight" in load_file(reward / "model.safetensors")
        assert header(reward)["pipeline_tag"] == "text-classification"
        assert stage_json(reward)["parent"]["sha256"] == directory_hash(models / "sft")

    def test_rejection_sampling(self, reward: Path, models: Path, dataset: Path, tmp_path: Path) -> None:
        recipe = small_recipe(
            "rejection_sampling.rounds=2",
            "rejection_sampling.prompts=3",
            "rejection_sampling.samples=3",
            "rejection_sampling.max_new_tokens=300",  # a model that knows little ends by chance
            "rejection_sampling.temperature=2.0",
            "rejection_sampling.max_length=1000",
            "rejection_sampling.sampling_batch=9",
            steps=2,
        )
        output = tmp_path / "best"
        train_stage("rejection-sampling", recipe, dataset, str(models / "sft"), output, reward_model=str(reward))
        lines = [json.loads(line) for line in (output / "samples.jsonl").read_text("utf-8").splitlines()]
        assert len(lines) == 2 * 3 * 3
        groups: dict[tuple[int, str], list[dict[str, Any]]] = {}
        for line in lines:
            groups.setdefault((line["round"], line["row_id"]), []).append(line)
        assert len(groups) == 6, "each round has prompts of its own"
        for group in groups.values():
            told = [line["reward"] for line in group if line["reward"] is not None]
            assert [line["reward"] for line in group if line["kept"]] == ([max(told)] if told else [])
        found = stage_json(output)
        assert found["metrics"]["rounds"] == 2 and len(found["metrics"]["mean_reward"]) == 2
        assert found["metrics"]["reward_model"]["sha256"] == directory_hash(reward)
        assert [line["step"] for line in metrics(output)] == [1, 2, 3, 4], "both rounds, one after the other"
        old, new = (load_file(folder / "model.safetensors") for folder in (models / "sft", output))
        assert any(not torch.equal(old[name], new[name]) for name in old)
        generates(AutoModelForCausalLM.from_pretrained(output), AutoTokenizer.from_pretrained(output))
        # the same again is nothing to do; another reward model is
        again: dict[str, Any] = {"reward_model": str(reward), "resume": True}
        assert train_stage("rejection-sampling", recipe, dataset, str(models / "sft"), output, **again) == {}

    @pytest.mark.parametrize("reference", ["parent", "precomputed", "adapter-off"])
    def test_references_of_dfpo(self, models: Path, dataset: Path, tmp_path: Path, reference: str) -> None:
        recipe = small_recipe(f"dfpo.reference={reference}", "dfpo.learning_rate=1e-2", steps=2)
        train_stage("dfpo", recipe, dataset, str(models / "sft"), tmp_path / "out")
        old, new = (load_file(folder / "model.safetensors") for folder in (models / "sft", tmp_path / "out"))
        assert set(old) == set(new)
        assert any(not torch.equal(old[name], new[name]) for name in old)
        first = metrics(tmp_path / "out")[0]
        assert first["preference_loss"] == pytest.approx(0.6931, abs=1e-3), "policy and reference begin as one"
        generates(AutoModelForCausalLM.from_pretrained(tmp_path / "out"), AutoTokenizer.from_pretrained(models / "sft"))

    @pytest.mark.parametrize("stage", ["sft", "moe-lora"])
    def test_checkpointed_activations_change_nothing(
        self, models: Path, dataset: Path, tmp_path: Path, stage: str
    ) -> None:
        section = stage.replace("-", "_")
        for checkpointing in ("false", "true"):
            recipe = small_recipe(f"{section}.gradient_checkpointing={checkpointing}", "moe_lora.noise=false", steps=3)
            train_stage(stage, recipe, dataset, str(models / "cpt"), tmp_path / checkpointing)
        plain, thrifty = (metrics(tmp_path / name) for name in ("false", "true"))
        for name in ("loss", "grad_norm"):
            assert [line[name] for line in thrifty] == pytest.approx([line[name] for line in plain], rel=1e-4)

    def test_half_precision(self, models: Path, dataset: Path, tmp_path: Path) -> None:
        recipe = small_recipe("precision=bf16", "sft.learning_rate=1e-6", "sft.scheduler=constant", steps=1)
        train_stage("sft", recipe, dataset, str(models / "cpt"), tmp_path / "sft")
        old, new = (load_file(folder / "model.safetensors") for folder in (models / "cpt", tmp_path / "sft"))
        assert all(value.dtype == torch.float32 for value in new.values())
        assert all(not torch.equal(old[name], new[name]) for name in old), "steps below the last bit of bf16 count"
        train_stage("moe-lora", recipe, dataset, str(tmp_path / "sft"), tmp_path / "moe-lora")
        assert metrics(tmp_path / "moe-lora")[0]["loss"] < 10

    def test_new_tokens_of_a_template_have_a_reference(self, dataset: Path, models: Path, tmp_path: Path) -> None:
        """A base without the template's token gains a row; the reference must gain the same one."""
        base = tmp_path / "base"
        shutil.copytree(models / "base", base)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            text = (base / name).read_text("utf-8").replace("<|im_end|>", "<|other|>")
            (base / name).write_text(text, "utf-8")
        train_stage("dfpo", small_recipe(steps=1), dataset, str(base), tmp_path / "out")
        assert metrics(tmp_path / "out")[0]["preference_loss"] == pytest.approx(0.6931, abs=1e-3)

    def test_rows_limit(self, models: Path) -> None:
        assert stage_json(models / "sft")["metrics"]["rows"] == 32
        assert stage_json(models / "dfpo")["metrics"]["rows"] == 32
        assert stage_json(models / "cpt")["metrics"]["rows"] == 32


def cli(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


Refused = Callable[..., PedcorpusError]


class TestErrors:
    """Each is told in one line with a hint, by an error that ends the program with 2."""

    def refused(self, *arguments: Any, **named: Any) -> PedcorpusError:
        with pytest.raises(PedcorpusError) as caught:
            train_stage(*arguments, **named)
        assert caught.value.exit_code == 2
        assert caught.value.hint
        assert "\n" not in caught.value.message
        return caught.value

    def test_no_dataset(self, tmp_path: Path, models: Path) -> None:
        error = self.refused("sft", small_recipe(), tmp_path, str(models / "cpt"), tmp_path / "out")
        assert "holds no dataset" in error.message
        assert not (tmp_path / "out").exists()

    def test_config_that_is_not_there(self, dataset: Path, tmp_path: Path, models: Path) -> None:
        lacking = tmp_path / "dataset"
        shutil.copytree(dataset, lacking)
        shutil.rmtree(lacking / "data" / "dfpo")
        error = self.refused("dfpo", small_recipe(), lacking, str(models / "sft"), tmp_path / "out")
        assert "no train rows of dfpo" in error.message and "medkqa" in error.message
        with pytest.raises(PedcorpusError, match="no train rows of dfpo"):
            train_all(small_recipe(), lacking, None, tmp_path / "all")
        assert not (tmp_path / "all" / "base").exists(), "told before any work"

    def test_no_model(self, dataset: Path, tmp_path: Path) -> None:
        assert "--model" in self.refused("sft", small_recipe(), dataset, None, tmp_path / "out").hint

    def test_neither_folder_nor_hub_id(self, dataset: Path, tmp_path: Path) -> None:
        error = self.refused("sft", small_recipe(), dataset, str(tmp_path / "nowhere"), tmp_path / "out")
        assert "neither a folder nor a Hub id" in error.message

    def test_folder_without_a_model(self, dataset: Path, tmp_path: Path) -> None:
        error = self.refused("sft", small_recipe(), dataset, str(dataset), tmp_path / "out")
        assert "config.json" in error.message

    def test_hub_id_while_offline(self, dataset: Path, tmp_path: Path) -> None:
        error = self.refused("sft", small_recipe(), dataset, "nobody/nothing-at-all", tmp_path / "out")
        assert "nobody/nothing-at-all" in error.message and "HF_HUB_OFFLINE" in error.hint

    def test_adapter_as_parent(self, dataset: Path, tmp_path: Path, models: Path) -> None:
        error = self.refused("sft", small_recipe(), dataset, str(models / "moe-lora"), tmp_path / "out")
        assert "adapter" in error.message

    def test_reward_model_as_parent(self, dataset: Path, tmp_path: Path, reward: Path) -> None:
        assert "reward" in self.refused("sft", small_recipe(), dataset, str(reward), tmp_path / "out").message

    def test_other_stage_as_reward_model(self, dataset: Path, tmp_path: Path, models: Path) -> None:
        place = str(models / "sft")
        out = tmp_path / "out"
        error = self.refused("rejection-sampling", small_recipe(), dataset, place, out, reward_model=place)
        assert "no reward model" in error.message
        assert "--reward-model" in self.refused("rejection-sampling", small_recipe(), dataset, place, out).hint

    def test_other_template_than_the_parent(self, dataset: Path, tmp_path: Path, models: Path) -> None:
        recipe = small_recipe("model.template=human-bot")
        error = self.refused("dfpo", recipe, dataset, str(models / "sft"), tmp_path / "out")
        assert "another chat template" in error.message

    @pytest.mark.parametrize("change", ["template", "eos", "generation"])
    def test_parent_changed_after_training(self, dataset: Path, tmp_path: Path, models: Path, change: str) -> None:
        parent = tmp_path / "parent"
        shutil.copytree(models / "sft", parent)
        tokenizer = AutoTokenizer.from_pretrained(parent)
        if change == "generation":
            path = parent / "generation_config.json"
            path.write_text(
                path.read_text("utf-8").replace(f'"eos_token_id": {tokenizer.eos_token_id}', '"eos_token_id": 0')
            )
        elif change == "template":
            tokenizer.chat_template += " "
            tokenizer.save_pretrained(parent)
        else:
            tokenizer.eos_token = "<|endoftext|>"
            tokenizer.save_pretrained(parent)
        error = self.refused("dfpo", small_recipe(), dataset, str(parent), tmp_path / "out")
        assert "stage.json says" in error.message

    def test_other_launch(self, dataset: Path, tmp_path: Path, models: Path) -> None:
        recipe = small_recipe("launch.processes=2", "launch.mode=ddp")
        error = self.refused("sft", recipe, dataset, str(models / "cpt"), tmp_path / "out")
        assert "2 process(es), ddp" in error.message and "1, single" in error.message
        assert not (tmp_path / "out").exists()

    def test_output_with_other_files(self, dataset: Path, tmp_path: Path, models: Path) -> None:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "thesis.txt").write_text("mine")
        error = self.refused("sft", small_recipe(), dataset, str(models / "cpt"), tmp_path / "out")
        assert "thesis.txt" in error.message
        assert (tmp_path / "out" / "thesis.txt").read_text() == "mine"

    def test_output_is_a_file_or_the_parent(self, dataset: Path, tmp_path: Path, models: Path) -> None:
        (tmp_path / "out").write_text("mine")
        self.refused("sft", small_recipe(), dataset, str(models / "cpt"), tmp_path / "out")
        told = self.refused("sft", small_recipe(), dataset, str(models / "sft"), models / "sft").message
        assert "holds a finished sft stage" in told
        shutil.copytree(models / "base", tmp_path / "base")
        told = self.refused("cpt", small_recipe(), dataset, str(tmp_path / "base"), tmp_path / "base").message
        assert "holds other files" in told or "parent itself" in told

    def test_base_folder_of_somebody_else(self, dataset: Path, tmp_path: Path) -> None:
        (tmp_path / "base").mkdir()
        (tmp_path / "base" / "config.json").write_text("{}")
        assert "holds other files" in self.refused("cpt", small_recipe(), dataset, None, tmp_path / "cpt").message

    def test_refused_again_leaves_what_is_there(self, dataset: Path, tmp_path: Path, models: Path) -> None:
        out = tmp_path / "dfpo"
        shutil.copytree(models / "dfpo", out)
        before = directory_hash(out), (out / "stage.json").read_text("utf-8")
        self.refused("dfpo", small_recipe("model.template=human-bot"), dataset, str(models / "sft"), out)
        assert (directory_hash(out), (out / "stage.json").read_text("utf-8")) == before

    def test_nothing_fits(self, dataset: Path, tmp_path: Path, models: Path) -> None:
        recipe = small_recipe("sft.max_length=8")
        error = self.refused("sft", recipe, dataset, str(models / "cpt"), tmp_path / "out")
        assert "max_length = 8" in error.message

    def test_damaged_weights(self, dataset: Path, tmp_path: Path, models: Path) -> None:
        parent = tmp_path / "parent"
        shutil.copytree(models / "cpt", parent)
        weights = parent / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:1000])
        error = self.refused("sft", small_recipe(), dataset, str(parent), tmp_path / "out")
        assert "cannot load" in error.message

    def test_parent_with_weights_that_are_no_numbers(self, dataset: Path, tmp_path: Path, models: Path) -> None:
        parent = tmp_path / "parent"
        shutil.copytree(models / "cpt", parent)
        weights = load_file(parent / "model.safetensors")
        weights["model.norm.weight"][0] = float("nan")
        save_file(weights, parent / "model.safetensors", metadata={"format": "pt"})
        with pytest.raises(TrainingError, match="no finite number at step 1") as caught:
            train_stage("sft", small_recipe("sft.save_steps=1"), dataset, str(parent), tmp_path / "out")
        assert caught.value.exit_code == 1
        assert "good state" not in caught.value.hint
        assert not (tmp_path / "out" / "stage.json").exists()

    def test_loss_that_becomes_no_number(
        self, dataset: Path, tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def poison(model: Any) -> None:
            with torch.no_grad():
                model.get_input_embeddings().weight.fill_(float("nan"))

        at_step(monkeypatch, 4, poison)
        # logged less often than saved: what is saved is looked at all the same
        recipe = small_recipe("sft.save_steps=2", "sft.logging_steps=5", steps=8)
        with pytest.raises(TrainingError, match=r"no finite number at step [56]") as caught:
            train_stage("sft", recipe, dataset, str(models / "cpt"), tmp_path / "out")
        assert "checkpoint-4" in caught.value.hint and "sft.learning_rate" in caught.value.hint
        good = load_file(tmp_path / "out" / "checkpoints" / "checkpoint-4" / "model.safetensors")
        assert all(bool(value.isfinite().all()) for value in good.values())
        assert not (tmp_path / "out" / "checkpoints" / "checkpoint-6").exists()
        assert not (tmp_path / "out" / "stage.json").exists()

    @pytest.mark.parametrize(
        "error",
        [
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
            RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried"),
            MemoryError(),
        ],
    )
    def test_out_of_memory(
        self, dataset: Path, tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
    ) -> None:
        def fail(model: Any) -> None:
            raise error

        at_step(monkeypatch, 1, fail)
        told = self.refused("sft", small_recipe(), dataset, str(models / "cpt"), tmp_path / "out")
        assert told.message == "sft: memory ran out"
        assert "sft.batch_size" in told.hint and "sft.gradient_checkpointing" in told.hint

    def test_disk_full_at_the_end(
        self, dataset: Path, tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        recipe, out = small_recipe("sft.save_steps=2"), tmp_path / "out"

        def full(self: Any, folder: str, _internal_call: bool = False) -> None:
            if "checkpoint-" in str(folder):
                return plain(self, folder, _internal_call)
            raise OSError(errno.ENOSPC, "No space left on device")

        plain = Trainer.save_model
        with monkeypatch.context() as patched:
            patched.setattr(Trainer, "save_model", full)
            error = self.refused("sft", recipe, dataset, str(models / "cpt"), out)
        assert isinstance(error, DiskFullError)
        assert not (out / "stage.json").exists()
        found = train_stage("sft", recipe, dataset, str(models / "cpt"), out, resume=True)
        assert found["steps"] == 4
        assert [line["step"] for line in metrics(out)] == [1, 2, 3, 4], "not one step too many"
        assert (out / "stage.json").exists()

    def test_disk_full_at_a_checkpoint(
        self, dataset: Path, tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        recipe, out = small_recipe("sft.save_steps=1"), tmp_path / "out"

        def full(self: Any, folder: str) -> None:
            if self.state.global_step == 3:
                raise RuntimeError("[enforce fail at inline_container.cc:668] PytorchStreamWriter failed writing file")
            return plain(self, folder)

        plain = Trainer._save_optimizer_and_scheduler
        with monkeypatch.context() as patched:
            patched.setattr(Trainer, "_save_optimizer_and_scheduler", full)
            assert isinstance(self.refused("sft", recipe, dataset, str(models / "cpt"), out), DiskFullError)
        assert (out / "checkpoints" / "checkpoint-3").exists(), "cut off, so checkpoint-2 is gone on with"
        train_stage("sft", recipe, dataset, str(models / "cpt"), out, resume=True)
        assert [line["step"] for line in metrics(out)] == [1, 2, 3, 4]


class TestCommandLine:
    def test_user_errors_are_two_lines(self, dataset: Path, tmp_path: Path) -> None:
        for more in (["--model", "nobody/nothing-at-all"], [], ["--recipe", "nowhere.toml"]):
            recipe = [] if "--recipe" in more else ["--recipe", "tiny"]
            done = cli("train", "sft", "--dataset", dataset, "--output", tmp_path / "out", *recipe, *more)
            assert done.exit_code == 2, done.output
            assert done.stderr.startswith("error: ") and "\nhint: " in done.stderr
            assert "Traceback" not in done.output

    def test_no_number_ends_with_1(
        self, dataset: Path, tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        at_step(monkeypatch, 1, lambda model: model.get_input_embeddings().weight.data.fill_(float("nan")))
        done = cli(
            *("train", "sft", "--dataset", dataset, "--model", models / "cpt", "--output", tmp_path / "out"),
            *("--recipe", "tiny", *set_options(ON_CLI)),
        )
        assert done.exit_code == 1, done.output
        assert "no finite number" in done.stderr and "Traceback" not in done.output

    def test_interrupt_ends_with_130(
        self, dataset: Path, tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        command = [
            *("train", "sft", "--dataset", dataset, "--model", models / "cpt", "--output", tmp_path / "out"),
            *("--recipe", "tiny", *set_options({**ON_CLI, "sft.save_steps": 1})),
        ]
        with monkeypatch.context() as patched:
            at_step(patched, 2, stop)
            done = cli(*command)
        assert done.exit_code == 130, done.output
        assert "error: interrupted" in done.stderr and "--resume" in done.stderr
        done = cli(*command, "--resume")
        assert done.exit_code == 0, done.output
        assert "goes on from checkpoint-2" in done.stdout
        done = cli(*command, "--resume")
        assert done.exit_code == 0 and "there already" in done.stdout

    def test_nothing_noisy(self, dataset: Path, tmp_path: Path, models: Path, run: Any) -> None:
        done = run(
            *("train", "dfpo", "--dataset", dataset, "--model", models / "sft", "--output", tmp_path / "out"),
            *("--recipe", "tiny", "--set", "dfpo.max_steps=2", "--set", "dfpo.rows=16", "--set", "dfpo.max_length=512"),
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        lines = done.stdout.splitlines()
        assert len(lines) == 5, done.stdout
        assert all(re.match(r"dfpo: | +\d+\.\d s  dfpo ", line) for line in lines), done.stdout

    @pytest.mark.parametrize("missing", ["torch", "trl"])
    def test_extra_is_missing(self, dataset: Path, tmp_path: Path, missing: str) -> None:
        code = f"""
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocked())
from pedcorpus.cli import main
main(["train", "sft", "--dataset", {str(dataset)!r}, "--output", {str(tmp_path / "out")!r}])
"""
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 2, done.stderr
        assert done.stderr == (
            f"error: training needs the package {missing}\nhint: install the extra: pip install 'pedcorpus[train]'\n"
        )


def test_package_that_is_needed_at_the_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(PedcorpusError, match="needs the package matplotlib") as caught:
        train_stage("sft", small_recipe(), tmp_path, None, tmp_path / "out")
    assert "pedcorpus[train]" in caught.value.hint


def test_known_stages_are_those_that_run() -> None:
    assert set(whole._RUN) == set(whole.STAGES)
    with pytest.raises(PedcorpusError, match="no stage 'ppo'"):
        train_stage("ppo", small_recipe(), Path("x"), None, Path("y"))


class TestReward:
    """The reward that ranks answers is the one that the reward model learned to give."""

    def test_it_is_read_where_the_trainer_reads_it(self, models: Path, dataset: Path, tmp_path: Path) -> None:
        from pedcorpus.training.rejection_sampling import reward_of
        from pedcorpus.training.reward import whole_answers
        from pedcorpus.training.rows import load_rows, preference_rows

        recipe = small_recipe("reward.learning_rate=3e-3", steps=10, rows=16)
        train_stage("reward", recipe, dataset, str(models / "sft"), tmp_path / "reward")
        judge = AutoModelForSequenceClassification.from_pretrained(tmp_path / "reward", num_labels=1).eval()
        tokenizer = AutoTokenizer.from_pretrained(tmp_path / "reward")
        trained = whole_answers(preference_rows(dataset, tokenizer, 10_000, None, 17))
        for row, ids in zip(load_rows(dataset, "dfpo").select(range(6)), trained, strict=False):
            assert ids["chosen_ids"][-1] == tokenizer.eos_token_id
            with torch.inference_mode():
                logits = judge(input_ids=torch.tensor([ids["chosen_ids"]])).logits
            said = reward_of(judge, tokenizer, row["prompt"], row["chosen"][0]["content"], 10_000)
            assert said == pytest.approx(float(logits[0, 0]), abs=1e-6)
        assert reward_of(judge, tokenizer, row["prompt"], row["chosen"][0]["content"], 8) is None, "it does not fit"

    def test_an_answer_that_was_cut_off_is_never_kept(self, models: Path, dataset: Path, tmp_path: Path) -> None:
        recipe = small_recipe("rejection_sampling.max_new_tokens=2", "rejection_sampling.prompts=2", steps=2)
        train_stage("reward", small_recipe(steps=2), dataset, str(models / "sft"), tmp_path / "reward")
        with pytest.raises(ConfigError, match="ended none of its answers"):
            train_stage(
                "rejection-sampling",
                recipe,
                dataset,
                str(models / "sft"),
                tmp_path / "best",
                reward_model=str(tmp_path / "reward"),
            )
        lines = [json.loads(line) for line in (tmp_path / "best" / "samples.jsonl").read_text("utf-8").splitlines()]
        assert lines and not any(line["kept"] or line["reward"] is not None for line in lines)

    def test_another_stage_is_not_written_over(self, models: Path, dataset: Path) -> None:
        before = (models / "sft" / "stage.json").read_bytes()
        with pytest.raises(BuildDirError, match="holds a finished sft stage"):
            train_stage("dfpo", small_recipe(), dataset, str(models / "cpt"), models / "sft")
        assert (models / "sft" / "stage.json").read_bytes() == before

    def test_a_wrong_layer_and_a_wrong_config_are_told(self, models: Path, dataset: Path, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="target_modules"):
            recipe = small_recipe('moe_lora.target_modules=["q_prj"]')
            train_stage("moe-lora", recipe, dataset, str(models / "dfpo"), tmp_path / "moe")
        with pytest.raises(ConfigError, match="no config is called genral"):
            train_stage(
                "sft", small_recipe('sft.configs=["medkqa", "genral"]'), dataset, str(models / "cpt"), tmp_path / "x"
            )
