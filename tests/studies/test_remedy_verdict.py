import math
from collections.abc import Sequence

import pytest

from seethrough.results import Row
from seethrough.studies.remedy_verdict import change_rows, judge, verdict_rows

Values = dict[str, dict[str, Sequence[float]]]

GOOD: dict[str, Sequence[float]] = {
    "dead_share": (0.01, 0.02, 0.03),
    "unexplained": (0.10, 0.11, 0.12),
    "mig_code": (0.02, 0.02, 0.03),
    "specialised_units": (30, 31, 35),
    "best_information": (0.2, 0.2, 0.3),
    "probe": (0.5, 0.6, 0.6),
    "active": (50, 50, 50),
}
BASE: dict[str, Sequence[float]] = GOOD | {"dead_share": (0.4, 0.5, 0.6)}


def rows_of(arms: Values, width: int = 500) -> dict[str, Row]:
    """Rows by id of `dataset/remedy` -> quantity -> one value per seed."""
    return {
        f"{quantity}/{arm}/{width}": Row(
            f"{quantity}/{arm}/{width}", quantity, {}, "1", tuple(float(v) for v in values)
        )
        for arm, quantities in arms.items()
        for quantity, values in quantities.items()
    }


def with_changes(arms: Values) -> dict[str, Row]:
    rows = rows_of(arms)
    for arm in arms:
        dataset, remedy = arm.split("/")
        rows |= {r.id: r for r in change_rows(rows, dataset, [remedy], 500, "baseline")}
    return rows


def judged(change: dict[str, Sequence[float]]) -> tuple[bool, tuple[str, ...]]:
    found = judge(
        with_changes({"d/baseline": BASE, "d/x": GOOD | change}), "d", "x", width=500, k=50
    )
    return found.passes, found.faults


def test_differences_are_paired() -> None:
    rows = rows_of({"d/baseline": BASE, "d/x": GOOD})
    changes = {row.id: row for row in change_rows(rows, "d", ["x"], 500, "baseline")}
    assert changes["dead_share_change/d/x/500"].per_seed == pytest.approx((-0.39, -0.48, -0.57))
    assert changes["unexplained_change/d/x/500"].per_seed == (0, 0, 0)
    assert set(changes) == {
        f"{name}_change/d/x/500"
        for name in (
            "dead_share", "unexplained", "mig_code", "specialised_units", "best_information",
            "probe",
        )
    }  # fmt: skip


def test_alive_and_no_worse_passes() -> None:
    assert judged({}) == (True, ())


@pytest.mark.parametrize(
    ("dead", "passes"),
    [((0.04, 0.05, 0.0599), True), ((0.05, 0.05, 0.05), False), ((0.0, 0.0, 0.16), False)],
)
def test_the_mean_dead_share_must_be_below_5_percent(dead: Sequence[float], passes: bool) -> None:
    assert judged({"dead_share": dead}) == (passes, ())


def test_a_quality_is_worse_if_its_whole_interval_is() -> None:
    # differences 0.02, 0.02, 0.03: mean 0.0233, sd 0.0058, half width 4.30 x 0.0058 / sqrt(3) =
    # 0.0143, so the interval is 0.009 to 0.038
    assert judged({"unexplained": (0.12, 0.13, 0.15)}) == (False, ("unexplained",))
    # differences 0, 0.02, 0.04: 0.02 -+ 0.05
    assert judged({"unexplained": (0.10, 0.13, 0.16)}) == (True, ())
    # lower by any amount is better
    assert judged({"unexplained": (0.02, 0.03, 0.04)}) == (True, ())


def test_for_information_lower_is_worse() -> None:
    assert judged({"mig_code": (0.01, 0.011, 0.019)}) == (False, ("mig_code",))
    assert judged({"specialised_units": (20, 20, 25)}) == (False, ("specialised_units",))
    assert judged({"mig_code": (0.1, 0.1, 0.1), "specialised_units": (90, 91, 95)}) == (True, ())


def test_best_unit_and_probe_are_told_and_not_judged() -> None:
    assert judged({"best_information": (0.1, 0.1, 0.2), "probe": (0.1, 0.2, 0.2)}) == (True, ())


def test_an_equal_difference_in_every_seed_has_an_interval_of_no_width() -> None:
    assert judged({"specialised_units": (29, 30, 34)}) == (False, ("specialised_units",))


def test_more_active_units_are_another_k() -> None:
    assert judged({"active": (55, 55, 55)}) == (True, ())
    assert judged({"active": (56, 55, 55)}) == (False, ("active",))
    assert judged({"active": (10, 10, 10)}) == (True, ())


def test_one_seed_is_refused() -> None:
    one: Values = {
        arm: {name: values[:1] for name, values in of.items()}
        for arm, of in {"d/baseline": BASE, "d/x": GOOD}.items()
    }
    with pytest.raises(ValueError, match="at least 2 seeds, got 1"):
        judge(with_changes(one), "d", "x", 500, 50)
    rows = verdict_rows(with_changes(one), ["d"], ["x"], 500, 50)
    assert all(math.isnan(row.mean) for row in rows)
    assert [row.id for row in rows] == ["remedies_passing/d/500", "best_remedy_dead_share/d/500"]


LESS = GOOD | {"dead_share": (0.0, 0.0, 0.01)}
WORSE = LESS | {"specialised_units": (1, 2, 6)}
MORE = GOOD | {"dead_share": (0.2, 0.2, 0.2)}
ARMS: Values = {
    "d/baseline": BASE, "d/x": GOOD, "d/y": LESS, "d/z": WORSE,
    "e/baseline": BASE, "e/x": GOOD, "e/y": MORE, "e/z": WORSE,
}  # fmt: skip


def test_passing_and_best_by_data_set_and_jointly() -> None:
    """x passes on both, y on d alone (e: 20 % dead), z nowhere (too few specialised)."""
    rows = {row.id: row for row in verdict_rows(with_changes(ARMS), "de", "xyz", 500, 50)}
    counts = {scope: rows[f"remedies_passing/{scope}/500"] for scope in ("d", "e", "joint")}
    assert {scope: row.mean for scope, row in counts.items()} == {"d": 2, "e": 1, "joint": 1}
    assert all(row.cell["tried"] == 3 for row in counts.values())
    best = {scope: rows[f"best_remedy_dead_share/{scope}/500"] for scope in ("d", "e", "joint")}
    assert {scope: row.cell["remedy"] for scope, row in best.items()} == {
        "d": "y", "e": "x", "joint": "x"
    }  # fmt: skip
    assert best["d"].per_seed == (0.0, 0.0, 0.01)
    assert best["joint"].per_seed == (0.01, 0.02, 0.03)


def test_the_joint_best_is_that_of_the_better_worst_data_set() -> None:
    arms = ARMS | {"d/x": GOOD | {"dead_share": (0.3, 0.3, 0.3)}, "e/x": GOOD}
    rows = {row.id: row for row in verdict_rows(with_changes(arms), "de", "xy", 500, 50)}
    joint = rows["best_remedy_dead_share/joint/500"]  # x: 30 % on d; y: 20 % on e
    assert (joint.cell["remedy"], joint.per_seed) == ("y", (0.2, 0.2, 0.2))
    assert rows["remedies_passing/joint/500"].mean == 0


def test_without_a_remedy_that_is_no_worse_there_is_no_best() -> None:
    rows = verdict_rows(with_changes({"d/baseline": BASE, "d/z": WORSE}), ["d"], ["z"], 500, 50)
    assert rows[0].mean == 0
    assert math.isnan(rows[1].mean)
    assert rows[1].cell["remedy"] == "none"


def test_one_data_set_has_no_joint_verdict() -> None:
    rows = verdict_rows(with_changes(ARMS), ["d"], ["x"], 500, 50)
    assert [row.id for row in rows] == ["remedies_passing/d/500", "best_remedy_dead_share/d/500"]
