import torch
from torch import nn

from seethrough.training.initialise import derive_seed, generator_for, reset_parameters


def test_purposes_give_unrelated_seeds() -> None:
    seeds = {derive_seed(0), derive_seed(1), derive_seed(0, "a"), derive_seed(0, "a", 1)}
    assert len(seeds) == 4
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_seed_is_the_same_on_every_machine() -> None:
    # first 8 bytes of SHA-256("0/epoch/3"), top bit dropped
    assert derive_seed(0, "epoch", 3) == derive_seed(0, "epoch", 3)
    assert derive_seed(7) == int("7902699be42c8a8e", 16) >> 1


def test_reset_uses_the_generator_alone() -> None:
    layers = [nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(4, 5)) for _ in range(2)]
    before = torch.random.get_rng_state()
    for layer in layers:
        reset_parameters(layer, generator_for(3, "x"))
    assert torch.equal(before, torch.random.get_rng_state())
    for one, other in zip(layers[0].parameters(), layers[1].parameters(), strict=True):
        assert torch.equal(one, other)


def test_reset_follows_torchs_default_bound() -> None:
    # fan in of a 3x3 convolution on 8 channels is 72, so numbers lie within 1 / sqrt(72)
    layer = nn.Conv2d(8, 64, 3)
    reset_parameters(layer, generator_for(0))
    bound = 72**-0.5
    assert 0.99 * bound < float(layer.weight.detach().abs().max()) <= bound
    assert float(layer.bias.detach().abs().max()) <= bound  # type: ignore[union-attr]
