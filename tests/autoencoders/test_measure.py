import pytest
import torch

from seethrough.autoencoders.measure import (
    heldout_output,
    is_scored,
    measure_information,
    measure_units,
)
from seethrough.autoencoders.sparse_autoencoder import SparseAutoencoder, SparseOutput
from seethrough.autoencoders.top_k import TopK
from seethrough.metrics.information_scores import information_scores, shuffled
from seethrough.training.initialise import generator_for

# every combination of 3 and 2 classes, ten times
CLASSES = torch.cartesian_prod(torch.arange(3), torch.arange(2)).repeat(10, 1)


def test_batches_do_not_show() -> None:
    """1,100 inputs are three batches; each row comes out as it does alone."""
    sae = SparseAutoencoder(4, 9, TopK().module(9), generator_for(0))
    inputs = torch.randn(1_100, 4, generator=generator_for(1))
    output = heldout_output(sae, inputs, 3.0)
    whole = sae(inputs, 3.0)
    assert torch.equal(output.inputs, inputs)
    torch.testing.assert_close(output.relu_code, whole.relu_code)
    torch.testing.assert_close(output.code, whole.code)
    torch.testing.assert_close(output.reconstruction, whole.reconstruction)
    assert not output.code.requires_grad
    assert int((output.code > 0).sum(1).max()) <= 3


def test_units_worked_by_hand() -> None:
    """Three units on two inputs: one fires twice, one is cut by Top-k, one never starts."""
    relu_code = torch.tensor([[2.0, 1.0, 0.0], [0.5, 0.25, 0.0]])
    code = torch.tensor([[2.0, 0.0, 0.0], [0.5, 0.0, 0.0]])
    # inputs 0 and 2: variance 2; errors 1 and 0
    inputs, reconstruction = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [2.0]])
    scalars, tensors = measure_units(SparseOutput(inputs, relu_code, code, reconstruction))
    assert scalars == {"active": 1.0, "unexplained": 0.5}
    assert tensors["units/relu_count"].tolist() == [2, 2, 0]
    assert tensors["units/fired_count"].tolist() == [2, 0, 0]
    assert tensors["units/max_activation"].tolist() == [2, 0, 0]
    assert set(tensors) == {"units/relu_count", "units/fired_count", "units/max_activation"}


def test_a_silent_layer_has_no_active_unit() -> None:
    silent = torch.zeros(4, 3)
    inputs = torch.randn(4, 2, generator=generator_for(0))
    scalars, tensors = measure_units(SparseOutput(inputs, silent, silent, torch.zeros(4, 2)))
    assert scalars["active"] == 0
    assert scalars["unexplained"] >= 1
    assert not any(tensor.any() for tensor in tensors.values())


def test_perfect_units_have_all_information() -> None:
    """One unit per factor, a third says nothing: information 1, gap 1 for both factors."""
    code = torch.cat([CLASSES.float(), torch.ones(60, 1)], dim=1)
    scores = measure_information(code, CLASSES, seed=0)
    assert scores["mig_code"] == pytest.approx(1)
    assert scores["best_information"] == pytest.approx(1)
    assert scores["mig_code_shuffled"] < 0.3
    assert scores["best_information_shuffled"] < 0.3


def test_a_doubled_unit_closes_the_gap_and_keeps_the_information() -> None:
    scores = measure_information(CLASSES.repeat(1, 2).float(), CLASSES, seed=0)
    assert scores["mig_code"] == pytest.approx(0)
    assert scores["best_information"] == pytest.approx(1)


def test_the_control_is_the_same_score_on_shuffled_factors() -> None:
    code = torch.rand(60, 5, generator=generator_for(3))
    control = information_scores(code, shuffled(CLASSES, generator_for(7, "shuffle")))
    scores = measure_information(code, CLASSES, seed=7)
    assert scores["mig_code_shuffled"] == control.gap
    assert scores["best_information_shuffled"] == control.best
    other = measure_information(code, CLASSES, seed=8)
    assert other["mig_code"] == scores["mig_code"]
    assert other["best_information_shuffled"] != scores["best_information_shuffled"]


def test_scored_epochs_of_the_paper() -> None:
    """50 epochs of squeeze and 100 after it."""
    scored = [epoch for epoch in range(1, 151) if is_scored(epoch, 50, 150)]
    assert scored == [1, 10, 20, 30, 40, 50, 75, 100, 125, 150]


def test_scored_epochs_of_short_runs() -> None:
    assert [epoch for epoch in range(1, 4) if is_scored(epoch, 3, 3)] == [1, 3]
    assert [epoch for epoch in range(1, 6) if is_scored(epoch, 3, 5)] == [1, 3, 5]
    assert is_scored(1, 1, 1)


def test_the_end_of_the_squeeze_is_scored_whatever_follows() -> None:
    """So the epochs of a squeeze are the same with and without epochs after it."""
    for squeeze in range(1, 30):
        for epoch in range(1, squeeze + 1):
            assert is_scored(epoch, squeeze, squeeze) == is_scored(epoch, squeeze, squeeze + 7)
