"""The rules that turn measured rows into a verdict, written before any result was seen.

A rule is one function with the decorator `rule`; its docstring is shown to readers. It is called
only when every row that the claim names is there and the run is large enough for the claim.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from seethrough.claims.claim import Claim, ClaimError
from seethrough.metrics.intervals import student_interval
from seethrough.results import Row, StudyResult

REPRODUCED = "reproduced"
DIRECTION = "direction reproduced"
NOT_REPRODUCED = "not reproduced"
NOT_TESTED = "not tested at this scale"
VERDICTS = (REPRODUCED, DIRECTION, NOT_REPRODUCED, NOT_TESTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run says about a claim."""

    verdict: str
    """One of `VERDICTS`."""
    reason: str
    """The numbers behind the verdict, or why there is none; no full stop."""


Judgement = Callable[[Claim, StudyResult], Outcome]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A way to come from measured rows to a verdict."""

    name: str
    """The name used in claims.yml."""
    words: str
    """The rule as shown to readers."""
    judge: Judgement
    """The function behind it."""
    n_rows: int
    """How many entries `Claim.rows` must have."""
    needs: tuple[str, ...]
    """Further fields of the claim that must be given."""
    allows: tuple[str, ...]
    """Further fields of the claim that may be given."""
    single: bool
    """Whether one value is enough: the rule needs no spread over seeds."""


RULES: dict[str, Rule] = {}
"""Name -> rule."""


def rule(
    *,
    n_rows: int,
    needs: tuple[str, ...] = (),
    allows: tuple[str, ...] = (),
    single: bool = False,
) -> Callable[[Judgement], Judgement]:
    """Register a function as a rule under its own name, with its docstring as its words."""

    def register(judgement: Judgement) -> Judgement:
        name = judgement.__name__
        words = " ".join((judgement.__doc__ or "").split())
        RULES[name] = Rule(
            name=name,
            words=words,
            judge=judgement,
            n_rows=n_rows,
            needs=needs,
            allows=allows,
            single=single,
        )
        return judgement

    return register


@rule(n_rows=1, needs=("value",), allows=("direction_above",))
def within_two_sd(claim: Claim, result: StudyResult) -> Outcome:
    """Reproduced when our mean over seeds differs from the paper's number by at most twice the
    combined standard deviation, √(ours² + paper's²). Otherwise the direction is reproduced when
    the low end of our 95 % interval lies above the value named in the claim. Otherwise not
    reproduced.
    """
    row, paper = result.row(claim.rows[0]), claim.value
    if paper is None or paper.mean is None or paper.sd is None or row.sd is None:
        raise ClaimError(f"{claim.id}: within_two_sd needs a mean and an sd on both sides")
    if row.unit != paper.unit:
        raise ClaimError(f"{claim.id}: the paper's unit is {paper.unit!r}, ours {row.unit!r}")
    difference, allowed = abs(row.mean - paper.mean), 2 * math.hypot(row.sd, paper.sd)
    reason = f"difference {points(difference, row.unit)}, allowed {points(allowed, row.unit)}"
    if difference <= allowed:
        return Outcome(verdict=REPRODUCED, reason=reason)
    bound = claim.direction_above
    if bound is not None and row.low is not None:
        above = row.low > bound
        sign = "above" if above else "not above"
        reason = f"{reason}; low end {shown(row.low, row.unit)}, {sign} {shown(bound, row.unit)}"
        if above:
            return Outcome(verdict=DIRECTION, reason=reason)
    return Outcome(verdict=NOT_REPRODUCED, reason=reason)


@rule(n_rows=2, needs=("tolerance",))
def unchanged(claim: Claim, result: StudyResult) -> Outcome:
    """Reproduced when the 95 % interval of the difference second row minus first row, taken
    seed by seed, lies within plus or minus the tolerance named in the claim. The direction is
    reproduced when only the mean difference lies within it. Otherwise not reproduced.
    """
    mean, low, high, unit = paired_difference(claim, result)
    tolerance = math.nan if claim.tolerance is None else claim.tolerance
    reason = f"change {span(mean, low, high, unit)}, tolerance ±{points(tolerance, unit)}"
    if -tolerance <= low and high <= tolerance:
        return Outcome(verdict=REPRODUCED, reason=reason)
    inside = -tolerance <= mean <= tolerance
    return Outcome(verdict=DIRECTION if inside else NOT_REPRODUCED, reason=reason)


@rule(n_rows=2)
def direction_up(claim: Claim, result: StudyResult) -> Outcome:
    """Reproduced when the 95 % interval of the difference second row minus first row, taken
    seed by seed, lies above zero. The direction is reproduced when only the mean difference is
    above zero. Otherwise not reproduced.
    """
    mean, low, high, unit = paired_difference(claim, result)
    reason = f"difference {span(mean, low, high, unit)}"
    if low > 0:
        return Outcome(verdict=REPRODUCED, reason=reason)
    return Outcome(verdict=DIRECTION if mean > 0 else NOT_REPRODUCED, reason=reason)


@rule(n_rows=2)
def order_only(claim: Claim, result: StudyResult) -> Outcome:
    """The paper's numbers are not judged. The direction is reproduced when the 95 % interval of
    the difference second row minus first row, taken seed by seed, lies above zero. Otherwise not
    reproduced.
    """
    mean, low, high, unit = paired_difference(claim, result)
    reason = f"difference {span(mean, low, high, unit)}"
    return Outcome(verdict=DIRECTION if low > 0 else NOT_REPRODUCED, reason=reason)


@rule(n_rows=0, needs=("groups",))
def larger_in_all(claim: Claim, result: StudyResult) -> Outcome:
    """Reproduced when in every pair of cells the 95 % interval of the difference second minus
    first, taken seed by seed, lies above zero. The direction is reproduced when only the mean
    difference is above zero in every pair. Otherwise not reproduced.
    """
    found = [paired_difference(claim, result, pair) for pair in claim.groups]
    above = sum(low > 0 for _, low, _, _ in found)
    up = sum(mean > 0 for mean, _, _, _ in found)
    reason = f"of {len(found)} pairs {up} up in the mean, {above} with their whole interval"
    if above == len(found):
        return Outcome(verdict=REPRODUCED, reason=reason)
    return Outcome(verdict=DIRECTION if up == len(found) else NOT_REPRODUCED, reason=reason)


@rule(n_rows=0, needs=("groups",))
def at_least(claim: Claim, result: StudyResult) -> Outcome:
    """Reproduced when in every pair of cells the second mean is at least the first minus twice
    the combined standard deviation, √(first² + second²). The direction is reproduced when that
    holds in more than half of the pairs. Otherwise not reproduced.
    """
    held = 0
    for pair in claim.groups:
        first, second = (result.row(row) for row in pair)
        if first.sd is None or second.sd is None:
            raise ClaimError(f"{claim.id}: at_least needs two seeds")
        held += second.mean >= first.mean - 2 * math.hypot(first.sd, second.sd)
    reason = f"it holds in {held} of {len(claim.groups)} pairs"
    if held == len(claim.groups):
        return Outcome(verdict=REPRODUCED, reason=reason)
    most = 2 * held > len(claim.groups)
    return Outcome(verdict=DIRECTION if most else NOT_REPRODUCED, reason=reason)


@rule(n_rows=1, needs=("bound",))
def below(claim: Claim, result: StudyResult) -> Outcome:
    """Reproduced when the high end of our 95 % interval lies below the bound named in the claim.
    The direction is reproduced when only the mean does. Otherwise not reproduced.
    """
    row = result.row(claim.rows[0])
    if row.high is None or claim.bound is None:
        raise ClaimError(f"{claim.id}: below needs two seeds and a bound")
    reason = (
        f"mean {shown(row.mean, row.unit)}, high end {shown(row.high, row.unit)}, "
        f"bound {shown(claim.bound, row.unit)}"
    )
    if row.high < claim.bound:
        return Outcome(verdict=REPRODUCED, reason=reason)
    inside = row.mean < claim.bound
    return Outcome(verdict=DIRECTION if inside else NOT_REPRODUCED, reason=reason)


@rule(n_rows=1, single=True)
def refuted_by_any(claim: Claim, result: StudyResult) -> Outcome:
    """The row counts the remedies that pass the test written beside the claim. Not reproduced,
    that is refuted in our setting, when at least one passes; reproduced when none does. One success
    suffices, so the more remedies are tried the easier it is to refute.
    """
    n = round(result.row(claim.rows[0]).mean)
    reason = (
        "no remedy passes" if n == 0 else f"{n} remedies pass" if n > 1 else "one remedy passes"
    )
    return Outcome(verdict=NOT_REPRODUCED if n else REPRODUCED, reason=reason)


@rule(n_rows=0, needs=("groups",), single=True)
def same_order(claim: Claim, result: StudyResult) -> Outcome:
    """Reproduced when the cells, ranked by their mean over seeds, stand in the same order under
    every definition (equal means share a rank). The direction is reproduced when the lowest and
    the highest cell are the same under every definition. Otherwise not reproduced.
    """
    orders = {ranks([result.row(row).mean for row in group]) for group in claim.groups}
    n_cells, n_definitions = len(claim.groups[0]), len(claim.groups)
    counted = "one order" if len(orders) == 1 else f"{len(orders)} different orders"
    reason = f"{n_cells} cells under {n_definitions} definitions: {counted}"
    if len(orders) == 1:
        return Outcome(verdict=REPRODUCED, reason=reason)
    same_ends = len({ends(order) for order in orders}) == 1
    return Outcome(verdict=DIRECTION if same_ends else NOT_REPRODUCED, reason=reason)


@rule(n_rows=1, needs=("bound",), single=True)
def keeps(claim: Claim, result: StudyResult) -> Outcome:
    """Reproduced when our mean over seeds is at least the bound named in the claim. Otherwise not
    reproduced. More than the paper reports is no fault.
    """
    row = result.row(claim.rows[0])
    if claim.bound is None:
        raise ClaimError(f"{claim.id}: keeps needs a bound")
    reason = f"mean {shown(row.mean, row.unit)}, needed {shown(claim.bound, row.unit)}"
    return Outcome(verdict=REPRODUCED if row.mean >= claim.bound else NOT_REPRODUCED, reason=reason)


@rule(n_rows=0, needs=("groups",), single=True)
def no_trend(claim: Claim, result: StudyResult) -> Outcome:
    """Each row tells, seed by seed, whether the intervals show a rise with sparsity, a fall or
    neither. Reproduced when all show neither. Not reproduced when all rise, or all fall: a
    consistent trend. Otherwise the direction is reproduced: no trend that is systematic.
    """
    values = [
        value for group in claim.groups for row in group for value in result.row(row).per_seed
    ]
    up, down = values.count(1.0), values.count(-1.0)
    reason = f"of {len(values)} tests {up} rise, {down} fall, {len(values) - up - down} neither"
    if up == down == 0:
        return Outcome(verdict=REPRODUCED, reason=reason)
    consistent = len(values) in (up, down)
    return Outcome(verdict=NOT_REPRODUCED if consistent else DIRECTION, reason=reason)


@rule(n_rows=0, needs=("groups",), single=True)
def equivalent(claim: Claim, result: StudyResult) -> Outcome:
    """Each row tells, seed by seed, whether two one-sided tests show the change to be within the
    margin, beyond it or neither. Reproduced when all are within. Not reproduced when one is beyond.
    Otherwise the direction is reproduced: neither a change nor its absence is shown.
    """
    values = [
        value for group in claim.groups for row in group for value in result.row(row).per_seed
    ]
    within, beyond = values.count(1.0), values.count(-1.0)
    undecided = len(values) - within - beyond
    reason = f"of {len(values)} tests {within} within, {beyond} beyond, {undecided} undecided"
    if within == len(values):
        return Outcome(verdict=REPRODUCED, reason=reason)
    return Outcome(verdict=NOT_REPRODUCED if beyond else DIRECTION, reason=reason)


@rule(n_rows=2, single=True)
def gain(claim: Claim, result: StudyResult) -> Outcome:
    """The first row is a change, the second the low end of its interval over images. Reproduced
    when the low end, in the mean over seeds, is above zero; the direction when only the change is.
    Otherwise not reproduced.
    """
    change, low = (result.row(row) for row in claim.rows)
    reason = f"change {points(change.mean, change.unit)}, low end {points(low.mean, low.unit)}"
    if low.mean > 0:
        return Outcome(verdict=REPRODUCED, reason=reason)
    return Outcome(verdict=DIRECTION if change.mean > 0 else NOT_REPRODUCED, reason=reason)


@rule(n_rows=3, allows=("direction_above",), single=True)
def interval_holds(claim: Claim, result: StudyResult) -> Outcome:
    """The rows are a number and the two ends of its interval. Reproduced when the paper's number
    lies within the interval and the low end above the value named in the claim, if there is one.
    The direction is reproduced when only the latter holds. Otherwise not reproduced.
    """
    row, *ends_of = (result.row(name) for name in claim.rows)
    paper = claim.value
    if paper is None or paper.mean is None or row.unit != paper.unit:
        raise ClaimError(f"{claim.id}: interval_holds needs the paper's number in {row.unit!r}")
    low, high = (end.mean for end in ends_of)
    texts = (shown(value, row.unit) for value in (row.mean, low, high, paper.mean))
    reason = "{} ({} to {}), paper {}".format(*texts)
    on_side = claim.direction_above is None or low > claim.direction_above
    if on_side and low <= paper.mean <= high:
        return Outcome(verdict=REPRODUCED, reason=reason)
    directed = on_side and claim.direction_above is not None
    return Outcome(verdict=DIRECTION if directed else NOT_REPRODUCED, reason=reason)


@rule(n_rows=2, needs=("bound",), single=True)
def exceeds(claim: Claim, result: StudyResult) -> Outcome:
    """The rows are a number and the low end of its interval. Reproduced when the low end lies
    above the bound named in the claim; the direction when only the number does. Otherwise not
    reproduced.
    """
    row, low = (result.row(name) for name in claim.rows)
    if claim.bound is None:
        raise ClaimError(f"{claim.id}: exceeds needs a bound")
    value, end, bound = (shown(v, row.unit) for v in (row.mean, low.mean, claim.bound))
    reason = f"{value}, low end {end}, bound {bound}"
    if low.mean > claim.bound:
        return Outcome(verdict=REPRODUCED, reason=reason)
    return Outcome(verdict=DIRECTION if row.mean > claim.bound else NOT_REPRODUCED, reason=reason)


@rule(n_rows=0)
def none(claim: Claim, result: StudyResult) -> Outcome:
    """No rule is set: the claim is listed and not tested yet."""
    return Outcome(verdict=NOT_TESTED, reason="no study tests it yet")


def ranks(means: Sequence[float]) -> tuple[int, ...]:
    """Return the rank of each mean from 0 upwards; equal means share a rank."""
    ordered = sorted(set(means))
    return tuple(ordered.index(mean) for mean in means)


def ends(order: tuple[int, ...]) -> tuple[frozenset[int], frozenset[int]]:
    """Return the positions that hold the lowest and those that hold the highest rank."""
    lowest = frozenset(i for i, rank in enumerate(order) if rank == min(order))
    highest = frozenset(i for i, rank in enumerate(order) if rank == max(order))
    return lowest, highest


def paired_difference(
    claim: Claim, result: StudyResult, pair: Sequence[str] | None = None
) -> tuple[float, float, float, str]:
    """Return mean, low and high of the 95 % interval of second minus first row, and their unit.

    The rows are those of the claim, or the given pair.

    Raises:
        ClaimError: rows of different units or numbers of seeds, or a single seed.
    """
    first, second = (result.row(row) for row in pair or claim.rows)
    if first.unit != second.unit or first.n != second.n:
        raise ClaimError(
            f"{claim.id}: rows {first.id} and {second.id} differ in unit or number of seeds: "
            f"{first.unit!r}, {first.n} against {second.unit!r}, {second.n}"
        )
    differences = [b - a for a, b in zip(first.per_seed, second.per_seed, strict=True)]
    mean, _, low, high = student_interval(differences)
    if low is None or high is None:
        raise ClaimError(f"{claim.id}: an interval needs two seeds, got {first.n}")
    return mean, low, high, first.unit


def shown(value: float, unit: str) -> str:
    """Return a number for a reader: fractions in per cent, others with three digits."""
    return f"{100 * value:.1f} %" if unit == "fraction" else f"{value:.3g}"


def points(difference: float, unit: str) -> str:
    """Return a difference for a reader: of fractions in percentage points."""
    return f"{100 * difference:.1f} points" if unit == "fraction" else f"{difference:.3g}"


def span(mean: float, low: float, high: float, unit: str) -> str:
    """Return a difference with its interval in brackets, for a reader."""
    return f"{points(mean, unit)} ({points(low, unit)} to {points(high, unit)})"


def shortfall(claim: Claim, result: StudyResult) -> str | None:
    """Return why the run is too small for the claim, or None when it is large enough.

    ``n_seeds`` is the number of seeds of the run; other names are parameters of the study.

    Raises:
        ClaimError: the study has no such parameter, or it is no number where one is required.
    """
    known: dict[str, Any] = {
        **result.provenance.parameters,
        "n_seeds": len(result.provenance.seeds),
    }
    for name, least in claim.requires.items():
        if name not in known:
            near = get_close_matches(name, known, cutoff=0.4) or sorted(known)
            allowed = f"nearest: {', '.join(near)}"
            raise ClaimError(f"{claim.id}: {result.study} has no parameter {name!r}; {allowed}")
        value = known[name]
        if isinstance(least, str):
            if str(value) != least:
                return f"needs {name} = {least}, the run has {value}"
        elif isinstance(value, bool) or not isinstance(value, int | float):
            raise ClaimError(f"{claim.id}: requires {name} ≥ {least:g}, the run has {value!r}")
        elif value < least:
            return f"needs {name} ≥ {least:g}, the run has {value:g}"
    return None


def judge(claim: Claim, result: StudyResult | None) -> Outcome:
    """Return the verdict of a run on a claim.

    It is "not tested at this scale" when there is no rule, no run (None), a row is absent, the
    run is smaller than the claim requires, a value is NaN, or a spread would rest on one seed.

    Raises:
        ClaimError: a claim that does not fit the result (unit, parameter or seeds).
    """
    if claim.rule == "none":
        return Outcome(verdict=NOT_TESTED, reason="no study tests it yet")
    if result is None:
        return Outcome(verdict=NOT_TESTED, reason="no run")
    rows = {row.id: row for row in result.rows}
    absent = [row for row in claim.row_ids if row not in rows]
    if absent:
        return Outcome(verdict=NOT_TESTED, reason=f"the run has no row {absent[0]}")
    obstacle = shortfall(claim, result) or weakness(claim, [rows[row] for row in claim.row_ids])
    if obstacle:
        return Outcome(verdict=NOT_TESTED, reason=obstacle)
    return RULES[claim.rule].judge(claim, result)


def weakness(claim: Claim, rows: list[Row]) -> str | None:
    """Return why the rows cannot carry the claim's rule, or None when they can."""
    if any(math.isnan(value) for row in rows for value in row.per_seed):
        return "a value is not a number"
    if not RULES[claim.rule].single and any(row.n < 2 for row in rows):
        return "one seed has no spread"
    return None
