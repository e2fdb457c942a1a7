import torch

from seethrough.autoencoders.mean_centring import MeanCentring
from seethrough.autoencoders.no_centring import NoCentring


def test_the_pre_bias_starts_at_the_mean() -> None:
    inputs = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
    method, b_pre = MeanCentring(), torch.zeros(2, requires_grad=True)
    method.begin(method.input_map(2), b_pre, inputs)
    assert b_pre.tolist() == [2.0, 4.0]
    assert b_pre.requires_grad


def test_without_it_nothing_happens() -> None:
    method, b_pre = NoCentring(), torch.ones(2)
    found = method.input_map(2)
    method.begin(found, b_pre, torch.tensor([[5.0, 6.0]]))
    assert b_pre.tolist() == [1.0, 1.0]


def test_inputs_are_left_as_they_are() -> None:
    inputs = torch.tensor([[1.0, 2.0]])
    for method in (MeanCentring(), NoCentring()):
        found = method.input_map(2)
        assert found(inputs) is inputs
        assert found.back(inputs) is inputs
        assert found.back_direction(inputs) is inputs
        assert not found.state_dict()
