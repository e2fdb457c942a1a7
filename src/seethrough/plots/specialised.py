"""Figures and table of specialised units: how many, in what, since when, and what they look like.

Counts are units of one model, means over seeds, unless they are called pooled.
"""

from collections.abc import Sequence

import numpy as np
from IPython.display import Markdown
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seethrough.metrics.specialised_units import SpecialisedUnits, specialised_units
from seethrough.plots.pictures import picture_grid
from seethrough.plots.runs import (
    DATASETS,
    METHODS,
    PAPER,
    Runs,
    by_cell,
    cell_labels,
    cells_of,
    present,
    run_title,
)
from seethrough.plots.style import ALIVE, draw_curve, new_figure
from seethrough.plots.tables import markdown_table, number, percent
from seethrough.results import Row, StudyResult
from seethrough.studies.trained_layers import TrainedLayer

REPORTED = {"dsprites": 479, "shapes3d": 86}
"""Specialised units that a post about the paper reports (COL-14); width and pool unknown."""
_OTHER, _DEAD = "#BFDFF2", "#999999"


def counts(runs: Runs) -> Figure:
    """Draw specialised, other live and dead units of every cell, one panel per run.

    The open diamond is the count against shuffled factors, the green tick the reported one.
    """
    found = present(runs)
    cells = cells_of(runs, "specialised_last")
    figure, axes = new_figure(len(found), 1.2 + 0.34 * len(cells))
    for panel, (name, result) in zip(axes, found.items(), strict=True):
        for height, cell in enumerate(cells):
            _draw_count(panel, result, cell, height)
        panel.set_yticks(range(len(cells)), cell_labels(cells) if panel is axes[0] else [])
        panel.set(xlabel="units", xlim=(0, None), ylim=(len(cells) - 0.5, -0.5))
        panel.set_title(run_title(name, result), fontsize=8)
        panel.grid(False, axis="y")
    figure.legend(*_legend(axes), loc="outside lower center", ncols=3)
    return figure


def _draw_count(axes: Axes, result: StudyResult, cell: str, height: int) -> None:
    if cell not in by_cell(result, "specialised_last"):
        return
    start = 0.0
    for name, label, color in (
        ("specialised_last", "specialised", ALIVE),
        ("other_units", "live, not specialised", _OTHER),
        ("dead_units", "dead", _DEAD),
    ):
        length = result.row(f"{name}/{cell}").mean
        axes.barh(height, length, 0.6, left=start, color=color, label=label)
        start += length
    row = result.row(f"specialised_last/{cell}")
    if row.low is not None and row.high is not None:
        axes.plot([row.low, row.high], [height, height], color="black", linewidth=1.2)
    control = result.row(f"specialised_shuffled_last/{cell}").mean
    axes.plot(control, height, "D", mfc="white", mec="black", ms=5, label="factors shuffled")
    reported = REPORTED.get(cell.split("/")[0])
    if reported is not None:
        axes.plot(reported, height, "|", color=PAPER, ms=15, mew=2.5, label="reported (a post)")


def _legend(axes: Sequence[Axes]) -> tuple[list[object], list[str]]:
    handles: dict[str, object] = {}
    for panel in axes:
        handles |= {label: h for h, label in zip(*panel.get_legend_handles_labels(), strict=True)}
    return list(handles.values()), list(handles)


def by_factor(runs: Runs) -> Figure:
    """Draw which factors the specialised units speak of: cells by factors, per data set and run."""
    found = present(runs)
    datasets = list(dict.fromkeys(c.split("/")[0] for c in cells_of(runs, "specialised_last")))
    most = max(len(_of_dataset(result, datasets[0])) for result in found.values())
    figure, _ = new_figure(1, len(found) * (1.0 + 0.3 * most))
    figure.clear()
    panels = figure.subplots(len(found), len(datasets), squeeze=False)
    for line, (name, result) in zip(panels, found.items(), strict=True):
        for panel, dataset in zip(line, datasets, strict=True):
            _draw_factors(panel, result, dataset)
            panel.set_title(f"{DATASETS[dataset]}, {name}", fontsize=8)
    return figure


def _draw_factors(axes: Axes, result: StudyResult, dataset: str) -> None:
    cells = _of_dataset(result, dataset)
    names = factor_names(result, dataset)
    if not cells:
        axes.set_axis_off()
        return
    rows = [[result.row(f"specialised_in_{n}/{cell}") for n in names] for cell in cells]
    table = np.array([[row.mean for row in line] for line in rows])
    axes.imshow(table, cmap="Blues", vmin=0, vmax=max(1.0, table.max()), aspect="auto")
    for (line, column), value in np.ndenumerate(table):
        color = "white" if value > 0.6 * max(1.0, table.max()) else "black"
        axes.text(column, line, f"{value:.0f}", ha="center", va="center", color=color, fontsize=8)
    words = [name.replace("_", "\n") for name in names]
    axes.set_xticks(range(len(names)), words, fontsize=7)
    axes.set_yticks(range(len(cells)), _short(cells), fontsize=7)
    axes.grid(False)


def factor_names(result: StudyResult, dataset: str) -> list[str]:
    """Return the factors of a data set in its order, from the rows of a run."""
    head = "specialised_in_"
    heads = [row.id.split("/")[:2] for row in result.rows if row.id.startswith(head)]
    return list(dict.fromkeys(n.removeprefix(head) for n, data in heads if data == dataset))


def _of_dataset(result: StudyResult, dataset: str) -> list[str]:
    return [c for c in by_cell(result, "specialised_last") if c.split("/")[0] == dataset]


def _short(cells: Sequence[str]) -> list[str]:
    parts = [cell.split("/")[1:] for cell in cells]
    return [f"{METHODS[method]}, {place}, {width}" for method, place, width in parts]


def by_epoch(runs: Runs, where: str) -> Figure:
    """Draw the count by epoch at one position and width, solid, and its control, dotted.

    One line of panels per run that has such cells, one column per data set.
    """
    found = {
        name: cells
        for name, result in present(runs).items()
        if (cells := [c for c in by_cell(result, "specialised_last") if c.endswith(f"/{where}")])
    }
    datasets = list(dict.fromkeys(c.split("/")[0] for some in found.values() for c in some))
    figure, _ = new_figure(1, 2.4 * len(found))
    figure.clear()
    panels = figure.subplots(len(found), len(datasets), squeeze=False, sharey="row")
    for line, (name, cells) in zip(panels, found.items(), strict=True):
        for panel, dataset in zip(line, datasets, strict=True):
            chosen = [cell for cell in cells if cell.split("/")[0] == dataset]
            _draw_epochs(panel, present(runs)[name], chosen)
            panel.set_title(f"{DATASETS[dataset]}, {name}", fontsize=9)
        line[0].set(ylabel="specialised units", ylim=(0, None))
    panels[0, 0].legend()
    return figure


def _draw_epochs(axes: Axes, result: StudyResult, cells: Sequence[str]) -> None:
    for number_, cell in enumerate(cells):
        method = METHODS[cell.split("/")[1]]
        draw_curve(axes, result.one_series(f"specialised/{cell}"), method, f"C{number_}")
        control = result.one_series(f"specialised_shuffled/{cell}")
        axes.plot(control.x, control.mean, ":", color=f"C{number_}", label=f"{method}, shuffled")
    axes.set_xlabel("epoch")


def speakers(layer: TrainedLayer, n_images: int = 8) -> Figure:
    """Draw, per factor, the held-out images that switch one unit on most.

    The unit is the specialised one that knows most about the factor. Where no unit is specialised
    in it, the live unit that knows most stands in, and its label has brackets.
    """
    held = layer.vae.heldout
    code = layer.output.code
    units = specialised_units(code, held.classes)
    pixels = held.pixels(0, len(code))
    rows, labels = [], []
    for factor, name in enumerate(layer.vae.dataset.factor_names):
        unit, own = speaker(units, factor)
        order = code[:, unit].argsort(descending=True, stable=True)
        rows.append(pixels[order[:n_images]])
        labels.append(name if own else f"({name})")
    figure = picture_grid(rows, labels)
    figure.set_figheight(0.8 * len(rows))
    return figure


def speaker(units: SpecialisedUnits, factor: int) -> tuple[int, bool]:
    """Return the unit that knows most about a factor, and whether it is specialised in it.

    Specialised units come first, then live ones, then all; the first of equals.
    """
    own = units.specialised & (units.factor == factor)
    among = own if own.any() else units.alive
    information = units.normalised[:, factor]
    best = information.where(among, information.new_tensor(-1.0)).argmax()
    return int(best), bool(own.any())


def counts_table(runs: Runs) -> Markdown:
    """Return counts, controls, shares and pools of every cell and run, beside the reported count."""
    header = [
        "cell", "run", "specialised", "factors shuffled", "live", "specialised of live",
        "all seeds together", "factors with one", "reported",
    ]  # fmt: skip
    cells = cells_of(runs, "specialised_last")
    lines = [
        [label, name, *_counts_line(result, cell)]
        for cell, label in zip(cells, cell_labels(cells), strict=True)
        for name, result in present(runs).items()
        if cell in by_cell(result, "specialised_last")
    ]
    return markdown_table(header, lines)


def _counts_line(result: StudyResult, cell: str) -> list[str]:
    special = result.row(f"specialised_last/{cell}")
    live = live_units(result, cell)
    pooled = result.row(f"specialised_pooled/{cell}").mean
    n_factors = len(factor_names(result, cell.split("/")[0]))
    return [
        number(special, 0),
        number(result.row(f"specialised_shuffled_last/{cell}"), 0),
        number(live, 0),
        percent(share_of_live(special, live)),
        f"{pooled:.0f} of {special.n} x {cell.split('/')[-1]}",
        f"{number(result.row(f'factors_covered/{cell}'), 1)} of {n_factors}",
        str(REPORTED.get(cell.split("/")[0], "–")),
    ]


def live_units(result: StudyResult, cell: str) -> Row:
    """Return the live units of a cell: specialised and others."""
    pairs = zip(
        result.row(f"specialised_last/{cell}").per_seed,
        result.row(f"other_units/{cell}").per_seed,
        strict=True,
    )
    return Row(f"live/{cell}", "live units", {}, "units", tuple(a + b for a, b in pairs))


def share_of_live(special: Row, live: Row) -> Row | None:
    """Return the share of live units that are specialised, None where a model has none alive."""
    if 0 in live.per_seed:
        return None
    pairs = zip(special.per_seed, live.per_seed, strict=True)
    text = "specialised units of the live ones"
    return Row("share", text, {}, "fraction", tuple(a / b for a, b in pairs))
