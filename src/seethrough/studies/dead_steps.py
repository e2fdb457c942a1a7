"""Dead shares of one data set against another's: steps of a ladder from dSprites to 3D Shapes."""

from collections.abc import Sequence
from itertools import product

from seethrough.metrics.dead_units import never_active, share
from seethrough.results import Row
from seethrough.studies.layer_results import FRACTION
from seethrough.studies.squeeze import TrainedCell

STEPS: dict[str, tuple[str, str]] = {
    "three_channels": ("dsprites", "dsprites_rgb"),
    "hue_as_factor": ("dsprites_rgb", "dsprites_hued"),
    "coloured_sprites": ("dsprites", "dsprites_hued"),
    "grey_scene": ("dsprites", "shapes3d_grey"),
    "colour": ("shapes3d_grey", "shapes3d"),
    "one_factor_more": ("shapes3d_fixed_floor", "shapes3d"),
    "scene": ("dsprites_hued", "shapes3d"),
    "all": ("dsprites", "shapes3d"),
}
"""Name of a step, and the data sets before and after it."""


def step_rows(trained: Sequence[TrainedCell]) -> list[Row]:
    """Return ratio and difference of dead shares for each method, place and width and each step.

    Steps are left out if a data set is not there. Rows are named
    `dead_ratio/step/method/position/width`, `dead_step/...` likewise. One value per seed, paired by
    the seed's number: data sets of one size then show the same factors, others have no image in
    common. A ratio to a share of 0 is NaN.
    """
    dead: dict[tuple[str, str, int], dict[str, list[float]]] = {}
    for one in trained:
        place = one.cell.method, one.cell.position, one.cell.width
        dead.setdefault(place, {})[one.cell.dataset] = [
            share(never_active(layer.history.activity(-1))) for layer in one.layers
        ]
    return [
        row
        for (place, shares), step in product(dead.items(), STEPS)
        if set(STEPS[step]) <= shares.keys()
        for row in _step(step, place, *(shares[name] for name in STEPS[step]))
    ]


def _step(
    step: str, place: tuple[str, str, int], before: Sequence[float], after: Sequence[float]
) -> list[Row]:
    method, position, width = place
    labels: dict[str, str | int | float] = {
        "step": step, "method": method, "position": position, "width": width
    }  # fmt: skip
    where = f"{step}/{method}/{position}/{width}"
    text = "{1} against {0}".format(*STEPS[step])
    pairs = list(zip(before, after, strict=True))
    ratios = tuple(b / a if a else float("nan") for a, b in pairs)
    changes = tuple(b - a for a, b in pairs)
    return [
        Row(f"dead_ratio/{where}", f"ratio of dead shares, {text}", labels, "1", ratios),
        Row(f"dead_step/{where}", f"difference of dead shares, {text}", labels, FRACTION, changes),
    ]
