import math
from typing import Any

import pytest

from seethrough.results import Row
from seethrough.store import ArtifactStore
from seethrough.studies.collapse_thresholds import Parameters, ranking_rows, run


def row(rule: str, cell: str, *values: float) -> Row:
    return Row(f"{rule}/{cell}", "", {}, "fraction", values)


def test_a_rule_that_swaps_two_of_three_cells() -> None:
    """Plain order a < b < c; the other rule swaps b and c: tau = (2 - 1) / 3, hand-worked."""
    by_cell = [
        [row("dead_share", "a", 0.1), row("dead_share_rare", "a", 0.2)],
        [row("dead_share", "b", 0.2), row("dead_share_rare", "b", 0.6)],
        [row("dead_share", "c", 0.3), row("dead_share_rare", "c", 0.5)],
    ]
    rows = {found.id: found.per_seed for found in ranking_rows(by_cell)}
    assert rows["tau/dead_share"] == (1.0,)
    assert rows["tau/dead_share_rare"] == (pytest.approx(1 / 3),)


def test_equal_shares_have_no_ranking() -> None:
    by_cell = [[row("dead_share", cell, 0.1, 0.2)] for cell in "ab"]
    (tau,) = ranking_rows(by_cell)
    assert all(math.isnan(value) for value in tau.per_seed)


def test_every_cell_under_every_rule(store: ArtifactStore, tiny: dict[str, Any]) -> None:
    result = run(Parameters(**tiny, datasets=("dsprites",), widths=(40, 50)), store)
    rules = {found.id.split("/")[0] for found in result.rows} - {"tau"}
    assert len(rules) == 1 + 3 + 4
    assert len(result.rows) == len(rules) * 4 + len(rules)
