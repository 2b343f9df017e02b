"""MoE-LoRA on a model that two processes hold in shards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'pedcorpus[train]'")
pytest.importorskip("peft", reason="peft is not installed: pip install 'pedcorpus[train]'")

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


@pytest.mark.skipif(
    not (torch.distributed.is_available() and torch.distributed.is_gloo_available()),
    reason="this build of torch has no gloo",
)
def test_two_sharded_processes_train_as_one_does(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"),
            *(str(HERE / "fsdp2_worker.py"), str(tmp_path)),
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    result = json.loads((tmp_path / "result.json").read_text("utf-8"))
    assert result["world"] == 2
    assert result["trained"] == 2 * 7 * 3
    assert result["sharded"] > result["trained"]
    assert result["moved"] > 1e-4, "every adapter weight was trained"
    assert result["weights"] <= 1e-5
    assert result["reread"] == 0
    assert result["logits"] <= 1e-5
