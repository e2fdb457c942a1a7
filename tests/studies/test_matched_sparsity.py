"""Scores at a common L0 or NMSE, worked by hand."""

import math

import pytest
import torch

from seethrough.studies.matched_sparsity import (
    at_target,
    interpolated,
    target_of,
)
from seethrough.studies.sae_scores import SAEScores

E = math.e


def scores(l0: float, nmse: float, active: float, *impact: float) -> SAEScores:
    return SAEScores(
        {"l0": l0, "nmse": nmse, "active": active},
        {("impact", "top"): torch.tensor(impact, dtype=torch.float64)},
    )


def test_values_between_neighbours() -> None:
    x = torch.tensor([0.0, 1.0, 3.0]).double()
    values = torch.tensor([[1.0, 0.0], [3.0, 1.0], [9.0, 0.0]])
    assert interpolated(0.5, x, values).tolist() == [2.0, 0.5]
    assert interpolated(2.0, x, values).tolist() == [6.0, 0.5]
    assert interpolated(0.0, x, values).tolist() == [1.0, 0.0]
    assert interpolated(1.0, x, values).tolist() == [3.0, 1.0]
    assert interpolated(3.0, x, values).tolist() == [9.0, 0.0]
    assert interpolated(3.1, x, values).isnan().all()
    assert interpolated(-0.1, x, values).isnan().all()
    assert interpolated(math.nan, x, values).isnan().all()
    backwards = interpolated(2.0, x.flip(0), values.flip(0))
    assert backwards.tolist() == [6.0, 0.5]


def test_what_falls_again_counts_on_its_way_up() -> None:
    x = torch.tensor([0.0, 2.0, 1.0]).double()
    values = torch.tensor([0.0, 10.0, 50.0])
    assert float(interpolated(1.0, x, values)) == 5.0
    # 0.5 is passed once, 2 is touched.
    assert float(interpolated(0.5, x, values)) == 2.5
    assert float(interpolated(2.0, x, values)) == 10.0


def test_two_points_at_one_place_and_a_single_one() -> None:
    same = torch.tensor([1.0, 1.0]).double()
    assert float(interpolated(1.0, same, torch.tensor([2.0, 4.0]))) == 2.0
    assert math.isnan(float(interpolated(0.0, same, torch.tensor([2.0, 4.0]))))
    assert float(interpolated(1.0, same[:1], torch.tensor([2.0]))) == 2.0
    assert math.isnan(float(interpolated(0.0, same[:1], torch.tensor([2.0]))))


def test_the_target_is_the_first_models_value_within_all_ranges() -> None:
    first = {1: scores(2.0, 0.5, 0.0, 0.0), 2: scores(8.0, 0.1, 0.0, 0.0)}
    wide = {1: scores(1.0, 0.9, 0.0, 0.0), 2: scores(20.0, 0.01, 0.0, 0.0)}
    low = {1: scores(1.0, 0.9, 0.0, 0.0), 2: scores(4.0, 0.3, 0.0, 0.0)}
    assert target_of([first, wide], "l0", 2) == pytest.approx(8.0)
    # The third sweep ends at 4.
    assert target_of([first, wide, low], "l0", 2) == pytest.approx(4.0)
    high = {1: scores(9.0, 0.05, 0.0, 0.0), 2: scores(12.0, 0.02, 0.0, 0.0)}
    assert math.isnan(target_of([first, high], "l0", 1)), "the ranges do not meet"


def test_the_target_of_nmse_is_the_middle_on_the_way_to_the_best() -> None:
    first = {1: scores(2.0, 0.4, 0.0, 0.0), 2: scores(8.0, 0.1, 0.0, 0.0)}
    assert target_of([first], "nmse", 1) == pytest.approx(0.2)
    # This one begins at 0.9, comes to 0.2 and goes back to 0.8; the order of its keys is no matter.
    worse = {3: scores(9.0, 0.8, 0.0, 0.0), 1: scores(1.0, 0.9, 0.0, 0.0),
             2: scores(4.0, 0.2, 0.0, 0.0)}  # fmt: skip
    assert target_of([first, worse], "nmse", 1) == pytest.approx(math.sqrt(0.4 * 0.2))
    # One that begins with its best has that alone.
    only = {1: scores(1.0, 0.3, 0.0, 0.0), 2: scores(2.0, 0.5, 0.0, 0.0)}
    assert target_of([first, only], "nmse", 2) == pytest.approx(0.3)
    best = {1: scores(1.0, 0.05, 0.0, 0.0), 2: scores(2.0, 0.01, 0.0, 0.0)}
    assert math.isnan(target_of([first, best], "nmse", 1))


def test_scores_are_linear_in_the_logarithm() -> None:
    sweep = {1: scores(1.0, E**-1, 100.0, 1.0, 4.0), 2: scores(E**2, E**-3, 300.0, 3.0, math.nan)}
    found = at_target(sweep, "l0", E)  # half of the way
    assert found.numbers["active"] == pytest.approx(200)
    assert found.numbers["l0"] == pytest.approx((1 + E**2) / 2)
    impact = found.per_class["impact", "top"]
    assert float(impact[0]) == pytest.approx(2.0)
    assert math.isnan(float(impact[1]))
    quarter = at_target(sweep, "nmse", E**-1.5)
    assert quarter.numbers["active"] == pytest.approx(150)
    # The ends belong to the range, however their logarithms are rounded.
    assert at_target(sweep, "nmse", E**-3).numbers["active"] == pytest.approx(300)
    outside = at_target(sweep, "l0", math.nan)
    assert math.isnan(outside.numbers["active"])
    assert bool(outside.per_class["impact", "top"].isnan().all())


def test_no_active_latent_and_no_error_have_a_place() -> None:
    sweep = {1: scores(0.0, 0.0, 0.0, 0.0), 2: scores(4.0, 0.5, 10.0, 1.0)}
    assert math.isfinite(target_of([sweep], "l0", 1))
    assert at_target(sweep, "l0", 4.0).numbers["active"] == pytest.approx(10)
    assert at_target(sweep, "nmse", target_of([sweep], "nmse", 1)).numbers["active"] == 0
