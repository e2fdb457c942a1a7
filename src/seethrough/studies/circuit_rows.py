"""Rows of the study of circuits: one per quantity, model, setting and task; and the comparisons.

A setting is what the circuit was made by: a price ("8e-05", in the paper's unit), a target loss
("loss_0.15"), or a control. The task "mean" is the mean over tasks.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float64
from torch import Tensor

from seethrough.results import Cell, Row
from seethrough.studies.circuit_numbers import QUANTITIES, Numbers
from seethrough.studies.circuit_ratios import (
    AVERAGES,
    geometric_mean,
    mean_change,
    usable,
    with_interval,
)

MEAN = "mean"
"""The name that stands for all tasks together."""


class Place(NamedTuple):
    """Where a circuit stands among all of the study."""

    model: str
    """Name of the model, dense_tuned or wanda/0.7."""
    setting: str
    """What it was made by."""
    task: str
    """Name of the task."""


class Comparison(NamedTuple):
    """Which circuits of the dense model are held against which of a sparse one."""

    name: str
    """Name in rows: paper, kappa_8e-05, loss_0.15."""
    dense: str
    """Setting of the dense model."""
    sparse: str
    """Setting of the sparse one."""


Table = dict[Place, Numbers]
"""What every circuit of one seed was measured by."""
CHANGES = ("node_fraction", "loss", "accuracy", "ncq", "edge_ncq", "edge_ncq_all")


def circuit_rows(tables: Sequence[Table], tasks: Sequence[str]) -> list[Row]:
    """Return a row per quantity and circuit, one table per seed, and the means over tasks.

    Circuits that not every seed has, such as controls, have fewer values.
    """
    rows = []
    for place, numbers in tables[0].items():
        having = [table for table in tables if place in table]
        rows += [_row(name, place, [table[place][name] for table in having]) for name in numbers]
    for model, setting in dict.fromkeys((place.model, place.setting) for place in tables[0]):
        places = [Place(model, setting, task) for task in tasks]
        having = [table for table in tables if all(place in table for place in places)]
        if not having:
            continue
        for name in having[0][places[0]]:
            means = [math.fsum(t[place][name] for place in places) / len(places) for t in having]
            rows.append(_row(name, Place(model, setting, MEAN), means))
    return rows


def comparison_rows(
    tables: Sequence[Table],
    tasks: Sequence[str],
    dense: str,
    sparse: str,
    comparison: Comparison,
) -> list[Row]:
    """Return ratios and changes between the circuits of two models, with their intervals."""

    def values(quantity: str) -> tuple[Float64[Tensor, "S T"], Float64[Tensor, "S T"]]:
        return (
            _values(tables, dense, comparison.dense, tasks, quantity),
            _values(tables, sparse, comparison.sparse, tasks, quantity),
        )

    edges, null = values("edges"), values("null_edges")
    fine = usable(*edges, values("reached") if comparison.name.startswith("loss") else ())
    where = f"{comparison.name}/{sparse}"
    cell: Cell = {"model": sparse, "against": dense, "comparison": comparison.name}
    rows = [
        Row(f"pairs/{where}", "pairs that can be compared", cell, "1",
            (float(fine.nansum()),)),
    ]  # fmt: skip
    joined = (edges[0] / null[0], edges[1] / null[1])
    for name, words, pair in (
        ("edge_ratio", "edges, dense over sparse", edges),
        ("null_ratio", "edges to expect, dense over sparse", null),
        ("node_ratio", "nodes, dense over sparse", values("nodes")),
    ):
        for average, statistic in AVERAGES.items():
            found = with_interval(statistic, pair[0] * fine, pair[1] * fine)
            what = f"{words}, {average.replace('_', ' ')}"
            rows += _with_ends(f"{name}/{average}/{where}", what, cell, "ratio", found)
    found = with_interval(geometric_mean, joined[0] * fine, joined[1] * fine)
    words = "edge ratio over the ratio to expect, geometric mean"
    rows += _with_ends(f"beyond_null/{where}", words, cell, "ratio", found)
    for name in CHANGES:
        pair = values(name)
        found = with_interval(mean_change, pair[0] * fine, pair[1] * fine)
        words, unit = QUANTITIES[name]
        what = f"{words}, sparse minus dense"
        rows += _with_ends(f"{name}_change/{where}", what, cell, unit, found)
    return rows


def _with_ends(
    id: str, words: str, cell: Cell, unit: str, found: tuple[float, float, float]
) -> list[Row]:
    """Return the rows of a value and of the ends of its interval."""
    head, _, place = id.partition("/")
    return [
        Row(f"{head}{end}/{place}", words + what, cell, unit, (value,))
        for end, what, value in (
            ("", "", found[0]),
            ("_low", ", low end over tasks and seeds", found[1]),
            ("_high", ", high end over tasks and seeds", found[2]),
        )
    ]


def _values(
    tables: Sequence[Table], model: str, setting: str, tasks: Sequence[str], quantity: str
) -> Float64[Tensor, "seeds tasks"]:
    found = [
        [table[Place(model, setting, task)].get(quantity, math.nan) for task in tasks]
        for table in tables
    ]
    return torch.tensor(found, dtype=torch.float64)


def _row(name: str, place: Place, values: Sequence[float]) -> Row:
    words, unit = QUANTITIES[name]
    cell: Cell = {"model": place.model, "setting": place.setting, "task": place.task}
    return Row(f"{name}/{place.model}/{place.setting}/{place.task}", words, cell, unit,
               tuple(values))  # fmt: skip
