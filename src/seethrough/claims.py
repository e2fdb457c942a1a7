"""The papers' claims, and verdicts on them by written rules.

``book/claims.yml`` is a list of claims. Each names a rule of `RULES`, which compares rows of a
study's result with the paper; the rules were written before any result was seen. A verdict is
one of `VERDICTS`.

Verdicts are about this project's setting, not about the papers' own runs.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from seethrough.metrics.intervals import student_interval
from seethrough.results import Row, StudyResult

REPRODUCED = "reproduced"
DIRECTION = "direction reproduced"
NOT_REPRODUCED = "not reproduced"
NOT_TESTED = "not tested at this scale"
VERDICTS = (REPRODUCED, DIRECTION, NOT_REPRODUCED, NOT_TESTED)


class ClaimError(ValueError):
    """A claim that is not well formed; the message is one sentence with the claim's id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperValue:
    """What the paper reports: a number with its spread, or a statement in words."""

    mean: float | None = None
    """The reported number, in `unit`; None when there is only a text."""
    sd: float | None = None
    """The reported spread after the plus-minus sign, in `unit`; None when not reported."""
    unit: str = ""
    """``fraction`` for shares between 0 and 1, else the unit's name; empty for a pure number."""
    text: str = ""
    """The statement in words; used when there is no number."""

    def __post_init__(self) -> None:
        """Refuse a value that is both a number and a text, or neither."""
        if (self.mean is None) == (not self.text):
            raise ValueError(f"got mean {self.mean!r} and text {self.text!r}, allowed exactly one")
        if self.sd is not None and (self.mean is None or self.sd < 0):
            raise ValueError(f"got sd {self.sd!r}, allowed a number of at least 0 beside a mean")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One statement of a paper, and what in this project speaks to it."""

    id: str
    """Short name, such as COL-01."""
    paper: str
    """Name of the paper's page: impact, collapse or psychophysics."""
    claim: str
    """The statement in our words."""
    standing: str
    """Where we have it from: abstract, blog, second-hand note, derived, ..."""
    value: PaperValue | None = None
    """The paper's value; None when it gives none."""
    study: str | None = None
    """The study that tests it; None when none does yet."""
    rows: tuple[str, ...] = ()
    """Ids of the rows that the rule reads, in the rule's order."""
    groups: tuple[tuple[str, ...], ...] = ()
    """For the rule same_order: lists of row ids, the same cells in the same order in each."""
    rule: str = "none"
    """Name of an entry of `RULES`."""
    direction_above: float | None = None
    """For within_two_sd: the value above which the claim's direction holds."""
    tolerance: float | None = None
    """For unchanged: the largest difference that counts as no change, in the rows' unit."""
    requires: Mapping[str, float | str] = field(default_factory=dict)
    """Parameter name -> least value (numbers) or the very value (texts) of a run that counts."""
    note: str = ""
    """A remark shown below the claim."""

    def __post_init__(self) -> None:
        """Check the rule's name and that the fields it reads, and no others, are given."""
        if self.rule not in RULES:
            raise ValueError(f"got rule {self.rule!r}, allowed {', '.join(RULES)}")
        rule = RULES[self.rule]
        if self.rule != "none" and self.study is None:
            raise ValueError(f"rule {self.rule} needs a study")
        rule.check(self)

    @property
    def row_ids(self) -> tuple[str, ...]:
        """Every row id that the claim names, each once, in order of appearance."""
        named = [*self.rows, *(row for group in self.groups for row in group)]
        return tuple(dict.fromkeys(named))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run says about a claim."""

    verdict: str
    """One of `VERDICTS`."""
    reason: str
    """The numbers behind the verdict, or why there is none; no full stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A way to come from measured rows to a verdict."""

    name: str
    """The name used in claims.yml."""
    words: str
    """The rule as shown to readers."""
    judge: Callable[[Claim, StudyResult], Outcome]
    """The function behind it; called only when every row is there and the run is large enough."""
    n_rows: int
    """How many entries `Claim.rows` must have."""
    needs: tuple[str, ...] = ()
    """Further fields of the claim that must be given."""
    allows: tuple[str, ...] = ()
    """Further fields of the claim that may be given."""

    def check(self, claim: Claim) -> None:
        """Raise ValueError when a field that the rule needs is absent, or one is of no use."""
        if self.name != "none" and len(claim.rows) != self.n_rows:
            raise ValueError(f"rule {self.name} reads {self.n_rows} rows, got {len(claim.rows)}")
        for name in ("groups", "direction_above", "tolerance"):
            given = getattr(claim, name) not in (None, ())
            if name in self.needs and not given:
                raise ValueError(f"rule {self.name} needs {name}")
            if given and name not in self.needs + self.allows:
                raise ValueError(f"rule {self.name} has no use for {name}")
        if "value" in self.needs and (claim.value is None or claim.value.sd is None):
            raise ValueError(f"rule {self.name} needs a value with mean and sd")


RULES: dict[str, Rule] = {}
"""Name -> rule. A new rule is one function with the decorator `rule`."""


def rule(
    *, n_rows: int, needs: tuple[str, ...] = (), allows: tuple[str, ...] = ()
) -> Callable[[Callable[[Claim, StudyResult], Outcome]], Callable[[Claim, StudyResult], Outcome]]:
    """Register a function as a rule under its own name; its docstring is shown to readers."""

    def register(
        judge: Callable[[Claim, StudyResult], Outcome],
    ) -> Callable[[Claim, StudyResult], Outcome]:
        words = " ".join((judge.__doc__ or "").split())
        RULES[judge.__name__] = Rule(
            name=judge.__name__, words=words, judge=judge, n_rows=n_rows, needs=needs, allows=allows
        )
        return judge

    return register


@rule(n_rows=0)
def none(claim: Claim, result: StudyResult) -> Outcome:
    """No rule is set: the claim is listed, and not tested."""
    return Outcome(verdict=NOT_TESTED, reason="no study tests it yet")


@rule(n_rows=1, needs=("value",), allows=("direction_above",))
def within_two_sd(claim: Claim, result: StudyResult) -> Outcome:
    """Reproduced when our mean over seeds differs from the paper's number by at most two
    standard deviations, ours and the paper's combined: 2 √(sd² + sd²). Otherwise the direction
    is reproduced when the low end of our 95 % interval over seeds lies above the value named
    in the claim. Otherwise not reproduced."""
    row = result.row(claim.rows[0])
    paper, spread = claim.value, row.sd
    if paper is None or paper.mean is None or paper.sd is None or spread is None:
        raise ClaimError(f"{claim.id}: within_two_sd needs a mean and an sd on both sides")
    if row.unit != paper.unit:
        raise ClaimError(f"{claim.id}: the paper's unit is {paper.unit!r}, ours {row.unit!r}")
    difference, allowed = abs(row.mean - paper.mean), 2 * math.hypot(spread, paper.sd)
    gap = f"difference {shown(difference, row.unit)}, allowed {shown(allowed, row.unit)}"
    if difference <= allowed:
        return Outcome(verdict=REPRODUCED, reason=gap)
    if claim.direction_above is None:
        return Outcome(verdict=NOT_REPRODUCED, reason=gap)
    above = row.low is not None and row.low > claim.direction_above
    sign = "above" if above else "not above"
    reason = f"{gap}; low end {sign} {shown(claim.direction_above, row.unit)}"
    return Outcome(verdict=DIRECTION if above else NOT_REPRODUCED, reason=reason)


@rule(n_rows=2, needs=("tolerance",))
def unchanged(claim: Claim, result: StudyResult) -> Outcome:
    """Reproduced when the 95 % interval of the difference after minus before, taken seed by
    seed, lies within plus or minus the tolerance named in the claim. The direction is
    reproduced when only the mean difference lies within it. Otherwise not reproduced."""
    mean, low, high, unit = paired_difference(claim, result)
    tolerance = claim.tolerance
    if tolerance is None:
        raise ClaimError(f"{claim.id}: unchanged needs a tolerance")
    reason = f"change {span(mean, low, high, unit)}, tolerance ±{shown(tolerance, unit)}"
    if -tolerance <= low and high <= tolerance:
        return Outcome(verdict=REPRODUCED, reason=reason)
    inside = -tolerance <= mean <= tolerance
    return Outcome(verdict=DIRECTION if inside else NOT_REPRODUCED, reason=reason)


@rule(n_rows=2)
def direction_up(claim: Claim, result: StudyResult) -> Outcome:
    """Reproduced when the 95 % interval of the difference second row minus first row, taken
    seed by seed, lies above zero. The direction is reproduced when only the mean difference is
    above zero. Otherwise not reproduced."""
    mean, low, high, unit = paired_difference(claim, result)
    reason = f"difference {span(mean, low, high, unit)}"
    if low > 0:
        return Outcome(verdict=REPRODUCED, reason=reason)
    return Outcome(verdict=DIRECTION if mean > 0 else NOT_REPRODUCED, reason=reason)


@rule(n_rows=0, needs=("groups",))
def same_order(claim: Claim, result: StudyResult) -> Outcome:
    """Reproduced when the cells, ranked by their mean over seeds, have the same order under
    every definition (equal means share a rank). The direction is reproduced when the lowest and
    the highest cell are the same under every definition. Otherwise not reproduced."""
    orders = {ranks([result.row(row).mean for row in group]) for group in claim.groups}
    n_cells, n_groups = len(claim.groups[0]), len(claim.groups)
    reason = f"{n_cells} cells under {n_groups} definitions: {len(orders)} different order(s)"
    if len(orders) == 1:
        return Outcome(verdict=REPRODUCED, reason=reason)
    ends = {
        tuple(rank == end(order) for rank in order for end in (min, max)) for order in orders
    }
    return Outcome(verdict=DIRECTION if len(ends) == 1 else NOT_REPRODUCED, reason=reason)


def ranks(means: list[float]) -> tuple[int, ...]:
    """Return the rank of each mean from 0 upwards; equal means share a rank."""
    ordered = sorted(set(means))
    return tuple(ordered.index(mean) for mean in means)


def paired_difference(claim: Claim, result: StudyResult) -> tuple[float, float, float, str]:
    """Return mean, low and high of the 95 % interval of second minus first row, and their unit.

    Raises:
        ClaimError: rows of different units or numbers of seeds.
    """
    first, second = (result.row(row) for row in claim.rows)
    if first.unit != second.unit or first.n != second.n:
        raise ClaimError(
            f"{claim.id}: rows {first.id} and {second.id} differ in unit or number of seeds "
            f"({first.unit!r}, {first.n}; {second.unit!r}, {second.n})"
        )
    differences = [b - a for a, b in zip(first.per_seed, second.per_seed, strict=True)]
    mean, _, low, high = student_interval(differences)
    if low is None or high is None:
        raise ClaimError(f"{claim.id}: an interval needs two seeds, got {first.n}")
    return mean, low, high, first.unit


def shown(value: float, unit: str) -> str:
    """Return a number for a reader: fractions in per cent, others with three digits."""
    return f"{100 * value:.1f} %" if unit == "fraction" else f"{value:.3g}"


def span(mean: float, low: float, high: float, unit: str) -> str:
    """Return a mean with its interval in brackets."""
    return f"{shown(mean, unit)} ({shown(low, unit)} to {shown(high, unit)})"


def shortfall(claim: Claim, result: StudyResult) -> str | None:
    """Return why the run is too small for the claim, or None when it is large enough.

    ``n_seeds`` is the number of seeds of the run; other names are parameters of the study.

    Raises:
        ClaimError: the study has no such parameter.
    """
    known: dict[str, Any] = dict(result.provenance.parameters)
    known["n_seeds"] = len(result.provenance.seeds)
    for name, least in claim.requires.items():
        if name not in known:
            near = ", ".join(get_close_matches(name, known, cutoff=0.4)) or ", ".join(sorted(known))
            raise ClaimError(f"{claim.id} requires {name}, which {result.study} has not: {near}")
        value = known[name]
        if isinstance(least, str):
            if str(value) != least:
                return f"needs {name} {least}, the run has {value}"
        elif not isinstance(value, int | float):
            raise ClaimError(f"{claim.id} requires {name} ≥ {least}, but the run has {value!r}")
        elif value < least:
            return f"needs {name} ≥ {least:g}, the run has {value:g}"
    return None


def judge(claim: Claim, result: StudyResult | None) -> Outcome:
    """Return the verdict of a run on a claim.

    It is "not tested at this scale" when there is no rule, no run, an absent row, a run smaller
    than the claim requires, a value that is not a number, or a spread over a single seed.

    Raises:
        ClaimError: a claim that does not fit the result (unit, parameter or seeds).
    """
    if claim.rule == "none":
        return RULES["none"].judge(claim, result)  # type: ignore[arg-type]
    if result is None:
        return Outcome(verdict=NOT_TESTED, reason="no run")
    rows = {row.id: row for row in result.rows}
    absent = [row for row in claim.row_ids if row not in rows]
    if absent:
        return Outcome(verdict=NOT_TESTED, reason=f"the run has no row {absent[0]}")
    too_small = shortfall(claim, result)
    if too_small:
        return Outcome(verdict=NOT_TESTED, reason=too_small)
    return _judge_rows(claim, result, [rows[row] for row in claim.row_ids])


def _judge_rows(claim: Claim, result: StudyResult, rows: list[Row]) -> Outcome:
    """Apply the rule, unless a row has no number, or no spread where the rule needs one."""
    if any(math.isnan(value) for row in rows for value in row.per_seed):
        return Outcome(verdict=NOT_TESTED, reason="a value is not a number")
    if claim.rule != "same_order" and any(row.n < 2 for row in rows):
        return Outcome(verdict=NOT_TESTED, reason="one seed has no spread")
    return RULES[claim.rule].judge(claim, result)


def load(path: Path) -> tuple[Claim, ...]:
    """Return the claims of a YAML file, in its order.

    Raises:
        ClaimError: not a list, an unknown or missing key, a value of a wrong type or an id that
            occurs twice; the sentence names the claim.
    """
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(entries, list):
        raise ClaimError(f"{path.name} holds {type(entries).__name__}, expected a list of claims")
    claims = tuple(parse(entry) for entry in entries)
    ids = [claim.id for claim in claims]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        raise ClaimError(f"{path.name} has the id {twice[0]} more than once")
    return claims


def parse(entry: object) -> Claim:
    """Return the claim of one YAML mapping; ``row: x`` is short for ``rows: [x]``.

    Raises:
        ClaimError: as for `load`.
    """
    if not isinstance(entry, dict):
        raise ClaimError(f"got a claim {entry!r}, expected a mapping")
    name = entry.get("id", entry)
    values = dict(entry)
    if "row" in values:
        if "rows" in values:
            raise ClaimError(f"{name}: give row or rows, not both")
        values["rows"] = [values.pop("row")]
    known = {entry.name for entry in fields(Claim)}
    required = {entry.name for entry in fields(Claim) if _is_required(entry)}
    if unknown := sorted(set(values) - known):
        allowed = ", ".join(sorted(known | {"row"}))
        raise ClaimError(f"{name}: unknown key {unknown[0]!r}, allowed {allowed}")
    if missing := sorted(required - set(values)):
        raise ClaimError(f"{name}: the key {missing[0]!r} is missing")
    try:
        return Claim(**{key: _typed(key, value) for key, value in values.items()})
    except (TypeError, ValueError) as error:
        raise ClaimError(f"{name}: {error}") from error


def _is_required(entry: Any) -> bool:
    """Say whether a dataclass field has no default."""
    return entry.default is MISSING and entry.default_factory is MISSING


def _typed(key: str, value: Any) -> Any:
    """Return a YAML value as the type of the claim's field `key`; ValueError when it is not."""
    match key:
        case "value":
            return None if value is None else _paper_value(value)
        case "rows":
            return _texts(key, value)
        case "groups":
            return _groups(value)
        case "requires":
            return _requirements(value)
        case "direction_above" | "tolerance":
            return _number(key, value)
        case "study" if value is None:
            return None
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{key} is {value!r}, expected a text")
    return value.strip()


def _paper_value(value: Any) -> PaperValue:
    """Return the paper's value from its mapping."""
    if not isinstance(value, dict):
        raise ValueError(f"value is {value!r}, expected a mapping or null")
    known = {entry.name for entry in fields(PaperValue)}
    if unknown := sorted(set(value) - known):
        allowed = ", ".join(sorted(known))
        raise ValueError(f"unknown key {unknown[0]!r} in value, allowed {allowed}")
    numbers = {key: _number(key, value[key]) for key in ("mean", "sd") if key in value}
    texts = {key: _typed(key, value[key]) for key in ("unit", "text") if key in value}
    return PaperValue(**numbers, **texts)


def _number(key: str, value: Any) -> float:
    """Return a number of the YAML file; booleans are not numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{key} is {value!r}, expected a number")
    return float(value)


def _texts(key: str, value: Any) -> tuple[str, ...]:
    """Return a list of texts of the YAML file as a tuple."""
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError(f"{key} is {value!r}, expected a list of texts")
    return tuple(value)


def _groups(value: Any) -> tuple[tuple[str, ...], ...]:
    """Return two or more lists of two or more row ids, all of one length."""
    if not isinstance(value, list):
        raise ValueError(f"groups is {value!r}, expected a list of lists")
    groups = tuple(_texts("a group", group) for group in value)
    if len(groups) < 2 or len({len(group) for group in groups}) != 1 or len(groups[0]) < 2:
        lengths = [len(group) for group in groups]
        raise ValueError(f"groups has lists of {lengths} rows, expected two or more, equally long")
    return groups


def _requirements(value: Any) -> dict[str, float | str]:
    """Return the smallest provenance that counts, parameter name -> number or text."""
    if not isinstance(value, dict):
        raise ValueError(f"requires is {value!r}, expected a mapping")
    return {
        str(key): least if isinstance(least, str) else _number(key, least)
        for key, least in value.items()
    }
