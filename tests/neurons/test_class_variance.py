"""Class variance: by hand, from the definition, and where it is not defined."""

import math
import statistics

import pytest
import torch

from seethrough.neurons.class_variance import class_means, class_variance


def sample() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(40, 6, generator=generator) + 0.1, torch.randint(
        5, (40,), generator=generator
    )


def test_by_hand():
    # Unit 0: 1 and 3, mean 2, deviations 1 and 1, variance 2 / 1, ratio sqrt(2) / 2.
    maxima = torch.tensor([[1.0, 5.0], [3.0, 5.0]])
    found = class_variance(maxima, torch.tensor([0, 0]), 1)
    assert found[0].tolist() == pytest.approx([math.sqrt(2) / 2, 0.0])


def test_equals_the_definition_class_by_class():
    maxima, labels = sample()
    found = class_variance(maxima, labels, 5)
    for label in range(5):
        for unit in range(6):
            values = maxima[labels == label, unit].tolist()
            expected = statistics.stdev(values) / statistics.mean(values)
            assert found[label, unit].item() == pytest.approx(expected)
            assert class_means(maxima, labels, 5)[label, unit].item() == pytest.approx(
                statistics.mean(values)
            )


def test_scale_changes_nothing_and_classes_permute():
    maxima, labels = sample()
    plain = class_variance(maxima, labels, 5)
    torch.testing.assert_close(class_variance(8 * maxima, labels, 5), plain)
    order = torch.tensor([2, 0, 3, 1, 4])
    assert torch.equal(class_variance(maxima, order[labels], 5)[order], plain)


def test_a_small_spread_about_a_large_mean():
    maxima = torch.tensor([[4096.0], [4096.5], [4097.0]])  # deviations 0.5, variance 0.25
    found = class_variance(maxima, torch.tensor([0, 0, 0]), 1)
    assert found.item() == pytest.approx(0.5 / 4096.5)


def test_no_scale_and_too_few_images_have_none():
    maxima = torch.tensor([[0.0, -1.0, -1.0, 1.0]] * 2 + [[0.0, -0.5, 1.0, 1.0]])
    # All three of class 0: dead, never positive, mean -1/3; the last is constant.
    found = class_variance(maxima, torch.tensor([0, 0, 0]), 2)
    assert found[0].isnan().tolist() == [True, True, True, False]
    assert found[0, 3].item() == 0.0
    assert found[1].isnan().all()  # no image
    one = class_variance(maxima[:1], torch.tensor([0]), 1)
    assert one.isnan().all()


def test_what_cannot_be_scored_is_refused(no_shape_checks):
    maxima, labels = sample()
    with pytest.raises(ValueError, match="labels are 39"):
        class_variance(maxima, labels[1:], 5)
    with pytest.raises(ValueError, match="must be finite"):
        class_variance(maxima / 0, labels, 5)
