"""Figures and tables of one sparse layer: what dies, when, and what the code still shows."""

from collections.abc import Sequence
from functools import partial

import torch
from IPython.display import Markdown
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from seethrough.plots.labels import cell_of
from seethrough.plots.paper_values import paper_dead, paper_dead_text
from seethrough.plots.pictures import GAP, picture_grid
from seethrough.plots.style import (
    ALIVE,
    BY_RELU,
    BY_TOP_K,
    DEAD,
    PAPER,
    draw_curve,
    new_figure,
    percent_axis,
)
from seethrough.plots.tables import Write, comparison_table, number, percent, significant
from seethrough.plots.unit_maps import is_soft
from seethrough.results import StudyResult
from seethrough.studies.cells import Cell
from seethrough.studies.trained_layers import TrainedLayer


def dead_by_epoch(result: StudyResult, name: str) -> Figure:
    """Draw active units and dead share of one cell by epoch, with the paper's value if it has one.

    Under L1 there is no k, and a unit that is not dead by ReLU is alive.
    """
    cell = cell_of(name)
    figure, (left, right) = new_figure(2, 3.0)
    if cell.sparsifier == "top_k":
        draw_curve(left, result.one_series(f"level/{name}"), "allowed (k)", "#999999")
    draw_curve(left, result.one_series(f"active/{name}"), "active", ALIVE)
    left.set(xlabel="epoch", ylabel="units per held-out image", title="The squeeze", ylim=(0, None))
    left.legend()
    draw_curve(right, result.one_series(f"dead_share/{name}"), "dead", DEAD)
    if cell.sparsifier == "top_k":
        draw_curve(right, result.one_series(f"dead_share_by_relu/{name}"), "by ReLU", BY_RELU)
        draw_curve(right, result.one_series(f"dead_share_by_top_k/{name}"), "by Top-k", BY_TOP_K)
    draw_paper(right, cell)
    n = result.row(f"dead_share/{name}").n
    right.set(xlabel="epoch", title=f"What dies ({n} {'seed' if n == 1 else 'seeds'})")
    percent_axis(right, "share of units")
    right.legend()
    return figure


def draw_paper(axes: Axes, cell: Cell) -> None:
    """Draw the paper's dead share of a cell, and its ± as a band, across axes of epochs."""
    found = paper_dead(cell)
    if found is not None:
        mean, spread = found
        axes.axhspan(mean - spread, mean + spread, color=PAPER, alpha=0.25, linewidth=0)
        axes.axhline(mean, color=PAPER, linewidth=1, label="paper, after the squeeze")


def quality_by_epoch(result: StudyResult, name: str) -> Figure:
    """Draw what the code loses by epoch: unexplained variance of its input, and nats per image."""
    figure, (left, right) = new_figure(2, 3.0)
    draw_curve(left, result.one_series(f"unexplained/{name}"), "sparse code", BY_RELU)
    left.axhline(1, color=DEAD, linewidth=0.8, linestyle=":", label="the mean alone")
    left.set(xlabel="epoch", ylabel="unexplained variance (FVU)", title="The layer's input")
    left.set_yscale("log")
    left.legend()
    draw_curve(right, result.one_series(f"reconstruction_own/{name}"), "the VAE's own path", ALIVE)
    code = result.one_series(f"reconstruction/{name}")
    if cell_of(name).position != "in_path":  # there the two are one path
        draw_curve(right, code, "through the sparse code", BY_RELU)
    right.set(xlabel="epoch", ylabel="nats per image", title="The image", ylim=(0, None))
    right.legend()
    return figure


def mig_by_epoch(result: StudyResult, name: str) -> Figure:
    """Draw MIG of means and code by epoch, each with its shuffled control, and the best unit."""
    figure, (left, right) = new_figure(2, 3.0)
    draw_curve(left, result.one_series(f"mig_mean/{name}"), "latent mean", ALIVE)
    draw_curve(left, result.one_series(f"mig_mean_shuffled/{name}"), "shuffled", "#56B4E9")
    draw_curve(left, result.one_series(f"mig_code/{name}"), "sparse code", BY_RELU)
    draw_curve(left, result.one_series(f"mig_code_shuffled/{name}"), "shuffled", BY_TOP_K)
    left.set(xlabel="epoch", ylabel="MIG", title="The gap", ylim=(0, None))
    left.legend()
    draw_curve(right, result.one_series(f"best_information/{name}"), "best unit", BY_RELU)
    draw_curve(right, result.one_series(f"best_information_shuffled/{name}"), "shuffled", BY_TOP_K)
    right.legend()
    right.set(xlabel="epoch", ylabel="normalised information", title="Without the gap: best unit",
              ylim=(0, None))  # fmt: skip
    return figure


def comparison(result: StudyResult, reference: StudyResult | None, name: str) -> Markdown:
    """Return paper, reference run and this run of one cell side by side."""
    shown: list[tuple[str, str, Write]] = [
        ("dead_share", paper_dead_text(cell_of(name)), percent),
        ("dead_share_by_relu", "not given", percent),
        ("dead_share_by_top_k", "not given", percent),
        ("dead_ceiling", "not given", percent),
        ("coefficient", "not given", partial(significant, digits=2)),
        ("active_last", "50", partial(number, digits=0)),
        ("unexplained_last", "not given", partial(significant, digits=2)),
        ("mig_mean_first", "not given", partial(number, digits=2)),
        ("mig_mean_last", "stable", partial(number, digits=2)),
        ("mig_mean_shuffled_last", "no control", partial(number, digits=2)),
        ("mig_code_last", "not given", partial(number, digits=2)),
        ("best_information_last", "not given", partial(number, digits=2)),
        ("reconstruction_own_last", "sources conflict", partial(number, digits=0)),
        ("reconstruction_last", "sources conflict", partial(number, digits=0)),
    ]
    lines = [(f"{quantity}/{name}", paper, write) for quantity, paper, write in shown]
    return comparison_table(name, result, reference, lines)


def reconstructions(layer: TrainedLayer, ks: Sequence[int], n: int = 8) -> Figure:
    """Draw held-out images, the VAE's own reconstruction, and that through the code at each k.

    In the path the code is the VAE's own way. L1 has no k: its code is drawn once.
    """
    shown = [("image", layer.vae.heldout.pixels(0, n))]
    if layer.config is not None:
        own = layer.vae.model.vae.decode(layer.vae.final.mean[:n])
        shown.append(("own path", own.detach().sigmoid()))
    if is_soft(layer):
        shown.append(("through\nthe code", through_code(layer, layer.level, n)))
    else:
        shown += [(f"k = {k}", through_code(layer, float(k), n)) for k in ks]
    return picture_grid([images for _, images in shown], [label for label, _ in shown])


@torch.no_grad()
def through_code(layer: TrainedLayer, level: float, n: int) -> Float[Tensor, "n C H W"]:
    """Return what the decoder makes of the first held-out images' codes at a level, 0 to 1."""
    model = layer.vae.model
    if layer.config is None:
        return model.vae.decode(model.encode(layer.vae.heldout.pixels(0, n), level).mean).sigmoid()
    read = layer.sae(layer.output.inputs[:n], level).reconstruction
    means = read if layer.config.position == "latent" else model.vae.posterior(read)[0]
    return model.vae.decode(means).sigmoid()


def live_features(layer: TrainedLayer, n_units: int = 8, n_images: int = 3) -> Figure:
    """Draw what live units respond to: the most active held-out images and their weighted mean.

    Units are live ones at even steps of activation frequency, from the rarest to the most common.
    The mean weighs each image by its activation. A unit that fires on fewer images than are asked
    for has white places below its last one.
    """
    code = layer.output.code
    frequency = (code > 0).double().mean(0)
    live = (frequency > 0).nonzero()[:, 0]
    ranked = live[frequency[live].argsort(stable=True)]
    units = ranked[torch.linspace(0, len(ranked) - 1, min(n_units, len(ranked))).round().long()]
    pixels = layer.vae.heldout.pixels(0, len(code))
    weights = code[:, units]
    means = torch.einsum("nu,nchw->uchw", weights / weights.sum(0), pixels)
    strengths, tops = weights.topk(min(n_images, len(code)), dim=0)  # both [n_images U]
    images = torch.where((strengths > 0)[..., None, None, None], pixels[tops], 1.0)
    figure = picture_grid(
        [means / means.amax((1, 2, 3), keepdim=True), *images],
        ["mean", *[f"top {rank}" for rank in range(1, len(tops) + 1)]],
    )
    step = pixels.shape[-1] + GAP
    for column, unit in enumerate(units.tolist()):
        figure.axes[0].text(
            column * step + step / 2, -4, f"{100 * float(frequency[unit]):.1f} %",
            ha="center", fontsize=8,
        )  # fmt: skip
    return figure
