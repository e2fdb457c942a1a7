"""All scores together: each that of its function, and the known ones of four representations."""

import math
from dataclasses import asdict

import pytest
import torch

from seethrough.metrics import (
    dci_scores,
    factor_vae_score,
    halves,
    linear_probe,
    modularity,
    mutual_information_gap,
    random_code,
    representation_scores,
    sap_score,
    specialised_units,
)
from seethrough.metrics.information_scores import information_scores, shuffled


def independent_factors() -> torch.Tensor:
    """All combinations of 2, 3 and 4 classes, each 25 times."""
    return torch.cartesian_prod(torch.arange(2), torch.arange(3), torch.arange(4)).repeat(25, 1)


def noisy_code() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    mixing = torch.randn(3, 12, generator=generator)
    noise = torch.randn(600, 12, generator=generator)
    return (independent_factors().float() @ mixing + noise).relu()


def test_every_score_is_that_of_its_function():
    codes, factors = noisy_code(), independent_factors()
    scores = representation_scores(codes, factors, seed=3)
    data = halves(codes, factors, 3)
    units, probe, dci = specialised_units(codes, factors), linear_probe(data), dci_scores(data, 3)
    votes = factor_vae_score(codes, factors, torch.Generator().manual_seed(3))
    assert asdict(scores) == {
        "mig": pytest.approx(float(mutual_information_gap(codes, factors))),
        "best_information": information_scores(codes, factors).best,
        "sap": float(sap_score(data)),
        "dci_disentanglement": dci.disentanglement,
        "dci_completeness": dci.completeness,
        "dci_informativeness": dci.informativeness,
        "modularity": modularity(codes, factors).all_units,
        "modularity_live": modularity(codes, factors).live_units,
        "factor_vae": votes.test_accuracy,
        "probe_accuracy": float(probe.accuracy.mean()),
        "probe_chance": float(probe.chance.mean()),
        "specialised_units": units.n_specialised,
        "factors_covered": units.factors_covered,
    }


def test_a_perfect_code():
    factors = independent_factors()
    scores = asdict(representation_scores(factors.double(), factors, seed=0))
    # What the second best code names by chance: the largest class in the half, at least 1/2, 1/3
    # and 1/4; linear machines also miss the middle classes of three and four in a row.
    assert 0.3 < scores.pop("sap") < 0.7
    assert 0.25 < scores.pop("probe_chance") < 0.45
    assert scores.pop("specialised_units") == scores.pop("factors_covered") == 3
    assert scores == pytest.approx(dict.fromkeys(scores, 1.0))


def test_a_duplicated_code_loses_the_gaps_alone():
    factors = independent_factors()
    scores = representation_scores(factors.double().repeat(1, 2), factors, seed=0)
    assert (scores.mig, scores.sap) == (0, 0)
    assert scores.best_information == pytest.approx(1)
    assert (scores.specialised_units, scores.factors_covered) == (6, 3)
    assert (scores.modularity, scores.factor_vae, scores.probe_accuracy) == (1, 1, 1)
    assert scores.dci_disentanglement == pytest.approx(1)
    assert scores.dci_completeness < 0.9


def test_a_dead_code():
    factors = independent_factors()
    scores = asdict(representation_scores(torch.zeros(600, 4), factors, seed=0))
    assert math.isnan(scores.pop("modularity_live"))
    chance = scores.pop("probe_chance")
    for name in ("probe_accuracy", "dci_informativeness"):
        assert scores.pop(name) <= chance + 0.05
    assert set(scores.values()) == {0.0}


def test_controls_lose_what_the_code_knew():
    codes, factors = noisy_code(), independent_factors()
    generator = torch.Generator().manual_seed(0)
    own = representation_scores(codes, factors, seed=0)
    for control in (
        representation_scores(codes, shuffled(factors, generator), seed=0),
        representation_scores(random_code(codes, generator), factors, seed=0),
    ):
        assert control.best_information < own.best_information / 3
        assert control.probe_accuracy < control.probe_chance + 0.08 < own.probe_accuracy
        assert control.dci_informativeness < control.probe_chance + 0.08 < own.dci_informativeness
        assert control.specialised_units == 0


def test_the_seed_decides():
    codes, factors = noisy_code(), independent_factors()
    first, again, other = (representation_scores(codes, factors, seed=s) for s in (1, 1, 2))
    assert first == again != other


def test_what_cannot_be_scored_is_refused():
    codes, factors = noisy_code(), independent_factors()
    with pytest.raises(ValueError, match="2 units and 2 factors, got 1 and 3"):
        representation_scores(codes[:, :1], factors, seed=0)
    with pytest.raises(ValueError, match="2 units and 2 factors, got 12 and 1"):
        representation_scores(codes, factors[:, :1], seed=0)
    with pytest.raises(ValueError, match=r"constant columns \[2\]"):
        representation_scores(codes, factors * torch.tensor([1, 1, 0]), seed=0)
