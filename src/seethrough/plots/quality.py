"""Figures and tables of the scores of a representation, each beside its controls.

A pair of cells differs in the squeeze alone: `top_k` lowers k, `top_k_open` never does.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from IPython.display import Markdown
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from seethrough.plots.labels import DATASETS, METHOD_COLORS, cell_of
from seethrough.plots.style import ALIVE, DEAD, draw_curve, new_figure, one_legend
from seethrough.plots.tables import (
    Runs,
    difference,
    find_row,
    markdown_table,
    number,
    rows_named,
    significant,
)
from seethrough.results import Row, StudyResult

_SQUEEZED, _OPEN = METHOD_COLORS["top_k"], METHOD_COLORS["top_k_open"]
_THROUGH = (
    (True, "through the code, squeezed", _SQUEEZED),
    (False, "through the code, no squeeze", _OPEN),
)
_SHUFFLED, _FORGOTTEN = "#999999", "#E69F00"

SCORES: dict[str, str] = {
    "mig": "MIG",
    "sap": "SAP",
    "best_information": "best unit's information",
    "dci_disentanglement": "DCI disentanglement",
    "dci_completeness": "DCI completeness",
    "dci_informativeness": "DCI informativeness",
    "modularity": "modularity, all units",
    "modularity_live": "modularity, live units",
    "factor_vae": "FactorVAE accuracy",
    "probe_accuracy": "linear probe accuracy",
}
"""Scores from 0 to 1, in words."""

NUMBERS: tuple[tuple[str, str, int | None], ...] = (
    ("mig_mean_first", "MIG of the latent mean, first epoch", 3),
    ("mig_mean_last", "MIG of the latent mean", 3),
    ("mig_code_first", "MIG of the code, first epoch", 3),
    ("mig_code_last", "MIG of the code", 3),
    ("mig_code_random", "the same, images forgotten", 3),
    ("best_information_last", "best unit's information", 2),
    ("best_information_code_random", "the same, images forgotten", 2),
    ("probe_accuracy_code", "linear probe on the code", 2),
    ("reconstruction_own_last", "error of the VAE's own path, nats", 1),
    ("reconstruction_last", "error through the code, nats", 1),
    ("unexplained_first", "unexplained variance, first epoch", None),
    ("unexplained_last", "unexplained variance", None),
)
"""Rows of the table: quantity, in words, digits after the point (None: two significant ones).

After the last epoch unless said otherwise.
"""


@dataclass(frozen=True, slots=True)
class Pair:
    """The squeezed cell and its control without a squeeze, in one run."""

    run: str
    """Name of the run."""
    result: StudyResult
    """The run."""
    dataset: str
    """Name of the data set."""
    where: str
    """position/width."""

    @property
    def title(self) -> str:
        """Return data set and run in words."""
        return f"{DATASETS[self.dataset]}, {self.run}"

    def row(self, quantity: str, squeezed: bool = True) -> Row | None:
        """Return a row of one of the two, None if the run lacks it."""
        return find_row(self.result, f"{quantity}/{self.cell(squeezed)}")

    def cell(self, squeezed: bool = True) -> str:
        """Return the name of one of the two cells."""
        return f"{self.dataset}/{'top_k' if squeezed else 'top_k_open'}/{self.where}"


def pairs(runs: Runs, position: str, width: int) -> Iterator[Pair]:
    """Yield runs and data sets that have a squeezed cell at this position and width."""
    for name, result in runs.items():
        for cell in map(cell_of, rows_named(result, "mig_code_last")):
            if (cell.method, cell.position, cell.width) == ("top_k", position, width):
                yield Pair(name, result, cell.dataset, f"{position}/{width}")


def mig_by_epoch(runs: Runs, position: str, width: int) -> Figure:
    """Draw MIG of mean and code and the best unit's information by epoch, with their controls."""
    found = list(pairs(runs, position, width))
    figure, _ = new_figure(1, 0.5 + 1.9 * len(found))
    figure.clear()
    lines = figure.subplots(len(found), 3, squeeze=False)
    for line, pair in zip(lines, found, strict=True):
        for axes, quantity in zip(line, ("mig_mean", "mig_code", "best_information"), strict=True):
            _draw_score(axes, pair, quantity)
        for axes in line[:2]:  # one scale for the two gaps: the floor is seen as what it is
            axes.set_ylim(0, max(0.05, *(side.get_ylim()[1] for side in line[:2])))
        line[2].set_ylim(0, 1)
        line[0].set_ylabel(pair.title.replace(", ", "\n"), fontsize=8)
    for axes, title in zip(lines[0], ("MIG of the mean", "MIG of the code", "best unit"),
                           strict=True):  # fmt: skip
        axes.set_title(title)
    for axes in lines[-1]:
        axes.set_xlabel("epoch")
    one_legend(figure)
    return figure


def _draw_score(axes: Axes, pair: Pair, quantity: str) -> None:
    squeezed = pair.result.one_series(f"{quantity}/{pair.cell()}")
    control = pair.result.one_series(f"{quantity}_shuffled/{pair.cell()}")
    draw_curve(axes, squeezed, "squeezed", _SQUEEZED)
    axes.plot(control.x, control.mean, ":", color=DEAD, label="squeezed, factors shuffled")
    if pair.row(f"{quantity}_last", squeezed=False):
        other = pair.result.one_series(f"{quantity}/{pair.cell(squeezed=False)}")
        axes.plot(other.x, other.mean, "--", color=_OPEN, label="no squeeze")


def scores(runs: Runs, position: str, width: int) -> Figure:
    """Draw every score of mean, code and unsqueezed code, with both controls, as dots.

    Of several runs that have such cells the first, since ten scores fill a page.
    """
    found = list(pairs(runs, position, width))
    found = [pair for pair in found if pair.run == found[0].run]
    figure, _ = new_figure(1, 0.4 + len(found) * (0.4 + 0.24 * len(SCORES)))
    figure.clear()
    lines = figure.subplots(len(found), 3, squeeze=False, sharex=True, sharey=True)
    for line, pair in zip(lines, found, strict=True):
        for axes, (what, squeezed) in zip(
            line, (("mean", True), ("code", True), ("code", False)), strict=True
        ):
            _draw_dots(axes, pair, what, squeezed)
        line[0].set_ylabel(pair.title, fontsize=8)
    for axes, title in zip(lines[0], ("latent mean", "code, squeezed", "code, no squeeze"),
                           strict=True):  # fmt: skip
        axes.set_title(title)
    lines[0, 0].set_yticks(range(len(SCORES)), list(SCORES.values()))
    lines[0, 0].set(ylim=(len(SCORES) - 0.5, -0.5), xlim=(-0.02, 1.02))
    one_legend(figure)
    return figure


def _draw_dots(axes: Axes, pair: Pair, what: str, squeezed: bool) -> None:
    marks = (
        ("", "score", ALIVE, "o", 0.0),
        ("_shuffled", "factors shuffled", _SHUFFLED, "^", -0.22),
        ("_random", "images forgotten unit by unit", _FORGOTTEN, "s", 0.22),
    )
    for suffix, label, color, marker, shift in marks:
        for height, score in enumerate(SCORES):
            row = pair.row(f"{score}_{what}{suffix}", squeezed)
            if row is None:
                continue
            if row.low is not None and row.high is not None:
                axes.plot([row.low, row.high], 2 * [height + shift], color=color, linewidth=1.2)
            axes.plot(row.mean, height + shift, marker, color=color, ms=4, label=label)


def reconstruction(runs: Runs, position: str, width: int) -> Figure:
    """Draw reconstruction error and unexplained variance, and what the code costs in the end.

    Left and middle: from the first to the last epoch. Right: error through the code minus error of
    the VAE's own path after the last epoch, without and with the squeeze.
    """
    found = list(pairs(runs, position, width))
    figure, _ = new_figure(1, 0.5 + 2.0 * len(found))
    figure.clear()
    lines = figure.subplots(len(found), 3, squeeze=False)
    for (left, middle, right), pair in zip(lines, found, strict=True):
        own = _draw_epochs(left, pair, "reconstruction_own", True, "the VAE's own path", DEAD)
        own.set(linewidth=5, alpha=0.25)  # the lines through the code often lie on it
        for squeezed, label, color in _THROUGH:
            if pair.row("reconstruction_last", squeezed):
                _draw_epochs(left, pair, "reconstruction", squeezed, label, color)
                _draw_epochs(middle, pair, "unexplained", squeezed, label, color)
        _draw_cost(right, pair)
        left.set_ylabel(pair.title.replace(", ", "\n"), fontsize=8)
        middle.set_yscale("log")
        middle.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        middle.yaxis.set_major_formatter("{x:g}")
        middle.yaxis.set_minor_formatter(NullFormatter())
    titles = "error, nats per image", "unexplained variance", "code − own path, nats"
    for axes, title in zip(lines[0], titles, strict=True):
        axes.set_title(title, fontsize=9)
    one_legend(figure)
    return figure


def _draw_epochs(
    axes: Axes, pair: Pair, quantity: str, squeezed: bool, label: str, color: str
) -> Line2D:
    rows = [pair.row(f"{quantity}_{when}", squeezed) for when in ("first", "last")]
    first, last = [row for row in rows if row is not None]
    return _draw_slope(axes, first, last, ("first epoch", "last epoch"), label, color)


def _draw_cost(axes: Axes, pair: Pair) -> None:
    costs = [
        difference(
            pair.row("reconstruction_own_last", squeezed), pair.row("reconstruction_last", squeezed)
        )
        for squeezed in (False, True)
    ]
    without, squeezed = costs
    if without is None or squeezed is None:
        axes.set_axis_off()
        return
    _draw_slope(axes, without, squeezed, ("no squeeze", "squeezed"), "", DEAD)
    axes.set_ylim(min(0, axes.get_ylim()[0]), None)


def _draw_slope(
    axes: Axes, before: Row, after: Row, ticks: tuple[str, str], label: str, color: str
) -> Line2D:
    """Draw two means, joined, and the seeds as thin lines; return the line of the means."""
    for values in zip(before.per_seed, after.per_seed, strict=True):
        axes.plot([0, 1], values, "o-", color=color, ms=2.5, linewidth=0.6, alpha=0.5)
    (line,) = axes.plot([0, 1], [before.mean, after.mean], "o-", color=color, ms=5, label=label)
    axes.set_xticks([0, 1], ticks)
    axes.set_xlim(-0.4, 1.4)
    return line


def equal_length_table(runs: Runs, position: str, width: int) -> Markdown:
    """Return every number of the squeezed layer, and its difference to the layer never squeezed.

    Differences are taken seed by seed: both layers of a seed saw the same images in the same order.
    """
    found = {(pair.dataset, pair.run): pair for pair in pairs(runs, position, width)}
    header = ["after the last epoch"]
    for name in runs:
        header += [f"{name}: squeezed", "squeezed − not"]
    lines = [
        [f"{DATASETS[dataset]}: {text}", *(
            cell
            for name in runs
            for cell in _numbers(found.get((dataset, name)), quantity, digits)
        )]
        for dataset in dict.fromkeys(dataset for dataset, _ in found)
        for quantity, text, digits in NUMBERS
    ]  # fmt: skip
    return markdown_table(header, lines)


def _numbers(pair: Pair | None, quantity: str, digits: int | None) -> list[str]:
    """Return a number and its difference to the control, dashes for no pair."""
    squeezed = pair.row(quantity) if pair else None
    control = pair.row(quantity, squeezed=False) if pair else None
    rows = squeezed, difference(control, squeezed)
    return [significant(row) if digits is None else number(row, digits) for row in rows]


def path_table(runs: Runs, width: int) -> Markdown:
    """Return scores of the latent mean with the layer in the path, beside the untouched VAE's.

    For runs that have both. The untouched VAE is that of the layer beside it. Differences are taken
    seed by seed: both VAEs of a seed saw the same images in the same order.
    """
    header = ["latent mean", "run", "untouched VAE", "in the path", "difference",
              "in the path, factors shuffled"]  # fmt: skip
    lines = []
    for pair in pairs(runs, "in_path", width):
        where = f"{pair.dataset}/top_k"
        for score, text in SCORES.items():
            own = find_row(pair.result, f"{score}_mean/{where}/beside/{width}")
            path, shuffled = pair.row(f"{score}_mean"), pair.row(f"{score}_mean_shuffled")
            if own is not None:
                shown = [number(one, 3) for one in (own, path, difference(own, path), shuffled)]
                lines.append([f"{DATASETS[pair.dataset]}: {text}", pair.run, *shown])
    return markdown_table(header, lines)
