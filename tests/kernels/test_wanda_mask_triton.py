"""Wanda's Triton kernels against stable sorts, in the interpreter or on a card."""

import math

import pytest
import torch
from torch import Tensor

from seethrough.kernels import wanda_mask as public
from seethrough.kernels.wanda_mask import prune_n_of_m, prune_rows

triton = pytest.importorskip("triton")
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


@pytest.fixture(autouse=True)
def _triton_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public, "takes_triton", lambda device: True)


def sample(rows: int, columns: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Return rows of weights, with many ties in the second of each two, and norms."""
    generator = torch.Generator().manual_seed(rows)
    weight = torch.randn(rows, columns, generator=generator)
    weight[1::2] = (2 * weight[1::2]).round()
    norm = torch.randint(0, 3, (columns,), generator=generator) + 0.5
    return weight.to(DEVICE, dtype), norm.to(DEVICE)


def lowest_gone(weight: Tensor, scores: Tensor, n_low: int) -> tuple[Tensor, Tensor]:
    """Return pruned rows and their mask by a full stable sort."""
    order = scores.sort(dim=1, stable=True).indices
    mask = torch.ones_like(scores, dtype=torch.bool).scatter(1, order[:, :n_low], False)
    return weight * mask, mask


def by_sort(weight: Tensor, norm: Tensor, n_low: int, length: int) -> tuple[Tensor, Tensor]:
    scores = weight.abs().to(torch.promote_types(weight.dtype, norm.dtype)) * norm
    groups = lowest_gone(weight.reshape(-1, length), scores.reshape(-1, length), n_low)
    pruned, mask = (part.reshape(weight.shape) for part in groups)
    return pruned, mask


def assert_equal(found: tuple[Tensor, Tensor], expected: tuple[Tensor, Tensor]) -> None:
    assert torch.equal(found[1], expected[1])
    assert torch.equal(found[0], expected[0])
    assert (found[0].dtype, found[1].dtype) == (expected[0].dtype, torch.bool)


@pytest.mark.parametrize(("columns", "n_low"), [(1, 0), (1, 1), (16, 5), (7, 6), (21, 21), (21, 0)])
def test_rows_equal_a_stable_sort(columns: int, n_low: int) -> None:
    weight, norm = sample(4, columns)
    found = prune_rows(weight, norm, (n_low + 0.5) / columns if n_low < columns else 1)
    assert_equal(found, by_sort(weight, norm, n_low, columns))


@pytest.mark.parametrize(("n", "m"), [(2, 4), (4, 8)])
@pytest.mark.parametrize("rows", [1, 50])
def test_groups_equal_a_stable_sort(n: int, m: int, rows: int) -> None:
    weight, norm = sample(rows, 24)
    assert_equal(prune_n_of_m(weight, norm, n, m), by_sort(weight, norm, m - n, m))


DTYPES = (torch.float64, torch.bfloat16, torch.float16)


@pytest.mark.parametrize("of_weight", DTYPES)
@pytest.mark.parametrize("of_norm", [torch.float32, *DTYPES])
def test_scores_are_rounded_as_torch_rounds_them(
    of_weight: torch.dtype, of_norm: torch.dtype
) -> None:
    weight, norm = sample(1, 40, of_weight)
    norm = (norm + 0.1 * torch.arange(40, device=DEVICE)).to(of_norm)
    assert_equal(prune_rows(weight, norm, 0.5), by_sort(weight, norm, 20, 40))
    assert_equal(prune_n_of_m(weight, norm, 2, 4), by_sort(weight, norm, 2, 4))


def test_zeros_of_either_sign_and_infinities_are_ordered() -> None:
    # Scores inf, 0, inf, 0, 1 with a negative and a positive zero: equal zeros go in order.
    weight = torch.tensor([[math.inf, 0.0, math.inf, 1.0, 1.0]], device=DEVICE)
    norm = torch.tensor([1.0, 1.0, 1.0, -0.0, 1.0], device=DEVICE)
    kept = [prune_rows(weight, norm, n / 5)[1].tolist()[0] for n in (1, 2, 3, 4)]
    assert kept == [
        [True, False, True, True, True],
        [True, False, True, False, True],
        [True, False, True, False, False],
        [False, False, True, False, False],
    ]


def test_negative_norms_are_ordered_too() -> None:
    weight, norm = sample(2, 16)
    norm[::2] *= -1
    assert_equal(prune_rows(weight, norm, 0.5), by_sort(weight, norm, 8, 16))


def test_columns_need_not_be_adjacent() -> None:
    weight, norm = sample(24, 4)
    across = weight.T  # 4 rows of 24
    norm = norm.repeat(6)
    assert_equal(prune_rows(across, norm, 0.5), by_sort(across, norm, 12, 24))
    assert_equal(prune_n_of_m(across, norm[::1], 2, 4), by_sort(across, norm, 2, 4))


def test_fresh_memory_is_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    weight, norm = sample(3, 12)

    def poisoned(*shape: object, dtype: torch.dtype, device: torch.device) -> Tensor:
        return torch.full(*shape, 77, dtype=dtype, device=device)

    monkeypatch.setattr(torch, "empty", poisoned)
    monkeypatch.setattr(torch, "empty_like", lambda x: torch.full_like(x, torch.nan))
    assert_equal(prune_rows(weight, norm, 0.5), by_sort(weight, norm, 6, 12))
    assert_equal(prune_n_of_m(weight, norm, 2, 4), by_sort(weight, norm, 2, 4))


@pytest.mark.parametrize("where", ["weight", "norm"])
def test_nan_is_refused(where: str) -> None:
    weight, norm = sample(3, 8)
    (weight if where == "weight" else norm).view(-1)[0] = torch.nan
    n_nan = 1 if where == "weight" else 3
    with pytest.raises(ValueError, match=f"scores must not be NaN, got {n_nan} of them"):
        prune_rows(weight, norm, 0.5)
    with pytest.raises(ValueError, match=f"scores must not be NaN, got {n_nan} of them"):
        prune_n_of_m(weight, norm, 2, 4)


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
