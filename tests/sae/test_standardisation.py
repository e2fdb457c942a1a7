"""Standardisation: by hand, there and back, and inputs without spread."""

import pytest
import torch

from seethrough.sae import standardisation as module
from seethrough.sae.standardisation import Standardisation


def measured(inputs: torch.Tensor) -> Standardisation:
    found = Standardisation(inputs.shape[1]).to(inputs.dtype)
    found.measure(inputs)
    return found


def test_by_hand():
    # Means 2 and 10; deviations -1, 1 and -3, 3; their mean square (1 + 1 + 9 + 9) / 4 = 5.
    inputs = torch.tensor([[1.0, 7.0], [3.0, 13.0]])
    found = measured(inputs)
    assert found.mean.tolist() == [2.0, 10.0]
    assert float(found.scale) == pytest.approx(5**0.5)
    torch.testing.assert_close(found(inputs)[1], torch.tensor([1.0, 3.0]) / 5**0.5)


def test_there_and_back(sparse_inputs):
    inputs = sparse_inputs()
    found = measured(inputs)
    standardised = found(inputs)
    torch.testing.assert_close(standardised.mean(0), torch.zeros(6), atol=1e-6, rtol=0)
    assert float(standardised.square().mean()) == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(found.undo(standardised), inputs)


def test_blocks_make_no_difference(sparse_inputs, monkeypatch):
    inputs = sparse_inputs().double()
    expected = measured(inputs)
    monkeypatch.setattr(module, "BLOCK", 7)
    found = measured(inputs)
    torch.testing.assert_close(found.mean, expected.mean, rtol=1e-14, atol=0)
    torch.testing.assert_close(found.scale, expected.scale, rtol=1e-14, atol=0)


def test_a_large_mean_costs_no_digits(sparse_inputs):
    inputs = sparse_inputs()
    shifted = measured(inputs.double() + 1e6)
    assert float(shifted.scale) == pytest.approx(float(measured(inputs).scale), rel=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, -7e8])
def test_inputs_that_are_all_alike_have_scale_one(value):
    inputs = torch.full((11, 3), value)
    found = measured(inputs)
    assert float(found.scale) == 1
    assert torch.equal(found(inputs), torch.zeros(11, 3))
    assert torch.equal(found.undo(found(inputs)), inputs)


def test_is_the_identity_before_and_needs_an_input():
    found, inputs = Standardisation(2), torch.randn(3, 2)
    assert torch.equal(found(inputs), inputs)
    with pytest.raises(ValueError, match="at least one input, got none"):
        found.measure(torch.empty(0, 2))
