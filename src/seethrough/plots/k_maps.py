"""Maps of single units of a finished layer when it is read at another k than it was trained to."""

from collections.abc import Sequence

from seethrough.autoencoders.top_k import top_k
from seethrough.metrics.dead_units import UnitActivity, never_active, share, unit_activity
from seethrough.plots.squeeze import through_code
from seethrough.plots.unit_maps import is_soft, last_order, map_with_pictures, states
from seethrough.studies.trained_layers import TrainedLayer

FACTORS = (0.1, 0.2, 0.5, 1, 2, 4)
"""Values of k that a layer is read at, as multiples of the k that it was squeezed to."""
N_PICTURES = 8


def k_values(layer: TrainedLayer, k_start: int, k_end: int) -> list[int]:
    """Return the values of k to read a layer at, rising: `FACTORS` of `k_end`, and `k_start`.

    At least 1 and at most the width, each once. For L1, which has no k: its one active count.
    """
    width = layer.output.code.shape[1]
    if is_soft(layer):
        return [width]
    wanted = {max(1, round(k_end * factor)) for factor in FACTORS} | {k_start}
    return sorted({min(k, width) for k in wanted})


def activity_at(layer: TrainedLayer, k: int) -> UnitActivity:
    """Return what fires on the held-out images if the k largest entries may speak."""
    relu_code = layer.output.relu_code
    return unit_activity([(relu_code, top_k(relu_code, k))])


def k_maps(layer: TrainedLayer, ks: Sequence[int]) -> list[bytes]:
    """Return one PNG per k: all units, and the images that their code decodes to.

    Weights are those after the last epoch throughout; units keep the order they have then.
    """
    order, images = last_order(layer), layer.vae.heldout.pixels(0, N_PICTURES)
    pictures = []
    for k in ks:
        activity = activity_at(layer, k)
        read = through_code(layer, layer.level if is_soft(layer) else float(k), N_PICTURES)
        pictures.append(
            map_with_pictures(states(activity)[order], k_title(activity, k), images, read)
        )
    return pictures


def k_title(activity: UnitActivity, k: int) -> str:
    """Return k, the units active per image and the share that never fires, in words."""
    active = float(activity.fired_count.sum()) / activity.n_images
    silent, n_units = share(never_active(activity)), len(activity.fired_count)
    return f"k = {k}: {active:.3g} active per image, {100 * silent:.1f} % of {n_units} never fire"
