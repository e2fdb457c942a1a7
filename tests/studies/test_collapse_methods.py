from typing import Any

import pytest

from seethrough.autoencoders.l1_coefficient import Trial
from seethrough.store import ArtifactStore
from seethrough.studies.cells import Cell
from seethrough.studies.collapse_methods import Parameters, run, trial_rows
from seethrough.studies.squeeze import TrainedCell


def test_other_schedules_are_run_at_the_first_place_and_width() -> None:
    parameters = Parameters(
        datasets=("dsprites",), methods=("top_k", "l1", "top_k_cosine"),
        positions=("beside", "latent"), widths=(60, 70),
    )  # fmt: skip
    names = [cell.name.removeprefix("dsprites/") for cell in parameters.cells()]
    assert names == [
        *(f"{m}/{p}/{w}" for m in ("top_k", "l1") for p in ("beside", "latent") for w in (60, 70)),
        "top_k_cosine/beside/60",
    ]


@pytest.mark.parametrize(
    ("change", "lacking"),
    [
        ({"path_methods": ("top_k_cosine",), "path_widths": (70,)},
         r"in_path and 60, and path_widths \(70,\) lacks 60"),
        ({"positions": ("in_path", "beside"), "path_widths": (60,)},
         r"path_methods \('top_k',\) has none of methods \('top_k_cosine',\)"),
        ({}, r"methods \('top_k_cosine',\) and path_methods \('top_k',\)"),
    ],
)  # fmt: skip
def test_lists_that_leave_no_schedule_are_named(change: dict[str, Any], lacking: str) -> None:
    chosen: dict[str, Any] = {
        "methods": ("top_k_cosine",), "positions": ("in_path",), "widths": (60, 70)
    }  # fmt: skip
    with pytest.raises(ValueError, match=f"^no cell is left: .*{lacking}"):
        Parameters(**chosen | change)


def test_the_search_is_reported() -> None:
    cell = Cell(method="l1")
    rows = trial_rows(TrainedCell(cell, (), (Trial(0.02, 80.0), Trial(0.04, 51.0))))
    assert {row.id: row.per_seed for row in rows} == {
        f"search_trials/{cell.name}": (2.0,), f"search_active/{cell.name}": (51.0,)
    }  # fmt: skip
    assert trial_rows(TrainedCell(cell, (), ())) == []


def test_l1_cells_have_a_coefficient_and_top_k_cells_a_ceiling(
    store: ArtifactStore, tiny: dict[str, Any]
) -> None:
    result = run(
        Parameters(**tiny, datasets=("dsprites",), methods=("top_k", "l1"), widths=(40,),
                   l1_coefficient=0.25), store
    )  # fmt: skip
    assert result.row("coefficient/dsprites/l1/beside/40").per_seed == (0.25, 0.25)
    assert result.row("dead_ceiling/dsprites/top_k/beside/40").per_seed == (0.9, 0.9)
    ids = {row.id for row in result.rows}
    assert "dead_ceiling/dsprites/l1/beside/40" not in ids
    assert "coefficient/dsprites/top_k/beside/40" not in ids
