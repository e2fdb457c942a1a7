"""Means over selected units, NaN left out."""

import torch

from seethrough.neurons.selected_mean import selected_mean


def test_by_hand():
    values = torch.tensor([[1.0, 2.0, 6.0], [1.0, torch.nan, 5.0], [torch.nan, 1.0, 1.0]])
    selected = torch.tensor([[True, False, True], [True, True, True], [True, False, False]])
    found = selected_mean(values, selected)
    assert found[:2].tolist() == [3.5, 3.0]
    assert found[2].isnan()


def test_one_row_serves_all_classes():
    values = torch.rand(1, 7, generator=torch.Generator().manual_seed(0))
    selected = torch.rand(4, 7, generator=torch.Generator().manual_seed(1)) < 0.5
    found = selected_mean(values, selected)
    torch.testing.assert_close(found, selected_mean(values.expand(4, 7), selected))
    for label in range(4):
        torch.testing.assert_close(found[label], values[0, selected[label]].double().mean())


def test_nothing_selected_has_no_mean():
    assert selected_mean(torch.ones(2, 3), torch.zeros(2, 3, dtype=torch.bool)).isnan().all()
