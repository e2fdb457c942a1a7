import pytest
import torch

from seethrough.pruning.random_mask import random_mask


def generator_for(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("sparsity", [0.0, 0.3, 0.7, 1.0])
def test_counts_are_exact(sparsity: float) -> None:
    by_row = random_mask((7, 50), sparsity, generator_for(0))
    assert (by_row.sum(dim=1) == 50 - int(50 * sparsity)).all()
    by_layer = random_mask((7, 50), sparsity, generator_for(0), "layer")
    assert int(by_layer.sum()) == 350 - int(350 * sparsity)


def test_every_weight_is_kept_as_often() -> None:
    # 1,000 rows keep 8 of 40 each: a column is kept 200 times, give or take sqrt(1000 x .2 x .8)
    # = 12.6. Five of these are exceeded once in a million columns.
    kept = random_mask((1000, 40), 0.8, generator_for(1)).sum(dim=0)
    assert int((kept - 200).abs().max()) < 64


def test_a_seed_gives_one_mask_and_another_seed_another() -> None:
    first = random_mask((5, 40), 0.5, generator_for(2))
    assert torch.equal(first, random_mask((5, 40), 0.5, generator_for(2)))
    assert not torch.equal(first, random_mask((5, 40), 0.5, generator_for(3)))


def test_masks_of_one_seed_are_nested() -> None:
    low, high = (random_mask((5, 40), s, generator_for(4)) for s in (0.3, 0.7))
    assert bool((high <= low).all())
