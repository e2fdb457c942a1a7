"""Each rule by hand, and the sum of relevance before and after it."""

import pytest
import torch

from seethrough.attribution.relevance_rules import (
    layer_scale_relevance,
    linear_relevance,
    product_relevance,
    safe_divide,
    sum_relevance,
)


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_safe_divide_by_hand():
    # -1e-9 + 1e-9 is 0, so the denominator is 1e-9 alone.
    quotient = safe_divide(
        torch.tensor([6.0, 6.0, 0.0, 2.0], dtype=torch.float64),
        torch.tensor([2.0, 0.0, 5.0, -1e-9], dtype=torch.float64),
    )
    assert quotient.tolist() == pytest.approx([3.0, 0.0, 0.0, 2e9])


def test_linear_by_hand():
    # Two outputs, inputs (1, -2, 3).
    # Output 0, weights (2, -1, -1): contributions 2, 2, -3; positive part 2 + 2 = 4, R = 8:
    #   8 * (2/4, 2/4, 0) = (4, 4, 0).
    # Output 1, weights (-1, 1, 1): contributions -1, -2, 3; positive part 3, R = 6: (0, 0, 6).
    inputs = torch.tensor([[1.0, -2.0, 3.0]], dtype=torch.float64)
    weight = torch.tensor([[2.0, -1.0, -1.0], [-1.0, 1.0, 1.0]], dtype=torch.float64)
    relevance = torch.tensor([[8.0, 6.0]], dtype=torch.float64)
    assert linear_relevance(relevance, inputs, weight)[0].tolist() == pytest.approx([4.0, 4.0, 6.0])


def test_linear_output_without_positive_contribution_loses_its_relevance():
    inputs = torch.tensor([[1.0, 2.0]], dtype=torch.float64)
    weight = torch.tensor([[-1.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    relevance = torch.tensor([[5.0, 7.0]], dtype=torch.float64)
    assert linear_relevance(relevance, inputs, weight)[0].tolist() == pytest.approx([7.0, 0.0])


def test_product_by_hand():
    # Z = (1 2) (3; 4) = 11, relevance 22, ratio 2. Left: (1*3, 2*4) * 2 / 2 = (3, 8); right alike.
    left = torch.tensor([[[1.0, 2.0]]], dtype=torch.float64)
    right = torch.tensor([[[3.0], [4.0]]], dtype=torch.float64)
    of_left, of_right = product_relevance(torch.full_like(left[..., :1], 22.0), left, right)
    assert of_left.flatten().tolist() == pytest.approx([3.0, 8.0])
    assert of_right.flatten().tolist() == pytest.approx([3.0, 8.0])


def test_sum_by_hand():
    # Z = (1, 3) + (3, -1) = (4, 2), relevance (4, 2), ratio (1, 1).
    # Shares (1, 3) and (3, -1): sums 4 and 2, sizes 4/6 and 2/6 of the whole 6: 4 and 2.
    # Nothing to rescale: 4 / 4 and 2 / 2.
    one, other = (torch.tensor([[v]], dtype=torch.float64) for v in ([1.0, 3.0], [3.0, -1.0]))
    relevance = torch.tensor([[[4.0, 2.0]]], dtype=torch.float64)
    first, second = sum_relevance(relevance, one, other)
    assert first.flatten().tolist() == pytest.approx([1.0, 3.0])
    assert second.flatten().tolist() == pytest.approx([3.0, -1.0])


def test_sum_with_a_negative_branch_by_hand():
    # Z = (4) + (-1) = 3, relevance 6, ratio 2: shares 8 and -2. Sizes 8/10 and 2/10 of 6: 4.8, 1.2.
    # The second branch is rescaled by 1.2 / -2, so it carries 1.2 though it spoke against.
    one, other = (torch.tensor([[[v]]], dtype=torch.float64) for v in (4.0, -1.0))
    first, second = sum_relevance(torch.full_like(one, 6.0), one, other)
    assert (float(first), float(second)) == pytest.approx((4.8, 1.2))


def test_layer_scale_by_hand():
    relevance = torch.tensor([[[1.0, 2.0, 3.0]]], dtype=torch.float64)
    gamma = torch.tensor([0.5, 0.0, -1.0], dtype=torch.float64)
    assert layer_scale_relevance(relevance, gamma, "identity") is relevance
    divided = layer_scale_relevance(relevance, gamma, "inverse_gamma")
    assert divided.flatten().tolist() == pytest.approx([2.0, 0.0, -3.0])


def test_sums_are_conserved():
    relevance = draw(2, 4, 6)
    linear = linear_relevance(relevance, draw(2, 4, 9, seed=1), draw(6, 9, seed=2))
    torch.testing.assert_close(linear.sum((1, 2)), relevance.sum((1, 2)), rtol=1e-6, atol=0)
    left, right = product_relevance(relevance, draw(2, 4, 5, seed=3), draw(2, 5, 6, seed=4))
    torch.testing.assert_close(left.sum((1, 2)), relevance.sum((1, 2)) / 2, rtol=1e-6, atol=0)
    torch.testing.assert_close(right.sum((1, 2)), relevance.sum((1, 2)) / 2, rtol=1e-6, atol=0)
    branches = sum_relevance(relevance, draw(2, 4, 6, seed=5), draw(2, 4, 6, seed=6))
    both = branches[0] + branches[1]
    torch.testing.assert_close(both.sum((1, 2)), relevance.sum((1, 2)), rtol=1e-6, atol=0)


def test_sum_of_one_sample_does_not_see_the_other():
    relevance, one, other = draw(2, 3, 4), draw(2, 3, 4, seed=1), draw(2, 3, 4, seed=2)
    together = sum_relevance(relevance, one, other)
    alone = sum_relevance(relevance[1:], one[1:], other[1:])
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a[1:], b)
