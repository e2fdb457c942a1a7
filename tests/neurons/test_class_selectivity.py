"""Selectivity: by hand, pair by pair, against scikit-learn, and at the limits."""

import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from seethrough.neurons.class_selectivity import class_selectivity


def sample(n: int, n_units: int, n_classes: int, n_values: int, seed: int):
    generator = torch.Generator().manual_seed(seed)
    values = torch.randint(-n_values, n_values, (n, n_units), generator=generator).float() / 7
    labels = torch.randint(n_classes, (n,), generator=generator)
    return values, labels


def test_by_hand():
    # Class 0 has 1 and 2, class 1 has 2 and 3. Of the four pairs (class 1, class 0) the first is
    # larger in 2 > 1, 3 > 1, 3 > 2 and equal in 2 = 2: (3 + 1/2) / 4.
    activations = torch.tensor([[1.0], [2.0], [2.0], [3.0]])
    found = class_selectivity(activations, torch.tensor([0, 0, 1, 1]), 2)
    assert found.tolist() == [[0.125], [0.875]]


@settings(deadline=None, derandomize=True, max_examples=25)
@given(
    n=st.integers(2, 40),
    n_classes=st.integers(1, 6),
    n_values=st.integers(1, 50),
    seed=st.integers(0, 999),
)
def test_equals_scikit_learn_and_the_count_of_pairs(n, n_classes, n_values, seed):
    values, labels = sample(n, 3, n_classes, n_values, seed)
    found = class_selectivity(values, labels, n_classes)
    for label in range(n_classes):
        inside = labels == label
        if not inside.any() or inside.all():
            assert found[label].isnan().all()
            continue
        difference = values[inside][:, None] - values[~inside][None]
        pairs = (difference > 0).double() + 0.5 * (difference == 0).double()
        torch.testing.assert_close(found[label], pairs.mean(dim=(0, 1)))
        expected = [roc_auc_score(inside.numpy(), unit.numpy()) for unit in values.T]
        assert found[label].tolist() == pytest.approx(expected)


def test_perfect_reversed_dead_and_duplicated_units():
    labels = torch.tensor([0, 1, 2] * 10)
    perfect = (labels == 1).float()
    activations = torch.stack([perfect, -perfect, torch.zeros(30), perfect], dim=1)
    found = class_selectivity(activations, labels, 3)
    assert found[1].tolist() == [1.0, 0.0, 0.5, 1.0]
    assert found[0].tolist() == [0.25, 0.75, 0.5, 0.25]  # half the rest is above, half ties


def test_rising_functions_change_nothing_and_classes_permute():
    values, labels = sample(60, 5, 4, 9, 0)
    plain = class_selectivity(values, labels, 4)
    assert torch.equal(class_selectivity(values.exp(), labels, 4), plain)
    order = torch.tensor([2, 0, 3, 1])
    assert torch.equal(class_selectivity(values, order[labels], 4)[order], plain)


def test_blocks_of_units_make_no_difference(monkeypatch):
    values, labels = sample(50, 7, 3, 4, 1)
    plain = class_selectivity(values, labels, 3)
    for most in (1, 100):
        module = sys.modules["seethrough.neurons.class_selectivity"]  # the name is the function's
        monkeypatch.setattr(module, "MAX_SORTED", most)
        assert torch.equal(class_selectivity(values, labels, 3), plain)


def test_a_class_with_one_image_and_classes_without():
    values = torch.tensor([[3.0], [1.0], [2.0]])
    found = class_selectivity(values, torch.tensor([0, 2, 2]), 4)
    assert found[0].item() == 1.0
    assert found[2].item() == 0.0
    assert found[[1, 3]].isnan().all()
    assert class_selectivity(torch.zeros(0, 2), torch.zeros(0, dtype=torch.int64), 2).isnan().all()


def test_exact_for_many_images():
    n = 200_000  # rank sums near 2e10, beyond float32 and beyond int32
    values = torch.arange(n, dtype=torch.float32)[:, None]
    labels = (torch.arange(n) % 2).flip(0)
    # From the top, classes 0, 1, 0, 1, ...: the k-th smallest of class 0 is above k of class 1.
    half = n // 2
    assert class_selectivity(values, labels, 2)[0].item() == (half + 1) / 2 / half


def test_what_cannot_be_scored_is_refused(no_shape_checks):
    values, labels = sample(4, 2, 2, 3, 0)
    with pytest.raises(ValueError, match="labels are 3, allowed is 4"):
        class_selectivity(values, labels[:3], 2)
    with pytest.raises(ValueError, match="allowed is 0 to 1"):
        class_selectivity(values, labels + 2, 2)
    values[2, 1] = torch.nan
    with pytest.raises(ValueError, match=r"units \[1\]"):
        class_selectivity(values, labels, 2)
