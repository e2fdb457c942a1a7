"""Rows of the study of neurons, worked by hand."""

import math

import pytest
import torch

from seethrough.studies.impact_models import DENSE, TUNED, Condition
from seethrough.studies.neuron_rows import Measured, NamedValue, rows_of

NAN = math.nan
SPARSE = (Condition(method="wanda", sparsity=0.5, recovered=True),
          Condition(method="wanda", sparsity=0.7, recovered=True))  # fmt: skip
RELEASED, SAME_STEPS = Condition(method=DENSE), Condition(method=TUNED, recovered=True)


def shifted(condition: Condition, shift: float, spread: float = 0.0) -> Measured:
    """Two classes whose selectivity is 0.6 and 0.7, and impact 1 and 3, and what is added."""
    both = torch.tensor([shift - spread, shift + spread], dtype=torch.float64)
    selectivity = torch.tensor([0.6, 0.7], dtype=torch.float64) + both
    impact = torch.tensor([1.0, 3.0], dtype=torch.float64) + both
    entropy = torch.full((2,), 1.0 + shift, dtype=torch.float64)
    per_class = {("selectivity", "top", 1): selectivity, ("selectivity", "random", 1): selectivity,
                 ("impact", "top", 1): impact, ("entropy", "all", 1): entropy}  # fmt: skip
    return Measured(condition, per_class, {"heads_among_top/1": 0.25})


@pytest.fixture(scope="module")
def rows() -> dict[str, NamedValue]:
    measured = [
        shifted(RELEASED, 0.0),
        shifted(SAME_STEPS, 0.0, spread=0.5),
        shifted(SPARSE[0], 0.01, spread=0.5),
        shifted(SPARSE[1], 0.3, spread=0.5),
    ]
    return rows_of(measured, seed=0)


def value(rows: dict[str, NamedValue], id: str) -> float:
    return rows[id][3]


def test_means_and_their_ends_worked_by_hand(rows: dict[str, NamedValue]) -> None:
    assert value(rows, "impact/top/1/dense") == 2
    # Of two classes 1 and 3, a quarter of the resamples holds either one twice.
    assert value(rows, "impact_low/top/1/dense") == 1
    assert value(rows, "impact_high/top/1/dense") == 3
    assert value(rows, "heads_among_top/1/wanda/0.7") == 0.25
    assert rows["impact/top/1/wanda/0.7"][1] == {
        "model": "wanda", "sparsity": 0.7, "structure": "unstructured", "selection": "top",
        "block": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("place", "mean", "low", "high", "margin", "verdict"),
    [
        # Both classes move alike: an interval of no width. 0.01 lies within 0.02, 0.3 beyond.
        ("selectivity {}/1/wanda/0.5/dense_tuned", 0.01, 0.01, 0.01, 0.02, 1),
        ("selectivity {}/1/wanda/0.7/dense_tuned", 0.3, 0.3, 0.3, 0.02, -1),
        # Impact has a tenth of the dense mean, 2: 0.01 is within 0.2, 0.3 beyond.
        ("impact {}/1/wanda/0.5/dense_tuned", 0.01, 0.01, 0.01, 0.2, 1),
        ("impact {}/1/wanda/0.7/dense_tuned", 0.3, 0.3, 0.3, 0.2, -1),
        # One class loses half, the other gains as much: undecided.
        ("selectivity {}/1/dense_tuned/dense", 0.0, -0.5, 0.5, 0.02, 0),
        ("impact {}/1/wanda/0.7/dense", 0.3, -0.2, 0.8, 0.2, 0),
    ],
)
def test_changes_worked_by_hand(
    rows: dict[str, NamedValue], place: str, mean: float, low: float, high: float,
    margin: float, verdict: int,
) -> None:  # fmt: skip
    names = ("change", "change_low", "change_high", "margin", "equivalent")
    found = [value(rows, place.replace(" {}", f"_{name}")) for name in names]
    assert found == pytest.approx([mean, low, high, margin, verdict])


def test_changes_are_of_the_top_units_against_both_dense_models(
    rows: dict[str, NamedValue],
) -> None:
    against = [
        id.removeprefix("impact_change/1/") for id in rows if id.startswith("impact_change/")
    ]
    assert against == [
        "dense_tuned/dense", "wanda/0.5/dense", "wanda/0.7/dense",
        "wanda/0.5/dense_tuned", "wanda/0.7/dense_tuned",
    ]  # fmt: skip


def test_a_trend_runs_over_the_models_with_the_same_steps(
    rows: dict[str, NamedValue],
) -> None:
    for name in ("trend", "trend_low", "trend_high", "trend_verdict"):
        for selection in ("top", "random"):
            # 0, 0.01 and 0.3 above the dense one, in both classes: ranks rise with sparsity.
            assert value(rows, f"selectivity_{name}/{selection}/1") == pytest.approx(1)


@pytest.mark.parametrize(("sign", "verdict"), [(1.0, 1), (-1.0, -1), (0.0, 0)])
def test_the_direction_of_a_trend(sign: float, verdict: int) -> None:
    measured = [shifted(SAME_STEPS, 0.0), shifted(SPARSE[0], sign * 0.1), shifted(SPARSE[1], sign)]
    rows = rows_of([shifted(RELEASED, 5.0), *measured], seed=0)
    assert value(rows, "impact_trend_verdict/top/1") == verdict


def test_what_no_class_can_change_has_no_interval_and_no_test(
    rows: dict[str, NamedValue],
) -> None:
    assert value(rows, "entropy/all/1/wanda/0.7") == 1.3
    assert math.isnan(value(rows, "entropy_low/all/1/wanda/0.7"))
    assert not [id for id in rows if id.startswith("entropy_trend")]


@pytest.mark.parametrize("values", [[NAN, NAN], [0.0, 0.0]])
def test_without_a_margin_a_change_is_undecided(values: list[float]) -> None:
    empty = {("variance", "top", 1): torch.tensor(values, dtype=torch.float64)}
    measured = [Measured(condition, empty, {}) for condition in (RELEASED, SAME_STEPS, SPARSE[0])]
    rows = rows_of(measured, seed=0)
    assert math.isnan(value(rows, "variance_change/1/wanda/0.5/dense"))
    assert value(rows, "variance_equivalent/1/wanda/0.5/dense") == 0
