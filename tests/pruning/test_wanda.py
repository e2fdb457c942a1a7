"""Wanda's masks against its published procedure, written out slowly."""

import pytest
import torch
from torch import Tensor

from seethrough.pruning.magnitude import magnitude_mask
from seethrough.pruning.wanda import wanda_mask, wanda_scores


def by_stable_sort(weight: Tensor, input_norm: Tensor, sparsity: float) -> Tensor:
    """Row by row, as the published code does it."""
    scores = weight.abs() * input_norm.reshape(1, -1)
    order = torch.sort(scores, dim=-1, stable=True).indices
    gone = order[:, : int(scores.shape[1] * sparsity)]
    return torch.ones_like(scores, dtype=torch.bool).scatter(1, gone, False)


def sample(rows: int, columns: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(rows, columns, generator=generator)
    return weight, torch.rand(columns, generator=generator) + 0.1


def test_by_hand() -> None:
    # Scores |W| ||X||: row 0 is 1 x 4 = 4, 2 x 1 = 2, 3 x 1 = 3; row 1 is 4, 5, 0.5. One of three
    # goes (int(3 x 0.5) = 1): the 2 and the 0.5. Magnitude alone would have dropped 1 in both rows.
    weight = torch.tensor([[1.0, -2.0, 3.0], [-1.0, 5.0, 0.5]])
    norm = torch.tensor([4.0, 1.0, 1.0])
    assert wanda_scores(weight, norm).tolist() == [[4.0, 2.0, 3.0], [4.0, 5.0, 0.5]]
    assert wanda_mask(weight, norm, 0.5).tolist() == [[True, False, True], [True, True, False]]


@pytest.mark.parametrize("sparsity", [0.0, 0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0])
def test_equals_the_published_procedure(sparsity: float) -> None:
    weight, norm = sample(96, 192)
    assert torch.equal(wanda_mask(weight, norm, sparsity), by_stable_sort(weight, norm, sparsity))


def test_equals_the_published_procedure_with_ties() -> None:
    weight, norm = sample(96, 192)
    weight, norm = (4 * weight).round() / 4, (4 * norm).round() / 4
    assert torch.equal(wanda_mask(weight, norm, 0.7), by_stable_sort(weight, norm, 0.7))


def test_a_feature_that_is_never_active_goes_first() -> None:
    weight, norm = sample(5, 10)
    norm[3] = 0
    assert not wanda_mask(weight, norm, 0.1)[:, 3].any()


def test_scale_of_the_norms_does_not_matter() -> None:
    # The published code divides by the number of tokens. Powers of 2 are exact.
    weight, norm = sample(20, 64)
    for group in ("row", "layer"):
        assert torch.equal(
            wanda_mask(weight, norm, 0.6, group), wanda_mask(weight, 2**-7 * norm, 0.6, group)
        )


def test_equal_norms_are_magnitude() -> None:
    weight, _ = sample(20, 64)
    for group in ("row", "layer"):
        assert torch.equal(
            wanda_mask(weight, torch.ones(64), 0.6, group), magnitude_mask(weight, 0.6, group)
        )


def test_half_weights_are_scored_in_the_precision_of_the_norms() -> None:
    weight, norm = sample(20, 64)
    assert wanda_scores(weight.bfloat16(), norm).dtype == torch.float32
    exact = wanda_mask(weight.bfloat16().float(), norm, 0.5)
    assert torch.equal(wanda_mask(weight.bfloat16(), norm, 0.5), exact)


def test_parameters_are_read_without_a_graph() -> None:
    weight, norm = sample(3, 8)
    parameter = torch.nn.Parameter(weight)
    assert torch.equal(wanda_mask(parameter, norm, 0.5), wanda_mask(weight, norm, 0.5))


@pytest.mark.parametrize("length", [1, 7, 9])
def test_a_norm_of_another_length_is_refused(length: int) -> None:
    weight, _ = sample(3, 8)
    with pytest.raises(
        ValueError, match=f"input_norm has {length} features, allowed is one for ea"
    ):
        wanda_mask(weight, torch.ones(length), 0.5)


@pytest.mark.parametrize("where", ["weight", "norm"])
def test_nan_is_refused(where: str) -> None:
    weight, norm = sample(3, 8)
    (weight if where == "weight" else norm).view(-1)[0] = torch.nan
    with pytest.raises(ValueError, match="scores must not be NaN"):
        wanda_mask(weight, norm, 0.5)
