"""Maps of single units: every unit is a square that keeps its place from epoch to epoch."""

import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from torch import Tensor

from seethrough.autoencoders.l1 import L1
from seethrough.metrics.dead_units import UnitActivity, never_active, share
from seethrough.plots.pictures import draw_strip
from seethrough.plots.style import BY_RELU, BY_TOP_K, new_figure
from seethrough.studies.trained_layers import TrainedLayer

STATES: tuple[tuple[str, str], ...] = (
    ("fires on half of the images or more", "#12436D"),
    ("on a tenth or more", "#0072B2"),
    ("on a hundredth or more", "#56B4E9"),
    ("more rarely", "#BFDFF2"),
    ("dead by Top-k", BY_TOP_K),
    ("dead by ReLU", BY_RELU),
    ("dead before, fires again", "#009E73"),
)
"""What a square's colour means; its number is its place in this list."""
REVIVED = 6
_COLUMNS = 50
"""Units in one row of a map."""
States = npt.NDArray[np.intp]


def states(activity: UnitActivity) -> States:
    """Return 0 to 3 for live units by falling activation frequency, 4 dead by Top-k, 5 by ReLU."""
    frequency = activity.fired_count.double().numpy() / activity.n_images
    found = np.digitize(-frequency, [-0.5, -0.1, -0.01], right=True)
    found[activity.fired_count.numpy() == 0] = 4
    found[activity.relu_count.numpy() == 0] = 5
    return found


def unit_maps(layer: TrainedLayer, epochs: Sequence[int]) -> list[bytes]:
    """Return one PNG per scored epoch: all units, and the images their code still decodes to.

    Units are ordered by their state after the last epoch.
    """
    order = last_order(layer)
    originals, kept = layer.vae.originals.float() / 255, _kept_pictures(layer)
    return [
        map_with_pictures(
            states(layer.history.activity(epoch))[order],
            map_title(layer, epoch),
            originals,
            kept[epoch].float() / 255,
        )
        for epoch in epochs
    ]


def unit_map_pair(layer: TrainedLayer, epochs: Sequence[int]) -> Figure:
    """Draw the maps of all units after some epochs below each other, for pages without a slider."""
    order = last_order(layer)
    figure, _ = new_figure(1, 0.3 + 1.2 * len(epochs), 7.0)
    figure.clear()
    column = figure.subplots(len(epochs), 1, squeeze=False)[:, 0]
    for axes, epoch in zip(column, epochs, strict=True):
        draw_units(axes, states(layer.history.activity(epoch))[order])
        axes.set_title(map_title(layer, epoch))
    draw_key(figure, range(REVIVED))
    return figure


def last_order(layer: TrainedLayer) -> States:
    """Return the units ordered by their state after the last epoch."""
    return np.argsort(states(layer.history.activity(-1)), kind="stable")


def scored_epochs(layer: TrainedLayer, at_most: int) -> list[int]:
    """Return epochs whose pictures are kept, at even steps, the first and the last among them."""
    epochs = layer.history.measured("mig_code")[0]
    return [epochs[number - 1] for number in spread(len(epochs), at_most)]


def spread(epochs: int, at_most: int) -> list[int]:
    """Return epochs at even steps from the first to the last, both among them.

    >>> spread(50, at_most=8)
    [1, 8, 15, 22, 29, 36, 43, 50]
    """
    n = min(epochs, at_most)
    return [round(1 + step * (epochs - 1) / max(1, n - 1)) for step in range(n)]


def draw_units(axes: Axes, shown: States) -> None:
    """Draw one square per unit, in the order given, coloured by state."""
    padded = np.full(-(-len(shown) // _COLUMNS) * _COLUMNS, np.nan)
    padded[: len(shown)] = shown
    colors = ListedColormap([color for _, color in STATES])
    squares = padded.reshape(-1, _COLUMNS)
    axes.imshow(squares, cmap=colors, vmin=-0.5, vmax=len(STATES) - 0.5, aspect="auto")
    axes.set(xticks=[], yticks=[])
    axes.grid(False)


def map_title(layer: TrainedLayer, epoch: int) -> str:
    """Return epoch, level and dead share in words."""
    activity = layer.history.activity(epoch)
    name = "λ" if is_soft(layer) else "k"
    level = layer.history.scalars["level"][epoch - 1]
    dead = share(never_active(activity))
    n_units = len(activity.fired_count)
    return f"epoch {epoch}: {name} = {level:.3g}, {100 * dead:.1f} % of {n_units} units dead"


def is_soft(layer: TrainedLayer) -> bool:
    """Return whether the layer's sparsifier is L1, which has no k."""
    if layer.config is not None:
        return isinstance(layer.config.sae.sparsifier, L1)
    assert layer.vae.config.layer is not None
    return isinstance(layer.vae.config.layer.sparsifier, L1)


def draw_key(figure: Figure, shown: Sequence[int]) -> None:
    """Write what the colours of some states mean below a figure."""
    from matplotlib.patches import Patch

    patches = [Patch(color=STATES[state][1], label=STATES[state][0]) for state in shown]
    figure.legend(handles=patches, loc="outside lower center", ncols=3, fontsize=7)


def map_with_pictures(
    shown: States,
    title: str,
    images: Float[Tensor, "P C H W"],
    read: Float[Tensor, "P C H W"],
) -> bytes:
    """Return one PNG: all units as squares, images in [0, 1], and what their code decodes to."""
    figure, _ = new_figure(1, 3.6, 7.0)
    figure.clear()
    top, middle, bottom = figure.subplots(3, 1, height_ratios=[1.6, 1, 1])
    draw_units(top, shown)
    top.set_title(title)
    draw_strip(middle, images, "image")
    draw_strip(bottom, read, "through\nthe code")
    draw_key(figure, range(REVIVED))
    return as_png(figure)


def _kept_pictures(layer: TrainedLayer) -> dict[int, UInt8[Tensor, "P C H W"]]:
    """Return scored epoch -> reconstructions through the code, the VAE's own ones in the path."""
    epochs, _ = layer.history.measured("mig_code")
    name = "pictures/own" if layer.config is None else "pictures/code"
    return dict(zip(epochs, layer.history.tensors[name], strict=True))


def as_png(figure: Figure, **texts: str) -> bytes:
    """Return a figure as PNG bytes, with these texts as its metadata and no others; close it."""
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None, **texts})
    plt.close(figure)
    return buffer.getvalue()
