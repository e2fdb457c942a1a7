"""N:M masks against a sort of each group."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seethrough.pruning.semi_structured import semi_structured_mask

LENGTHS = {"2:4": 4, "4:8": 8}


def by_definition(scores: Tensor, pattern: str) -> Tensor:
    """Sort each group, earlier first among equals, and drop its lower half."""
    length = LENGTHS[pattern]
    groups = scores.reshape(-1, length)
    order = groups.sort(dim=1, stable=True).indices
    kept = torch.ones_like(groups, dtype=torch.bool).scatter(1, order[:, : length // 2], False)
    return kept.view(scores.shape)


def test_by_hand() -> None:
    # 2:4 keeps two of each four: 4 and 3, then of the tied 5s the later two.
    # 4:8 keeps four of the eight: 4, 5, 5 and 5.
    scores = torch.tensor([[4.0, 1.0, 3.0, 2.0, 5.0, 0.0, 5.0, 5.0]])
    assert semi_structured_mask(scores).int().tolist() == [[1, 0, 1, 0, 0, 0, 1, 1]]
    assert semi_structured_mask(scores, "4:8").int().tolist() == [[1, 0, 0, 0, 1, 0, 1, 1]]


@pytest.mark.parametrize("pattern", LENGTHS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("levels", [1, 2, 3, 8, 10**6])
def test_equals_the_definition(pattern: str, dtype: torch.dtype, levels: int) -> None:
    generator = torch.Generator().manual_seed(levels)
    scores = torch.randint(0, levels, (37, 64), generator=generator).to(dtype)
    assert torch.equal(semi_structured_mask(scores, pattern), by_definition(scores, pattern))


def test_every_order_of_four() -> None:
    # All 4^4 groups with values 0 to 3: every order and every tie.
    scores = torch.cartesian_prod(*[torch.arange(4.0)] * 4)
    assert torch.equal(semi_structured_mask(scores), by_definition(scores, "2:4"))


@settings(deadline=None, derandomize=True, max_examples=50)
@given(st.integers(0, 6), st.integers(1, 6), st.sampled_from(sorted(LENGTHS)), st.integers(0, 99))
def test_any_size(rows: int, groups: int, pattern: str, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(rows, groups * LENGTHS[pattern], generator=generator)
    assert torch.equal(semi_structured_mask(scores, pattern), by_definition(scores, pattern))


def test_columns_need_not_be_adjacent() -> None:
    scores = torch.randn(16, 12, generator=torch.Generator().manual_seed(0)).T
    assert torch.equal(semi_structured_mask(scores), by_definition(scores, "2:4"))


def test_infinite_scores_are_ordered() -> None:
    scores = torch.tensor([[torch.inf, 1.0, torch.inf, torch.inf]])
    assert semi_structured_mask(scores).tolist() == [[False, False, True, True]]


def test_nan_is_refused() -> None:
    with pytest.raises(ValueError, match="scores must not be NaN, got 1 of them"):
        semi_structured_mask(torch.tensor([[1.0, torch.nan, 0.0, 2.0]]))


@pytest.mark.parametrize(("pattern", "columns"), [("2:4", 6), ("4:8", 12)])
def test_broken_groups_are_refused(pattern: str, columns: int) -> None:
    message = f"a row has {columns} inputs, allowed for {pattern} is a multiple of {pattern[-1]}"
    with pytest.raises(ValueError, match=message):
        semi_structured_mask(torch.ones(3, columns), pattern)


def test_an_unknown_pattern_is_refused() -> None:
    with pytest.raises(ValueError, match="pattern is '1:4', allowed are 2:4, 4:8"):
        semi_structured_mask(torch.ones(3, 4), "1:4")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("pattern", LENGTHS)
def test_gpu_equals_cpu(pattern: str) -> None:
    scores = torch.randint(0, 9, (64, 96), generator=torch.Generator().manual_seed(0)).float()
    on_gpu = semi_structured_mask(scores.cuda(), pattern).cpu()
    assert torch.equal(on_gpu, semi_structured_mask(scores, pattern))
