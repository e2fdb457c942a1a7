"""Two halves of a sample: nothing lost, nothing twice, pairs kept, bad input named."""

import math

import pytest
import torch

from seethrough.metrics.train_test import TrainTest, halves


def test_every_image_lands_in_one_half_with_its_factors():
    codes = torch.arange(14.0).view(7, 2)
    factors = torch.arange(21).view(7, 3)
    data = halves(codes, factors, 0)
    assert (len(data.codes_train), len(data.codes_test)) == (4, 3)
    both = torch.cat([data.codes_train, data.codes_test])
    labels = torch.cat([data.factors_train, data.factors_test])
    # Row i is (2 i, 2 i + 1) and (3 i, 3 i + 1, 3 i + 2).
    order = (both[:, 0] / 2).long()
    assert sorted(order.tolist()) == list(range(7))
    assert torch.equal(codes[order], both)
    assert torch.equal(factors[order], labels)


def test_the_seed_decides():
    codes, factors = torch.arange(100.0)[:, None], torch.arange(100)[:, None]
    first, again, other = (halves(codes, factors, seed).codes_train for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_what_cannot_be_halved_is_refused():
    codes, factors = torch.zeros(4, 2), torch.zeros(4, 1, dtype=torch.int64)
    with pytest.raises(ValueError, match="at least 2 images, got 1"):
        halves(codes[:1], factors[:1], 0)
    with pytest.raises(ValueError, match=r"NaN or an infinity in codes \[1\]"):
        halves(torch.tensor([[0.0, math.nan]] * 4), factors, 0)
    with pytest.raises(ValueError, match="0 or above, got -3"):
        halves(codes, factors - 3, 0)
    with pytest.raises(ValueError, match="at least one each"):
        halves(codes[:, :0], factors, 0)


def test_sets_that_do_not_match_are_refused(no_shape_checks):
    codes, factors = torch.zeros(4, 2), torch.zeros(4, 1, dtype=torch.int64)
    with pytest.raises(ValueError, match="equal sample counts"):
        TrainTest(
            codes_train=codes, factors_train=factors, codes_test=codes[:, :1], factors_test=factors
        )
