"""Curves over sparsity: the models that they run over, and what all figures of them share.

Curves run over the models that took the recovery's steps, the dense one among them at sparsity 0.
The diamond at 0 is the dense model as released.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seethrough.plots.style import DEAD, new_figure, one_legend
from seethrough.plots.tables import find_row
from seethrough.results import Row, StudyResult
from seethrough.studies.impact_models import DENSE, TUNED, Condition

UNKNOWN_FACTORS = "The factors of these images are not known."


@dataclass(frozen=True, slots=True)
class Model:
    """A model of a result, by its part of the rows' ids."""

    name: str
    """dense, dense_tuned, wanda/0.7."""
    sparsity: float
    """Share of weights removed."""

    @property
    def label(self) -> str:
        """Return the model in words."""
        dense = {DENSE: "dense, as released", TUNED: "dense, same steps"}
        return dense.get(self.name, f"{100 * self.sparsity:g} % removed")


def models_of(result: StudyResult) -> list[Model]:
    """Return the models of a run by rising sparsity, the dense ones first."""
    conditions = [
        Condition(method=str(cell["model"]), sparsity=float(cell["sparsity"]))
        for cell in (row.cell for row in result.rows)
        if "model" in cell
    ]
    found = {condition.name: Model(condition.name, condition.sparsity) for condition in conditions}
    return sorted(found.values(), key=lambda model: (model.name not in (DENSE, TUNED),
                                                     model.sparsity, model.name))  # fmt: skip


def n_classes_of(result: StudyResult) -> object:
    """Return on how many classes a run looked, None where it does not say."""
    return result.provenance.parameters.get("n_classes")


def knows_factors(result: StudyResult) -> bool:
    """Return whether a run's images have known factors."""
    return any(row.id.startswith("factor_gap/") for row in result.rows)


def curve_rows(result: StudyResult, place: str) -> list[tuple[float, Row]]:
    """Return sparsities and rows of the models that took the recovery's steps, where there."""
    rows = [
        (model.sparsity, find_row(result, f"{place}/{model.name}"))
        for model in models_of(result)
        if model.name != DENSE
    ]
    return [(sparsity, row) for sparsity, row in rows if row is not None]


def curve(result: StudyResult, place: str) -> tuple[list[float], list[float]]:
    """Return sparsities and means over seeds of the models that took the recovery's steps."""
    rows = curve_rows(result, place)
    return [sparsity for sparsity, _ in rows], [row.mean for _, row in rows]


def draw_means(
    axes: Axes, result: StudyResult, place: str, label: str, color: str, line: str = "-"
) -> None:
    """Draw the curve of a quantity, and its diamond if the released model has a row."""
    x, y = curve(result, place)
    axes.plot(x, y, line, marker=".", color=color, label=label)
    released = find_row(result, f"{place}/{DENSE}")
    if released is not None:
        axes.plot(0, released.mean, "D", mfc="white", mec=color, ms=4.5, clip_on=False, zorder=5)


def draw_with_band(
    axes: Axes, result: StudyResult, metric: str, place: str, label: str, color: str
) -> None:
    """Draw the curve of a metric with its diamond, and its interval over classes as a band."""
    draw_means(axes, result, f"{metric}/{place}", label, color)
    x, low = curve(result, f"{metric}_low/{place}")
    _, high = curve(result, f"{metric}_high/{place}")
    axes.fill_between(x, low, high, color=color, alpha=0.2, linewidth=0)


def finish(figure: Figure, bottom: Iterable[Axes], name: str, dotted: str = "") -> None:
    """Name the axis of sparsity below the bottom panels, and write title and legend.

    Into the legend go the diamond and, where a word for them is given, dotted lines of any colour,
    both in black.
    """
    for axes in bottom:
        axes.set_xlabel("weights removed")
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        axes.set_xlim(left=-0.03)
    first = figure.axes[0]
    first.plot([], [], "D", mfc="white", mec=DEAD, ms=4.5, label="dense, as released")
    if dotted:
        first.plot([], [], ":", color=DEAD, linewidth=1, label=dotted)
    figure.suptitle(name, fontsize=8)
    one_legend(figure)


def note(words: str) -> Figure:
    """Return a figure that holds a sentence."""
    figure, (axes,) = new_figure(1, 1.0)
    axes.set_axis_off()
    axes.text(0.5, 0.5, words, ha="center", va="center")
    return figure
