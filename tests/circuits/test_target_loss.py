"""Bisection to a target loss: tables of losses, brute force, and targets that cannot be met."""

import math

import pytest
import torch

from seethrough.circuits.target_loss import circuit_at_loss


def by_number(losses, seen=None):
    """Return a loss that depends on the number of active nodes alone."""

    def loss_of(active):
        if seen is not None:
            seen.append(int(active.sum()))
        return losses[int(active.sum())]

    return loss_of


def test_keeps_the_first_in_order_by_hand():
    # Order by tau: node 2, then nodes 0 and 4 (equal: 0 first), 3, 1.
    tau = torch.tensor([0.5, -0.9, 0.8, 0.1, 0.5])
    found = circuit_at_loss(tau, by_number([0.7, 0.6, 0.3, 0.2, 0.1, 0.0]), 0.35)
    assert (found.n_active, found.loss, found.reached) == (2, 0.3, True)
    assert found.active.tolist() == [True, False, True, False, False]


@pytest.mark.parametrize("n_learned", [0, 1, 7, 19, 20])
@pytest.mark.parametrize("target", [-0.5, 0.0, 0.31, 0.5, 1.0])
def test_equals_trying_every_number(n_learned, target):
    tau = torch.linspace(0.9, -0.9, 20)
    tau = tau - tau[n_learned - 1] + 0.01 if n_learned else tau - 1
    assert int((tau > 0).sum()) == n_learned
    losses = [1 - n / 20 for n in range(21)]
    found = circuit_at_loss(tau, by_number(losses), target)
    enough = [n for n in range(21) if losses[n] <= target]
    assert found.reached == bool(enough)
    assert found.n_active == (min(enough) if enough else 20)
    assert found.loss == losses[found.n_active]


def test_meets_the_target_where_losses_go_up_and_down():
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        losses = torch.rand(31, generator=generator).tolist()
        tau = 2 * torch.rand(30, generator=generator) - 1
        found = circuit_at_loss(tau, by_number(losses), 0.5)
        if found.reached:
            assert losses[found.n_active] <= 0.5
            assert found.n_active == 0 or losses[found.n_active - 1] > 0.5
        else:
            assert losses[int((tau > 0).sum())] > 0.5
            assert losses[30] > 0.5


def test_an_unreachable_target_gives_the_better_end():
    tau = torch.tensor([0.4, 0.3, -0.2, -0.3])
    learned_wins = circuit_at_loss(tau, by_number([0.9, 0.0, 0.4, 0.0, 0.5]), 0.1)
    assert (learned_wins.n_active, learned_wins.loss, learned_wins.reached) == (2, 0.4, False)
    all_win = circuit_at_loss(tau, by_number([0.9, 0.0, 0.6, 0.0, 0.5]), 0.1)
    assert (all_win.n_active, all_win.reached) == (4, False)
    equal = circuit_at_loss(tau, by_number([0.9, 0.0, 0.5, 0.0, 0.5]), 0.1)
    assert (equal.n_active, equal.reached) == (2, False)


def test_a_target_met_by_nothing_keeps_nothing():
    found = circuit_at_loss(torch.tensor([0.4, -0.3]), by_number([0.1, 0.1, 0.1]), 0.1)
    assert (found.n_active, found.reached) == (0, True)


def test_measures_each_number_once_and_few_of_them():
    seen = []
    losses = [1 - n / 1000 for n in range(1001)]
    circuit_at_loss(torch.linspace(1, -1, 1000), by_number(losses, seen), 0.123)
    assert len(seen) == len(set(seen)) <= 12


def test_nan_is_refused():
    tau = torch.tensor([0.4, -0.3])
    with pytest.raises(ValueError, match="target is nan"):
        circuit_at_loss(tau, by_number([0, 0, 0]), math.nan)
    with pytest.raises(ValueError, match="1 NaN among tau"):
        circuit_at_loss(torch.tensor([0.4, math.nan]), by_number([0, 0, 0]), 0.1)
    with pytest.raises(ValueError, match="the loss of 1 nodes is NaN"):
        circuit_at_loss(tau, by_number([0.0, math.nan, 0.0]), 0.1)
