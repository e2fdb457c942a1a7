"""Random units: as many per class, without repetition, seeded, every unit alike."""

import pytest
import torch

from seethrough.neurons.baseline_units import all_units, random_units
from seethrough.neurons.sites import AttentionHeads, MlpUnits

NUMBERS = {MlpUnits(block=0): 30, AttentionHeads(block=0): 10}


def draw(count: int, n_classes: int, seed: int = 0) -> torch.Tensor:
    chosen = random_units(NUMBERS, count, n_classes, torch.Generator().manual_seed(seed))
    assert [part.shape for part in chosen.values()] == [(n_classes, 30), (n_classes, 10)]
    return torch.cat(list(chosen.values()), dim=1)


def test_count_and_seed():
    chosen = draw(7, 12)
    assert chosen.sum(dim=1).tolist() == [7] * 12
    assert torch.equal(draw(7, 12), chosen)
    assert not torch.equal(draw(7, 12, seed=1), chosen)
    assert not torch.equal(chosen[0], chosen[1])


def test_every_unit_is_as_likely():
    # 4,000 classes, each unit drawn with probability 1/4: standard deviation sqrt(750) = 27.
    counts = draw(10, 4000).sum(dim=0)
    assert torch.all((counts - 1000).abs() < 5 * 27)


def test_all_and_too_many():
    assert torch.equal(draw(40, 2), torch.ones(2, 40, dtype=torch.bool))
    everything = all_units(NUMBERS, 2)
    assert torch.equal(torch.cat(list(everything.values()), dim=1), draw(40, 2))
    with pytest.raises(ValueError, match="count is 41"):
        draw(41, 2)
