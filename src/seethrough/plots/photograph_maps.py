"""Pictures of attribution maps over photographs, one per model, from a stored result."""

import math
import textwrap
from collections.abc import Sequence

import torch
from IPython.display import Markdown
from matplotlib.figure import Figure

from seethrough.data.photographs import PHOTOGRAPHS
from seethrough.plots.attribution import FLOOR, METHODS, methods_of, model_names, model_text
from seethrough.plots.attribution_maps import draw_image, draw_map
from seethrough.plots.attribution_tables import share_text
from seethrough.plots.style import new_figure
from seethrough.plots.tables import markdown_table
from seethrough.plots.unit_maps import as_png
from seethrough.results import StudyResult
from seethrough.studies.attribution_photographs import photograph_squares


def photograph_pictures(run: StudyResult) -> list[bytes]:
    """Return one PNG per model of a run that explained photographs, densest first."""
    return [as_png(photograph_picture(run, model)) for model in model_names(run)]


def photograph_picture(run: StudyResult, model: str) -> Figure:
    """Draw a row per photograph: the photograph, and every method's map over it."""
    names = photographs_of(run)
    methods = [method for method in methods_of(run) if method != FLOOR]
    squares = photograph_squares(names, str(run.provenance.parameters["model"]))
    figure, _ = new_figure(1, 0.6 + 1.3 * len(names), 7.0)
    figure.clear()
    rows = figure.subplots(len(names), 1 + len(methods), squeeze=False)
    for row, name, square in zip(rows, names, squares, strict=True):
        draw_image(row[0], square)
        row[0].set_ylabel("\n".join(textwrap.wrap(answer_text(run, name, model), 16)), fontsize=7)
        for axes, method in zip(row[1:], methods, strict=True):
            curve = run.one_series(f"photograph_map/{method}/{name}/{model}")
            side = math.isqrt(len(curve.x))
            relevance = torch.tensor(curve.per_seed[0]).view(side, side)
            draw_map(axes, square, relevance)
    for axes, title in zip(rows[0], ["photograph", *(METHODS[m] for m in methods)], strict=True):
        axes.set_title("\n".join(textwrap.wrap(title, 14)), fontsize=7)
    accuracy = share_text(run, "accuracy", model)
    figure.suptitle(f"{model_text(model)}: {accuracy} of images right", fontsize=10)
    return figure


def photograph_alts(run: StudyResult) -> list[str]:
    """Return for each model what its picture shows."""
    what = ", ".join(PHOTOGRAPHS[name].title for name in photographs_of(run))
    return [
        f"Photographs of {what}, and where each attribution method finds positive relevance: "
        f"{model_text(model)}"
        for model in model_names(run)
    ]


def photographs_of(run: StudyResult) -> list[str]:
    """Return the names of the photographs that a run explained."""
    return [str(name) for name in run.provenance.parameters.get("photographs", ())]


def answer_text(run: StudyResult, name: str, model: str) -> str:
    """Return what a model sees in a photograph and how sure it is: `Egyptian cat, 71 %`."""
    row = run.row(f"photograph_probability/{name}/{model}")
    return f"{row.cell['predicted']}, {100 * row.mean:.0f} %"


def credits_table(names: Sequence[str]) -> Markdown:
    """Return who made the photographs, and on what terms."""
    lines = [[PHOTOGRAPHS[name].title, PHOTOGRAPHS[name].credit] for name in names]
    return markdown_table(["photograph", "by, licence"], lines)
