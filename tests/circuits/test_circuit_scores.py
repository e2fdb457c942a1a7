"""Scores of circuits: against the model, by hand, and where nothing is active."""

import math

import pytest
import torch

from seethrough.circuits.circuit_scores import CircuitScores, circuit_scores
from seethrough.circuits.class_tasks import ClassTask, balanced_examples
from seethrough.circuits.masked_forward import masked_logits

TASK = ClassTask(name="b or d", classes=(1, 3))


@pytest.fixture
def examples(patterns):
    return balanced_examples(patterns, torch.arange(40), TASK, 9, torch.Generator().manual_seed(0))


def test_accuracy_and_loss_by_hand():
    # Right: the positive 2 and the negatives -1 and 0 (a tie is a negative); wrong: the positive 0
    # and both NaN.
    scores = CircuitScores(
        positives=torch.tensor([[2.0, 0.0, math.nan]]).double(),
        negatives=torch.tensor([[-1.0, 0.0, math.nan]]).double(),
    )
    (accuracy,) = scores.accuracies()
    assert (accuracy.n_right, accuracy.n, accuracy.value) == (3, 6, 0.5)
    assert scores.losses().isnan().all()
    flat = CircuitScores(positives=torch.zeros(1, 2).double(), negatives=torch.zeros(1, 2).double())
    assert float(flat.losses()) == pytest.approx(math.log(2))


@torch.no_grad()
def test_all_nodes_give_the_models_own_log_odds(small_vit, patterns, random_gates, examples):
    model = small_vit()
    layout, gates, means = random_gates(model, 1)
    scores = circuit_scores(
        model, patterns, examples, torch.ones_like(gates).bool(), means, layout, batch_size=4
    )
    for index, found in (
        (examples.positives, scores.positives),
        (examples.negatives, scores.negatives),
    ):
        share = model(patterns.pixels[index]).double().softmax(dim=1)[:, [1, 3]].sum(dim=1)
        torch.testing.assert_close(found[0], share.logit(), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_every_mask_is_scored_as_if_alone(small_vit, patterns, random_gates, examples):
    model = small_vit().double()
    layout, gates, means = random_gates(model, 3)
    active = gates > 0.4
    at_once = circuit_scores(model, patterns, examples, active, means, layout)
    for mask in range(3):
        images = patterns.pixels[examples.positives].double()[None]
        logits = masked_logits(model, images, active[mask : mask + 1].double(), means, layout)
        share = logits[0].softmax(dim=1)[:, [1, 3]].sum(dim=1)
        torch.testing.assert_close(at_once.positives[mask], share.logit())


def test_nothing_active_scores_every_image_alike(small_vit, patterns, random_gates, examples):
    model = small_vit()
    layout, gates, means = random_gates(model, 1)
    scores = circuit_scores(
        model, patterns, examples, torch.zeros_like(gates).bool(), means, layout
    )
    both = torch.cat([scores.positives, scores.negatives], dim=1)
    assert torch.all(both == both[0, 0])
    # softplus(z) + softplus(-z) is at least 2 log 2.
    assert float(scores.losses()) >= math.log(2)
    assert scores.accuracies()[0].value == 0.5


def test_what_does_not_fit_is_refused(small_vit, patterns, random_gates, examples):
    model = small_vit(num_classes=3)
    layout, gates, means = random_gates(model, 1)
    with pytest.raises(ValueError, match="has the class 3, allowed is 0 to 2"):
        circuit_scores(model, patterns, examples, gates > 0.5, means, layout)
    with pytest.raises(ValueError, match="batch_size is 0"):
        circuit_scores(model, patterns, examples, gates > 0.5, means, layout, 0)
