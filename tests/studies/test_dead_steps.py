import math
from dataclasses import replace
from typing import Any

import pytest

from seethrough.parameters import load
from seethrough.store import ArtifactStore
from seethrough.studies.collapse_grid import Parameters, run
from seethrough.studies.dead_steps import STEPS, step_rows
from seethrough.studies.squeeze import TrainedCell, train_cells


def test_steps_lead_from_dsprites_to_shapes3d_one_change_at_a_time() -> None:
    rungs = {name for step in STEPS.values() for name in step}
    assert rungs == set(load("paper", "collapse_complexity")["datasets"])
    assert STEPS["all"] == ("dsprites", "shapes3d")


@pytest.fixture
def trained(store: ArtifactStore, tiny: dict[str, Any]) -> list[TrainedCell]:
    grid = Parameters(**tiny, datasets=("dsprites", "dsprites_rgb"), positions=("beside",))
    return train_cells(
        replace(grid, widths=(40, 50)), replace(grid, widths=(40, 50)).cells(), store
    )


def test_ratio_and_difference_by_seed_at_every_width(trained: list[TrainedCell]) -> None:
    rows = {row.id: row for row in step_rows(trained)}
    assert set(rows) == {
        f"{name}/three_channels/top_k/beside/{width}"
        for name in ("dead_ratio", "dead_step")
        for width in (40, 50)
    }
    for width in (40, 50):
        before, after = (
            [
                float((layer.history.activity(-1).fired_count == 0).double().mean())
                for one in trained
                if (one.cell.dataset, one.cell.width) == (dataset, width)
                for layer in one.layers
            ]
            for dataset in ("dsprites", "dsprites_rgb")
        )
        where = f"three_channels/top_k/beside/{width}"
        steps, ratios = rows[f"dead_step/{where}"].per_seed, rows[f"dead_ratio/{where}"].per_seed
        for a, b, step, ratio in zip(before, after, steps, ratios, strict=True):
            assert step == pytest.approx(b - a)
            assert math.isnan(ratio) if a == 0 else ratio == pytest.approx(b / a)


def test_one_data_set_has_no_step(trained: list[TrainedCell]) -> None:
    assert step_rows([one for one in trained if one.cell.dataset == "dsprites"]) == []


def test_the_grid_has_ratios(store: ArtifactStore, tiny: dict[str, Any]) -> None:
    """Row of the whole way for every place and width."""
    parameters = Parameters(**tiny, datasets=("dsprites", "shapes3d"), positions=("beside",),
                            widths=(40,))  # fmt: skip
    result = run(parameters, store)
    a, b = (
        result.row(f"dead_share/{dataset}/top_k/beside/40").per_seed
        for dataset in ("dsprites", "shapes3d")
    )
    step = result.row("dead_step/all/top_k/beside/40").per_seed
    assert step == pytest.approx([after - before for before, after in zip(a, b, strict=True)])
