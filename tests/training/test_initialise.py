import hashlib
import math

import pytest
import torch
from torch import nn

from seethrough.training.initialise import derive_seed, generator_for, reset_parameters


def test_purposes_give_unrelated_seeds() -> None:
    seeds = {derive_seed(0), derive_seed(1), derive_seed(0, "a"), derive_seed(0, "a", 1)}
    assert len(seeds) == 4
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_seed_is_the_same_on_every_machine() -> None:
    # first 8 bytes of SHA-256("7") are 7902699be42c8a8e; the lowest bit is dropped
    assert derive_seed(7) == int("7902699be42c8a8e", 16) >> 1
    digest = hashlib.sha256(b"0/epoch/3").hexdigest()
    assert derive_seed(0, "epoch", 3) == int(digest[:16], 16) // 2


def test_a_generator_starts_at_its_seed() -> None:
    by_hand = torch.Generator().manual_seed(derive_seed(2, "x"))
    assert torch.equal(
        torch.rand(3, generator=by_hand), torch.rand(3, generator=generator_for(2, "x"))
    )
    assert generator_for(2).initial_seed() != generator_for(3).initial_seed()


def test_reset_uses_the_generator_alone() -> None:
    layers = [nn.Sequential(nn.Conv2d(1, 2, 3), nn.Linear(4, 5)) for _ in range(2)]
    before = torch.random.get_rng_state()
    for layer in layers:
        reset_parameters(layer, generator_for(3, "x"))
    assert torch.equal(before, torch.random.get_rng_state())
    for one, other in zip(layers[0].parameters(), layers[1].parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    ("layer", "fan_in"),
    [
        (nn.Linear(5, 400), 5),
        (nn.Conv2d(8, 64, 3), 8 * 9),
        (nn.ConvTranspose2d(8, 64, 3), 64 * 9),  # torch counts dimension 1 here too
    ],
)
def test_reset_follows_torchs_default_bound(layer: nn.Module, fan_in: int) -> None:
    reset_parameters(layer, generator_for(0))
    bound = 1 / math.sqrt(fan_in)
    weight, bias = layer.parameters()
    assert 0.99 * bound < float(weight.detach().abs().max()) <= bound
    assert float(bias.detach().abs().max()) <= bound
    assert abs(float(weight.detach().mean())) < 0.1 * bound
