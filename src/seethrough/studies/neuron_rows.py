"""Rows of the study of neurons: means over classes with intervals, changes, trends.

Every row is a mean over classes for one seed; beside it stand the ends of the 95 % bootstrap
interval over classes (`..._low`, `..._high`). Changes against a dense model have 90 % intervals,
those of the test of equivalence.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from seethrough.neurons.bootstrap import bootstrap_mean
from seethrough.neurons.equivalence import equivalence_test
from seethrough.neurons.trend import trend_test
from seethrough.results import Cell
from seethrough.studies.impact_models import DENSE, TUNED, Condition

METRICS = {
    "impact": ("logit lost by ablating the units, over the logits' norm", "1"),
    "selectivity": ("AUROC of a unit's class-token activation for the class", "AUROC"),
    "variance": ("coefficient of variation of a unit's largest patch activation", "1"),
    "entropy": ("entropy of a unit's activation over classes", "nats"),
}
"""The four metrics of a unit, in words, with their units."""
SELECTIONS = ("top", "random", "all")
MARGINS = {"impact": 0.1, "selectivity": 0.02, "variance": 0.1, "entropy": 0.05}
"""Largest change that counts as none: AUROC by itself, the others over the dense model's value.
Fixed before any run."""
VERDICTS = {"equivalent": 1.0, "undecided": 0.0, "different": -1.0}
TRENDS = {"rises": 1.0, "no trend": 0.0, "falls": -1.0}
SAME_FOR_ALL_CLASSES = {("entropy", "all")}
"""Metric and selection whose values cannot differ between classes: no interval and no test."""


PerClass = dict[tuple[str, str, int], Float64[Tensor, " C"]]
"""(metric, selection, block) -> one value per class, NaN for classes without images."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What one model's units did."""

    condition: Condition
    """The model."""
    per_class: PerClass
    """The four metrics."""
    numbers: dict[str, float]
    """Part of a row's name to its value: what is not a mean over classes."""


WORDS = {
    "patching_rank_correlation": (
        "rank correlation of attribution patching and true patching, MLP units", "1"),
    "heads_among_top": ("heads among the selected units", "fraction"),
    "heads_among_all": ("heads among all units of the block", "fraction"),
    "factor_best": ("largest share of a factor's entropy that a unit has, mean", "fraction"),
    "factor_gap": ("largest minus second largest share, mean over units", "fraction"),
    "one_factor_units": ("units that speak of one factor", "fraction"),
}  # fmt: skip
"""Numbers that are no mean over classes, in words, with their units."""

NamedValue = tuple[str, Cell, str, float]
"""Quantity in words, cell, unit and value of a row for one seed."""


def rows_of(measured: Sequence[Measured], seed: int) -> dict[str, NamedValue]:
    """Return every row's value for one seed, by the row's id."""
    found: dict[str, NamedValue] = {}
    for one in measured:
        found |= _mean_rows(one, seed) | _number_rows(one)
    by_name = {one.condition.name: one for one in measured}
    for control in (DENSE, TUNED):
        for one in measured:
            if one.condition.name not in (DENSE, control):
                found |= _change_rows(by_name[control], one, seed)
    return found | _trend_rows(measured, seed)


def _mean_rows(one: Measured, seed: int) -> dict[str, NamedValue]:
    found: dict[str, NamedValue] = {}
    for (metric, selection, block), values in one.per_class.items():
        words, unit = METRICS[metric]
        interval = bootstrap_mean(values, seed=seed)
        low, high = interval.low, interval.high
        if (metric, selection) in SAME_FOR_ALL_CLASSES:
            low, high = math.nan, math.nan
        cell = one.condition.cell() | {"selection": selection, "block": block}
        place = f"{selection}/{block}/{one.condition.name}"
        for suffix, what, value in (
            ("", "", interval.mean),
            ("_low", ", low end over classes", low),
            ("_high", ", high end over classes", high),
        ):
            found[f"{metric}{suffix}/{place}"] = (words + what, cell, unit, value)
    return found


def _number_rows(one: Measured) -> dict[str, NamedValue]:
    found: dict[str, NamedValue] = {}
    for name, value in one.numbers.items():
        head, _, place = name.partition("/")
        stem = head.removesuffix("_shuffled")
        factor = stem.removeprefix("information_")
        words, unit = WORDS.get(stem, (f"share of {factor} that a unit has, mean", "fraction"))
        shuffled_words = ", factors shuffled" if stem != head else ""
        cell = one.condition.cell() | {"place": place}
        found[f"{name}/{one.condition.name}"] = (words + shuffled_words, cell, unit, value)
    return found


def _change_rows(control: Measured, one: Measured, seed: int) -> dict[str, NamedValue]:
    """Return the change against a dense model with its 90 % interval and the test's outcome."""
    found: dict[str, NamedValue] = {}
    against = control.condition.name
    for (metric, selection, block), values in one.per_class.items():
        if selection != "top":
            continue
        before = control.per_class[metric, selection, block]
        scale = 1.0 if metric == "selectivity" else abs(float(before.nanmean()))
        margin = MARGINS[metric] * scale
        low, mean, high, verdict = _change(before, values, margin, seed)
        place = f"{block}/{one.condition.name}/{against}"
        words, unit = METRICS[metric]
        cell = one.condition.cell() | {"block": block, "against": against}
        for name, what, of, value in (
            ("change", f"change against {against}: ", unit, mean),
            ("change_low", f"low end (90 %) of the change against {against}: ", unit, low),
            ("change_high", f"high end (90 %) of the change against {against}: ", unit, high),
            ("margin", "largest change that counts as none: ", unit, margin),
            ("equivalent", "1 equivalent, 0 undecided, -1 different: ", "verdict", verdict),
        ):
            found[f"{metric}_{name}/{place}"] = (what + words, cell, of, value)
    return found


def _change(
    before: Float64[Tensor, " C"], after: Float64[Tensor, " C"], margin: float, seed: int
) -> tuple[float, float, float, float]:
    """Return low end, mean and high end of a change, and the verdict's number.

    Without a margin (a dense value of NaN or 0) there is no test: NaN, and undecided.
    """
    if not margin > 0:
        return math.nan, math.nan, math.nan, VERDICTS["undecided"]
    test = equivalence_test(before, after, margin=margin, seed=seed)
    interval = test.difference
    return interval.low, interval.mean, interval.high, VERDICTS[test.verdict]


def _trend_rows(measured: Sequence[Measured], seed: int) -> dict[str, NamedValue]:
    """Return the trend of each metric over the models that took the recovery's steps.

    The dense one among them stands at sparsity 0. None with fewer than three.
    """
    alike = [one for one in measured if one.condition.recovered]
    if len(alike) < 3:
        return {}
    found: dict[str, NamedValue] = {}
    for metric, selection, block in alike[0].per_class:
        if (metric, selection) in SAME_FOR_ALL_CLASSES:
            continue
        values = torch.stack([one.per_class[metric, selection, block] for one in alike])
        test = trend_test([one.condition.sparsity for one in alike], values, seed=seed)
        cell: Cell = {"selection": selection, "block": block}
        words = METRICS[metric][0]
        for name, what, value in (
            ("trend", "rank correlation with sparsity: ", test.rank.mean),
            ("trend_low", "low end of the rank correlation with sparsity: ", test.rank.low),
            ("trend_high", "high end of the rank correlation with sparsity: ", test.rank.high),
            ("trend_verdict", "1 rises, 0 no trend, -1 falls: ", TRENDS[test.verdict]),
        ):
            found[f"{metric}_{name}/{selection}/{block}"] = (what + words, cell, "1", value)
    return found
