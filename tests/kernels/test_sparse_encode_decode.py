"""The autoencoder in one pass against its two halves, and against dense autograd."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from seethrough.kernels.sparse_decode import sparse_decode
from seethrough.kernels.sparse_encode import sparse_encode
from seethrough.kernels.sparse_encode_decode import sparse_encode_decode

Autoencoder = Callable[..., tuple[Tensor, Tensor]]


def sample(device: str, rows: int = 6, width: int = 9, d: int = 5) -> list[Tensor]:
    """Return inputs, W_enc, b_enc, W_dec and b_dec in double precision."""
    generator = torch.Generator().manual_seed(1)
    shapes = ((rows, d), (width, d), (width,), (width, d), (d,))
    normal = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
    return [tensor.to(device) for tensor in normal]


def dense(x: Tensor, W_enc: Tensor, b_enc: Tensor, W_dec: Tensor, b_dec: Tensor) -> Any:
    z = (x @ W_enc.T + b_enc).relu()
    z = z * (z >= z.detach().flatten().sort(descending=True).values[2 * len(x) - 1])
    return z @ W_dec + b_dec, z


def halves(x: Tensor, W_enc: Tensor, b_enc: Tensor, W_dec: Tensor, b_dec: Tensor) -> Any:
    code = sparse_encode(x, W_enc, b_enc, 2)
    return sparse_decode(code, W_dec, b_dec), code.dense()


def whole(x: Tensor, W_enc: Tensor, b_enc: Tensor, W_dec: Tensor, b_dec: Tensor) -> Any:
    reconstruction, code = sparse_encode_decode(x, W_enc, b_enc, W_dec, b_dec, 2)
    return reconstruction, code.dense()


def squared_error(x: Tensor, reconstruction: Tensor, code: Tensor) -> Tensor:
    return (reconstruction - x).square().sum()


def with_penalty(x: Tensor, reconstruction: Tensor, code: Tensor) -> Tensor:
    return (reconstruction - x).square().sum() + code.square().sum() + 0.3 * code.sum()


def of_the_code(x: Tensor, reconstruction: Tensor, code: Tensor) -> Tensor:
    return code.pow(3).sum()


def passes(autoencoder: Autoencoder, loss: Any, *tensors: Tensor) -> list[Tensor]:
    """Return the reconstruction, the code, and the gradients by the tensors; zeros for None."""
    leaves = [tensor.clone().requires_grad_() for tensor in tensors]
    reconstruction, code = autoencoder(*leaves)
    value = loss(leaves[0], reconstruction, code)
    gradients = torch.autograd.grad(value, leaves, materialize_grads=True)
    return [reconstruction.detach(), code.detach(), *gradients]


def relative_error(found: Tensor, exact: Tensor) -> float:
    """Largest error over the largest number."""
    assert found.shape == exact.shape
    error = (found.double() - exact.double()).abs().max()
    return float(error / exact.double().abs().max().clamp_min(1e-30))


def test_by_hand() -> None:
    # z = x W_enc^T + b_enc = (2, -1): the code is 2 at latent 0, x_hat = 2 (3, 4) + (1, 1).
    # Loss sum(x_hat): g = (1, 1), dW_dec = 2 g at latent 0, dz = g . (3, 4) = 7, dW_enc = 7 x at
    # latent 0, db_enc = (7, 0), dx = 7 (2, 0), db_dec = g.
    x = torch.tensor([[1.0, 5.0]], requires_grad=True)
    W_enc = torch.tensor([[2.0, 0.0], [-1.0, 0.0]], requires_grad=True)
    b_enc, b_dec = torch.zeros(2, requires_grad=True), torch.ones(2, requires_grad=True)
    W_dec = torch.tensor([[3.0, 4.0], [5.0, 6.0]], requires_grad=True)
    reconstruction, code = sparse_encode_decode(x, W_enc, b_enc, W_dec, b_dec, 2)
    assert code.dense().tolist() == [[2.0, 0.0]]
    assert reconstruction.tolist() == [[7.0, 9.0]]
    gradients = torch.autograd.grad(reconstruction.sum(), (x, W_enc, b_enc, W_dec, b_dec))
    assert [gradient.tolist() for gradient in gradients] == [
        [[14.0, 0.0]],
        [[7.0, 35.0], [0.0, 0.0]],
        [7.0, 0.0],
        [[2.0, 2.0], [0.0, 0.0]],
        [1.0, 1.0],
    ]


@pytest.mark.parametrize("loss", [squared_error, with_penalty, of_the_code])
def test_equals_its_halves_and_dense_autograd(device: str, loss: Any) -> None:
    tensors = sample(device)
    found = passes(whole, loss, *tensors)
    for other in (halves, dense):
        assert max(map(relative_error, found, passes(other, loss, *tensors))) < 1e-13


def test_single_precision(device: str) -> None:
    tensors = sample(device)
    exact = passes(dense, squared_error, *tensors)
    found = passes(whole, squared_error, *(tensor.float() for tensor in tensors))
    assert max(map(relative_error, found, exact)) < 1e-6


def test_same_bytes_twice(device: str) -> None:
    tensors = [tensor.float() for tensor in sample(device)]
    first, second = (passes(whole, with_penalty, *tensors) for _ in range(2))
    assert all(map(torch.equal, first, second))


def test_nothing_active_leaves_the_bias(device: str) -> None:
    x, W_enc, b_enc, W_dec, b_dec = sample(device)
    found = passes(whole, squared_error, x, W_enc, b_enc - 100, W_dec, b_dec)
    assert torch.equal(found[0], b_dec.expand(6, 5))
    assert not any(gradient.any() for gradient in found[3:6])
    torch.testing.assert_close(found[6], 2 * (b_dec - x).sum(0))


def test_without_bias_by_row_and_in_half_precision() -> None:
    x, W_enc, b_enc, W_dec, _ = (tensor.float() for tensor in sample("cpu"))
    found = sparse_encode_decode(x, W_enc, b_enc, W_dec, None, 2, "row", torch.bfloat16)
    code = sparse_encode(x, W_enc, b_enc, 2, "row", torch.bfloat16)
    assert torch.equal(found[0], sparse_decode(code, W_dec))
    assert torch.equal(found[1].dense(), code.dense())


@pytest.mark.parametrize("wanted", range(5))
def test_gradients_by_one_tensor_alone(wanted: int) -> None:
    tensors = sample("cpu")
    exact = passes(whole, of_both, *tensors)[2 + wanted]
    tensors[wanted].requires_grad_()
    (found,) = torch.autograd.grad(of_both(None, *whole(*tensors)), tensors[wanted])
    assert torch.equal(found, exact)


def of_both(x: Tensor | None, reconstruction: Tensor, code: Tensor) -> Tensor:
    return reconstruction.square().sum() + code.sum()


@pytest.mark.parametrize("loss", [squared_error, with_penalty, of_the_code])
def test_a_centre_is_subtracted_and_gets_its_gradient(device: str, loss: Any) -> None:
    *tensors, centre = *sample(device), sample(device)[4] / 3

    def inside(*leaves: Tensor) -> tuple[Tensor, Tensor]:
        *five, c = leaves
        reconstruction, code = sparse_encode_decode(*five, k_per_sample=2, centre=c)
        return reconstruction, code.dense()

    def outside(*leaves: Tensor) -> tuple[Tensor, Tensor]:
        x, *others, c = leaves
        found: tuple[Tensor, Tensor] = dense(x - c, *others)
        return found

    found, exact = (passes(way, loss, *tensors, centre) for way in (inside, outside))
    assert max(map(relative_error, found, exact)) < 1e-13


def test_the_gradient_of_a_centre_needs_none_of_the_inputs(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a gradient of the inputs was computed")

    monkeypatch.setattr("seethrough.kernels.sparse_encode_decode.input_gradient", refuse)
    x, *parameters = sample("cpu")
    leaves = [parameter.requires_grad_() for parameter in parameters]
    found, _ = sparse_encode_decode(x, *leaves, k_per_sample=2, centre=leaves[3])
    torch.autograd.grad(found.square().sum(), leaves)


class LargestTensor(TorchDispatchMode):
    """The number of elements of the largest tensor that any operation returns."""

    def __init__(self) -> None:
        super().__init__()
        self.n_elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for tensor in found if isinstance(found, (tuple, list)) else [found]:
            if isinstance(tensor, Tensor) and tensor.layout is torch.strided:
                self.n_elements = max(self.n_elements, tensor.numel())
        return found


def test_no_gradient_is_as_large_as_the_dense_code() -> None:
    # 40 x 50 would be 2000; the weights are 50 x 5, the entries at most 80
    tensors = [tensor.requires_grad_() for tensor in sample("cpu", rows=40, width=50)]

    def backward(loss: Tensor) -> int:
        with LargestTensor() as largest:
            loss.backward()
        return largest.n_elements

    reconstruction, code = sparse_encode_decode(*tensors, k_per_sample=2)
    assert backward(reconstruction.square().sum() + code.values.sum()) == 250
    code = sparse_encode(*tensors[:3], k_per_sample=2)
    assert backward(sparse_decode(code, *tensors[3:]).square().sum()) == 250


def test_a_decoder_of_other_latents_is_refused(no_shape_checks: None) -> None:
    x, W_enc, b_enc, W_dec, b_dec = sample("cpu")
    with pytest.raises(
        ValueError, match="W_dec has 8 rows, allowed is one for each of the code's 9"
    ):
        sparse_encode_decode(x, W_enc, b_enc, W_dec[:8], b_dec, 2)
