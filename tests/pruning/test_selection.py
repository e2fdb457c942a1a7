"""The lowest scores of each group go, exactly as many as asked for, ties by position."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seethrough.pruning.selection import keep_highest


def by_definition(scores: Tensor, sparsity: float) -> list[list[bool]]:
    """Sort each row's positions by score, earlier first among equals, and drop the first ones."""
    kept = []
    for row in scores.tolist():
        order = sorted(range(len(row)), key=lambda j: (row[j], j))
        gone = set(order[: int(len(row) * sparsity)])
        kept.append([j not in gone for j in range(len(row))])
    return kept


def tied_scores(rows: int, columns: int, levels: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, levels, (rows, columns), generator=generator).float()


def test_by_hand() -> None:
    # int(4 x 0.5) = 2 go. Row 0: 1 and 2. Row 1: the three 5s tie, the first two of them go.
    scores = torch.tensor([[4.0, 1.0, 3.0, 2.0], [5.0, 5.0, 9.0, 5.0]])
    assert keep_highest(scores, 0.5).tolist() == [
        [True, False, True, False],
        [False, False, True, True],
    ]


def test_a_layer_is_one_group() -> None:
    # int(6 x 0.5) = 3 go: 1, 1 and the first of the 2s in row-major order.
    scores = torch.tensor([[1.0, 2.0, 3.0], [2.0, 1.0, 9.0]])
    assert keep_highest(scores, 0.5, "layer").tolist() == [
        [False, False, True],
        [True, False, True],
    ]


@settings(deadline=None, derandomize=True, max_examples=200)
@given(
    st.integers(1, 5),
    st.integers(1, 30),
    st.sampled_from([1, 2, 5, 1000]),
    st.sampled_from([0.0, 0.1, 0.29, 0.5, 0.7, 0.9, 1.0]),
    st.integers(0, 2**31),
)
def test_equals_the_definition_with_ties(
    rows: int, columns: int, levels: int, sparsity: float, seed: int
) -> None:
    scores = tied_scores(rows, columns, levels, seed)
    assert keep_highest(scores, sparsity).tolist() == by_definition(scores, sparsity)
    flat = by_definition(scores.reshape(1, -1), sparsity)[0]
    assert keep_highest(scores, sparsity, "layer").flatten().tolist() == flat


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("levels", [4, 60])
def test_other_precisions(dtype: torch.dtype, levels: int) -> None:
    scores = tied_scores(20, 48, levels, 3).to(dtype)
    assert keep_highest(scores, 0.7).tolist() == by_definition(scores, 0.7)


def test_columns_need_not_be_adjacent() -> None:
    scores = tied_scores(48, 20, 6, 4)
    assert keep_highest(scores.T, 0.6).tolist() == by_definition(scores.T, 0.6)


def test_none_and_all() -> None:
    scores = tied_scores(3, 7, 2, 0)
    for group in ("row", "layer"):
        assert bool(keep_highest(scores, 0, group).all())
        assert not bool(keep_highest(scores, 1, group).any())


def test_a_row_too_short_to_lose_any_keeps_all() -> None:
    assert bool(keep_highest(tied_scores(2, 9, 5, 0), 0.1).all())


def test_what_goes_at_some_sparsity_goes_at_every_higher_one() -> None:
    scores = tied_scores(8, 64, 9, 5)
    masks = [keep_highest(scores, step / 16) for step in range(17)]
    for low, high in zip(masks[:-1], masks[1:], strict=True):
        assert bool((high <= low).all())


def test_rows_do_not_touch_each_other() -> None:
    scores, order = (
        tied_scores(9, 32, 7, 6),
        torch.randperm(9, generator=torch.Generator().manual_seed(1)),
    )
    assert torch.equal(keep_highest(scores[order], 0.5), keep_highest(scores, 0.5)[order])


def test_infinite_scores_are_ordered() -> None:
    scores = torch.tensor([[math.inf, 1.0, math.inf, 0.0]])
    assert keep_highest(scores, 0.75).tolist() == [[False, False, True, False]]


@pytest.mark.parametrize("shape", [(0, 4), (3, 0)])
def test_an_empty_matrix_has_an_empty_mask(shape: tuple[int, int]) -> None:
    assert keep_highest(torch.ones(shape), 0.5).shape == shape


def test_nan_is_refused() -> None:
    scores = torch.tensor([[1.0, math.nan], [math.nan, 2.0]])
    for sparsity in (0.0, 0.5, 1.0):
        with pytest.raises(ValueError, match="scores must not be NaN, got 2 of them"):
            keep_highest(scores, sparsity)


@pytest.mark.parametrize("sparsity", [-0.1, 1.01, math.nan])
def test_sparsity_is_a_fraction(sparsity: float) -> None:
    with pytest.raises(ValueError, match=f"sparsity is {sparsity}, allowed is 0 to 1"):
        keep_highest(torch.ones(2, 2), sparsity)


def test_an_unknown_group_is_refused() -> None:
    with pytest.raises(ValueError, match="group is 'column', allowed are row, layer"):
        keep_highest(torch.ones(2, 2), 0.5, "column")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("levels", [5, 10**6])
@pytest.mark.parametrize("group", ["row", "layer"])
def test_gpu_equals_cpu(levels: int, group: str) -> None:
    scores = tied_scores(300, 768, levels, 7)
    assert torch.equal(
        keep_highest(scores.cuda(), 0.7, group).cpu(), keep_highest(scores, 0.7, group)
    )
