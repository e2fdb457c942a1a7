"""Pruned weight and mask in one step, on a CPU: the masks are tested where they are made."""

import pytest
import torch

from seethrough.kernels import wanda_mask as kernel
from seethrough.kernels.wanda_mask import prune_n_of_m, prune_rows
from seethrough.pruning.semi_structured import semi_structured_mask
from seethrough.pruning.wanda import wanda_mask, wanda_scores


def sample(rows: int, columns: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return (
        torch.randn(rows, columns, generator=generator),
        torch.rand(columns, generator=generator) + 0.1,
    )


def test_rows_by_hand() -> None:
    # Scores: row 0 is 4, 2, 3; row 1 is 4, 5, 0.5. int(3 x 0.5) = 1 goes: the 2 and the 0.5.
    weight = torch.tensor([[1.0, -2.0, 3.0], [-1.0, 5.0, 0.5]])
    pruned, mask = prune_rows(weight, torch.tensor([4.0, 1.0, 1.0]), 0.5)
    assert pruned.tolist() == [[1.0, 0.0, 3.0], [-1.0, 5.0, 0.0]]
    assert mask.tolist() == [[True, False, True], [True, True, False]]


def test_groups_by_hand() -> None:
    # Scores 1, 2, 6, 1 and 2, 2, 2, 2: of the four equal ones the first two go.
    weight = torch.tensor([[1.0, -2.0, 3.0, 1.0, 2.0, 2.0, 2.0, -2.0]])
    norm = torch.tensor([1.0, 1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    pruned, mask = prune_n_of_m(weight, norm, 2, 4)
    assert pruned.tolist() == [[0.0, -2.0, 3.0, 0.0, 0.0, 0.0, 2.0, -2.0]]
    assert mask.tolist() == [[False, True, True, False, False, False, True, True]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_masks_and_precision_are_those_of_pruning(dtype: torch.dtype) -> None:
    weight, norm = sample(6, 24)
    weight = weight.to(dtype)
    pruned, mask = prune_rows(weight, norm, 0.7)
    assert torch.equal(mask, wanda_mask(weight, norm, 0.7))
    assert torch.equal(pruned, weight * mask)
    assert pruned.dtype == dtype
    for n, m in ((2, 4), (4, 8)):
        pruned, mask = prune_n_of_m(weight, norm, n, m)
        assert torch.equal(mask, semi_structured_mask(wanda_scores(weight, norm), f"{n}:{m}"))
        assert torch.equal(pruned, weight * mask)


def test_an_infinite_weight_that_goes_leaves_zero() -> None:
    weight = torch.tensor([[torch.inf, torch.inf]])
    assert prune_rows(weight, torch.ones(2), 0.5)[0].tolist() == [[0.0, torch.inf]]


def test_the_weight_stays_as_it_was_and_gets_no_gradient() -> None:
    weight, norm = sample(4, 8)
    parameter = torch.nn.Parameter(weight.clone())
    for pruned, _ in (prune_rows(parameter, norm, 0.5), prune_n_of_m(parameter, norm, 2, 4)):
        assert not pruned.requires_grad
    assert torch.equal(parameter.detach(), weight)


@pytest.mark.parametrize("shape", [(0, 8), (3, 0)])
def test_nothing_to_prune(shape: tuple[int, int]) -> None:
    weight, norm = torch.ones(shape), torch.ones(shape[1])
    for pruned, mask in (prune_rows(weight, norm, 0.5), prune_n_of_m(weight, norm, 2, 4)):
        assert pruned.shape == mask.shape == shape


def test_what_does_not_fit_is_refused() -> None:
    weight, norm = sample(3, 12)
    with pytest.raises(ValueError, match="input_norm has 11 features"):
        prune_rows(weight, norm[1:], 0.5)
    with pytest.raises(ValueError, match="sparsity is 1.5, allowed is 0 to 1"):
        prune_rows(weight, norm, 1.5)
    with pytest.raises(ValueError, match="pattern is '1:4', allowed are 2:4, 4:8"):
        prune_n_of_m(weight, norm, 1, 4)
    with pytest.raises(ValueError, match="a row has 12 inputs, allowed for 4:8 is a multiple of 8"):
        prune_n_of_m(weight, norm, 4, 8)
    weight[1, 2] = torch.nan
    with pytest.raises(ValueError, match="scores must not be NaN, got 1 of them"):
        prune_rows(weight, norm, 0.5)
    with pytest.raises(ValueError, match="scores must not be NaN, got 1 of them"):
        prune_n_of_m(weight, norm, 2, 4)


def test_only_what_the_kernel_takes_goes_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "takes_triton", lambda device: True)
    weight, norm = sample(3, 12)
    assert kernel._fits_triton(weight, norm)
    assert not kernel._fits_triton(weight[:0], norm)
    assert not kernel._fits_triton(weight.to(torch.float8_e5m2), norm)
    monkeypatch.setattr(kernel, "WIDEST_TRITON_ROW", 11)
    assert not kernel._fits_triton(weight, norm)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("columns", [768, 3072, 1000])
def test_gpu_equals_cpu(columns: int) -> None:
    weight, norm = sample(200, columns)
    weight[::2] = (4 * weight[::2]).round()  # many ties
    for found, expected in (
        (prune_rows(weight.cuda(), norm.cuda(), 0.7), prune_rows(weight, norm, 0.7)),
        (prune_n_of_m(weight.cuda(), norm.cuda(), 2, 4), prune_n_of_m(weight, norm, 2, 4)),
    ):
        assert all(torch.equal(f.cpu(), e) for f, e in zip(found, expected, strict=True))
