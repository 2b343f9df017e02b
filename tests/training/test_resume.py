"""A run that was stopped goes on as if it had not been: the same losses, the same weights, each step told once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training needs the [train] extra")
pytest.importorskip("trl", reason="training needs the [train] extra")
pytest.importorskip("peft", reason="training needs the [train] extra")

from safetensors.torch import load_file  # noqa: E402

from pedcorpus.training.recipe import Recipe  # noqa: E402
from pedcorpus.training.whole import WHOLE, train_all, train_stage  # noqa: E402
from tests.training.small import at_step, metrics, one_thread, small_recipe, stop  # noqa: E402, F401

PARENT = {"cpt": "base", "sft": "cpt", "dfpo": "sft", "moe-lora": "dfpo"}


def recipe_of(stage: str, *more: str) -> Recipe:
    """12 rows (20 documents of CPT, to be packed), 2 a micro-batch, 4 a step: three epochs of three steps."""
    section = stage.replace("-", "_")
    settings = ["epochs=3", "max_steps=-1", "batch_size=2", "accumulation=2", "save_steps=2", "learning_rate=1e-3"]
    if stage == "cpt":
        settings += ["rows=20", "max_length=256"]
    return small_recipe(*(f"{section}.{value}" for value in settings), *more, rows=12)


@pytest.fixture(scope="module")
def dataset(sample_build: tuple[Path, Any]) -> Path:
    return sample_build[0] / "dataset"


@pytest.fixture(scope="module")
def parents(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parents")
    train_all(small_recipe(steps=1, rows=8), dataset, None, folder)
    return folder


def weights_of(folder: Path) -> dict[str, Any]:
    [file] = folder.glob("*model.safetensors")
    return load_file(file)


@pytest.mark.parametrize("stage", WHOLE)
def test_stopped_in_the_first_and_in_the_second_epoch(
    parents: Path, dataset: Path, tmp_path: Path, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, parent = recipe_of(stage), str(parents / PARENT[stage])
    straight = train_stage(stage, recipe, dataset, parent, tmp_path / "straight")
    wanted = metrics(tmp_path / "straight")
    an_epoch = len(wanted) // 3
    assert an_epoch >= 3, "a checkpoint lies in the middle of the first epoch"
    out = tmp_path / "stopped"
    for step, checkpoint in ((3, 2), (an_epoch + 2, (an_epoch + 2) // 2 * 2)):
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            at_step(patched, step, stop)
            train_stage(stage, recipe, dataset, parent, out, resume=True)
        assert not (out / "stage.json").exists()
        assert max(int(path.name.split("-")[1]) for path in (out / "checkpoints").glob("*-*")) == checkpoint
        assert checkpoint % an_epoch, "not at the end of an epoch"
    # a stop while a checkpoint was written leaves one without its last file
    (out / "checkpoints" / "checkpoint-99").mkdir()
    stopped = train_stage(stage, recipe, dataset, parent, out, resume=True)
    found = metrics(out)
    assert [line["step"] for line in found] == list(range(1, len(wanted) + 1))
    for name in ("loss", "grad_norm", "learning_rate", "epoch"):
        assert [line[name] for line in found] == [line[name] for line in wanted], name
    old, new = weights_of(tmp_path / "straight"), weights_of(out)
    assert set(old) == set(new)
    assert all(torch.equal(old[name], new[name]) for name in old)
    assert stopped == straight


def test_other_settings_begin_anew(
    parents: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, parent = tmp_path / "out", str(parents / "cpt")
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        at_step(patched, 3, stop)
        train_stage("sft", recipe_of("sft"), dataset, parent, out)
    # the same rows a step in smaller bites: what one does when memory ran out
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        at_step(patched, 5, stop)
        train_stage(
            "sft", recipe_of("sft", "sft.batch_size=1", "sft.accumulation=4"), dataset, parent, out, resume=True
        )
    assert "goes on from checkpoint-2" in capsys.readouterr().out
    train_stage("sft", recipe_of("sft", "sft.learning_rate=2e-3"), dataset, parent, out, resume=True)
    told = capsys.readouterr().out
    assert "begins anew" in told and "goes on" not in told
    assert [line["step"] for line in metrics(out)] == list(range(1, 10))


def test_without_resume_begins_anew(
    parents: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out, parent = tmp_path / "out", str(parents / "cpt")
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        at_step(patched, 3, stop)
        train_stage("sft", recipe_of("sft"), dataset, parent, out)
    train_stage("sft", recipe_of("sft"), dataset, parent, out)
    assert "goes on" not in capsys.readouterr().out
    assert len(list((out / "tensorboard").iterdir())) == 1, "no curve of the run before"


def test_all_resumed(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe, out = small_recipe(steps=1, rows=8), tmp_path / "models"
    train_all(recipe, dataset, None, out)

    def state() -> dict[str, tuple[int, str]]:
        files = {stage: out / stage / "stage.json" for stage in WHOLE}
        return {stage: (file.stat().st_mtime_ns, file.read_text("utf-8")) for stage, file in files.items()}

    before = state()
    capsys.readouterr()
    train_all(recipe, dataset, None, out, resume=True)
    assert state() == before
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == list(WHOLE), "a line for each"
    changed = small_recipe("sft.learning_rate=9e-4", steps=1, rows=8)
    train_all(changed, dataset, None, out, resume=True)
    after = state()
    assert after["cpt"] == before["cpt"]
    assert all(after[stage] != before[stage] for stage in ("sft", "dfpo", "moe-lora"))
    assert json.loads(after["sft"][1])["hyperparameters"]["learning_rate"] == 9e-4


def test_other_shape_of_the_random_model_redoes_all(dataset: Path, tmp_path: Path) -> None:
    for hidden in (32, 64):
        recipe = small_recipe(f"model.random.hidden={hidden}", steps=1, rows=8)
        train_stage("cpt", recipe, dataset, None, tmp_path / "cpt", resume=True)
        config = json.loads((tmp_path / "cpt" / "config.json").read_text("utf-8"))
        assert config["hidden_size"] == hidden
