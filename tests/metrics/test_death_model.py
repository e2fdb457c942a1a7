"""The model of death at initialisation, against its printed table and a simulation."""

import math

import pytest
import torch

from seethrough.metrics import (
    death_probability,
    gamma_for_death,
    mean_to_spread,
    participation_ratio,
)
from seethrough.metrics.death_model import sample_reach, topk_threshold

# gamma that the model needs for a share of 34.4 % and 62.7 % at k = 50, to one decimal; columns
# are 100,000 and 10,000 samples.
TABLE = {
    500: {0.344: (2.5, 2.2), 0.627: (4.5, 3.9)},
    1000: {0.344: (2.1, 1.8), 0.627: (3.2, 2.8)},
    2048: {0.344: (1.8, 1.6), 0.627: (2.6, 2.3)},
}


@pytest.mark.parametrize("width", TABLE)
@pytest.mark.parametrize("share", [0.344, 0.627])
def test_gamma_table(width, share):
    for n_samples, printed in zip((100_000, 10_000), TABLE[width][share], strict=True):
        gamma = gamma_for_death(share, n_samples=n_samples, k_per_sample=50, width=width)
        # The table has one decimal; 4.451 is printed as 4.5.
        assert gamma == pytest.approx(printed, abs=0.051)
        back = death_probability(gamma, n_samples=n_samples, k_per_sample=50, width=width)
        assert back.below_topk == pytest.approx(share, abs=1e-12)


def test_constants():
    assert sample_reach(100_000) == pytest.approx(4.26, abs=0.005)
    assert sample_reach(10_000) == pytest.approx(3.72, abs=0.005)
    assert [round(topk_threshold(50, width), 2) for width in (500, 1000, 2048)] == [
        1.28,
        1.64,
        1.97,
    ]


@pytest.mark.parametrize(("gamma", "percent"), [(1.23, 4), (1.96, 27)])
def test_predictions_by_hand(gamma, percent):
    death = death_probability(gamma, n_samples=10_000, k_per_sample=50, width=500)
    assert round(100 * death.never_active) == percent


def test_split_adds_up():
    death = death_probability(2.0, n_samples=10_000, k_per_sample=50, width=500)
    assert death.by_relu + death.by_topk == death.never_active == death.below_topk
    # With more than half the units kept the ReLU is the only cause left.
    death = death_probability(2.0, n_samples=10_000, k_per_sample=400, width=500)
    assert death.by_topk == 0
    assert death.never_active == death.by_relu > death.below_topk


def test_limits():
    centred = death_probability(0.0, n_samples=1000, k_per_sample=50, width=500)
    assert centred.never_active == 0
    everything_kept = death_probability(3.0, n_samples=1000, k_per_sample=600, width=500)
    assert everything_kept.below_topk == 0
    # All mean and no spread: half the units are on one side, and Top-k keeps k of them forever.
    no_spread = death_probability(math.inf, n_samples=1000, k_per_sample=50, width=500)
    assert no_spread.by_relu == pytest.approx(0.5)
    assert no_spread.never_active == pytest.approx(0.9)


def test_death_grows_with_gamma_and_shrinks_with_k_and_samples():
    def dead(gamma: float, n_samples: int = 10_000, k: int = 50) -> float:
        return death_probability(gamma, n_samples=n_samples, k_per_sample=k, width=500).never_active

    assert dead(1.0) < dead(2.0) < dead(4.0)
    assert dead(2.0, k=100) < dead(2.0, k=50)
    assert dead(2.0, n_samples=100_000) < dead(2.0, n_samples=10_000)


def test_simulated_death_by_relu():
    # Many independent directions, unit mean and spread: gamma = 2, 500 samples, 4,000 units.
    generator = torch.Generator().manual_seed(0)
    d, n, units = 400, 500, 4000
    mean = torch.randn(d, generator=generator)
    mean = 2 * mean / mean.norm()
    x = mean + torch.randn(n, d, generator=generator) / math.sqrt(d)
    encoder = torch.randn(d, units, generator=generator)
    dead = ((x @ encoder) > 0).sum(dim=0) == 0
    predicted = death_probability(
        float(mean_to_spread(x)), n_samples=n, k_per_sample=units, width=units
    )
    # C is the level that one of n normal values exceeds on average; 4 standard errors are 0.015.
    assert float(dead.double().mean()) == pytest.approx(predicted.by_relu, abs=0.03)


def test_mean_to_spread_by_hand():
    # Columns 0, 2 and 3, 3: means 1 and 3, standard deviations 1 and 0.
    x = torch.tensor([[0.0, 3.0], [2.0, 3.0]])
    assert float(mean_to_spread(x)) == pytest.approx(math.sqrt(10))
    assert float(mean_to_spread(5 * x)) == pytest.approx(math.sqrt(10))


def test_mean_to_spread_of_inputs_that_do_not_vary():
    assert float(mean_to_spread(torch.ones(3, 2))) == math.inf
    assert math.isnan(float(mean_to_spread(torch.zeros(3, 2))))


def test_participation_ratio_by_hand():
    # Variances 4 and 1 along the axes: (4 + 1)^2 / (16 + 1).
    x = torch.tensor([[2.0, 1.0], [2.0, -1.0], [-2.0, 1.0], [-2.0, -1.0]])
    assert float(participation_ratio(x)) == pytest.approx(25 / 17)
    # Shifting or scaling the input and turning it change nothing.
    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]])
    assert float(participation_ratio(3 * x @ turn + 7)) == pytest.approx(25 / 17, rel=1e-5)


@pytest.mark.parametrize("shape", [(40, 6), (6, 40), (7, 7)])
def test_participation_ratio_equals_its_definition(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).double()
    variances = torch.linalg.eigvalsh(torch.cov(x.T, correction=0))
    expected = variances.sum() ** 2 / variances.square().sum()
    assert float(participation_ratio(x)) == pytest.approx(float(expected))


def test_participation_ratio_limits():
    assert float(participation_ratio(torch.tensor([[1.0, 2.0], [3.0, 6.0]]))) == pytest.approx(1)
    assert float(participation_ratio(torch.eye(2).repeat(2, 1) - 2 * torch.eye(4)[:, :2])) <= 2
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 4)
    assert float(participation_ratio(corners)) == pytest.approx(4)
    assert math.isnan(float(participation_ratio(torch.ones(3, 2))))


def test_impossible_requests_are_refused():
    sizes = {"n_samples": 1000, "k_per_sample": 50, "width": 500}
    with pytest.raises(ValueError, match="gamma must be 0 or more, got -1"):
        death_probability(-1.0, **sizes)
    with pytest.raises(ValueError, match="gamma must be 0 or more, got nan"):
        death_probability(math.nan, **sizes)
    with pytest.raises(ValueError, match="n_samples must be at least 3, got 2"):
        death_probability(1.0, **{**sizes, "n_samples": 2})
    with pytest.raises(ValueError, match="at least 1, got 0 and 500"):
        death_probability(1.0, **{**sizes, "k_per_sample": 0})
    with pytest.raises(ValueError, match=r"above 0 and below 0.9, got 0.95"):
        gamma_for_death(0.95, **sizes)
    with pytest.raises(ValueError, match="at least one sample"):
        mean_to_spread(torch.empty(0, 3))
    with pytest.raises(ValueError, match="at least one sample"):
        participation_ratio(torch.empty(0, 3))
