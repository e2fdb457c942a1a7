"""Kernels run in Triton's interpreter where there is no card; the choice is made at import."""

import os

import pytest
import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"

PATHS = ["torch on cpu", "triton interpreted", pytest.param("triton", marks=pytest.mark.gpu)]


@pytest.fixture(params=PATHS)
def device(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the device of a path; the interpreter runs Triton's kernels on CPU tensors."""
    if request.param == "torch on cpu":
        return "cpu"
    pytest.importorskip("triton")
    if request.param == "triton":
        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")
        return "cuda"
    if torch.cuda.is_available():
        pytest.skip("with a card the kernels are not interpreted")
    for module in ("weighted_row_sums", "latent_gradients"):
        monkeypatch.setattr(f"seethrough.kernels.{module}.takes_triton", lambda device: True)
    return "cpu"
