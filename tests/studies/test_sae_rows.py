"""Rows of the study of autoencoders, worked by hand."""

import math

import pytest
import torch

from seethrough.studies.impact_models import DENSE, TUNED, Condition
from seethrough.studies.neuron_rows import NamedValue
from seethrough.studies.sae_rows import (
    METRICS,
    TREND_NUMBERS,
    ModelScores,
    compared,
    number_words,
    rows_of,
)
from seethrough.studies.sae_scores import PER_CLASS_METRICS, SELECTIONS, SAEScores

RELEASED, SAME_STEPS = Condition(method=DENSE), Condition(method=TUNED, recovered=True)
HALF = Condition(method="wanda", sparsity=0.5, recovered=True)
MOST = Condition(method="wanda", sparsity=0.7, recovered=True)


def scores(l0: float, active: float, level: float) -> SAEScores:
    """Two classes whose metrics are `level` and `level + 2`."""
    values = torch.tensor([level, level + 2], dtype=torch.float64)
    numbers = {"fve": 1 - 1 / l0, "nmse": 1 / l0, "l0": l0, "active": active,
               "follows_shape": 0.25, "factor_best_shuffled": 0.0}  # fmt: skip
    per_class = {(m, s): values for m in PER_CLASS_METRICS for s in SELECTIONS}
    return SAEScores(numbers, per_class)


def model(condition: Condition, level: float, active: float, l0: float = 2.0) -> ModelScores:
    """A sweep of two: at k = 4 both L0 and the latents ever active are doubled."""
    sweep = {2: scores(l0, active, level), 4: scores(2 * l0, 2 * active, level)}
    others = {"topk": scores(3.0, 7.0, level)} if condition.method == DENSE else {}
    return ModelScores(condition, sweep, others)


MEASURED = [
    model(RELEASED, 1.0, 100.0),
    model(SAME_STEPS, 1.0, 100.0),
    model(HALF, 1.01, 110.0),
    model(MOST, 1.5, 120.0, l0=4.0),
]


@pytest.fixture(scope="module")
def rows() -> dict[str, NamedValue]:
    return rows_of(MEASURED, k=2, seed=0)


def value(rows: dict[str, NamedValue], id: str) -> float:
    return rows[id][3]


def test_every_metric_has_words() -> None:
    assert tuple(METRICS) == PER_CLASS_METRICS


def test_points_of_the_sweep_and_what_stands_beside_it(rows: dict[str, NamedValue]) -> None:
    assert value(rows, "active/k4/wanda/0.5") == 220
    assert value(rows, "selectivity/top/k2/dense") == 2
    assert value(rows, "l0/topk/dense") == 3
    assert value(rows, "entropy/random/topk/dense") == 2
    assert "l0/topk/dense_tuned" not in rows
    # Intervals stand at the three comparisons alone.
    assert "selectivity_low/top/k2/dense" not in rows
    assert value(rows, "selectivity_low/top/fixed_k/dense") == 1
    assert value(rows, "selectivity_high/top/fixed_k/dense") == 3
    assert rows["purity/top/fixed_k/wanda/0.7"][1] == {
        "model": "wanda", "sparsity": 0.7, "structure": "unstructured", "selection": "top",
        "place": "fixed_k",
    }  # fmt: skip


def test_the_common_value_starts_from_the_dense_model_with_the_same_steps(
    rows: dict[str, NamedValue],
) -> None:
    # Its L0 at k = 2 is 2, but the sparsest model's sweep begins at 4, where the others end.
    assert value(rows, "target/equal_l0") == pytest.approx(4)
    assert value(rows, "l0/equal_l0/wanda/0.7") == pytest.approx(4)
    assert value(rows, "active/equal_l0/wanda/0.7") == pytest.approx(120)
    assert value(rows, "active/equal_l0/wanda/0.5") == pytest.approx(220)
    assert value(rows, "target/equal_fve") == pytest.approx(0.25)
    assert value(rows, "fve/equal_fve/dense") == pytest.approx(0.75)
    target, found = compared(MEASURED, "fixed_k", 4)
    assert target == 4
    assert [one.numbers["active"] for one in found] == [200, 200, 220, 240]


def test_changes_against_both_dense_models(rows: dict[str, NamedValue]) -> None:
    # Both classes move alike: an interval of no width. Margins are 0.02, or a tenth of the mean, 2.
    assert value(rows, "selectivity_change/fixed_k/wanda/0.5/dense_tuned") == pytest.approx(0.01)
    assert value(rows, "selectivity_equivalent/fixed_k/wanda/0.5/dense_tuned") == 1
    assert value(rows, "selectivity_equivalent/fixed_k/wanda/0.7/dense_tuned") == -1
    assert value(rows, "monosemanticity_margin/fixed_k/wanda/0.7/dense") == 0.02
    assert value(rows, "impact_margin/fixed_k/wanda/0.7/dense") == pytest.approx(0.2)
    assert value(rows, "impact_equivalent/equal_l0/wanda/0.7/dense") == -1
    assert value(rows, "purity_change/fixed_k/dense_tuned/dense") == 0
    assert "purity_change/fixed_k/dense/dense" not in rows
    assert not [id for id in rows if id.endswith("dense_tuned/dense_tuned")]


def test_trends_over_the_models_with_the_same_steps(rows: dict[str, NamedValue]) -> None:
    assert value(rows, "selectivity_trend/top/fixed_k") == pytest.approx(1)
    assert value(rows, "selectivity_trend_verdict/random/equal_l0") == 1
    assert value(rows, "active_trend/fixed_k") == pytest.approx(1)
    # At equal L0 the counts are 200, 220 and 120: ranks 2, 3 and 1.
    assert value(rows, "active_trend/equal_l0") == pytest.approx(-0.5)
    assert not [id for id in rows if id.startswith("frequent_trend")], "it was not measured"
    assert set(TREND_NUMBERS) <= {"fve", "active", "frequent", "factor_best", "factor_gap",
                                  "one_factor_latents"}  # fmt: skip


def test_two_models_have_no_trend_and_one_k_is_not_matched() -> None:
    single = [ModelScores(one.condition, {2: one.sweep[2]}) for one in MEASURED[:3]]
    found = rows_of(single, k=2, seed=0)
    assert not [id for id in found if "_trend" in id or "equal_" in id]
    assert value(found, "active/fixed_k/wanda/0.5") == 110


def test_sweeps_that_do_not_meet_are_not_compared() -> None:
    apart = [MEASURED[0], MEASURED[1], model(HALF, 1.0, 110.0, l0=50.0)]
    found = rows_of(apart, k=2, seed=0)
    assert math.isnan(value(found, "target/equal_l0"))
    assert math.isnan(value(found, "active/equal_l0/wanda/0.5"))
    # Not undecided, and no verdict of "no trend": there is none.
    assert math.isnan(value(found, "selectivity_equivalent/equal_l0/wanda/0.5/dense_tuned"))
    four = rows_of([*apart, MEASURED[3]], k=2, seed=0)
    assert math.isnan(value(four, "selectivity_trend_verdict/top/equal_l0"))
    assert value(four, "selectivity_trend_verdict/top/fixed_k") == 1


def test_numbers_in_words() -> None:
    assert number_words("l0") == ("active latents per image", "latents")
    assert number_words("factor_gap_shuffled")[0].endswith("mean, factors shuffled")
    assert number_words("follows_shape")[0] == "frequent latents that speak of shape alone"
