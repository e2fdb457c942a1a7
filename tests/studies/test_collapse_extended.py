from typing import Any

import pytest

from seethrough.metrics.dead_units import never_active, share
from seethrough.store import ArtifactStore
from seethrough.studies.collapse_extended import Parameters, run
from seethrough.studies.squeeze import train_cells


def test_changes_are_counted_again_from_the_units(
    store: ArtifactStore, tiny: dict[str, Any]
) -> None:
    parameters = Parameters(**tiny, datasets=("dsprites",), widths=(40,), methods=("top_k",),
                            extra_epochs=4)  # fmt: skip
    result = run(parameters, store)
    (cell,) = train_cells(parameters, parameters.cells(), store)
    name = cell.cell.name
    for seed, layer in enumerate(cell.layers):
        before = never_active(layer.history.activity(3))
        after = never_active(layer.history.activity(7))
        values = {
            quantity: result.row(f"{quantity}/{name}").per_seed[seed]
            for quantity in ("dead_share_squeezed", "dead_share", "dead_change", "revived_share",
                             "died_share")
        }  # fmt: skip
        assert values["dead_share_squeezed"] == share(before)
        assert values["dead_share"] == share(after)
        assert values["revived_share"] == share(before & ~after)
        assert values["dead_change"] == pytest.approx(
            values["died_share"] - values["revived_share"]
        )
    assert result.one_series(f"revived/{name}").x == tuple(float(e) for e in range(1, 8))


def test_no_extra_epoch_is_refused() -> None:
    with pytest.raises(ValueError, match="extra_epochs is 0, allowed is at least 1"):
        Parameters(extra_epochs=0)
