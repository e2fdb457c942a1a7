from typing import Any

import pytest

from seethrough.results import StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies import collapse_dead_neurons, collapse_grid


def test_cells_are_every_combination(grid: collapse_grid.Parameters) -> None:
    assert [cell.name for cell in grid.cells()] == [
        f"dsprites/top_k/{position}/{width}"
        for position in ("beside", "in_path", "latent")
        for width in (40, 50)
    ]


def test_in_the_path_only_what_is_chosen_is_run() -> None:
    parameters = collapse_grid.Parameters(
        datasets=("dsprites",), methods=("top_k", "l1"), positions=("beside", "in_path"),
        widths=(60, 70), path_methods=("l1",), path_widths=(70,),
    )  # fmt: skip
    assert [cell.name.removeprefix("dsprites/") for cell in parameters.cells()] == [
        "top_k/beside/60", "top_k/beside/70", "l1/beside/60", "l1/beside/70", "l1/in_path/70"
    ]  # fmt: skip


def test_every_cell_has_the_same_rows(grid_result: StudyResult) -> None:
    cells: dict[str, set[str]] = {}
    for row in grid_result.rows:
        name, cell = row.id.split("/", 1)
        cells.setdefault(cell, set()).add(name)
    assert set(cells) == {
        f"dsprites/top_k/{p}/{w}" for p in ("beside", "latent", "in_path") for w in (40, 50)
    }
    assert len({frozenset(names) for names in cells.values()}) == 1


def test_a_cell_alone_gives_the_same_numbers(
    grid_result: StudyResult, store: ArtifactStore, tiny: dict[str, Any]
) -> None:
    """What is trained beside a layer does not change it: not one bit, for every row and curve."""
    alone = collapse_dead_neurons.run(
        collapse_dead_neurons.Parameters(**tiny, position="latent", width=50), store
    )
    known = {row.id: row for row in grid_result.rows}
    shared = [row for row in alone.rows if row.id in known]
    assert len(shared) == len(known) / 6
    for row in shared:
        assert row == known[row.id]
    for curve in grid_result.series:
        if curve.id.endswith("latent/50"):
            assert curve == alone.one_series(curve.id)


@pytest.mark.parametrize("name", ["datasets", "methods", "positions", "widths"])
def test_nothing_to_compute_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is .*, allowed is one or more, each once"):
        collapse_grid.Parameters(**{name: ()})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"path_methods": ("top_k", "topk")},
         r"^in path_methods, 'topk' is unknown \(did you mean top_k\?\), allowed are l1, "),
        ({"path_widths": (500, 1)}, "^path_widths has 1, allowed is at least 2 units$"),
    ],
)  # fmt: skip
def test_what_no_cell_can_have_is_refused_for_the_path_too(
    change: dict[str, Any], named: str
) -> None:
    """Whether the path is asked for or not: a slip of the pen would drop cells unseen."""
    for positions in (("beside",), ("beside", "in_path")):
        with pytest.raises(ValueError, match=named):
            collapse_grid.Parameters(positions=positions, **change)


METHODS_APART = r"methods \('top_k',\) and path_methods \('l1',\)"
WIDTHS_APART = r"widths \(500, 1000\) and path_widths \(2048,\)"


@pytest.mark.parametrize(
    ("change", "apart"),
    [
        ({"path_methods": ("l1",)}, METHODS_APART),
        ({"path_widths": (2048,)}, WIDTHS_APART),
        ({"path_methods": ("l1",), "path_widths": (2048,)},
         f"{METHODS_APART}, nor in both {WIDTHS_APART}"),
    ],
)  # fmt: skip
def test_lists_that_leave_no_cell_are_named(change: dict[str, Any], apart: str) -> None:
    with pytest.raises(
        ValueError, match=f"^no cell is left: the only .* in_path, .* in both {apart}; allowed"
    ):
        collapse_grid.Parameters(positions=("in_path",), **change)
    assert collapse_grid.Parameters(positions=("beside", "in_path"), **change).cells()


def test_a_repeated_width_is_refused() -> None:
    with pytest.raises(ValueError, match=r"widths is \(60, 60\)"):
        collapse_grid.Parameters(widths=(60, 60))
