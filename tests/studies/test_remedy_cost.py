import math
from typing import Any

import torch

from seethrough.store import ArtifactStore
from seethrough.studies.collapse_remedies import Arm, Parameters, train_arms
from seethrough.studies.remedy_cost import cost_ratio


def test_a_cost_is_a_ratio_and_leaves_layers_as_they_are(
    tiny: dict[str, Any], store: ArtifactStore
) -> None:
    parameters = Parameters(
        **tiny, datasets=("dsprites",), remedies=("auxk",), widths=(40,), small_width=8
    )
    layers = train_arms(parameters, store)
    plain, auxk = (
        layers[Arm(dataset="dsprites", remedy=name, width=40)][0] for name in ("baseline", "auxk")
    )
    before = {name: tensor.clone() for name, tensor in auxk.sae.state_dict().items()}
    threads = torch.get_num_threads()
    ratio = cost_ratio(auxk, plain)
    assert math.isfinite(ratio)
    assert ratio > 0
    assert torch.get_num_threads() == threads
    for name, tensor in auxk.sae.state_dict().items():
        assert torch.equal(tensor, before[name])
