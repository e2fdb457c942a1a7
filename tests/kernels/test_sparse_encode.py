"""Sparse encoding against dense autograd through a mask, on every path."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from seethrough.kernels.ragged_code import RaggedCode
from seethrough.kernels.sparse_decode import sparse_decode
from seethrough.kernels.sparse_encode import sparse_encode, with_encoder_gradients


def selected(z: Tensor, k: int, selection: str) -> Tensor:
    """True at the positive entries that a stable sort puts first."""
    flat = z.reshape(1, -1) if selection == "batch" else z
    order = torch.sort(flat, dim=1, descending=True, stable=True).indices
    n = k * len(z) if selection == "batch" else k
    kept = torch.zeros_like(flat, dtype=torch.bool).scatter(1, order[:, :n], True)
    return kept.view(z.shape) & (z > 0)


def dense_encode(x: Tensor, W_enc: Tensor, b_enc: Tensor, k: int, selection: str) -> Tensor:
    z = x @ W_enc.T + b_enc
    return z * selected(z.detach(), k, selection)


def sample(kind: str, device: str, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Return 6 inputs of 5 features and an encoder with 9 latents."""
    generator = torch.Generator().manual_seed(0)
    x, W_enc = (torch.randn(n, 5, generator=generator, dtype=torch.float64) for n in (6, 9))
    b_enc = 0.1 * torch.randn(9, generator=generator, dtype=torch.float64)
    match kind:
        case "ties":
            x, W_enc, b_enc = x.sign(), W_enc.sign(), 0 * b_enc
        case "all negative":
            b_enc = b_enc - 100
        case "one row holds everything":
            x, W_enc, b_enc = -x.abs(), W_enc.abs(), 0 * b_enc
            x[3] *= -1
        case "one latent for every row":
            b_enc[2] += 100
    return [tensor.to(device, dtype) for tensor in (x, W_enc, b_enc)]


KINDS = ["random", "ties", "all negative", "one row holds everything", "one latent for every row"]


def passes(encode: Callable[..., Tensor], *tensors: Tensor) -> list[Tensor]:
    """Return the dense code and the gradients by the tensors of a loss that weighs each entry."""
    leaves = [tensor.clone().requires_grad_() for tensor in tensors]
    code = encode(*leaves)
    weights = torch.arange(1.0, code.numel() + 1, dtype=torch.float64).sin()
    loss = (code * weights.view(code.shape).to(code)).sum()
    return [code.detach(), *torch.autograd.grad(loss, leaves)]


def relative_error(found: Tensor, exact: Tensor) -> float:
    """Largest error over the largest number."""
    assert found.shape == exact.shape
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
    # z = x W^T + b with x = (1, 2), (3, -1) and W = (1, 0), (0, 1), (1, 1), b = (0, 0, -1):
    # [[1, 2, 2], [3, -1, 1]]. The k B = 2 largest: 3, and of the two 2s the first. With the loss
    # 10 z_01 + 20 z_10: dW_1 = 10 x_0, dW_0 = 20 x_1, db = (20, 10, 0), dx_0 = 10 W_1,
    # dx_1 = 20 W_0.
    x = torch.tensor([[1.0, 2.0], [3.0, -1.0]], device=device, requires_grad=True)
    W_enc = torch.tensor([[1.0, 0], [0, 1], [1, 1]], device=device, requires_grad=True)
    b_enc = torch.tensor([0.0, 0.0, -1.0], device=device, requires_grad=True)
    code = sparse_encode(x, W_enc, b_enc, k_per_sample=1)
    assert code.dense().tolist() == [[0.0, 2.0, 0.0], [3.0, 0.0, 0.0]]
    code.values.backward(torch.tensor([10.0, 20.0], device=device))
    assert x.grad is not None
    assert W_enc.grad is not None
    assert b_enc.grad is not None
    assert W_enc.grad.tolist() == [[60.0, -20.0], [10.0, 20.0], [0.0, 0.0]]
    assert b_enc.grad.tolist() == [20.0, 10.0, 0.0]
    assert x.grad.tolist() == [[0.0, 10.0], [20.0, 0.0]]
    by_row = sparse_encode(x, W_enc, b_enc, k_per_sample=2, selection="row")
    assert by_row.dense().tolist() == [[0.0, 2.0, 2.0], [3.0, 0.0, 1.0]]


@pytest.mark.parametrize(
    ("kind", "selection"),
    [(kind, "batch") for kind in KINDS] + [("random", "row"), ("ties", "row")],
)
def test_equals_dense_autograd(
    device: str, kind: str, selection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = sample(kind, device)
    exact = passes(lambda *t: dense_encode(*t, 2, selection), *tensors)
    poison(monkeypatch)
    found = passes(lambda *t: sparse_encode(*t, 2, selection).dense(), *tensors)
    assert max(map(relative_error, found, exact)) < 1e-14


def test_the_samples_are_what_they_say() -> None:
    counts = {kind: selected_counts(kind) for kind in KINDS}
    assert counts["all negative"] == [0] * 6
    assert counts["one row holds everything"] == [0, 0, 0, 9, 0, 0]
    x, W_enc, b_enc = sample("one latent for every row", "cpu")
    assert (x @ W_enc.T + b_enc).argmax(1).tolist() == [2] * 6
    x, W_enc, b_enc = sample("ties", "cpu")
    positive = (x @ W_enc.T + b_enc).relu()
    assert int((positive > 0).sum()) > 12
    assert len(positive.unique()) <= 6


def selected_counts(kind: str) -> list[int]:
    x, W_enc, b_enc = sample(kind, "cpu")
    return sparse_encode(x, W_enc, b_enc, 2).row_counts().tolist()


def test_encoder_and_decoder_together_equal_dense_autograd(device: str) -> None:
    x, W_enc, b_enc = sample("random", device)
    W_dec = sample("random", device)[1].flip(0)

    def sparse(x: Tensor, W_enc: Tensor, b_enc: Tensor, W_dec: Tensor) -> Tensor:
        return sparse_decode(sparse_encode(x, W_enc, b_enc, 2), W_dec) - x

    def dense(x: Tensor, W_enc: Tensor, b_enc: Tensor, W_dec: Tensor) -> Tensor:
        return dense_encode(x, W_enc, b_enc, 2, "batch") @ W_dec - x

    found, exact = (passes(autoencode, x, W_enc, b_enc, W_dec) for autoencode in (sparse, dense))
    assert max(map(relative_error, found, exact)) < 1e-14


def test_single_precision(device: str) -> None:
    tensors = sample("random", device, torch.float32)
    exact = passes(
        lambda *t: dense_encode(*t, 2, "batch"), *(tensor.double() for tensor in tensors)
    )
    found = passes(lambda *t: sparse_encode(*t, 2).dense(), *tensors)
    assert {tensor.dtype for tensor in found} == {torch.float32}
    assert max(map(relative_error, found, exact)) < 1e-6


def test_product_in_half_precision() -> None:
    # Signs times sixteenths of at most 1: products and their sums are exact in bfloat16, so the
    # numbers are the same, and of the type of the inputs.
    tensors = [(16 * t).round().clamp(-16, 16).float() / 16 for t in sample("random", "cpu")]
    tensors[0] = tensors[0].sign()
    exact = passes(lambda *t: sparse_encode(*t, 2).dense(), *tensors)
    found = passes(lambda *t: sparse_encode(*t, 2, "batch", torch.bfloat16).dense(), *tensors)
    assert all(map(torch.equal, found, exact))


def test_half_precision_rounds_values_but_not_gradients() -> None:
    x, W_enc, b_enc = sample("one latent for every row", "cpu", torch.float32)
    code = sparse_encode(x, W_enc.requires_grad_(), b_enc, 1, matmul_dtype=torch.bfloat16)
    z = x @ W_enc.T + b_enc
    assert code.latents.tolist() == [2] * 6
    assert torch.equal(code.values.bfloat16().float(), code.values)
    assert relative_error(code.values.detach(), z[:, 2].detach()) < 2**-6
    (gradient,) = torch.autograd.grad(code.values.sum(), W_enc)
    assert relative_error(gradient[2], x.sum(0)) < 1e-6


def test_codes_selected_otherwise(device: str) -> None:
    # Values are taken as they are; gradients are those of x W^T + b at the entries, negative too.
    x, W_enc, b_enc = (t.requires_grad_() for t in sample("random", device))
    starts = torch.tensor([0, 0, 2, 2, 3, 3, 3], device=device)
    latents = torch.tensor([1, 8, 0], device=device)
    z = (x @ W_enc.T + b_enc)[[1, 1, 3], latents]
    code = with_encoder_gradients(RaggedCode(starts, latents, -z.detach(), 9), x, W_enc, b_enc)
    assert torch.equal(code.values, -z)
    weights = torch.tensor([1.0, -2.0, 3.0], device=device).double()
    found = torch.autograd.grad((code.values * weights).sum(), (x, W_enc, b_enc))
    exact = torch.autograd.grad((z * weights).sum(), (x, W_enc, b_enc))
    assert max(map(relative_error, found, exact)) < 1e-14


def test_same_bytes_twice(device: str) -> None:
    tensors = sample("one latent for every row", device, torch.float32)
    first, second = (passes(lambda *t: sparse_encode(*t, 3).dense(), *tensors) for _ in range(2))
    assert all(map(torch.equal, first, second))


def test_strided_inputs(device: str) -> None:
    x, W_enc, b_enc = sample("random", device)
    exact = passes(lambda *t: dense_encode(*t, 2, "batch"), x, W_enc, b_enc)
    columns = (x.T.contiguous(), W_enc.T.contiguous(), b_enc)
    found = passes(lambda x, W, b: sparse_encode(x.T, W.T, b, 2).dense(), *columns)
    found[1:3] = [found[1].T, found[2].T]
    assert max(map(relative_error, found, exact)) < 1e-14


@pytest.mark.parametrize("wanted", [0, 1, 2])
def test_gradients_by_one_tensor_alone(device: str, wanted: int) -> None:
    tensors = sample("random", device)
    exact = passes(lambda *t: sparse_encode(*t, 2).dense().square(), *tensors)
    tensors[wanted].requires_grad_()
    loss = sparse_encode(*tensors, 2).dense().square()
    weights = torch.arange(1.0, 55, dtype=torch.float64, device=device).sin().view(6, 9)
    (found,) = torch.autograd.grad((loss * weights).sum(), tensors[wanted])
    assert torch.equal(found, exact[1 + wanted])


def test_k_beyond_the_width_keeps_every_positive_entry() -> None:
    x, W_enc, b_enc = sample("random", "cpu")
    z = (x @ W_enc.T + b_enc).relu()
    torch.testing.assert_close(sparse_encode(x, W_enc, b_enc, 100).dense(), z)


@pytest.mark.parametrize("rows", [0, 3])
def test_no_rows_or_no_latents(device: str, rows: int) -> None:
    width = 4 if rows == 0 else 0
    shapes = ((rows, 5), (width, 5), (width,))
    found = passes(lambda *t: sparse_encode(*t, 2).dense(), *(torch.ones(s) for s in shapes))
    assert [tuple(tensor.shape) for tensor in found] == [(rows, width), *shapes]
    assert not any(tensor.any() for tensor in found)


@pytest.mark.parametrize("where", [0, 1, 2])
def test_nan_is_refused(where: int) -> None:
    tensors = sample("random", "cpu")
    tensors[where].view(-1)[0] = torch.nan
    with pytest.raises(ValueError, match="NaN"):
        sparse_encode(*tensors, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"W_enc": torch.ones(9, 4)}, "W_enc has 4 columns, allowed is one for each of the inp"),
        ({"b_enc": torch.ones(8)}, "b_enc has 8 entries, allowed is one for each of W_enc's 9"),
        ({"W_enc": torch.ones(9, 5).double()}, "W_enc is torch.float64, allowed is the inputs'"),
        ({"b_enc": torch.ones(9).half()}, "b_enc is torch.float16, allowed is the inputs' torch"),
        ({"selection": "column"}, "selection is 'column', allowed are 'batch' and 'row'"),
        ({"k_per_sample": 0}, "k_per_sample"),
    ],
)
@pytest.mark.usefixtures("no_shape_checks")
def test_what_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    fitting = {"inputs": torch.ones(6, 5), "W_enc": torch.ones(9, 5), "b_enc": torch.ones(9)}
    with pytest.raises(ValueError, match=message):
        sparse_encode(**({"k_per_sample": 2} | fitting | changes))
