"""The encoder's dense product: exact sums, inputs of every layout, both libraries."""

import pytest
import torch
from torch import Tensor

from seethrough.kernels.affine_product import affine_product, takes_onednn


def sample(B: int, D: int, M: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return tuple(torch.randn(*s, generator=generator) for s in ((B, D), (M, D), (M,)))  # type: ignore[return-value]


def exact(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    return x.double() @ W.double().T + b.double()


def test_by_hand() -> None:
    x, W, b = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0, 0.0], [3.0, 1.0]]), torch.ones(2)
    assert affine_product(x, W, b).tolist() == [[2.0, 6.0]]


@pytest.mark.parametrize("shape", [(1, 1, 1), (5, 7, 9), (64, 33, 130), (300, 768, 257)])
@pytest.mark.parametrize("onednn", [True, False])
def test_error_is_float32_rounding(
    shape: tuple[int, int, int], onednn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", onednn)
    x, W, b = sample(*shape)
    expected = exact(x, W, b)
    error = (affine_product(x, W, b).double() - expected).abs().max()
    assert error <= 1e-6 * shape[1] ** 0.5 * expected.abs().max()


def test_layouts_do_not_matter() -> None:
    x, W, b = sample(6, 8, 10)
    expected = affine_product(x, W, b)
    wide = torch.full((12, 16), torch.nan)
    wide[::2, ::2] = x
    spread = torch.full((20,), torch.nan)
    spread[::2] = b
    assert torch.equal(affine_product(wide[::2, ::2], W.T.contiguous().T, spread[::2]), expected)


def test_expanded_bias_is_added_to_every_latent() -> None:
    x, W, _ = sample(6, 8, 10)
    found = affine_product(x, W, torch.tensor([2.0]).expand(10))
    assert torch.equal(found, affine_product(x, W, torch.full((10,), 2.0)))


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4), (2, 3, 0)])
def test_empty(shape: tuple[int, int, int]) -> None:
    x, W, b = sample(*shape)
    assert torch.equal(affine_product(x, W, b), torch.addmm(b, x, W.T))


def test_nan_and_infinity_pass_on() -> None:
    x, W, b = sample(3, 4, 5)
    x[0, 1], x[1, 2] = torch.nan, torch.inf
    found = affine_product(x, W, b)
    assert found[0].isnan().all()
    assert found[1].isinf().all()
    assert found[2].isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_types_are_left_to_torch(dtype: torch.dtype) -> None:
    x, W, b = (tensor.to(dtype) for tensor in sample(4, 6, 5))
    assert not takes_onednn(x)
    assert torch.equal(affine_product(x, W, b), torch.addmm(b, x, W.T))


def test_switched_off_it_is_addmm(monkeypatch: pytest.MonkeyPatch) -> None:
    x, W, b = sample(4, 6, 5)
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    assert torch.equal(affine_product(x, W, b), torch.addmm(b, x, W.T))


def test_same_bytes_again_and_no_gradients() -> None:
    x, W, b = sample(300, 768, 257)
    W.requires_grad_()
    found = affine_product(x, W, b)
    assert not found.requires_grad
    assert torch.equal(found, affine_product(x, W, b))
