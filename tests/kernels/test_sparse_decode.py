"""Sparse decoding against the dense product of its definition, on every path."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from seethrough.kernels.ragged_code import RaggedCode
from seethrough.kernels.sparse_decode import sparse_decode, sparse_decode_reference


def code_of(dense: Tensor) -> RaggedCode:
    kept = dense != 0
    starts = torch.cat([kept.new_zeros(1, dtype=torch.int64), kept.sum(1).cumsum(0)])
    return RaggedCode(starts, kept.nonzero()[:, 1], dense[kept], dense.shape[1])


def some(rows: int, width: int) -> Tensor:
    """A third of the entries, so that counts differ."""
    generator = torch.Generator().manual_seed(rows)
    values = torch.rand(rows, width, generator=generator, dtype=torch.float64) + 0.1
    return values * (torch.rand(rows, width, generator=generator) < 0.33)


def only(rows: slice, latents: slice) -> Callable[[int, int], Tensor]:
    def make(n_rows: int, width: int) -> Tensor:
        kept = torch.zeros(n_rows, width, dtype=torch.float64)
        kept[rows, latents] = 1
        return kept * (some(n_rows, width) + 1)

    return make


EVERY = slice(None)
CODES = {
    "ragged rows": some,
    "one row holds everything": only(slice(2, 3), EVERY),
    "one latent holds everything": only(EVERY, slice(4, 5)),
    "every entry": only(EVERY, EVERY),
    "one entry": only(slice(4, 5), slice(6, 7)),
    "nothing": only(slice(0), EVERY),
}


def sample(code: str, d: int, device: str, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Return a dense code of 5 rows and 7 latents, W_dec, b_dec and a gradient."""
    generator = torch.Generator().manual_seed(d)
    shapes = ((7, d), (d,), (5, d))
    normal = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    return [tensor.to(device, dtype) for tensor in (CODES[code](5, 7), *normal)]


def leaves(dense: Tensor, *others: Tensor) -> tuple[RaggedCode, list[Tensor]]:
    code = code_of(dense)
    tensors = [tensor.clone().requires_grad_() for tensor in (code.values, *others)]
    return RaggedCode(code.row_starts, code.latents, tensors[0], code.width), tensors


def passes(
    decode: Callable[..., Tensor], dense: Tensor, W_dec: Tensor, b_dec: Tensor, gradient: Tensor
) -> list[Tensor]:
    """Return the reconstruction and the gradients by values, W_dec and b_dec."""
    code, tensors = leaves(dense, W_dec, b_dec)
    reconstruction = decode(code, *tensors[1:])
    return [reconstruction.detach(), *torch.autograd.grad(reconstruction, tensors, gradient)]


def relative_error(found: Tensor, exact: Tensor) -> float:
    """Largest error over the largest number; 0 for tensors without elements."""
    assert found.shape == exact.shape
    if found.numel() == 0:
        return 0.0
    error = (found.double() - exact.double()).abs().max()
    return float(error / exact.double().abs().max().clamp_min(1e-30))


def poison(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fill memory that torch would leave as it is with NaN."""
    for owner, name in ((torch, "empty"), (torch, "empty_like"), (torch.Tensor, "new_empty")):
        allocate = getattr(owner, name)

        def poisoned(*args: Any, _allocate: Callable[..., Tensor] = allocate, **kw: Any) -> Tensor:
            tensor = _allocate(*args, **kw)
            return tensor.fill_(torch.nan) if tensor.is_floating_point() else tensor

        monkeypatch.setattr(owner, name, poisoned)


def test_by_hand(device: str) -> None:
    # Row 0 is 2 W_0 + 3 W_2 + b = 2 (1, 4) + 3 (0, 1) + (10, 20); row 1 is empty, so b. With the
    # loss sum(G x_hat), G = [[1, 2], [3, 4]]: dz is G_0 . W_0 = 9 and G_0 . W_2 = 2; dW_0 is 2 G_0,
    # dW_2 is 3 G_0, dW_1 is 0; db is G_0 + G_1.
    W_dec = torch.tensor([[1.0, 4.0], [7.0, 7.0], [0.0, 1.0]], device=device)
    dense = torch.tensor([[2.0, 0.0, 3.0], [0.0, 0.0, 0.0]], device=device)
    code, (values, W_dec, b_dec) = leaves(dense, W_dec, torch.tensor([10.0, 20.0], device=device))
    reconstruction = sparse_decode(code, W_dec, b_dec)
    assert reconstruction.tolist() == [[12.0, 31.0], [10.0, 20.0]]
    reconstruction.backward(torch.tensor([[1.0, 2.0], [3.0, 4.0]], device=device))
    assert values.grad is not None
    assert W_dec.grad is not None
    assert b_dec.grad is not None
    assert values.grad.tolist() == [9.0, 2.0]
    assert W_dec.grad.tolist() == [[2.0, 4.0], [0.0, 0.0], [3.0, 6.0]]
    assert b_dec.grad.tolist() == [4.0, 6.0]


@pytest.mark.parametrize(
    ("code", "d"), [(code, 5) for code in CODES] + [("ragged rows", 1), ("ragged rows", 300)]
)
def test_equals_the_dense_product_and_its_gradients(
    device: str, code: str, d: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = sample(code, d, device)
    exact = passes(sparse_decode_reference, *tensors)
    poison(monkeypatch)
    found = passes(sparse_decode, *tensors)
    assert max(map(relative_error, found, exact)) < 1e-14


@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 1e-6), (torch.bfloat16, 2**-7)])
def test_single_and_half_precision(device: str, dtype: torch.dtype, most: float) -> None:
    tensors = sample("ragged rows", 37, device, dtype)
    exact = passes(sparse_decode_reference, *(tensor.double() for tensor in tensors))
    found = passes(sparse_decode, *tensors)
    assert {tensor.dtype for tensor in found} == {dtype}
    assert max(map(relative_error, found, exact)) < most


def test_finite_differences() -> None:
    code, tensors = leaves(*sample("ragged rows", 2, "cpu")[:3])

    def decode(values: Tensor, W_dec: Tensor, b_dec: Tensor) -> Tensor:
        moved = RaggedCode(code.row_starts, code.latents, values, code.width)
        return sparse_decode(moved, W_dec, b_dec)

    assert torch.autograd.gradcheck(decode, tensors)


@pytest.mark.parametrize("code", ["ragged rows", "one latent holds everything"])
def test_same_bytes_twice(device: str, code: str) -> None:
    tensors = sample(code, 9, device, torch.float32)
    first, second = passes(sparse_decode, *tensors), passes(sparse_decode, *tensors)
    assert all(map(torch.equal, first, second))


def test_strided_and_expanded_tensors(device: str) -> None:
    dense, W_dec, b_dec, gradient = sample("ragged rows", 6, device)
    exact = passes(sparse_decode_reference, dense, W_dec, b_dec, torch.ones_like(gradient))
    code, tensors = leaves(dense, W_dec.T.contiguous(), torch.stack([b_dec, b_dec], 1))
    reconstruction = sparse_decode(code, tensors[1].T, tensors[2][:, 0])
    found = torch.autograd.grad(reconstruction.sum(), tensors)  # one 1, expanded
    found = (found[0], found[1].T, found[2][:, 0])
    assert max(map(relative_error, (reconstruction.detach(), *found), exact)) < 1e-14


def test_without_bias(device: str) -> None:
    dense, W_dec, _, gradient = sample("ragged rows", 6, device)
    exact = passes(sparse_decode_reference, dense, W_dec, W_dec.new_zeros(6), gradient)
    code, tensors = leaves(dense, W_dec)
    reconstruction = sparse_decode(code, tensors[1])
    found = torch.autograd.grad(reconstruction, tensors, gradient)
    assert max(map(relative_error, (reconstruction.detach(), *found), exact[:3])) < 1e-14


@pytest.mark.parametrize(("rows", "width", "d"), [(0, 4, 3), (3, 0, 3), (3, 4, 0), (0, 0, 0)])
def test_no_rows_latents_or_columns(device: str, rows: int, width: int, d: int) -> None:
    shapes = ((rows, width), (width, d), (d,), (rows, d))
    tensors = [torch.ones(shape, dtype=torch.float64, device=device) for shape in shapes]
    exact = passes(sparse_decode_reference, *tensors)
    for found, wanted in zip(passes(sparse_decode, *tensors), exact, strict=True):
        assert torch.equal(found, wanted)


@pytest.mark.parametrize("wanted", [[0], [1], [2]])
def test_gradients_by_one_tensor_alone(device: str, wanted: list[int]) -> None:
    dense, *others, gradient = sample("ragged rows", 4, device)
    exact = passes(sparse_decode_reference, dense, *others, gradient)
    code, tensors = leaves(dense, *others)
    reconstruction = sparse_decode(code, *tensors[1:])
    (found,) = torch.autograd.grad(reconstruction, [tensors[i] for i in wanted], gradient)
    assert relative_error(found, exact[1 + wanted[0]]) < 1e-14


def test_nan_reaches_only_the_rows_that_use_it(device: str) -> None:
    dense, W_dec, b_dec, _ = sample("ragged rows", 3, device)
    W_dec[3] = torch.nan
    hit = dense[:, 3] != 0
    assert 0 < int(hit.sum()) < len(hit)
    assert torch.equal(sparse_decode(code_of(dense), W_dec, b_dec).isnan().all(1), hit)
    assert torch.equal(sparse_decode(code_of(dense), W_dec, b_dec).isnan().any(1), hit)


def test_a_gradient_of_the_gradient_is_refused() -> None:
    code, tensors = leaves(*sample("ragged rows", 3, "cpu")[:3])
    reconstruction = sparse_decode(code, *tensors[1:])
    (gradient,) = torch.autograd.grad(reconstruction.square().sum(), tensors[1], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


@pytest.mark.parametrize(
    ("W_dec", "b_dec", "message"),
    [
        (torch.ones(6, 3), None, "W_dec has 6 rows, allowed is one for each of the code's 7"),
        (torch.ones(7, 3), torch.ones(4), r"b_dec has shape \(4,\), allowed is \(3,\)"),
        (torch.ones(7, 3).double(), None, "W_dec is torch.float64, allowed is the type of the co"),
        (torch.ones(7, 3), torch.ones(3).half(), "b_dec is torch.float16, allowed is the type"),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_what_does_not_fit_is_refused(W_dec: Tensor, b_dec: Tensor | None, message: str) -> None:
    code = code_of(sample("ragged rows", 3, "cpu", torch.float32)[0])
    with pytest.raises(ValueError, match=message):
        sparse_decode(code, W_dec, b_dec)


def test_latents_beyond_the_decoder_are_an_error_on_the_cpu() -> None:
    code = RaggedCode(torch.tensor([0, 1]), torch.tensor([7]), torch.ones(1), 7)
    with pytest.raises(RuntimeError):
        sparse_decode(code, torch.ones(7, 3))
