"""Figures of the squeeze: what dies, when, by which threshold, and what the code still shows."""

import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from seethrough.metrics.dead_units import UnitActivity, never_active, share
from seethrough.plots.pictures import GAP, draw_strip, picture_grid
from seethrough.plots.style import (
    ALIVE,
    BY_RELU,
    BY_TOP_K,
    DEAD,
    draw_curve,
    new_figure,
    percent_axis,
)
from seethrough.results import Row, StudyResult
from seethrough.studies.trained_runs import TrainedRun

_COLUMNS = 50
"""Units in one row of a map."""
IntArray = npt.NDArray[np.intp]


def dead_by_epoch(result: StudyResult, cell: str, paper: tuple[float, float] | None) -> Figure:
    """Draw active units and dead share by epoch; `paper` is the paper's mean and sd, if any."""
    figure, (left, right) = new_figure(2, 3.0)
    draw_curve(left, result.one_series(f"k/{cell}"), "allowed (k)", "#999999")
    draw_curve(left, result.one_series(f"active/{cell}"), "active", ALIVE)
    left.set(xlabel="epoch", ylabel="units per held-out image", title="The squeeze", ylim=(0, None))
    left.legend()
    draw_curve(right, result.one_series(f"dead_share/{cell}"), "dead", DEAD)
    draw_curve(right, result.one_series(f"dead_share_by_relu/{cell}"), "by ReLU", BY_RELU)
    draw_curve(right, result.one_series(f"dead_share_by_top_k/{cell}"), "by Top-k", BY_TOP_K)
    if paper is not None:
        mean, sd = paper
        right.axhspan(mean - sd, mean + sd, color="#009E73", alpha=0.25, linewidth=0)
        right.axhline(mean, color="#009E73", linewidth=1, label="paper, k = 50")
    right.set(xlabel="epoch", title=f"What dies ({n_seeds(result, cell)} seeds)")
    percent_axis(right, "share of units")
    right.legend()
    return figure


def n_seeds(result: StudyResult, cell: str) -> int:
    """Return how many seeds stand behind a cell."""
    return result.row(f"dead_share/{cell}").n


def dead_by_threshold(rows: Sequence[Row], labels: Sequence[str]) -> Figure:
    """Draw the dead share under every threshold, with every seed as a dot."""
    figure, (axes,) = new_figure(1, 0.6 + 0.32 * len(rows))
    for height, row in enumerate(rows):
        if row.low is not None and row.high is not None:
            axes.plot([row.low, row.high], [height, height], color=ALIVE, linewidth=5, alpha=0.3)
        axes.plot(row.per_seed, [height] * row.n, "o", color=ALIVE, markersize=3.5)
        axes.plot(row.mean, height, "|", color=DEAD, markersize=12)
    axes.set_yticks(range(len(rows)), labels)
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    axes.set(xlabel="share of units called dead", xlim=(0, None))
    return figure


def dead_by_cell(
    reference: StudyResult | None, result: StudyResult | None, paper: tuple[float, float]
) -> Figure:
    """Draw the dead share of every cell (position and width), its causes, and the paper's value.

    Filled bars are the reference run, open diamonds this run; a black tick is the most that k
    active units allow.
    """
    shown, stored = _totals(result), _totals(reference)
    cells = [*stored, *(cell for cell in shown if cell not in stored)]
    figure, (axes,) = new_figure(1, 0.9 + 0.42 * len(cells))
    low, high = paper[0] - paper[1], paper[0] + paper[1]
    axes.axvspan(low, high, color="#009E73", alpha=0.35, linewidth=0, label="paper")
    for height, cell in enumerate(cells):
        if reference and cell in stored:
            _draw_causes(axes, reference, stored[cell], cell, height)
        if cell in shown:
            mean = shown[cell].mean
            axes.plot(mean, height, "D", mfc="white", mec=DEAD, ms=6, label="this run")
    axes.set_yticks(range(len(cells)), [cell.replace("/", ", ") for cell in cells])
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    axes.set(xlabel="share of units dead after the last epoch", xlim=(0, 1))
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    axes.legend(handles.values(), handles.keys(), loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def _totals(result: StudyResult | None) -> dict[str, Row]:
    rows = result.rows if result else ()
    return {r.id.removeprefix("dead_share/"): r for r in rows if r.id.startswith("dead_share/")}


def _draw_causes(axes: Axes, result: StudyResult, total: Row, cell: str, height: int) -> None:
    relu = result.row(f"dead_share_by_relu/{cell}").mean
    top = result.row(f"dead_share_by_top_k/{cell}").mean
    axes.barh(height, relu, 0.5, color=BY_RELU, label="by ReLU")
    axes.barh(height, top, 0.5, left=relu, color=BY_TOP_K, label="by Top-k")
    if total.low is not None and total.high is not None:
        axes.plot([total.low, total.high], [height, height], color=DEAD, linewidth=1.2)
    most = result.row(f"dead_ceiling/{cell}").mean
    axes.plot(most, height, "|", color=DEAD, markersize=16, label="most that k allows")


def mig_by_epoch(result: StudyResult, cell: str) -> Figure:
    """Draw MIG of means and code by epoch, each with its shuffled control, and the best unit."""
    figure, (left, right) = new_figure(2, 3.0)
    draw_curve(left, result.one_series(f"mig_mean/{cell}"), "latent mean", ALIVE)
    draw_curve(left, result.one_series(f"mig_mean_shuffled/{cell}"), "shuffled", "#56B4E9")
    draw_curve(left, result.one_series(f"mig_code/{cell}"), "sparse code", BY_RELU)
    draw_curve(left, result.one_series(f"mig_code_shuffled/{cell}"), "shuffled", BY_TOP_K)
    left.set(xlabel="epoch", ylabel="MIG", title="The gap", ylim=(0, None))
    left.legend()
    draw_curve(right, result.one_series(f"best_information/{cell}"), "best unit", BY_RELU)
    draw_curve(right, result.one_series(f"best_information_shuffled/{cell}"), "shuffled", BY_TOP_K)
    right.legend()
    right.set(xlabel="epoch", ylabel="normalised information", title="Without the gap: best unit",
              ylim=(0, None))  # fmt: skip
    return figure


def reconstructions(run: TrainedRun, ks: Sequence[int], n: int = 8) -> Figure:
    """Draw held-out images, the VAE's own reconstruction, and that through the code at each k."""
    shown = [("image", run.heldout.pixels(0, n))]
    for k in ks:
        codes = run.codes(k)
        with torch.no_grad():
            if not shown[1:]:
                own = run.model.vae.decode(codes.means[:n]).sigmoid()
                shown.append(("own path", own))
            through = run.model.vae.decode(codes.means_through_code[0][:n]).sigmoid()
        shown.append((f"k = {k}", through))
    return picture_grid([images for _, images in shown], [label for label, _ in shown])


def live_features(run: TrainedRun, n_units: int = 8, n_images: int = 3) -> Figure:
    """Draw what live units respond to: the most active held-out images and their weighted mean.

    Units are live ones at even steps of activation frequency, from the rarest to the most common.
    The mean weighs each image by its activation.
    """
    k = run.config.k_at(run.config.epochs)
    code = run.codes(k).codes[0]
    frequency = (code > 0).double().mean(0)
    live = (frequency > 0).nonzero()[:, 0]
    ranked = live[frequency[live].argsort(stable=True)]
    units = ranked[torch.linspace(0, len(ranked) - 1, min(n_units, len(ranked))).round().long()]
    pixels = run.heldout.pixels(0, len(code))
    weights = code[:, units]
    means = torch.einsum("nu,nchw->uchw", weights / weights.sum(0), pixels)
    tops = weights.topk(min(n_images, len(code)), dim=0).indices  # [n_images U]
    figure = picture_grid(
        [means / means.amax((1, 2, 3), keepdim=True), *[pixels[row] for row in tops]],
        ["mean", *[f"top {rank}" for rank in range(1, len(tops) + 1)]],
    )
    step = pixels.shape[-1] + GAP
    for column, unit in enumerate(units.tolist()):
        figure.axes[0].text(
            column * step + step / 2, -4, f"{100 * float(frequency[unit]):.1f} %",
            ha="center", fontsize=8,
        )  # fmt: skip
    return figure


def unit_maps(run: TrainedRun, epochs: Sequence[int]) -> list[bytes]:
    """Return one PNG per epoch: every unit as a square, with the images its code still decodes to.

    Squares are ordered by the unit's state after the last epoch, so that a unit keeps its place.
    """
    name = run.config.branches[0].name
    order = np.argsort(_states(run.history.activity(name, -1)), kind="stable")
    return [_unit_map(run, name, epoch, order) for epoch in epochs]


def _unit_map(run: TrainedRun, name: str, epoch: int, order: IntArray) -> bytes:
    figure, _ = new_figure(1, 3.4, 7.0)
    figure.clear()
    top, middle, bottom = figure.subplots(3, 1, height_ratios=[1.6, 1, 1])
    _draw_units(top, run, name, epoch, order)
    draw_strip(middle, run.originals.float() / 255, "image")
    pictures = run.history.tensors[f"pictures/{name}"][epoch - 1]
    draw_strip(bottom, pictures.float() / 255, "through\nthe code")
    return as_png(figure)


def spread(epochs: int, at_most: int) -> list[int]:
    """Return epochs at even steps from the first to the last, both among them."""
    n = min(epochs, at_most)
    return [round(1 + step * (epochs - 1) / max(1, n - 1)) for step in range(n)]


def unit_map_pair(run: TrainedRun, epochs: Sequence[int]) -> Figure:
    """Draw the maps of all units after some epochs below each other, for pages without a slider."""
    name = run.config.branches[0].name
    order = np.argsort(_states(run.history.activity(name, -1)), kind="stable")
    figure, _ = new_figure(1, 1.1 * len(epochs), 7.0)
    figure.clear()
    axes_column = figure.subplots(len(epochs), 1, squeeze=False)[:, 0]
    for axes, epoch in zip(axes_column, epochs, strict=True):
        _draw_units(axes, run, name, epoch, order)
    return figure


def _draw_units(axes: Axes, run: TrainedRun, name: str, epoch: int, order: IntArray) -> None:
    activity = run.history.activity(name, epoch)
    padded = np.full(-(-len(order) // _COLUMNS) * _COLUMNS, np.nan)
    padded[: len(order)] = _states(activity)[order]
    colors = ListedColormap(["#12436D", "#0072B2", "#56B4E9", "#BFDFF2", BY_TOP_K, BY_RELU])
    axes.imshow(padded.reshape(-1, _COLUMNS), cmap=colors, vmin=-0.5, vmax=5.5, aspect="auto")
    axes.set(xticks=[], yticks=[])
    axes.grid(False)
    dead = share(never_active(activity))
    k = int(run.history.scalars["k"][epoch - 1])
    axes.set_title(f"epoch {epoch}: k = {k}, {100 * dead:.1f} % of {len(order)} units dead")


def _states(activity: UnitActivity) -> npt.NDArray[np.float64]:
    """Return 0 to 3 for live units by falling activation frequency, 4 dead by Top-k, 5 by ReLU."""
    frequency = activity.fired_count.double().numpy() / activity.n_images
    states = np.digitize(-frequency, [-0.5, -0.1, -0.01]).astype(float)
    states[activity.fired_count.numpy() == 0] = 4
    states[activity.relu_count.numpy() == 0] = 5
    return states


def as_png(figure: Figure) -> bytes:
    """Return a figure as PNG bytes and close it."""
    import matplotlib.pyplot as plt

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    plt.close(figure)
    return buffer.getvalue()
