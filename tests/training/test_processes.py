"""Two processes, started as a user starts them, train as one does on batches of double size."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="training needs the [train] extra")
pytest.importorskip("trl", reason="training needs the [train] extra")
pytest.importorskip("peft", reason="training needs the [train] extra")

from peft import AutoPeftModelForCausalLM  # noqa: E402
from transformers import AutoModelForCausalLM  # noqa: E402

from pedcorpus.training.whole import train_stage  # noqa: E402
from tests.conftest import ROOT  # noqa: E402
from tests.training.small import metrics, one_thread, small_recipe  # noqa: E402, F401

pytestmark = pytest.mark.skipif(
    not (torch.distributed.is_available() and torch.distributed.is_gloo_available()),
    reason="this build of torch has no gloo",
)
HERE = Path(__file__).resolve().parent
WHOLE_BATCH = ("sft.batch_size=4", "dfpo.batch_size=4", "moe_lora.batch_size=4", "moe_lora.noise=false")
COMPARED = ("sft", "dfpo", "moe-lora")


@pytest.fixture(scope="module")
def runs(sample_build: tuple[Path, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``one/STAGE`` of one process, ``two/STAGE`` of two, from the same parent; what was said in ``two/said.txt``."""
    dataset, folder = sample_build[0] / "dataset", tmp_path_factory.mktemp("runs")
    train_stage("cpt", small_recipe(steps=1), dataset, None, folder / "cpt")
    train_stage("sft", small_recipe(steps=1), dataset, str(folder / "cpt"), folder / "parent")
    train_stage("reward", small_recipe(steps=1), dataset, str(folder / "parent"), folder / "reward")
    for stage in COMPARED:
        train_stage(stage, small_recipe(*WHOLE_BATCH), dataset, str(folder / "parent"), folder / "one" / stage)
    (folder / "two").mkdir()
    places = map(str, (dataset, folder / "parent", folder / "reward", folder / "two"))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"),
            *(str(HERE / "processes_worker.py"), *places),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    noise = [line for line in done.stderr.splitlines() if "Warning" in line]
    assert not noise
    (folder / "two" / "said.txt").write_text(done.stdout, encoding="utf-8")
    return folder


@pytest.mark.parametrize("stage", COMPARED)
def test_losses_are_those_of_one_process(runs: Path, stage: str) -> None:
    one, two = (metrics(runs / name / stage) for name in ("one", "two"))
    assert [line["step"] for line in two] == [1, 2, 3, 4]
    for name in ("loss", "grad_norm"):
        assert [line[name] for line in two] == pytest.approx([line[name] for line in one], abs=1e-5, rel=1e-5)


@pytest.mark.parametrize("stage", [*COMPARED, "best"])
def test_one_process_writes_and_speaks(runs: Path, stage: str) -> None:
    folder = runs / "two" / stage
    load = AutoPeftModelForCausalLM if stage == "moe-lora" else AutoModelForCausalLM
    assert load.from_pretrained(folder) is not None
    found = json.loads((folder / "stage.json").read_text("utf-8"))
    assert (found["hyperparameters"]["processes"], found["hyperparameters"]["mode"]) == (2, "ddp")
    assert len(list((folder / "tensorboard").iterdir())) == 1
    assert not [path for path in folder.iterdir() if path.name.startswith(".") or path.name == "checkpoints"]
    said = (runs / "two" / "said.txt").read_text("utf-8")
    assert said.count("step     1/4") == 4, "once a stage"


def test_recipe_for_one_process_is_refused(runs: Path) -> None:
    for rank in (0, 1):
        told = json.loads((runs / "two" / f"told-{rank}.json").read_text("utf-8"))
        assert told["world"] == 2
        assert "wants 1 process(es), single; this run has 2, ddp" in told["refused"]
    assert not (runs / "two" / "refused").exists()


def test_samples_are_shared_out(runs: Path) -> None:
    lines = [json.loads(line) for line in (runs / "two" / "best" / "samples.jsonl").read_text("utf-8").splitlines()]
    assert len(lines) == 4 * 2
    assert len({line["row_id"] for line in lines}) == 4
    kept = [line["row_id"] for line in lines if line["kept"]]
    assert kept and len(set(kept)) == len(kept), "one a prompt, where an answer came to its end"
