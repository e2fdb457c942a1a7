"""Silence in inputs: counted up, set back by firing, and judged at a limit."""

import torch

from seethrough.sae.dead_latents import DeadLatents


def test_by_hand():
    dead = DeadLatents(3)
    assert dead.dead(1).tolist() == [False, False, False]
    dead.observe(torch.tensor([True, False, False]), 4)
    dead.observe(torch.tensor([False, True, False]), 4)
    dead.observe(torch.tensor([False, False, False]), 1)  # what an epoch leaves over
    assert dead.silent_inputs.tolist() == [5, 1, 9]
    assert dead.dead(5).tolist() == [True, False, True]
    assert dead.dead(9).tolist() == [False, False, True]
    assert dead.dead(10).tolist() == [False, False, False]


def test_a_latent_that_never_fires_stays_dead():
    dead = DeadLatents(2)
    for _ in range(5):
        dead.observe(torch.tensor([True, False]), 10)
    assert dead.dead(50).tolist() == [False, True]
    dead.observe(torch.tensor([False, True]), 10)
    assert dead.dead(50).tolist() == [False, False]


def test_counts_travel_with_the_state():
    dead, other = DeadLatents(2), DeadLatents(2)
    dead.observe(torch.tensor([True, False]), 7)
    other.load_state_dict(dead.state_dict())
    assert other.dead(7).tolist() == [False, True]
