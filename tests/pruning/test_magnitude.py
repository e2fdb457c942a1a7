import torch

from seethrough.pruning.magnitude import magnitude_mask


def test_by_hand() -> None:
    # Row rule: two of four go in each row. Layer rule: four of eight, the sizes 1, 2, 3 and 3.
    weight = torch.tensor([[1.0, -2.0, 3.0, -3.0], [9.0, 8.0, -7.0, 6.0]])
    assert magnitude_mask(weight, 0.5).tolist() == [
        [False, False, True, True],
        [True, True, False, False],
    ]
    assert magnitude_mask(weight, 0.5, "layer").tolist() == [[False] * 4, [True] * 4]


def test_signs_do_not_matter() -> None:
    weight = torch.randn(6, 20, generator=torch.Generator().manual_seed(0))
    assert torch.equal(magnitude_mask(weight, 0.4), magnitude_mask(-weight, 0.4))


def test_parameters_are_read_without_a_graph() -> None:
    parameter = torch.nn.Parameter(torch.tensor([[2.0, 1.0]]))
    assert magnitude_mask(parameter, 0.5).tolist() == [[True, False]]
