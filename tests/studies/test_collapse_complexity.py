import math
from typing import Any

import pytest
import torch

from seethrough.metrics.death_model import mean_to_spread
from seethrough.parameters import load
from seethrough.store import ArtifactStore
from seethrough.studies.collapse_complexity import STEPS, Parameters, run
from seethrough.studies.squeeze import train_cells


def test_steps_lead_from_dsprites_to_shapes3d_one_change_at_a_time() -> None:
    rungs = {name for step in STEPS.values() for name in step}
    assert rungs == set(load("paper", "collapse_complexity")["datasets"])
    assert STEPS["all"] == ("dsprites", "shapes3d")


def test_ratios_and_differences_by_seed(store: ArtifactStore, tiny: dict[str, Any]) -> None:
    parameters = Parameters(**tiny, datasets=("dsprites", "dsprites_rgb"), widths=(40,))
    result = run(parameters, store)
    where = "top_k/beside/40"
    before = result.row(f"dead_share/dsprites/{where}").per_seed
    after = result.row(f"dead_share/dsprites_rgb/{where}").per_seed
    ratio = result.row(f"dead_ratio/three_channels/{where}").per_seed
    step = result.row(f"dead_step/three_channels/{where}").per_seed
    for a, b, r, s in zip(before, after, ratio, step, strict=True):
        assert s == pytest.approx(b - a)
        assert math.isnan(r) if a == 0 else r == pytest.approx(b / a)
    assert not [row for row in result.rows if row.id.startswith("dead_step/all/")]
    (cell, _) = train_cells(parameters, parameters.cells(), store)
    inputs = cell.layers[1].output.inputs
    gamma = result.row(f"gamma/dsprites/{where}").per_seed[1]
    assert gamma == float(mean_to_spread(inputs))
    used = result.row(f"used_inputs/dsprites/{where}").per_seed[1]
    assert used == float((inputs > 0).any(0).double().mean())
    assert inputs.dtype == torch.float32
