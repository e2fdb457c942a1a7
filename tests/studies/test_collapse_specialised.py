from typing import Any

import pytest

from seethrough.store import ArtifactStore
from seethrough.studies.collapse_specialised import Parameters, run


def test_every_unit_is_counted_once(store: ArtifactStore, tiny: dict[str, Any]) -> None:
    parameters = Parameters(**tiny | {"n_heldout": 200}, datasets=("dsprites",), widths=(40,))
    result = run(parameters, store)
    for method in ("top_k", "l1"):
        cell = f"dsprites/{method}/beside/40"
        counts = [
            result.row(f"{name}/{cell}").per_seed
            for name in ("dead_units", "specialised_last", "other_units")
        ]
        assert [sum(seed) for seed in zip(*counts, strict=True)] == [40, 40]
        by_factor = [
            result.row(f"specialised_in_{name}/{cell}").per_seed
            for name in ("shape", "scale", "orientation", "posX", "posY")
        ]
        special = result.row(f"specialised_last/{cell}")
        assert [sum(seed) for seed in zip(*by_factor, strict=True)] == list(special.per_seed)
        pooled = result.row(f"specialised_pooled/{cell}")
        assert pooled.per_seed == (pytest.approx(sum(special.per_seed)),)
