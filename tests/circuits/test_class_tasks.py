"""Binary tasks: scores by hand and from probabilities, balance, and tasks that are none."""

import math

import pytest
import torch

from seethrough.circuits.class_tasks import (
    ClassTask,
    TaskExamples,
    balanced_examples,
    shuffled_examples,
    task_losses,
    task_scores,
)

TASK = ClassTask(name="b or d", classes=(1, 3))


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_score_by_hand():
    # Odds of the set are (1 + 3) : (2 + 2 + 4) = 1 : 2.
    logits = torch.tensor([[[2.0, 1.0, 2.0, 3.0, 4.0]]]).log()
    members = TASK.members(5)[None]
    torch.testing.assert_close(task_scores(logits, members), torch.tensor([[math.log(0.5)]]))


def test_scores_are_log_odds_and_single_classes_are_the_papers_form():
    logits = 5 * torch.randn(3, 2, 7, 6, generator=generator()).double()
    members = torch.zeros(3, 6, dtype=torch.bool)
    members[0, 4] = members[1, :5] = members[2, 1:3] = True
    scores = task_scores(logits, members)
    assert scores.shape == (3, 2, 7)
    for mask in range(3):
        share = logits[mask].softmax(dim=-1)[..., members[mask]].sum(dim=-1)
        torch.testing.assert_close(scores[mask].sigmoid(), share)
    rest = torch.cat([logits[0, ..., :4], logits[0, ..., 5:]], dim=-1)
    torch.testing.assert_close(scores[0], logits[0, ..., 4] - rest.logsumexp(dim=-1))


def test_scores_have_finite_gradients_and_pass_nan_on():
    logits = torch.tensor([[[300.0, 0.0, -300.0]]], requires_grad=True)
    task_scores(logits, torch.tensor([[False, False, True]])).sum().backward()
    torch.testing.assert_close(logits.grad, torch.tensor([[[-1.0, 0.0, 1.0]]]))
    for place in range(3):
        broken = torch.zeros(1, 1, 3)
        broken[0, 0, place] = torch.nan
        assert task_scores(broken, torch.tensor([[False, False, True]])).isnan().all()


def test_losses_by_hand():
    # Scores of log 3: a positive costs -log 3/4, a negative -log 1/4.
    scores = torch.full((2, 4), math.log(3))
    positives, negatives = scores.clone(), scores.clone()
    positives[1] = negatives[1] = 0
    losses = task_losses(positives, negatives)
    by_hand = (math.log(4 / 3) + math.log(4)) / 2
    torch.testing.assert_close(losses, torch.tensor([by_hand, math.log(2)]))


def test_examples_are_balanced_disjoint_and_drawn_once(patterns):
    index = torch.arange(5, 35)  # six images of every class
    examples = balanced_examples(patterns, index, TASK, 8, generator())
    assert len(examples.positives) == len(examples.negatives) == 8
    assert set(patterns.labels[examples.positives].tolist()) == {1, 3}
    assert not set(patterns.labels[examples.negatives].tolist()) & {1, 3}
    both = examples.positives.tolist() + examples.negatives.tolist()
    assert len(set(both)) == 16
    assert set(both) <= set(index.tolist())
    again = balanced_examples(patterns, index, TASK, 8, generator())
    assert torch.equal(examples.positives, again.positives)
    other = balanced_examples(patterns, index, TASK, 8, generator(1))
    assert not torch.equal(examples.positives, other.positives)


def test_the_rarer_kind_decides_how_many(patterns):
    index = torch.tensor([0, 1, 2, 4, 5, 7, 9])  # classes 0 1 2 4 0 2 4: one positive
    assert len(balanced_examples(patterns, index, TASK, 8, generator()).negatives) == 1
    rest = ClassTask(name="all but b", classes=(0, 2, 3, 4))
    examples = balanced_examples(patterns, index, rest, 8, generator())
    assert examples.negatives.tolist() == [1]
    assert len(examples.positives) == 1


def test_a_kind_without_images_is_refused(patterns):
    without = (patterns.labels != 1).nonzero()[:, 0]
    with pytest.raises(ValueError, match="task 'b' has no positives among 32 images of patterns"):
        balanced_examples(patterns, without, ClassTask(name="b", classes=(1,)), 8, generator())
    alone = (patterns.labels == 1).nonzero()[:, 0]
    with pytest.raises(ValueError, match="task 'b' has no negatives among 8 images"):
        balanced_examples(patterns, alone, ClassTask(name="b", classes=(1,)), 8, generator())
    none = torch.zeros(0, dtype=torch.int64)
    with pytest.raises(ValueError, match="has 0 positives and 0 negatives"):
        TaskExamples(task=TASK, positives=none, negatives=none)


@pytest.mark.usefixtures("no_shape_checks")
def test_unequal_numbers_are_refused():
    with pytest.raises(ValueError, match="has 2 positives and 1 negatives"):
        TaskExamples(task=TASK, positives=torch.arange(2), negatives=torch.arange(1))


def test_shuffled_examples_keep_images_and_lose_labels(patterns):
    examples = balanced_examples(patterns, torch.arange(40), TASK, 16, generator())
    dealt = shuffled_examples(examples, generator(1))
    pool = torch.cat([examples.positives, examples.negatives]).sort().values
    assert torch.equal(torch.cat([dealt.positives, dealt.negatives]).sort().values, pool)
    assert len(dealt.positives) == len(dealt.negatives) == 16
    shares = [
        len(set(shuffled_examples(examples, generator(seed)).positives.tolist())
            & set(examples.positives.tolist())) / 16
        for seed in range(40)
    ]  # fmt: skip
    # Half of the new positives were positives before; the standard error of the mean is 0.014.
    assert sum(shares) / 40 == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ((), "classes are"),
        ((1, 1), "each once"),
        ((-1,), "classes hold -1"),
    ],
)
def test_classes_that_are_no_set_are_refused(classes, message):
    with pytest.raises(ValueError, match=message):
        ClassTask(name="none", classes=classes)


def test_classes_that_the_model_lacks_are_refused(patterns):
    assert TASK.members(5).tolist() == [False, True, False, True, False]
    with pytest.raises(ValueError, match="has the class 3, allowed is 0 to 2"):
        TASK.members(3)
    with pytest.raises(ValueError, match="has all 2 classes and leaves no rest"):
        ClassTask(name="all", classes=(0, 1)).members(2)
    with pytest.raises(ValueError, match="n_pairs is 0"):
        balanced_examples(patterns, torch.arange(40), TASK, 0, generator())
    with pytest.raises(ValueError, match="index 40 is not there"):
        balanced_examples(patterns, torch.arange(41), TASK, 1, generator())
