import pytest
import torch
from torch import Tensor

from seethrough.autoencoders.activations import FrozenActivations
from seethrough.training.initialise import generator_for


def source(seed: int = 0) -> FrozenActivations:
    rows = torch.arange(60.0).reshape(20, 3)
    return FrozenActivations(training=rows, held=-rows[:5], seed=seed)


def sorted_rows(activations: Tensor) -> list[list[float]]:
    return sorted(activations.tolist())


def test_every_epoch_reads_every_row_once() -> None:
    frozen = source()
    epochs = [frozen.train(epoch) for epoch in (1, 2, 3)]
    for activations in epochs:
        assert sorted_rows(activations) == frozen.training.tolist()
    assert len({tuple(activations[:, 0].tolist()) for activations in epochs}) == 3


def test_the_order_is_that_of_the_seed_and_the_epoch() -> None:
    by_hand = torch.randperm(20, generator=generator_for(7, "frozen", 4))
    frozen = source(seed=7)
    assert torch.equal(frozen.train(4), frozen.training[by_hand])
    assert torch.equal(frozen.train(4), source(seed=7).train(4))
    assert not torch.equal(frozen.train(4), source(seed=8).train(4))


def test_held_out_images_keep_their_order() -> None:
    frozen = source()
    for epoch in (1, 2):
        assert torch.equal(frozen.heldout(epoch), frozen.held)


def test_reading_touches_neither_the_activations_nor_torchs_generator() -> None:
    frozen = source()
    copy, before = frozen.training.clone(), torch.random.get_rng_state()
    frozen.train(1).zero_()
    assert torch.equal(frozen.training, copy)
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_dimension_is_that_of_the_rows() -> None:
    assert source().d_input == 3


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_order_is_the_same_on_every_device() -> None:
    frozen = source()
    there = FrozenActivations(training=frozen.training.cuda(), held=frozen.held.cuda(), seed=0)
    assert torch.equal(there.train(1).cpu(), frozen.train(1))
