from typing import Any

import pytest

from seethrough.results import StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies import collapse_dead_neurons, collapse_grid


def test_side_layers_share_a_run_and_in_path_ones_do_not(grid: collapse_grid.Parameters) -> None:
    groups = [[branch.name for branch in group] for group in grid.branch_groups()]
    assert groups == [
        ["beside/40", "beside/50", "latent/40", "latent/50"],
        ["in_path/40"],
        ["in_path/50"],
    ]
    assert len(grid.training_configs()) == 3 * 2


def test_every_cell_has_the_same_rows(grid_result: StudyResult) -> None:
    cells: dict[str, set[str]] = {}
    for row in grid_result.rows:
        name, cell = row.id.split("/", 1)
        cells.setdefault(cell, set()).add(name)
    assert set(cells) == {f"{p}/{w}" for p in ("beside", "latent", "in_path") for w in (40, 50)}
    assert len({frozenset(names) for names in cells.values()}) == 1


def test_a_cell_alone_gives_the_same_numbers(
    grid_result: StudyResult, store: ArtifactStore, tiny: dict[str, Any]
) -> None:
    """What is trained beside a layer does not change it: not one bit, for every row and curve."""
    alone = collapse_dead_neurons.run(
        collapse_dead_neurons.Parameters(**tiny, position="latent", width=50), store
    )
    for row in alone.rows:
        assert row == grid_result.row(row.id)
    for curve in alone.series:
        assert curve == grid_result.one_series(curve.id)


def test_nothing_to_compute_is_refused() -> None:
    with pytest.raises(ValueError, match="one or more"):
        collapse_grid.Parameters(positions=())
