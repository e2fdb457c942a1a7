import math

import pytest

from seethrough.results import Row
from seethrough.studies.circuit_numbers import QUANTITIES, Numbers
from seethrough.studies.circuit_rows import (
    CHANGES,
    MEAN,
    Comparison,
    Place,
    Table,
    circuit_rows,
    comparison_rows,
)

TASKS = ("a", "b")


def numbers(edges: float, null: float, nodes: float) -> Numbers:
    found = dict.fromkeys(CHANGES, 0.5)
    return found | {"edges": edges, "null_edges": null, "nodes": nodes, "reached": 1.0,
                    "node_fraction": nodes / 10}  # fmt: skip


def table(scale: float) -> Table:
    return {
        Place("dense", "one", "a"): numbers(8 * scale, 8 * scale, 4.0),
        Place("dense", "one", "b"): numbers(2 * scale, 2 * scale, 2.0),
        Place("sparse", "two", "a"): numbers(2.0, 4.0, 5.0),
        Place("sparse", "two", "b"): numbers(1.0, 2.0, 3.0),
    }


def by_id(rows: list[Row]) -> dict[str, Row]:
    return {row.id: row for row in rows}


def test_a_row_per_quantity_circuit_and_mean_over_tasks() -> None:
    rows = by_id(circuit_rows([table(1.0), table(2.0)], TASKS))
    assert rows["edges/dense/one/a"].per_seed == (8.0, 16.0)
    assert rows[f"edges/dense/one/{MEAN}"].per_seed == (5.0, 10.0)
    row = rows["edges/sparse/two/b"]
    assert (row.quantity, row.unit) == QUANTITIES["edges"]
    assert row.cell == {"model": "sparse", "setting": "two", "task": "b"}


def test_controls_of_some_seeds_and_tasks_have_the_values_there_are() -> None:
    first = table(1.0) | {Place("dense", "control", "a"): {"loss": 0.7}}
    rows = by_id(circuit_rows([first, table(2.0)], TASKS))
    assert rows["loss/dense/control/a"].per_seed == (0.7,)
    assert f"loss/dense/control/{MEAN}" not in rows
    first |= {Place("dense", "control", "b"): {"loss": 0.5}}
    rows = by_id(circuit_rows([first, table(2.0)], TASKS))
    assert rows[f"loss/dense/control/{MEAN}"].per_seed == (0.6,)


def test_ratios_by_hand() -> None:
    # Task a: 8 over 2 edges where 2 are to be expected; task b: 2 over 1 where 1 is.
    rows = by_id(comparison_rows([table(1.0)], TASKS, "dense", "sparse",
                                 Comparison("paper", "one", "two")))  # fmt: skip
    value = {name: row.mean for name, row in rows.items()}
    assert value["edge_ratio/ratio_of_means/paper/sparse"] == pytest.approx(10 / 3)
    assert value["edge_ratio/mean_of_ratios/paper/sparse"] == pytest.approx(3.0)
    assert value["edge_ratio/geometric_mean/paper/sparse"] == pytest.approx(math.sqrt(8))
    assert value["null_ratio/geometric_mean/paper/sparse"] == pytest.approx(math.sqrt(2))
    assert value["beyond_null/paper/sparse"] == pytest.approx(2.0)
    assert value["node_fraction_change/paper/sparse"] == pytest.approx(0.1)
    assert value["pairs/paper/sparse"] == 2
    assert rows["edge_ratio_low/geometric_mean/paper/sparse"].mean == pytest.approx(2.0)
    assert rows["edge_ratio_high/geometric_mean/paper/sparse"].mean == pytest.approx(4.0)


def test_a_missed_target_leaves_its_pair_out_at_equal_loss_alone() -> None:
    missed = table(1.0)
    missed[Place("sparse", "two", "a")] = numbers(2.0, 4.0, 5.0) | {"reached": 0.0}
    for name, pairs in (("loss_0.15", 1.0), ("paper", 2.0)):
        comparison = Comparison(name, "one", "two")
        rows = by_id(comparison_rows([missed], TASKS, "dense", "sparse", comparison))
        assert rows[f"pairs/{name}/sparse"].mean == pairs
    assert math.isnan(rows["edge_ratio/geometric_mean/paper/sparse"].mean) is False


def test_a_collapsed_circuit_gives_nan_and_not_an_error() -> None:
    empty = table(1.0)
    for task in TASKS:
        empty[Place("sparse", "two", task)] = numbers(0.0, 0.0, 0.0)
    rows = by_id(comparison_rows([empty], TASKS, "dense", "sparse",
                                 Comparison("paper", "one", "two")))  # fmt: skip
    assert rows["pairs/paper/sparse"].mean == 0
    for name in ("edge_ratio/geometric_mean", "beyond_null", "node_fraction_change"):
        assert math.isnan(rows[f"{name}/paper/sparse"].mean)
