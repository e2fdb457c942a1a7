"""Label entropy: by hand, from the definition, and at its bounds."""

import math

import pytest
import torch

from seethrough.neurons.label_entropy import label_entropy


def sample() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    labels = torch.cat([torch.arange(4), torch.randint(4, (26,), generator=generator)])
    return torch.randn(30, 5, generator=generator), labels


def test_by_hand():
    # Class means of the positive part: (2 + 0) / 2 = 1 and 3, shares 1/4 and 3/4:
    # H = ln 4 / 4 + 3 / 4 (ln 4 - ln 3) = 0.562335.
    activations = torch.tensor([[2.0], [-4.0], [3.0]])
    found = label_entropy(activations, torch.tensor([0, 0, 1]), 2)
    assert found.tolist() == pytest.approx([0.5623351446])


def test_equals_the_definition_unit_by_unit():
    activations, labels = sample()
    found = label_entropy(activations, labels, 4)
    for unit in range(5):
        means = []
        for label in range(4):
            values = [max(v, 0.0) for v in activations[labels == label, unit].tolist()]
            means.append(sum(values) / len(values))
        shares = [mean / sum(means) for mean in means]
        expected = -sum(share * math.log(share) for share in shares if share > 0)
        assert found[unit].item() == pytest.approx(expected)


def test_bounds_one_class_all_classes_dead_and_duplicated():
    labels = torch.arange(6).repeat(3)
    one = (labels == 2).float()
    same = torch.ones(18)
    activations = torch.stack([one, 5 * same, -same, 0 * same, one], dim=1)
    found = label_entropy(activations, labels, 6)
    assert found[:2].tolist() == pytest.approx([0.0, math.log(6)])
    assert found[2:4].isnan().all()  # never above 0
    assert found[4] == found[0]


def test_scale_classes_names_and_empty_classes_change_nothing():
    activations, labels = sample()
    plain = label_entropy(activations, labels, 4)
    torch.testing.assert_close(label_entropy(16 * activations, labels, 4), plain)
    order = torch.tensor([3, 0, 2, 1])
    torch.testing.assert_close(label_entropy(activations, order[labels], 4), plain)
    torch.testing.assert_close(label_entropy(activations, labels + 2, 9), plain)


def test_class_sizes_do_not_matter():
    activations = torch.tensor([[1.0]] * 9 + [[1.0]])
    labels = torch.tensor([0] * 9 + [1])
    assert label_entropy(activations, labels, 2).item() == pytest.approx(math.log(2))


def test_what_cannot_be_scored_is_refused():
    activations, labels = sample()
    with pytest.raises(ValueError, match="allowed is 0 to 2"):
        label_entropy(activations, labels, 3)
