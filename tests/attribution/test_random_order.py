import pytest
import torch

from seethrough.attribution.random_order import random_order


def order(model, n, seed):
    images = torch.zeros(n, 3, 16, 16)
    return random_order(model, images, generator=torch.Generator().manual_seed(seed))


def test_each_map_is_a_permutation(tiny_vit):
    maps = order(tiny_vit(), 5, seed=0)
    ranks = (maps.flatten(1) * 16).sort(dim=1).values
    assert torch.equal(ranks, torch.arange(16.0).expand(5, 16))


def test_the_seed_decides(tiny_vit):
    model = tiny_vit()
    assert torch.equal(order(model, 3, seed=1), order(model, 3, seed=1))
    assert not torch.equal(order(model, 3, seed=1), order(model, 3, seed=2))
    assert not torch.equal(*order(model, 2, seed=1))


def test_every_patch_comes_first_equally_often(tiny_vit):
    """Chi-square over 16 patches, 15 degrees of freedom: 44 is exceeded once in 10,000 seeds."""
    first = order(tiny_vit(), 3200, seed=0).flatten(1).argmax(dim=1)
    counts = torch.bincount(first, minlength=16).double()
    assert float(((counts - 200) ** 2 / 200).sum()) < 44


def test_images_of_another_size_are_refused(tiny_vit):
    generator = torch.Generator()
    with pytest.raises(ValueError, match=r"allowed is \(B, 3, 16, 16\)"):
        random_order(tiny_vit(), torch.zeros(1, 3, 8, 16), generator=generator)
