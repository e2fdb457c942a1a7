"""Node masks: a step forward, a sigmoid's slope backward, and where tau starts."""

import math

import pytest
import torch

from seethrough.circuits.node_mask import active_nodes, initial_tau, node_gates


def test_forward_is_a_step_and_exactly_zero_is_off():
    tau = torch.tensor([[-1.0, -1e-30, 0.0, -0.0], [1e-30, 0.5, 1.0, torch.nan]])
    assert node_gates(tau).tolist() == [[0, 0, 0, 0], [1, 1, 1, 0]]
    assert active_nodes(tau).tolist() == [[False] * 4, [True, True, True, False]]


def test_backward_is_the_slope_of_the_sigmoid_by_hand():
    # sigmoid'(0) = 1/4. At tau = T log 3 the sigmoid is 3/4 and its slope 3/16, over T.
    temperature = 0.5
    tau = torch.tensor([0.0, temperature * math.log(3), -temperature * math.log(3)])
    tau.requires_grad_()
    (node_gates(tau, temperature) * torch.tensor([1.0, 2.0, -4.0])).sum().backward()
    expected = torch.tensor([0.25, 2 * 3 / 16, -4 * 3 / 16]) / temperature
    torch.testing.assert_close(tau.grad, expected)


@pytest.mark.parametrize("temperature", [0.1, 1.0, 3.0])
def test_backward_equals_autograd_of_the_sigmoid(temperature):
    tau = torch.linspace(-1, 1, 21, dtype=torch.float64).requires_grad_()
    weights = torch.linspace(-2, 3, 21, dtype=torch.float64)
    (ours,) = torch.autograd.grad((node_gates(tau, temperature) * weights).sum(), tau)
    (soft,) = torch.autograd.grad((torch.sigmoid(tau / temperature) * weights).sum(), tau)
    torch.testing.assert_close(ours, soft)


def test_tau_starts_around_a_tenth_from_the_generator_alone():
    first, again, other = (
        initial_tau(20_000, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    # Standard errors are 0.01 / sqrt(20,000) = 7e-5 and 5e-5.
    assert float(first.mean()) == pytest.approx(0.1, abs=4e-4)
    assert float(first.std()) == pytest.approx(0.01, abs=3e-4)
    assert active_nodes(first).all()


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
def test_a_temperature_without_a_slope_is_refused(temperature):
    with pytest.raises(ValueError, match=f"temperature is {temperature}"):
        node_gates(torch.zeros(1), temperature)
