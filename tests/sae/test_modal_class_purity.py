"""Purity: by hand, ties, and latents with too few images."""

import pytest
import torch

from seethrough.sae.modal_class_purity import modal_class_purity

LABELS = torch.tensor([0, 0, 1, 1, 2, 2])


def test_by_hand():
    activations = torch.tensor(
        [
            [6.0, 5, 0, 1, 0, 0],  # highest four 0, 1, 3 and none: too few
            [1, 2, 3, 4, 5, 6],  # images 5, 4, 3, 2: classes 2, 2, 1, 1
            [6, 5, 4, 3, 2, 1],  # classes 0, 0, 1, 1
            [6, 5, 1, 0, 4, 3],  # classes 0, 0, 2, 2
            [0, 3, 9, 8, 1, 0],  # classes 1, 1, 0, 2
        ]
    ).T
    found = modal_class_purity(activations, LABELS, 3, count=4)
    expected = torch.tensor([torch.nan, 0.5, 0.5, 0.5, 0.5]).double()
    torch.testing.assert_close(found, expected, equal_nan=True)
    assert modal_class_purity(activations, LABELS, 3, count=3).tolist() == pytest.approx(
        [2 / 3, 2 / 3, 2 / 3, 2 / 3, 2 / 3]
    )
    assert modal_class_purity(activations, LABELS, 3, count=1).tolist() == [1] * 5


def test_of_equal_activations_the_earlier_images_count():
    activations = torch.ones(6, 1)
    assert modal_class_purity(activations, LABELS, 3, count=2).tolist() == [1.0]
    assert modal_class_purity(activations.flip(0), LABELS.flip(0), 3, count=4).tolist() == [0.5]


def test_a_dead_latent_has_none():
    assert bool(modal_class_purity(torch.zeros(6, 1), LABELS, 3, count=1).isnan())


def test_refuses_counts_and_labels():
    for count in (0, 7):
        with pytest.raises(ValueError, match=f"count is {count}, allowed is 1 to 6 images"):
            modal_class_purity(torch.ones(6, 1), LABELS, 3, count=count)
    with pytest.raises(ValueError, match="labels are 0 to 2, allowed is 0 to 1"):
        modal_class_purity(torch.ones(6, 1), LABELS, 2, count=1)
