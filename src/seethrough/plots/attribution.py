"""Figures of attribution: areas, curves and relevance on the object, by method and model.

Intervals are over images (bootstrap, 95 %); with several seeds, the mean of their ends.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seethrough.plots.style import DEAD, new_figure, one_legend
from seethrough.plots.tables import find_row, rows_named, union
from seethrough.results import StudyResult
from seethrough.studies.impact_models import DENSE, TUNED

METHODS = {
    "transformer": "transformer attribution",
    "transformer_inverse_gamma": "the same, divided by γ",
    "rollout": "attention rollout",
    "raw_attention": "raw attention",
    "gradient_times_input": "gradient × input",
    "integrated_gradients": "integrated gradients",
    "random": "random order",
}
FLOOR = "random"
METHOD_COLORS = {
    "transformer": "#0072B2",
    "transformer_inverse_gamma": "#D55E00",
    "rollout": "#009E73",
    "raw_attention": "#CC79A7",
    "gradient_times_input": "#E69F00",
    "integrated_gradients": "#56B4E9",
    FLOOR: DEAD,
}
"""One colour per method in every figure."""
AREAS = (
    ("insertion", "insertion: high is good"),
    ("deletion", "deletion: low is good"),
    ("insertion_normalised", "insertion over clean probability"),
    ("deletion_normalised", "deletion over clean probability"),
)
UNITS = {"patch": "patches", "pixel": "pixels"}
PAPER_SPARSITY = 0.7
"""Sparsity at which the paper compares most."""


class Estimate(NamedTuple):
    """A mean with its interval over images; the ends are NaN for a single image."""

    mean: float
    """Mean over images and seeds."""
    low: float
    """Lower end."""
    high: float
    """Upper end."""


def areas_by_model(reference: StudyResult | None, result: StudyResult) -> Figure:
    """Draw the four areas of every method against the models, densest first.

    Lines: the reference run, or this run where there is none; open marks: this run beside it. Unit
    and kind of blank are the first of the run that is drawn.
    """
    shown = reference or result
    models = sorted(union(model_names(shown), model_names(result)), key=sparsity_of)
    figure, _ = new_figure(1, 6.0)
    figure.clear()
    rows = figure.subplots(2, 2, sharex=True)
    for axes, (quantity, title) in zip(rows.flat, AREAS, strict=True):
        for method in methods_of(shown):
            name = f"{method}/{first_place(shown)}"
            _draw_method(axes, shown, quantity, name, models)
            if reference is not None:
                _draw_marks(axes, result, quantity, name, models)
        axes.set(title=title, ylim=(0, None))
    for axes in rows[1]:
        _name_models(axes, models)
    for axes in rows[:, 0]:
        axes.set_ylabel("area under the curve")
    one_legend(figure)
    return figure


def mean_curves(reference: StudyResult | None, result: StudyResult) -> Figure:
    """Draw the mean curves of the dense model and of the one nearest to 70 % sparsity.

    They are those of the reference run, or of this run where there is none.
    """
    run = reference or result
    place = first_place(run)
    figure, _ = new_figure(1, 5.4)
    figure.clear()
    rows = figure.subplots(2, 2, sharex=True, sharey=True)
    for column, model in zip(
        rows.T, (DENSE, nearest(model_names(run), PAPER_SPARSITY)), strict=True
    ):
        for axes, kind in zip(column, ("insertion", "deletion"), strict=True):
            for method in methods_of(run):
                curve = run.one_series(f"{kind}/{method}/{place}/{model}")
                axes.plot(curve.x, curve.mean, **_style(method))
            axes.set_title(f"{kind}, {model_text(model)}")
    for axes in rows[1]:
        axes.set_xlabel(f"share of {UNITS[place.split('/')[0]]} changed")
        axes.xaxis.set_major_formatter(_as_percent)
    for axes in rows[:, 0]:
        axes.set(ylabel="probability of the class", ylim=(0, 1))
        axes.yaxis.set_major_formatter(_as_percent)
    one_legend(figure)
    return figure


def lift_by_model(reference: StudyResult | None, result: StudyResult) -> Figure:
    """Draw the relevance on the object over the object's share of the image; 1 is chance.

    Empty, with a note, where no run knows where the object is.
    """
    shown = reference if reference and rows_named(reference, "lift_on_object") else result
    models = model_names(shown)
    figure, (axes,) = new_figure(1, 3.8)
    for method in methods_of(shown):
        _draw_method(axes, shown, "lift_on_object", method, models)
    axes.axhline(1, color=DEAD, linewidth=0.8, linestyle=":", label="a map that knows nothing")
    axes.set_ylabel("share of relevance on the object\nover share of the image")
    _name_models(axes, models)
    if not rows_named(shown, "lift_on_object"):
        axes.set_title("where the object is, is not known for these images")
    one_legend(figure)
    return figure


def estimate(run: StudyResult | None, quantity: str, name: str) -> Estimate | None:
    """Return a row with the ends of its interval over images, None where the run lacks it."""
    found = [find_row(run, f"{quantity}{suffix}/{name}") for suffix in ("", "_low", "_high")]
    means = [row.mean for row in found if row is not None]
    return Estimate(*means) if len(means) == len(found) else None


def model_names(run: StudyResult | None) -> list[str]:
    """Return the names of a run's models, in its order: dense, dense_tuned, wanda/0.7."""
    return list(rows_named(run, "clean_probability"))


def methods_of(run: StudyResult | None) -> list[str]:
    """Return a run's methods, the floor last."""
    found = union(name.split("/")[0] for name in rows_named(run, "insertion"))
    return sorted(found, key=lambda method: method == FLOOR)


def places_of(run: StudyResult | None) -> list[str]:
    """Return a run's pairs of unit and blank, `patch/zero` for instance, in its order."""
    return union("/".join(name.split("/")[1:3]) for name in rows_named(run, "insertion"))


def first_place(run: StudyResult) -> str:
    """Return a run's first pair of unit and blank."""
    return places_of(run)[0]


def sparsity_of(model: str) -> float:
    """Return the share of weights that a model lacks.

    >>> sparsity_of("wanda/0.7"), sparsity_of("dense")
    (0.7, 0.0)
    """
    return 0.0 if model in (DENSE, TUNED) else float(model.rpartition("/")[2])


def model_text(model: str) -> str:
    """Return a model's name in words.

    >>> model_text("wanda/0.7"), model_text("dense_tuned")
    ('70 % removed', 'dense, trained further')
    """
    known = {DENSE: "dense", TUNED: "dense, trained further"}
    return known.get(model) or f"{100 * sparsity_of(model):g} % removed"


def nearest(models: Sequence[str], sparsity: float) -> str:
    """Return the model whose sparsity is nearest; of two equally near the sparser."""
    # Rounded, for 0.7 - 0.5 and 0.9 - 0.7 differ in their last bit.
    distances = {one: round(abs(sparsity_of(one) - sparsity), 9) for one in models}
    return min(models, key=lambda one: (distances[one], -sparsity_of(one)))


def _draw_method(
    axes: Axes, run: StudyResult, quantity: str, name: str, models: Sequence[str]
) -> None:
    """Draw one method: a line over models that took the recovery's steps, a mark for the dense."""
    method = name.split("/")[0]
    found = {model: estimate(run, quantity, f"{name}/{model}") for model in models}
    there = {model: one for model, one in found.items() if one is not None}
    x = {model: _position(models, model, method) for model in there}
    for model, one in there.items():
        axes.plot(x[model], one.mean, "o", ms=3, color=METHOD_COLORS[method])
        axes.vlines(x[model], one.low, one.high, lw=0.9, color=METHOD_COLORS[method])
    alike = [model for model in there if model != DENSE]
    if there:
        axes.plot([x[model] for model in alike], [there[model].mean for model in alike],
                  **_style(method))  # fmt: skip


def _draw_marks(
    axes: Axes, run: StudyResult, quantity: str, name: str, models: Sequence[str]
) -> None:
    method = name.split("/")[0]
    for model in models:
        one = estimate(run, quantity, f"{name}/{model}")
        if one is not None:
            place = _position(models, model, method)
            axes.plot(place, one.mean, "D", ms=4, mfc="none", mec=METHOD_COLORS[method])


def _position(models: Sequence[str], model: str, method: str) -> float:
    """Return where a method stands: the model's number, a little aside from other methods."""
    numbers = list(METHODS)
    return models.index(model) + 0.07 * (numbers.index(method) - (len(numbers) - 1) / 2)


def _style(method: str) -> dict[str, Any]:
    line = "--" if method == FLOOR else "-"
    return {"label": METHODS[method], "color": METHOD_COLORS[method], "linestyle": line}


def _name_models(axes: Axes, models: Sequence[str]) -> None:
    texts = [model_text(model).replace(", ", ",\n") for model in models]
    short = [text.replace(" removed", "") for text in texts]
    axes.set_xticks(range(len(models)), short)
    axes.set_xlabel("weights removed" if len(models) > 2 else "")


def _as_percent(value: float, _: int) -> str:
    return f"{100 * value:.0f} %"
