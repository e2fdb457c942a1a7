"""The FactorVAE metric: vote by vote from the definition, and on codes with known scores."""

import math
import sys

import numpy as np
import pytest
import torch

from seethrough.metrics import random_code
from seethrough.metrics.factor_vae_score import _draw, factor_vae_score
from seethrough.metrics.information_scores import shuffled


def independent_factors() -> torch.Tensor:
    """All combinations of 3, 4 and 5 classes, each 10 times."""
    return torch.cartesian_prod(torch.arange(3), torch.arange(4), torch.arange(5)).repeat(10, 1)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def score_by_definition(codes: np.ndarray, fixed: np.ndarray, images: np.ndarray, n_train: int):
    """Votes one by one on codes that are all active, then the majority of each unit."""
    variances = np.var(codes, axis=0, ddof=1)
    votes = [
        (int(np.argmin(np.var(codes[batch], axis=0, ddof=1) / variances)), int(factor))
        for batch, factor in zip(images, fixed, strict=True)
    ]
    counts = np.zeros((codes.shape[1], fixed.max() + 1))
    for unit, factor in votes[:n_train]:
        counts[unit, factor] += 1
    right = [counts[unit].argmax() == factor for unit, factor in votes]
    return np.mean(right[:n_train]), np.mean(right[n_train:])


def test_by_hand():
    # Two factors of two classes, one unit each, so the unit of the fixed factor has variance 0 and
    # takes the vote. The third unit is constant and takes no part.
    factors = torch.cartesian_prod(torch.arange(2), torch.arange(2)).repeat(10, 1)
    codes = torch.cat([factors.double(), torch.full((40, 1), 0.1).double()], dim=1)
    score = factor_vae_score(codes, factors, seeded(), batch_size=32)
    assert (score.train_accuracy, score.test_accuracy) == (1.0, 1.0)
    assert (score.n_active, score.tied_share) == (2, 0.0)


@pytest.mark.parametrize("seed", range(3))
def test_equals_the_definition_vote_by_vote(seed):
    factors = independent_factors()
    codes = torch.randn(600, 7, generator=seeded(seed)).double() + factors[:, :1]
    score = factor_vae_score(
        codes, factors, seeded(seed), n_train_votes=150, n_test_votes=100, batch_size=20
    )
    fixed, images = _draw(factors, 250, 20, seeded(seed))
    expected = score_by_definition(codes.numpy(), fixed.numpy(), images.numpy(), 150)
    assert (score.train_accuracy, score.test_accuracy) == pytest.approx(expected)


def test_batches_share_the_class_of_their_factor_and_nothing_else():
    factors = independent_factors()[: 7 * 60 + 13]  # not all combinations equally often
    fixed, images = _draw(factors, 300, 64, seeded())
    shared = (factors[images] == factors[images[:, :1]]).all(dim=1)  # (votes, factors)
    # 64 images of a free factor share its class with a chance below 2^-63.
    assert torch.equal(shared, torch.nn.functional.one_hot(fixed, 3).bool())
    assert fixed.bincount(minlength=3).min() > 60  # 100 expected, standard deviation 8
    # Every image can be drawn: 19,200 draws, each image expected more than 30 times.
    assert len(images.unique()) == len(factors)


def test_classes_of_one_image_give_batches_of_that_image():
    factors = torch.tensor([[0], [5], [9]])
    _, images = _draw(factors, 20, 4, seeded())
    assert torch.equal(images, images[:, :1].expand(-1, 4))


def test_block_sizes_do_not_matter(monkeypatch):
    factors = independent_factors()
    codes = torch.randn(600, 7, generator=seeded()) + factors[:, :1]
    whole = factor_vae_score(codes, factors, seeded(1))
    module = sys.modules[factor_vae_score.__module__]
    monkeypatch.setattr(module, "BLOCK_VALUES_CPU", 1)
    assert factor_vae_score(codes, factors, seeded(1)) == whole


def test_a_duplicated_code_scores_one_by_ties():
    factors = independent_factors()
    score = factor_vae_score(factors.double().repeat(1, 2), factors, seeded())
    assert (score.test_accuracy, score.n_active, score.tied_share) == (1.0, 6, 1.0)


def test_useless_codes_and_controls_are_near_chance():
    factors = independent_factors()
    codes = factors.double()
    rotated = codes @ torch.linalg.qr(torch.randn(3, 3, generator=seeded(4)).double()).Q
    for useless, labels in (
        (torch.randn(600, 10, generator=seeded()), factors),
        (random_code(codes, seeded()), factors),
        (codes, shuffled(factors, seeded())),
    ):
        # Best guess 1/3, standard deviation 0.5 / sqrt(800) = 0.018, and what a finite pool adds.
        assert factor_vae_score(useless, labels, seeded()).test_accuracy < 0.5
    assert factor_vae_score(rotated, factors, seeded()).test_accuracy > 0.5


def test_no_active_unit_scores_nothing():
    score = factor_vae_score(torch.ones(600, 4), independent_factors(), seeded())
    assert (score.train_accuracy, score.test_accuracy, score.n_active) == (0.0, 0.0, 0)


def test_weak_units_are_dropped_whatever_the_scale():
    factors = independent_factors()
    weak = 0.01 * torch.randn(600, 1, generator=seeded())
    codes = torch.cat([factors.double(), weak], dim=1)
    assert factor_vae_score(codes, factors, seeded()).n_active == 3
    assert factor_vae_score(1e6 * codes, factors, seeded()).n_active == 3
    assert factor_vae_score(codes, factors, seeded(), least_deviation=0.0).n_active == 4


def test_silent_units_tie():
    """A unit that fires on a tenth of the images is silent on most batches of eight."""
    factors = independent_factors()
    codes = torch.randn(600, 50, generator=seeded()).sub(1.3).relu()
    assert factor_vae_score(codes, factors, seeded(), batch_size=8).tied_share > 0.99


def test_the_generator_decides():
    factors = independent_factors()
    codes = torch.randn(600, 10, generator=seeded())
    first, again, other = (factor_vae_score(codes, factors, seeded(s)) for s in (1, 1, 2))
    assert first == again != other


def test_what_cannot_be_scored_is_refused():
    factors, codes = independent_factors(), independent_factors().double()
    with pytest.raises(ValueError, match="at least 1, got 800 and 0"):
        factor_vae_score(codes, factors, seeded(), n_test_votes=0)
    with pytest.raises(ValueError, match="batch_size is 1, allowed is at least 2"):
        factor_vae_score(codes, factors, seeded(), batch_size=1)
    with pytest.raises(ValueError, match=r"least_deviation is 1\.5, allowed is 0 to 1"):
        factor_vae_score(codes, factors, seeded(), least_deviation=1.5)
    with pytest.raises(ValueError, match=r"NaN or an infinity in units \[0, 1, 2\]"):
        factor_vae_score(codes * math.nan, factors, seeded())
    with pytest.raises(ValueError, match=r"got shapes \(0, 3\) and \(0, 3\)"):
        factor_vae_score(codes[:0], factors[:0], seeded())


def test_different_sample_counts_are_refused(no_shape_checks):
    factors = independent_factors()
    with pytest.raises(ValueError, match="equal sample counts, got 600 and 599"):
        factor_vae_score(factors.double(), factors[:599], seeded())


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_gpu_equals_cpu():
    factors = independent_factors()
    codes = torch.randn(600, 30, generator=seeded()) + factors[:, :1]
    on_gpu = factor_vae_score(codes.cuda(), factors.cuda(), seeded())
    assert on_gpu == factor_vae_score(codes, factors, seeded())
