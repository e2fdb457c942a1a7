"""Figures of the remedies: what stays dead, at what price, and what was foretold."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from seethrough.plots.labels import DATASETS, dataset_title
from seethrough.plots.style import BY_RELU, BY_TOP_K, DEAD, PAPER, new_figure, one_legend
from seethrough.plots.tables import Runs, find_row, rows_named, union
from seethrough.plots.unit_maps import REVIVED, as_png, draw_key, draw_units, states
from seethrough.results import StudyResult
from seethrough.studies.collapse_remedies import Arm
from seethrough.studies.remedies import BASELINE, REMEDIES, SMALL
from seethrough.studies.remedy_verdict import LIMIT
from seethrough.studies.trained_layers import TrainedLayer

_MARKS = "osD^v<>pPX*hdH8"
_COLORS = [
    "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#8C564B", "#7F7F7F",
    "#BCBD22", "#9467BD", "#17BECF", "#E377C2", "#1B9E77", "#A6761D",
]  # fmt: skip
_DATASET_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")


def arms_of(*results: StudyResult | None) -> list[Arm]:
    """Return the arms that any run has, in the order of data sets, remedies and widths."""
    names = union(*(rows_named(result, "dead_share") for result in results))
    parts = [name.split("/") for name in names]
    order = list(REMEDIES)
    arms = [Arm(dataset=data, remedy=name, width=int(width)) for data, name, width in parts]
    datasets = union(arm.dataset for arm in arms)
    return sorted(
        arms, key=lambda a: (datasets.index(a.dataset), order.index(a.remedy), a.width)
    )  # fmt: skip


def dead_by_remedy(reference: StudyResult | None, result: StudyResult | None, width: int) -> Figure:
    """Draw the dead share under every remedy at one width, split by cause; a column per data set.

    Bars are the reference run, pale ones this run where the reference lacks the remedy. Diamonds
    are this run. The dotted line is the share that a remedy must stay below.
    """
    arms = at_width(arms_of(reference, result), width)
    datasets = union(arm.dataset for arm in arms)
    remedies = union(arm.remedy for arm in arms)
    figure, panels = new_figure(max(1, len(datasets)), 1.2 + 0.27 * len(remedies))
    for axes, dataset in zip(panels, datasets, strict=True):
        for height, remedy in enumerate(remedies):
            _draw_arm(axes, reference, result, f"{dataset}/{remedy}/{width}", height)
        axes.axvline(LIMIT, color=PAPER, linestyle=":", label=f"{100 * LIMIT:.0f} %")
        axes.set(xlim=(0, 1), ylim=(len(remedies) - 0.4, -0.6), yticks=[])
        axes.set(xlabel="dead units after training")
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        axes.grid(False, axis="y")
        axes.set_title(dataset_title(dataset, result or reference))
    panels[0].set_yticks(range(len(remedies)), [REMEDIES[name].label for name in remedies])
    one_legend(figure)
    return figure


def at_width(arms: Iterable[Arm], width: int) -> list[Arm]:
    """Return the arms of one width, without the small dictionary."""
    return [arm for arm in arms if arm.width == width and arm.remedy != SMALL]


def _draw_arm(
    axes: Axes, reference: StudyResult | None, result: StudyResult | None, name: str, height: int
) -> None:
    there, here = (find_row(run, f"dead_share/{name}") for run in (reference, result))
    run, total, alpha = (reference, there, 1.0) if there else (result, here, 0.45)
    if run is None or total is None:
        return
    relu = run.row(f"dead_share_by_relu/{name}").mean
    rest = run.row(f"dead_share_by_top_k/{name}").mean
    axes.barh(height, relu, 0.6, color=BY_RELU, alpha=alpha, label="by ReLU")
    axes.barh(height, rest, 0.6, left=relu, color=BY_TOP_K, alpha=alpha, label="by the sparsifier")
    if total.low is not None and total.high is not None:
        axes.plot([total.low, total.high], [height, height], color=DEAD, linewidth=1.2)
    if here is not None:
        axes.plot(here.mean, height, "D", mfc="white", mec=DEAD, ms=4.5, label="this run")


def dead_against_unexplained(runs: Runs, width: int) -> Figure:
    """Draw each remedy's dead share against the variance it leaves unexplained.

    One line of panels per run, one column per data set. Large marks are means, dots are seeds.
    """
    datasets = union(arm.dataset for arm in at_width(arms_of(*runs.values()), width))
    figure, _ = new_figure(1, 0.9 + 2.7 * len(runs))
    figure.clear()
    panels = figure.subplots(len(runs), max(1, len(datasets)), squeeze=False)
    for line, (name, result) in zip(panels, runs.items(), strict=True):
        for axes, dataset in zip(line, datasets, strict=True):
            for arm in at_width(arms_of(result), width):
                if arm.dataset == dataset:
                    _draw_point(axes, result, arm)
            axes.axhline(LIMIT, color=PAPER, linestyle=":", label=f"{100 * LIMIT:.0f} %")
            axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
            axes.set(xscale="log", ylim=(-0.02, 1), title=f"{DATASETS[dataset]}, {name}")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=6))
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.set(xlabel="variance unexplained", ylabel="dead units")
    one_legend(figure)
    return figure


def _draw_point(axes: Axes, result: StudyResult, arm: Arm) -> None:
    x, y = (result.row(f"{name}/{arm.name}") for name in ("unexplained", "dead_share"))
    place = list(REMEDIES).index(arm.remedy)
    color = DEAD if arm.remedy == BASELINE else _COLORS[place % len(_COLORS)]
    axes.plot(x.per_seed, y.per_seed, ".", color=color, ms=3, alpha=0.6)
    axes.plot(x.mean, y.mean, _MARKS[place % len(_MARKS)], color=color, ms=6, linestyle="none",
              mec="white", mew=0.5, label=REMEDIES[arm.remedy].label)  # fmt: skip


def predictions(runs: Runs, width: int) -> Figure:
    """Draw the dead share that gamma foretells against that of the untrained and trained layers.

    One line of panels per run; one mark per remedy, one colour per data set; the line is equality.
    """
    figure, _ = new_figure(1, 0.6 + 2.7 * len(runs))
    figure.clear()
    panels = figure.subplots(len(runs), 2, squeeze=False)
    sides = (("untrained_dead_share", "untrained"), ("dead_share", "after training"))
    for line, (name, result) in zip(panels, runs.items(), strict=True):
        arms = at_width(arms_of(result), width)
        datasets = union(arm.dataset for arm in arms)
        for axes, (quantity, when) in zip(line, sides, strict=True):
            axes.axline((0, 0), slope=1, color="#999999", linewidth=0.8)
            for color, dataset in zip(_DATASET_COLORS, datasets, strict=False):
                some = [arm.name for arm in arms if arm.dataset == dataset]
                x = [result.row(f"predicted_dead_share/{arm}").mean for arm in some]
                y = [result.row(f"{quantity}/{arm}").mean for arm in some]
                axes.plot(x, y, "o", color=color, ms=4, alpha=0.7, label=DATASETS[dataset])
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
            axes.set(xlim=(-0.02, 1), ylim=(-0.02, 1), title=f"{when}, {name}")
            axes.set(xlabel="dead units foretold by gamma", ylabel="dead units measured")
    one_legend(figure)
    return figure


def remedy_maps(trained: Mapping[Arm, Sequence[TrainedLayer]], width: int) -> dict[str, bytes]:
    """Return label -> PNG for every remedy: all units of the first seed, a map per data set."""
    arms = at_width(trained, width)
    return {
        REMEDIES[name].label: as_png(_maps(trained, [arm for arm in arms if arm.remedy == name]))
        for name in union(arm.remedy for arm in arms)
    }


def remedy_map_pair(
    trained: Mapping[Arm, Sequence[TrainedLayer]], width: int, remedies: Sequence[str]
) -> Figure:
    """Draw the maps of some remedies below each other, for pages without a slider."""
    arms = at_width(trained, width)
    return _maps(trained, [arm for name in remedies for arm in arms if arm.remedy == name])


def _maps(trained: Mapping[Arm, Sequence[TrainedLayer]], arms: Sequence[Arm]) -> Figure:
    figure, _ = new_figure(1, 0.4 + 1.25 * len(arms), 7.0)
    figure.clear()
    column = figure.subplots(len(arms), 1, squeeze=False)[:, 0]
    for axes, arm in zip(column, arms, strict=True):
        history = trained[arm][0].history
        shown = np.sort(states(history.activity(-1)))
        draw_units(axes, shown)
        dead, fvu = float(np.mean(shown >= 4)), history.scalars["unexplained"][-1]
        axes.set_title(
            f"{DATASETS[arm.dataset]}, {REMEDIES[arm.remedy].label}: {100 * dead:.1f} % of "
            f"{arm.width} units dead, {fvu:.2g} of the variance unexplained",
            fontsize=8,
        )
    draw_key(figure, range(REVIVED))
    return figure
