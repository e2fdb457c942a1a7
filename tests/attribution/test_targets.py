import pytest
import torch

from seethrough.attribution.targets import chosen_targets, of_targets

LOGITS = torch.tensor([[0.0, 2.0, 1.0], [5.0, 4.0, 3.0]])


def test_by_hand():
    assert chosen_targets(LOGITS, None).tolist() == [1, 0]
    assert chosen_targets(LOGITS, torch.tensor([2, 2])).tolist() == [2, 2]
    assert of_targets(LOGITS, torch.tensor([2, 1])).tolist() == [1.0, 4.0]


@pytest.mark.parametrize(("wrong", "named"), [([0, 3], 3), ([-1, 0], -1), ([-2, 7], -2)])
def test_targets_out_of_range_are_refused(wrong, named):
    with pytest.raises(ValueError, match=f"target {named} is no class, allowed is 0 to 2"):
        chosen_targets(LOGITS, torch.tensor(wrong))


def test_other_counts_are_refused(no_shape_checks):
    with pytest.raises(ValueError, match=r"targets have shape \(3,\), allowed is \(2,\)"):
        chosen_targets(LOGITS, torch.tensor([0, 1, 2]))
