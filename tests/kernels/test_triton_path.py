"""Which devices take Triton, and the warning where it is missing."""

import warnings
from collections.abc import Iterator

import pytest
import torch

from seethrough.kernels import triton_path
from seethrough.kernels.triton_path import takes_triton

CUDA, CPU = torch.device("cuda"), torch.device("cpu")


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    triton_path._triton_is_installed.cache_clear()
    yield
    triton_path._triton_is_installed.cache_clear()


def test_cuda_takes_triton_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_path, "find_spec", lambda name: object())
    assert takes_triton(CUDA)
    assert not takes_triton(CPU)


def test_without_triton_cuda_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_path, "find_spec", lambda name: None)
    with pytest.warns(RuntimeWarning, match="triton is not installed"):
        assert not takes_triton(CUDA)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not takes_triton(CUDA)


def test_the_cpu_never_warns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton_path, "find_spec", lambda name: None)
    assert not takes_triton(CPU)
