import torch

from seethrough.autoencoders.silence import SilenceCounter


def test_steps_since_a_unit_fired() -> None:
    counter = SilenceCounter(3)
    counter.observe(torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 2.0]]))
    counter.observe(torch.tensor([[0.0, 1.0, 0.0]]))
    assert counter.steps.tolist() == [2, 0, 1]
    assert counter.dead(1).tolist() == [True, False, True]
    assert counter.dead(2).tolist() == [True, False, False]


def test_a_kept_zero_is_silent() -> None:
    counter = SilenceCounter(1)
    counter.observe(torch.zeros(4, 1))
    assert counter.steps.tolist() == [1]


def test_the_counts_are_saved_with_the_module() -> None:
    counter, other = SilenceCounter(2), SilenceCounter(2)
    counter.observe(torch.tensor([[0.0, 1.0]]))
    other.load_state_dict(counter.state_dict())
    assert other.steps.tolist() == [1, 0]
