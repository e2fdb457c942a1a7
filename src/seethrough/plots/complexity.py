"""Figures and table of the ladder from dSprites to Shapes3D: what each step adds to the deaths."""

import math
from collections.abc import Sequence
from functools import partial

from IPython.display import Markdown
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from seethrough.plots.labels import DATASETS, METHOD_COLORS, METHODS, cell_of, cell_text
from seethrough.plots.style import (
    BY_RELU,
    BY_TOP_K,
    DEAD,
    PAPER,
    new_figure,
    one_legend,
)
from seethrough.plots.tables import (
    DASH,
    Runs,
    find_row,
    markdown_table,
    number,
    points,
    rows_named,
    scale,
    union,
)
from seethrough.results import Row, StudyResult
from seethrough.studies.cells import Cell
from seethrough.studies.dead_steps import STEPS

CHANGES = {
    "three_channels": "three channels, two fixed colours",
    "coloured_sprites": "three channels, ten hues as a factor",
    "hue_as_factor": "hue becomes a factor",
    "grey_scene": "a grey room, not a sprite",
    "colour": "the room in colour",
    "one_factor_more": "the floor's hue varies",
    "scene": "a coloured room, not a sprite",
    "all": "everything at once",
}
"""What a step of the study's `STEPS` changes, in words."""

REPORTED = {"top_k": 1.8, "l1": 2.2}
"""Ratio of dead shares, Shapes3D to dSprites, in the paper's abstract (COL-05, COL-06)."""

RUNGS = (
    "dsprites", "dsprites_rgb", "dsprites_hued", "shapes3d", "shapes3d_fixed_floor", "shapes3d_grey"
)  # fmt: skip
"""Order of the ladder in figures: neighbours are one step apart, but for the last pair."""


def ladder(runs: Runs, method: str, position: str, width: int) -> Figure:
    """Draw the dead share of every rung by cause, and beside it what each step adds, in points.

    One line of panels per run that has such cells: bars left; right, one arrow per step, from the
    rung before to the rung after.
    """
    found = {
        name: (run, rungs)
        for name, run in runs.items()
        if (rungs := rungs_of(run, method, position, width))
    }
    figure, _ = new_figure(1, 0.4 + 3.0 * len(found))
    figure.clear()
    panels = figure.subplots(len(found), 2, squeeze=False, width_ratios=[1, 1.2])
    for (left, right), (name, (run, rungs)) in zip(panels, found.items(), strict=True):
        for height, cell in enumerate(rungs):
            _draw_rung(left, run, cell, height)
        left.set_yticks(range(len(rungs)), [DATASETS[cell.dataset] for cell in rungs])
        left.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        left.set(xlim=(0, 1), xlabel="dead units")
        left.set_title(f"{name}\n{scale(run)}", fontsize=8)
        _draw_steps(right, run, rungs)
        for axes in (left, right):
            axes.set_ylim(len(rungs) - 0.4, -0.6)
            axes.grid(False, axis="y")
    one_legend(figure)
    return figure


def rungs_of(result: StudyResult, method: str, position: str, width: int) -> list[Cell]:
    """Return the cells of one method, place and width that a run has, in the figures' order."""
    cells = [
        Cell(dataset=dataset, method=method, position=position, width=width) for dataset in RUNGS
    ]
    return [cell for cell in cells if find_row(result, f"dead_share/{cell.name}")]


def _draw_rung(axes: Axes, result: StudyResult, cell: Cell, height: int) -> None:
    relu = result.row(f"dead_share_by_relu/{cell.name}").mean
    top = result.row(f"dead_share_by_top_k/{cell.name}").mean
    axes.barh(height, relu, 0.6, color=BY_RELU, label="by ReLU")
    axes.barh(height, top, 0.6, left=relu, color=BY_TOP_K, label="by Top-k")
    total = result.row(f"dead_share/{cell.name}")
    axes.plot(total.per_seed, [height] * total.n, "o", color=DEAD, ms=2.5, label="one seed")
    most = find_row(result, f"dead_ceiling/{cell.name}")
    if most is not None:
        axes.plot(most.mean, height, "|", color=DEAD, ms=15, label="most that k allows")


def _draw_steps(axes: Axes, result: StudyResult, rungs: Sequence[Cell]) -> None:
    heights = {cell.dataset: height for height, cell in enumerate(rungs)}
    steps = {name: ends for name, ends in STEPS.items() if set(ends) <= heights.keys()}
    cell = rungs[0]
    for column, (name, (before, after)) in enumerate(steps.items()):
        start, end = heights[before], heights[after]
        style = {"arrowstyle": "-|>", "color": DEAD, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", (column, end), (column, start), arrowprops=style)
        axes.plot(column, start, "o", color=DEAD, ms=4)
        row = result.row(f"dead_step/{name}/{cell.method}/{cell.position}/{cell.width}")
        label = f"{name.replace('_', ' ')}\n{_signed(row.mean)} points"
        middle = min(max((start + end) / 2, 0.5), len(rungs) - 1.5)
        axes.text(column + 0.08, middle, label, rotation=90, va="center", fontsize=7)
    axes.set(xticks=[], yticks=range(len(rungs)), xlim=(-0.4, len(steps) - 0.2))
    axes.set_title("one step at a time:\ndead units after − before", fontsize=8)
    axes.set_yticklabels([])
    axes.spines[["left", "bottom"]].set_visible(False)
    axes.tick_params(left=False)


def _signed(share: float) -> str:
    """Return a difference of shares in points, with its sign."""
    whole = round(100 * share)
    return f"{whole:+d}" if whole else "0"


def steps(runs: Runs, position: str, width: int) -> Figure:
    """Draw ratio and difference of the dead shares for every step, with intervals over seeds.

    The reference run is filled, others are open. A step without a ratio (a share of 0 before it)
    has no mark on the left. Green: the ratios of the paper, for the whole way.
    """
    names = _step_names(runs, position, width)
    figure, (left, right) = new_figure(2, 1.3 + 0.42 * len(names))
    marks = _run_methods(runs, position, width)
    for number_, (run, method) in enumerate(marks):
        shift = 0.6 * (number_ + 0.5) / len(marks) - 0.3
        label, filled = f"{METHODS[method]}, {run}", run == "reference run"
        draw = partial(_draw_interval, color=METHOD_COLORS[method], filled=filled, label=label)
        for axes, quantity in ((left, "dead_ratio"), (right, "dead_step")):
            for height, step in enumerate(names):
                row = find_row(runs[run], f"{quantity}/{step}/{method}/{position}/{width}")
                if row is not None and not math.isnan(row.mean):
                    draw(axes, row, height + shift)
    _draw_paper(left, names)
    left.axvline(1, color=DEAD, linewidth=0.8)
    right.axvline(0, color=DEAD, linewidth=0.8)
    left.set_yticks(range(len(names)), [CHANGES[name] for name in names])
    right.set_yticks(range(len(names)), len(names) * [""])
    left.set(xlabel="dead share, after / before", ylim=(len(names) - 0.1, -0.6))
    right.set(xlabel="after − before, points", ylim=left.get_ylim())
    right.xaxis.set_major_formatter(lambda value, _: _signed(value))
    right.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    one_legend(figure)
    return figure


def _step_names(runs: Runs, position: str, width: int) -> list[str]:
    """Return the steps that any run has at a position and width, in the order of `CHANGES`."""
    cells = [cell.split("/") for run in runs.values() for cell in rows_named(run, "dead_step")]
    there = {step for step, _, *where in cells if where == [position, str(width)]}
    return [step for step in CHANGES if step in there]


def _draw_paper(axes: Axes, names: Sequence[str]) -> None:
    if "all" not in names:
        return
    height = names.index("all")
    for method, ratio in REPORTED.items():
        axes.plot([ratio, ratio], [height - 0.45, height + 0.45], color=PAPER, linewidth=3)
        axes.text(ratio, height + 0.5, METHODS[method], color=PAPER, fontsize=7, ha="center",
                  va="top")  # fmt: skip


def _run_methods(runs: Runs, position: str, width: int) -> list[tuple[str, str]]:
    """Return run and method wherever there are steps at a position and width."""
    found = []
    for name, run in runs.items():
        cells = [cell.split("/") for cell in rows_named(run, "dead_step")]
        methods = union(m for _, m, *where in cells if where == [position, str(width)])
        found += [(name, method) for method in methods]
    return found


def _draw_interval(
    axes: Axes, row: Row, height: float, *, color: str, filled: bool, label: str
) -> None:
    if row.low is not None and row.high is not None:
        axes.plot([row.low, row.high], [height, height], color=color, linewidth=1.5)
    axes.plot(row.mean, height, "o", color=color, mfc=color if filled else "white", label=label)


def steps_table(runs: Runs, position: str, width: int) -> Markdown:
    """Return ratio and difference of the dead shares for every step and run, beside the paper's."""
    header = ["what changes", "method", "ratio in the paper"]
    header += [f"{name}: {what}" for name in runs for what in ("ratio", "difference")]
    methods = union(method for _, method in _run_methods(runs, position, width))
    lines = [
        [CHANGES[step], METHODS[method], _reported(step, method)]
        + _step_cells(runs, f"{step}/{method}/{position}/{width}")
        for method in methods
        for step in _step_names(runs, position, width)
    ]
    return markdown_table(header, lines)


def ratios_table(runs: Runs) -> Markdown:
    """Return ratio and difference of Shapes3D against dSprites for every method, place and width.

    Empty but for its header if no run has both data sets.
    """
    header = ["Shapes3D against dSprites", "ratio in the paper"]
    header += [f"{name}: {what}" for name in runs for what in ("ratio", "difference")]
    found = union(*(rows_named(run, "dead_ratio") for run in runs.values()))
    cells = {
        name: cell_of(f"shapes3d/{name.removeprefix('all/')}")
        for name in found
        if name.startswith("all/")
    }
    lines = [
        [cell_text(cell, with_dataset=False), _reported("all", cell.method)]
        + _step_cells(runs, name)
        for name, cell in cells.items()
    ]
    return markdown_table(header, lines)


def _reported(step: str, method: str) -> str:
    return f"{REPORTED[method]}" if step == "all" and method in REPORTED else DASH


def _step_cells(runs: Runs, name: str) -> list[str]:
    cells = []
    for run in runs.values():
        cells.append(number(find_row(run, f"dead_ratio/{name}"), 2))
        cells.append(points(find_row(run, f"dead_step/{name}"), 0))
    return cells
