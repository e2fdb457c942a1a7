"""The one command for a machine with a GPU, rehearsed on the CPU at tiny sizes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from seethrough.checkout import checkout_root
from seethrough.performance.report import read_report

pytestmark = pytest.mark.slow
ROOT = checkout_root()
assert ROOT is not None


def gpu(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "benchmarks/gpu.py", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)


def test_a_rehearsal_measures_every_part(tmp_path: Path) -> None:
    done = gpu("--device", "cpu", "--tiny", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("kernels agree with their definitions\n")
    report = read_report(tmp_path / "gpu.json")
    starts = ("SAE training step", "selection", "decode", "backward", "gradients", "Wanda",
              "dense, 4 codes", "mask step", "forward pass")  # fmt: skip
    for start in starts:
        assert any(entry.case.startswith(start) for entry in report.measurements), start
    assert {entry.device for entry in report.measurements} == {"cpu"}
    goals = {(entry.goal_faster, entry.goal_limit, entry.goal_ms) for entry in report.measurements}
    assert {(8.0, 2.0, None), (2.0, 2.0, None), (None, None, 0.5)} <= goals
    assert json.loads((tmp_path / "gpu.json").read_text())["command"] == "python benchmarks/gpu.py"


@pytest.mark.skipif(torch.cuda.is_available(), reason="has a CUDA device")
def test_without_a_device_it_says_so() -> None:
    done = gpu()
    assert done.returncode == 1
    assert done.stderr.startswith("there is no CUDA device here, so GPU columns stay not measured")
    assert not done.stdout


def test_a_rehearsal_does_not_write_into_the_results() -> None:
    done = gpu("--device", "cpu", "--tiny")
    assert done.returncode == 2
    assert done.stderr == "a rehearsal on the CPU needs a folder, --out\n"
