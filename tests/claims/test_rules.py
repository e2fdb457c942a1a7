import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seethrough.claims import RULES, VERDICTS, Claim, ClaimError, PaperValue, judge
from seethrough.claims.rules import (
    DIRECTION,
    NOT_REPRODUCED,
    NOT_TESTED,
    REPRODUCED,
    ends,
    points,
    ranks,
    shown,
)
from seethrough.results import StudyResult

MakeResult = Callable[..., StudyResult]

DEAD = Claim(
    id="COL-01",
    paper="collapse",
    claim="A third of the units is dead.",
    standing="abstract",
    value=PaperValue(mean=0.344, sd=0.009, unit="fraction"),
    study="study",
    rows=("dead",),
    rule="within_two_sd",
    direction_above=0.05,
)
STABLE = replace(
    DEAD,
    id="COL-12",
    value=None,
    rows=("before", "after"),
    rule="unchanged",
    tolerance=0.02,
    direction_above=None,
)
UP = replace(STABLE, rule="direction_up", tolerance=None)
ORDER = replace(
    STABLE, rows=(), rule="same_order", tolerance=None, groups=(("a", "b", "c"), ("d", "e", "f"))
)


@pytest.fixture
def result(tmp_path: Path, write_result: Callable[..., Path]) -> MakeResult:
    def make(
        rows: dict[str, Sequence[float]], unit: str = "fraction", **parameters: Any
    ) -> StudyResult:
        named = {name: (unit, per_seed) for name, per_seed in rows.items()}
        path = write_result(tmp_path / "study.json", named, parameters=parameters or {"epochs": 50})
        return StudyResult.read(path)

    return make


# within_two_sd, by hand. Three seeds a-d, a, a+d have mean a and sd d. The 95 % Student interval
# over three seeds is a ± 4.303 d / √3 = a ± 2.484 d.
@pytest.mark.parametrize(
    ("per_seed", "verdict"),
    [
        # sd 0.012, so √(0.012² + 0.009²) = 0.015 and 0.030 is allowed; 0.344 - 0.318 = 0.026
        ((0.306, 0.318, 0.330), REPRODUCED),
        # 0.344 - 0.310 = 0.034 > 0.030; low end 0.310 - 0.030 = 0.280 > 0.05
        ((0.298, 0.310, 0.322), DIRECTION),
        # the same spread around 0.06: low end 0.06 - 0.030 = 0.030, not above 0.05
        ((0.048, 0.060, 0.072), NOT_REPRODUCED),
    ],
)
def test_within_two_sd(result: MakeResult, per_seed: tuple[float, ...], verdict: str) -> None:
    assert judge(DEAD, result({"dead": per_seed})).verdict == verdict


def test_within_two_sd_without_a_direction_has_two_verdicts(result: MakeResult) -> None:
    outcome = judge(replace(DEAD, direction_above=None), result({"dead": (0.298, 0.310, 0.322)}))
    assert outcome.verdict == NOT_REPRODUCED
    assert outcome.reason == "difference 3.4 points, allowed 3.0 points"


def test_within_two_sd_refuses_another_unit(result: MakeResult) -> None:
    with pytest.raises(ClaimError, match="unit is 'fraction', ours 'per cent'"):
        judge(DEAD, result({"dead": (30.0, 31.0, 32.0)}, unit="per cent"))


# unchanged and direction_up, by hand. Differences m-d, m, m+d have the interval m ± 2.484 d.
@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ((0.003, 0.005, 0.007), REPRODUCED),  # 0.005 ± 0.005
        ((0.000, 0.010, 0.020), DIRECTION),  # 0.010 ± 0.025: mean inside, interval not
        ((0.028, 0.030, 0.032), NOT_REPRODUCED),  # 0.030 ± 0.005
        ((-0.032, -0.030, -0.028), NOT_REPRODUCED),
    ],
)
def test_unchanged(result: MakeResult, differences: tuple[float, ...], verdict: str) -> None:
    before = (0.1, 0.2, 0.4)  # far more spread than the differences: only pairs count
    after = tuple(b + d for b, d in zip(before, differences, strict=True))
    assert judge(STABLE, result({"before": before, "after": after})).verdict == verdict


@pytest.mark.parametrize(
    ("differences", "verdict"),
    [
        ((0.018, 0.020, 0.022), REPRODUCED),  # 0.020 ± 0.005
        ((0.000, 0.010, 0.020), DIRECTION),  # 0.010 ± 0.025
        ((-0.020, -0.010, 0.000), NOT_REPRODUCED),  # the interval holds zero, the mean is below
        ((-0.022, -0.020, -0.018), NOT_REPRODUCED),
    ],
)
def test_direction_up(result: MakeResult, differences: tuple[float, ...], verdict: str) -> None:
    before = (0.1, 0.2, 0.4)
    after = tuple(b + d for b, d in zip(before, differences, strict=True))
    assert judge(UP, result({"before": before, "after": after})).verdict == verdict


@pytest.mark.parametrize(
    ("second", "verdict"),
    [
        ((0.15, 0.25, 0.95), REPRODUCED),  # the same order on another scale
        ((0.2, 0.2, 0.9), NOT_REPRODUCED),  # a tie at the bottom is another order
        ((0.3, 0.2, 0.9), NOT_REPRODUCED),  # another lowest
        ((0.1, 0.9, 0.2), NOT_REPRODUCED),  # another highest
    ],
)
def test_same_order_of_three_cells(
    result: MakeResult, second: tuple[float, ...], verdict: str
) -> None:
    means = dict(zip("abcdef", (0.1, 0.2, 0.9, *second), strict=True))
    rows = {name: (mean,) for name, mean in means.items()}
    assert judge(ORDER, result(rows)).verdict == verdict


def test_same_order_keeps_the_direction_when_only_the_middle_moves(result: MakeResult) -> None:
    claim = replace(ORDER, groups=(tuple("abcd"), tuple("efgh")))
    means = dict(zip("abcdefgh", (0.1, 0.2, 0.3, 0.9, 0.1, 0.3, 0.2, 0.9), strict=True))
    outcome = judge(claim, result({name: (mean,) for name, mean in means.items()}))
    assert outcome.verdict == DIRECTION
    assert outcome.reason == "4 cells under 2 definitions: 2 different orders"


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6))
def test_ranks_keep_every_comparison(means: list[int]) -> None:
    order = ranks([float(mean) for mean in means])
    for i, one in enumerate(means):
        for j, other in enumerate(means):
            assert (one < other) == (order[i] < order[j])
    lowest, highest = ends(order)
    assert {means[i] for i in lowest} == {min(means)}
    assert {means[i] for i in highest} == {max(means)}


@pytest.mark.parametrize(
    ("requires", "reason"),
    [
        ({"epochs": 51.0}, "needs epochs ≥ 51, the run has 50"),
        ({"n_seeds": 4.0}, "needs n_seeds ≥ 4, the run has 3"),
        ({"source": "official"}, "needs source = official, the run has rendered"),
    ],
)
def test_a_smaller_run_is_not_tested(
    result: MakeResult, requires: dict[str, float | str], reason: str
) -> None:
    run = result({"dead": (0.33, 0.34, 0.35)}, epochs=50, source="rendered")
    outcome = judge(replace(DEAD, requires=requires), run)
    assert (outcome.verdict, outcome.reason) == (NOT_TESTED, reason)


def test_a_large_enough_run_is_judged(result: MakeResult) -> None:
    run = result({"dead": (0.33, 0.34, 0.35)}, epochs=50, source="rendered")
    claim = replace(DEAD, requires={"epochs": 50.0, "n_seeds": 3.0, "source": "rendered"})
    assert judge(claim, run).verdict == REPRODUCED


@pytest.mark.parametrize(
    ("requires", "message"),
    [({"epoch": 50.0}, "no parameter 'epoch'; nearest: epochs"), ({"source": 3.0}, "'rendered'")],
)
def test_a_requirement_that_fits_no_parameter_is_an_error(
    result: MakeResult, requires: dict[str, float | str], message: str
) -> None:
    run = result({"dead": (0.33, 0.34, 0.35)}, epochs=50, source="rendered")
    with pytest.raises(ClaimError, match=message):
        judge(replace(DEAD, requires=requires), run)


def test_a_claim_without_rule_run_row_spread_or_number_is_not_tested(result: MakeResult) -> None:
    full = result({"dead": (0.33, 0.34, 0.35)})
    untested = [
        judge(replace(DEAD, rule="none"), full),
        judge(DEAD, None),
        judge(replace(DEAD, rows=("dead/1000",)), full),
        judge(DEAD, result({"dead": (0.33,)})),
        judge(DEAD, result({"dead": (0.33, math.nan, 0.35)})),
    ]
    assert [outcome.verdict for outcome in untested] == [NOT_TESTED] * 5
    assert [outcome.reason for outcome in untested] == [
        "no study tests it yet",
        "no run",
        "the run has no row dead/1000",
        "one seed has no spread",
        "a value is not a number",
    ]


def test_rows_of_different_seed_numbers_cannot_be_paired(result: MakeResult) -> None:
    with pytest.raises(ClaimError, match="'fraction', 3 against 'fraction', 2"):
        judge(STABLE, result({"before": (0.1, 0.2, 0.3), "after": (0.1, 0.2)}))


def test_every_rule_says_in_words_when_it_gives_which_verdict() -> None:
    judged = {
        "within_two_sd", "unchanged", "direction_up", "same_order", "larger_in_all", "at_least",
        "below",
    }  # fmt: skip
    others = {
        "none", "order_only", "refuted_by_any", "keeps", "no_trend", "equivalent", "gain",
        "interval_holds", "exceeds",
    }  # fmt: skip
    assert set(RULES) == judged | others
    assert all(rule.words.endswith(".") and "  " not in rule.words for rule in RULES.values())
    for name in judged:
        assert RULES[name].words.startswith("Reproduced when ")
        assert "direction is reproduced when" in RULES[name].words
    assert VERDICTS == (REPRODUCED, DIRECTION, NOT_REPRODUCED, NOT_TESTED)


# Three seeds with differences d - s, d, d + s: their 95 % interval is d ± 2.484 s.
@pytest.mark.parametrize(
    ("after", "verdict"),
    [
        ((0.12, 0.22, 0.32), DIRECTION),  # 0.02 in every seed
        ((0.11, 0.22, 0.33), NOT_REPRODUCED),  # 0.02 ± 0.025
        ((0.08, 0.18, 0.28), NOT_REPRODUCED),
    ],
)
def test_order_only_never_says_reproduced(
    result: MakeResult, after: Sequence[float], verdict: str
) -> None:
    claim = replace(UP, rule="order_only")
    assert judge(claim, result({"before": (0.1, 0.2, 0.3), "after": after})).verdict == verdict


PAIRS = replace(ORDER, groups=(("a", "b"), ("c", "d")))


@pytest.mark.parametrize(
    ("b", "d", "verdict"),
    [
        ((0.2, 0.3, 0.4), (0.2, 0.3, 0.4), REPRODUCED),
        ((0.2, 0.3, 0.4), (0.11, 0.22, 0.33), DIRECTION),  # 0.02 ± 0.025 in the second pair
        ((0.2, 0.3, 0.4), (0.1, 0.2, 0.2), NOT_REPRODUCED),
    ],
)
def test_larger_in_all_needs_every_pair(
    result: MakeResult, b: Sequence[float], d: Sequence[float], verdict: str
) -> None:
    start = (0.1, 0.2, 0.3)
    outcome = judge(
        replace(PAIRS, rule="larger_in_all"), result({"a": start, "b": b, "c": start, "d": d})
    )
    assert outcome.verdict == verdict
    assert outcome.reason.startswith("of 2 pairs ")


@pytest.mark.parametrize(
    ("groups", "verdict"),
    [
        ((("a", "b"), ("c", "d")), REPRODUCED),
        ((("a", "b"), ("c", "d"), ("b", "d")), DIRECTION),
        ((("a", "b"), ("b", "d")), NOT_REPRODUCED),
    ],
)
def test_at_least_allows_two_combined_sds(
    result: MakeResult, groups: tuple[tuple[str, ...], ...], verdict: str
) -> None:
    # sd of a, b, c: 0.1; of d: 0. a to b: 0.25 below, allowed 2 x 0.1414 = 0.2828. c to d: 0.2
    # below, allowed 0.2 (and a hair). b to d: 0.55 - 0.3 = 0.25 below, allowed 0.2.
    rows = {
        "a": (0.7, 0.8, 0.9), "b": (0.45, 0.55, 0.65), "c": (0.399, 0.499, 0.599),
        "d": (0.3, 0.3, 0.3),
    }  # fmt: skip
    claim = replace(PAIRS, rule="at_least", groups=groups)
    assert judge(claim, result(rows)).verdict == verdict


@pytest.mark.parametrize(
    ("per_seed", "verdict"),
    [
        ((0.0, 0.001, 0.002), REPRODUCED),  # 0.001 ± 0.0025
        ((0.0, 0.005, 0.010), DIRECTION),  # 0.005 ± 0.0124
        ((0.01, 0.02, 0.03), NOT_REPRODUCED),
    ],
)
def test_below_asks_the_high_end(
    result: MakeResult, per_seed: Sequence[float], verdict: str
) -> None:
    claim = replace(STABLE, rule="below", rows=("dead",), tolerance=None, bound=0.01)
    assert judge(claim, result({"dead": per_seed})).verdict == verdict


@pytest.mark.parametrize(
    ("count", "verdict", "reason"),
    [
        (0.0, REPRODUCED, "no remedy passes"),
        (1.0, NOT_REPRODUCED, "one remedy passes"),
        (3.0, NOT_REPRODUCED, "3 remedies pass"),
        (math.nan, NOT_TESTED, "a value is not a number"),
    ],
)
def test_one_remedy_refutes_and_needs_no_spread(
    result: MakeResult, count: float, verdict: str, reason: str
) -> None:
    claim = replace(STABLE, rule="refuted_by_any", rows=("passing",), tolerance=None)
    outcome = judge(claim, result({"passing": (count,)}))
    assert (outcome.verdict, outcome.reason) == (verdict, reason)


@pytest.mark.parametrize(
    ("per_seed", "verdict"),
    [((0.334,), REPRODUCED), ((0.333,), NOT_REPRODUCED), ((0.30, 0.40), REPRODUCED)],
)
def test_what_keeps_the_papers_number_may_keep_more(
    result: MakeResult, per_seed: Sequence[float], verdict: str
) -> None:
    claim = replace(DEAD, rule="keeps", bound=0.334, direction_above=None)
    outcome = judge(claim, result({"dead": per_seed}))
    assert outcome.verdict == verdict
    assert outcome.reason == f"mean {100 * sum(per_seed) / len(per_seed):.1f} %, needed 33.4 %"


TESTS = replace(ORDER, groups=(("a", "b"),))


@pytest.mark.parametrize(
    ("a", "b", "trend", "equivalence"),
    [
        ((0.0, 0.0), (0.0, 0.0), REPRODUCED, DIRECTION),
        ((1.0, 1.0), (1.0, 1.0), NOT_REPRODUCED, REPRODUCED),
        ((-1.0, -1.0), (-1.0, -1.0), NOT_REPRODUCED, NOT_REPRODUCED),
        ((1.0, 1.0), (1.0, 0.0), DIRECTION, DIRECTION),
        ((1.0, -1.0), (0.0, 0.0), DIRECTION, NOT_REPRODUCED),
    ],
)
def test_tests_of_every_row_and_seed_are_counted(
    result: MakeResult, a: Sequence[float], b: Sequence[float], trend: str, equivalence: str
) -> None:
    found = result({"a": a, "b": b}, unit="verdict")
    assert judge(replace(TESTS, rule="no_trend"), found).verdict == trend
    outcome = judge(replace(TESTS, rule="equivalent"), found)
    assert outcome.verdict == equivalence
    within, beyond = (*a, *b).count(1.0), (*a, *b).count(-1.0)
    assert outcome.reason == (
        f"of 4 tests {within} within, {beyond} beyond, {4 - within - beyond} undecided"
    )


@pytest.mark.parametrize(
    ("change", "low", "verdict"),
    [(0.02, 0.01, REPRODUCED), (0.02, 0.0, DIRECTION), (0.0, -0.01, NOT_REPRODUCED)],
)
def test_a_gain_is_shown_by_the_low_end(
    result: MakeResult, change: float, low: float, verdict: str
) -> None:
    claim = replace(UP, rule="gain", rows=("change", "low"))
    assert judge(claim, result({"change": (change,), "low": (low,)})).verdict == verdict


@pytest.mark.parametrize(
    ("value", "unit", "number", "difference"),
    [
        (0.0344, "fraction", "3.4 %", "3.4 points"),
        (0.0344, "MIG", "0.0344", "0.0344"),
        (-0.5, "fraction", "-50.0 %", "-50.0 points"),
    ],
)
def test_numbers_and_differences_for_readers(
    value: float, unit: str, number: str, difference: str
) -> None:
    assert (shown(value, unit), points(value, unit)) == (number, difference)


def test_the_reason_of_a_paired_rule_gives_the_interval(result: MakeResult) -> None:
    rows = {"before": (0.1, 0.2, 0.4), "after": (0.1, 0.21, 0.42)}
    # differences 0.00, 0.01, 0.02: 0.010 ± 0.025
    expected = "change 1.0 points (-1.5 points to 3.5 points), tolerance ±2.0 points"
    assert judge(STABLE, result(rows)).reason == expected


RATIO = replace(
    DEAD,
    value=PaperValue(mean=2.5, unit="ratio"),
    rows=("ratio", "low", "high"),
    rule="interval_holds",
    direction_above=1.0,
)


@pytest.mark.parametrize(
    ("value", "low", "high", "verdict"),
    [
        (2.4, 1.9, 3.0, REPRODUCED),
        (2.4, 1.9, 2.45, DIRECTION),  # above 1, and 2.5 lies outside
        (3.0, 2.6, 3.4, DIRECTION),
        (1.5, 0.9, 2.6, NOT_REPRODUCED),  # 2.5 lies inside, and so does 1
        (0.5, 0.4, 0.6, NOT_REPRODUCED),
    ],
)
def test_interval_holds(
    result: MakeResult, value: float, low: float, high: float, verdict: str
) -> None:
    rows = {"ratio": (value,), "low": (low,), "high": (high,)}
    assert judge(RATIO, result(rows, "ratio")).verdict == verdict
    # Without a side, only the number counts.
    sideless = judge(replace(RATIO, direction_above=None), result(rows, "ratio")).verdict
    assert sideless == (REPRODUCED if low <= 2.5 <= high else NOT_REPRODUCED)


def test_interval_holds_needs_a_number_of_the_same_unit(result: MakeResult) -> None:
    rows = {"ratio": (2.4,), "low": (1.9,), "high": (3.0,)}
    for claim, unit in (
        (RATIO, "fraction"),
        (replace(RATIO, value=PaperValue(text="fewer")), "ratio"),
    ):
        with pytest.raises(ClaimError, match="interval_holds needs the paper's number"):
            judge(claim, result(rows, unit))


@pytest.mark.parametrize(
    ("value", "low", "verdict"),
    [
        (1.4, 1.1, REPRODUCED),
        (1.4, 1.0, DIRECTION),  # not above the bound
        (1.4, 0.7, DIRECTION),
        (0.9, 0.7, NOT_REPRODUCED),
    ],
)
def test_exceeds(result: MakeResult, value: float, low: float, verdict: str) -> None:
    claim = replace(DEAD, rows=("ratio", "low"), rule="exceeds", direction_above=None, bound=1.0)
    rows = {"ratio": (value,), "low": (low,)}
    assert judge(claim, result(rows, "ratio")).verdict == verdict
    nan = {"ratio": (value,), "low": (math.nan,)}
    assert judge(claim, result(nan, "ratio")).verdict == NOT_TESTED
