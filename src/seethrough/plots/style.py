"""The one look of every figure."""

from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from seethrough.results import Series

BY_RELU, BY_TOP_K, DEAD, ALIVE = "#D55E00", "#E69F00", "#000000", "#0072B2"
PAPER = "#009E73"
"""What the paper reports, in every figure."""


def use_style() -> None:
    """Make matplotlib draw every figure in the project's style.

    In a notebook a figure is drawn when its cell ends, to be shown. Pyplot would draw it once more
    before that, for a window that is not there.
    """
    plt.style.use(Path(__file__).with_name("seethrough.mplstyle"))
    if "inline" in plt.get_backend():
        plt.uninstall_repl_displayhook()


def new_figure(
    columns: int = 1, height: float = 3.0, width: float = 7.0
) -> tuple[Figure, list[Axes]]:
    """Return a figure with one row of `columns` axes, inches."""
    figure, axes = plt.subplots(1, columns, figsize=(width, height), squeeze=False)
    return figure, list(axes[0])


def draw_curve(axes: Axes, curve: Series, label: str, color: str | None = None) -> None:
    """Draw a curve's mean over seeds, and its 95 % interval as a band where there is one."""
    (line,) = axes.plot(curve.x, curve.mean, label=label, color=color)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    low = [value for value in curve.low if value is not None]
    high = [value for value in curve.high if value is not None]
    if len(low) == len(curve.x):
        axes.fill_between(curve.x, low, high, color=line.get_color(), alpha=0.2, linewidth=0)


def percent_axis(axes: Axes, label: str) -> None:
    """Write the vertical axis in per cent, from zero to at most 100 %.

    An interval over few seeds can reach beyond what a share can be; the axis does not.
    """
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
    axes.set_ylabel(label)
    axes.set_ylim(0, min(1.0, axes.get_ylim()[1]))


def one_legend(figure: Figure, columns: int = 4) -> None:
    """Write one legend below a figure, each label of its axes once."""
    handles = {
        label: handle
        for axes in figure.axes
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside lower center",
        ncols=min(columns, len(handles)),
    )
