"""Trained models are tried: answers to a split, a talk on the terminal, and which expert serves which task."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

torch = pytest.importorskip("torch", reason="training needs the [train] extra")
pytest.importorskip("trl", reason="training needs the [train] extra")
pytest.importorskip("peft", reason="training needs the [train] extra")

from pedcorpus.cli import main  # noqa: E402
from pedcorpus.errors import PedcorpusError  # noqa: E402
from pedcorpus.training.answering import Sampling, load_answerer  # noqa: E402
from pedcorpus.training.predict import predict  # noqa: E402
from pedcorpus.training.rows import load_rows  # noqa: E402
from pedcorpus.training.whole import train_stage  # noqa: E402
from tests.training.small import one_thread, small_recipe  # noqa: E402, F401

SHORT = Sampling(max_new_tokens=12)
ROWS = 7


@pytest.fixture(scope="module")
def dataset(sample_build: tuple[Path, Any]) -> Path:
    return sample_build[0] / "dataset"


@pytest.fixture(scope="module")
def models(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    recipe = small_recipe("cpt.learning_rate=5e-3", "moe_lora.learning_rate=5e-2")
    train_stage("cpt", recipe, dataset, None, folder / "cpt")
    train_stage("sft", recipe, dataset, str(folder / "cpt"), folder / "sft")
    train_stage("moe-lora", recipe, dataset, str(folder / "sft"), folder / "moe-lora")
    train_stage("reward", small_recipe(steps=1), dataset, str(folder / "sft"), folder / "reward")
    return folder


def ask(models: Path, dataset: Path, output: Path, stage: str = "sft", **other: Any) -> tuple[int, int]:
    given = {"config": "medkqa", "split": "train", "batch_size": 3, "sampling": SHORT, "limit": ROWS}
    return predict(str(models / stage), dataset, output=output, **{**given, **other})


def cli(*arguments: object, typed: str | None = None) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], input=typed)


class TestPredict:
    @pytest.mark.parametrize("stage", ["sft", "moe-lora"])
    def test_lines(self, models: Path, dataset: Path, tmp_path: Path, stage: str) -> None:
        assert ask(models, dataset, tmp_path / "new" / "answers.jsonl", stage) == (ROWS, 0)
        lines = [json.loads(line) for line in (tmp_path / "new" / "answers.jsonl").read_text("utf-8").splitlines()]
        rows = load_rows(dataset, "medkqa").select(range(ROWS))
        for line, row in zip(lines, rows, strict=True):
            assert set(line) == {"id", "config", "prompt", "prediction", "reference", "run"}
            assert (line["id"], line["config"]) == (row["id"], "medkqa")
            assert line["prompt"] == row["messages"][:-1]
            assert line["reference"] == row["messages"][-1]["content"]
            assert line["prediction"] == line["prediction"].strip() and "<|im_end|>" not in line["prediction"]
        assert any(line["prediction"] for line in lines)

    def test_preference_pairs(self, models: Path, dataset: Path, tmp_path: Path) -> None:
        ask(models, dataset, tmp_path / "answers.jsonl", config="dfpo", limit=2)
        line = json.loads((tmp_path / "answers.jsonl").read_text("utf-8").splitlines()[0])
        row = load_rows(dataset, "dfpo")[0]
        assert line["prompt"] == row["prompt"] and line["reference"] == row["chosen"][-1]["content"]

    @pytest.mark.parametrize("temperature", [0.0, 1.0])
    @pytest.mark.parametrize("keep", [0.1, 0.5, 0.95])
    def test_stopped_in_the_middle_of_a_line(
        self, models: Path, dataset: Path, tmp_path: Path, temperature: float, keep: float
    ) -> None:
        whole, cut = tmp_path / "whole.jsonl", tmp_path / "cut.jsonl"
        sampling = Sampling(12, temperature, 0.9, 5)
        ask(models, dataset, whole, sampling=sampling)
        text = whole.read_bytes()
        cut.write_bytes(text[: int(len(text) * keep)])
        there = cut.read_bytes().count(b"\n")
        assert ask(models, dataset, cut, sampling=sampling) == (ROWS - there, there)
        assert cut.read_bytes() == text
        assert ask(models, dataset, cut, sampling=sampling) == (0, ROWS)
        assert cut.read_bytes() == text

    def test_sampling_goes_by_its_seed(self, models: Path, dataset: Path, tmp_path: Path) -> None:
        texts = []
        for name, seed in (("a", 5), ("b", 5), ("c", 6)):
            ask(models, dataset, tmp_path / name, sampling=Sampling(12, 1.0, 1.0, seed))
            lines = (tmp_path / name).read_text("utf-8").splitlines()
            texts.append([json.loads(line)["prediction"] for line in lines])
        assert texts[0] == texts[1] != texts[2]

    def test_other_rows_model_or_settings(self, models: Path, dataset: Path, tmp_path: Path) -> None:
        output = tmp_path / "answers.jsonl"
        ask(models, dataset, output, limit=3)
        text = output.read_bytes()
        for other, told in (
            ({"config": "dfpo"}, "other rows"),
            ({"split": "validation"}, "other rows"),
            ({"limit": 2}, "other rows"),
            ({"stage": "moe-lora"}, "another model"),
            ({"sampling": Sampling(13)}, "another model"),
        ):
            with pytest.raises(PedcorpusError, match=told) as caught:
                ask(models, dataset, output, **other)
            assert caught.value.exit_code == 2 and caught.value.hint
        assert output.read_bytes() == text
        for content in ("a letter\n", '{"id": 3}\n', "[1]\n"):
            output.write_text(content, encoding="utf-8")
            with pytest.raises(PedcorpusError, match="something else than answers"):
                ask(models, dataset, output)
            assert output.read_text("utf-8") == content

    def test_what_gives_no_answers(self, models: Path, dataset: Path, tmp_path: Path) -> None:
        for other, told in (
            ({"config": "cpt"}, "no dialogue"),
            ({"config": "poetry"}, "no config is called poetry"),
            ({"stage": "reward"}, "reward model"),
            ({"stage": "cpt"}, "no chat template"),
            ({"stage": "nowhere"}, "neither a folder nor a Hub id"),
        ):
            with pytest.raises(PedcorpusError, match=told):
                ask(models, dataset, tmp_path / "answers.jsonl", **other)
            assert not (tmp_path / "answers.jsonl").exists()

    def test_adapter_whose_base_is_gone(self, models: Path, dataset: Path, tmp_path: Path) -> None:
        shutil.copytree(models / "moe-lora", tmp_path / "lost")
        config = json.loads((tmp_path / "lost" / "adapter_config.json").read_text("utf-8"))
        config["base_model_name_or_path"] = str(tmp_path / "gone")
        (tmp_path / "lost" / "adapter_config.json").write_text(json.dumps(config))
        with pytest.raises(PedcorpusError, match="its base model is gone") as caught:
            ask(tmp_path, dataset, tmp_path / "answers.jsonl", "lost")
        assert "put it back" in caught.value.hint

    def test_adapter_that_was_moved_with_its_base_and_one_whose_base_changed(
        self, models: Path, dataset: Path, tmp_path: Path
    ) -> None:
        folder = tmp_path / "moved"
        shutil.copytree(models / "moe-lora", folder / "moe-lora")
        shutil.copytree(models / "sft", folder / "sft")
        path = folder / "moe-lora" / "adapter_config.json"
        config = json.loads(path.read_text("utf-8"))
        path.write_text(json.dumps({**config, "base_model_name_or_path": str(tmp_path / "before" / "sft")}))
        ask(folder, dataset, tmp_path / "answers.jsonl", "moe-lora", limit=1)
        shutil.copy(models / "cpt" / "model.safetensors", folder / "sft" / "model.safetensors")
        with pytest.raises(PedcorpusError, match="is not the model that"):
            ask(folder, dataset, tmp_path / "other.jsonl", "moe-lora", limit=1)

    def test_command(self, models: Path, dataset: Path, tmp_path: Path) -> None:
        options = ["--split", "train", "--limit", 2, "--max-new-tokens", 4, "--output", tmp_path / "answers.jsonl"]
        done = cli("predict", "--model", models / "sft", "--dataset", dataset, *options)
        assert done.exit_code == 0, done.output
        assert "2 answers written, 0 were there" in done.stdout and done.stderr == ""


@pytest.mark.parametrize("stage", ["sft", "moe-lora"])
def test_answers_in_a_batch_are_those_alone(models: Path, dataset: Path, stage: str) -> None:
    answerer = load_answerer(str(models / stage))
    prompts = [row["messages"][:-1] for row in load_rows(dataset, "medkqa").select(range(4))]
    prompts += [row["messages"][:-1] for row in load_rows(dataset, "evidiag").select(range(2))]
    assert len({len(str(prompt)) for prompt in prompts}) > 3, "of unlike length"
    together = answerer.answer(prompts, SHORT)
    assert together == [answerer.answer([prompt], SHORT)[0] for prompt in prompts]


class TestChat:
    def test_dialogue(self, models: Path) -> None:
        typed = "孩子发热怎么办？\n\n那咳嗽呢？\n/new\n孩子发热怎么办？\n/quit\n"
        done = cli("chat", "--model", models / "sft", "--max-new-tokens", 8, typed=typed)
        assert done.exit_code == 0, done.output
        said = [line.split("model> ")[1] for line in done.stdout.splitlines() if "model> " in line]
        assert len(said) == 3
        assert said[0] == said[2], "a new dialogue knows nothing of the one before"
        assert "not medical advice" in done.stdout

    def test_end_of_input(self, models: Path) -> None:
        done = cli("chat", "--model", models / "moe-lora", "--max-new-tokens", 4, typed="你好\n")
        assert done.exit_code == 0, done.output
        assert done.stdout.count("model> ") == 1

    def test_model_that_cannot_talk(self, models: Path) -> None:
        done = cli("chat", "--model", models / "cpt")
        assert done.exit_code == 2 and "no chat template" in done.stderr


class TestInspectExperts:
    def test_picture_and_numbers(self, models: Path, dataset: Path, tmp_path: Path) -> None:
        target = tmp_path / "pictures" / "experts.png"
        options = ["--dataset", dataset, "--output", target, "--rows", 3]
        done = cli("train", "inspect-experts", "--model", models / "moe-lora", *options)
        assert done.exit_code == 0, done.output
        assert target.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        *lines, last = done.stdout.splitlines()
        told = {line.split()[0]: [float(value) for value in line.split()[1:]] for line in lines}
        assert set(told) == {"medkqa", "evidiag", "trerecom", "general"}
        assert all(len(weights) == 3 and abs(sum(weights) - 1) < 2e-4 for weights in told.values())
        assert str(target) in last

    def test_model_without_a_router(self, models: Path, dataset: Path, tmp_path: Path) -> None:
        options = ["--dataset", dataset, "--output", tmp_path / "experts.png"]
        done = cli("train", "inspect-experts", "--model", models / "sft", *options)
        assert done.exit_code == 2 and "no router" in done.stderr
        assert not (tmp_path / "experts.png").exists()

    def test_adapter_without_specific_experts(self, models: Path, dataset: Path, tmp_path: Path) -> None:
        recipe = small_recipe("moe_lora.num_experts=0", steps=1)
        train_stage("moe-lora", recipe, dataset, str(models / "sft"), tmp_path / "plain")
        assert not (tmp_path / "plain" / "experts.png").exists()
        options = ["--dataset", dataset, "--output", tmp_path / "experts.png"]
        done = cli("train", "inspect-experts", "--model", tmp_path / "plain", *options)
        assert done.exit_code == 2 and "no router" in done.stderr
