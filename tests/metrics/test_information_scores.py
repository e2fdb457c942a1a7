import pytest
import torch
from sklearn.metrics import mutual_info_score

from seethrough.metrics.information_scores import information_scores, shuffled
from seethrough.metrics.mig import best_normalised_information, mutual_information_gap


def factors(n: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.stack([torch.randint(0, size, (n,), generator=generator) for size in (3, 6)], 1)


def test_a_perfect_code_scores_one() -> None:
    classes = factors(500)
    codes = torch.cat([classes.float(), torch.zeros(500, 1)], 1)
    scores = information_scores(codes, classes)
    assert scores.best == pytest.approx(1)
    # the other factor's code knows a little by chance: its information is what the gap lacks
    chance = mutual_info_score(classes[:, 0], classes[:, 1])
    entropies = [mutual_info_score(column, column) for column in classes.T]
    assert scores.gap == pytest.approx(sum(1 - chance / h for h in entropies) / 2)


def test_a_useless_code_scores_nothing() -> None:
    scores = information_scores(torch.ones(500, 4), factors(500))
    assert (scores.gap, scores.best) == (0, 0)


def test_a_duplicated_code_has_information_and_no_gap() -> None:
    """Trap 2 of the chapter: an overcomplete code may tell all and still have a MIG of 0."""
    classes = factors(500)
    scores = information_scores(classes.float().repeat(1, 2), classes)
    assert scores.gap == 0
    assert scores.best == pytest.approx(1)


def test_both_summaries_are_those_of_the_metrics() -> None:
    classes = factors(400)
    generator = torch.Generator().manual_seed(1)
    codes = torch.randn(400, 30, generator=generator) + classes[:, :1]
    scores = information_scores(codes, classes)
    assert scores.gap == pytest.approx(float(mutual_information_gap(codes, classes)))
    assert scores.best == pytest.approx(float(best_normalised_information(codes, classes).mean()))


def test_shuffling_keeps_each_images_factors_together() -> None:
    classes = factors(300)
    order = shuffled(classes, torch.Generator().manual_seed(3))
    assert not torch.equal(order, classes)
    assert sorted(map(tuple, order.tolist())) == sorted(map(tuple, classes.tolist()))
    assert information_scores(classes.float(), order).best < 0.2
