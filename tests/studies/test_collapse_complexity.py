from typing import Any

import torch

from seethrough.metrics.death_model import mean_to_spread
from seethrough.store import ArtifactStore
from seethrough.studies.collapse_complexity import Parameters, run
from seethrough.studies.squeeze import train_cells


def test_rows_of_steps_and_of_the_inputs(store: ArtifactStore, tiny: dict[str, Any]) -> None:
    parameters = Parameters(**tiny, datasets=("dsprites", "dsprites_rgb"), widths=(40,))
    result = run(parameters, store)
    where = "top_k/beside/40"
    assert result.row(f"dead_step/three_channels/{where}").n == 2
    assert not [row for row in result.rows if row.id.startswith("dead_step/all/")]
    (cell, _) = train_cells(parameters, parameters.cells(), store)
    inputs = cell.layers[1].output.inputs
    gamma = result.row(f"gamma/dsprites/{where}").per_seed[1]
    assert gamma == float(mean_to_spread(inputs))
    used = result.row(f"used_inputs/dsprites/{where}").per_seed[1]
    assert used == float((inputs > 0).any(0).double().mean())
    assert inputs.dtype == torch.float32
