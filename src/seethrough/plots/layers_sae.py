"""Figures of sparse autoencoders against sparsity: reconstruction, metrics of latents, factors.

Curves run over the models that took the recovery's steps, the dense one among them at sparsity 0.
The diamond at 0 is the dense model as released. Three comparisons stand side by side: at the fixed
k, at equal L0 and at equal variance explained. Of several runs the first is drawn in full.
"""

from collections.abc import Iterable
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seethrough.plots.sparsity_curves import (
    UNKNOWN_FACTORS,
    Model,
    curve,
    curve_rows,
    draw_means,
    draw_with_band,
    finish,
    knows_factors,
    models_of,
    n_classes_of,
    note,
)
from seethrough.plots.style import DEAD, new_figure, one_legend
from seethrough.plots.tables import Runs
from seethrough.results import StudyResult
from seethrough.studies.impact_models import DENSE
from seethrough.studies.sae_rows import COMPARISONS

METRIC_NAMES = {
    "impact": "ablation impact",
    "selectivity": "selectivity (AUROC)",
    "variance": "class variance",
    "entropy": "label entropy, nats",
    "monosemanticity": "monosemanticity",
    "purity": "modal-class purity",
}
"""The six metrics as figures and tables write them."""
SELECTION_NAMES = {"top": "top latents", "random": "as many at random"}
COMPARISON_NAMES = {
    "fixed_k": "fixed k",
    "equal_l0": "equal L0",
    "equal_fve": "equal variance explained",
}
FACTOR_NAMES = {
    "factor_best": "best factor",
    "factor_gap": "best minus second",
    "one_factor_latents": "latents of one factor",
}
_COLORS = {"top": "#0072B2", "random": "#E69F00"}
_SCALE = "viridis"
"""Colours of models, light for dense."""


def reconstruction(runs: Runs) -> Figure:
    """Draw variance explained against L0, L0 against k, and active latents against k, per model."""
    name, result = next(iter(runs.items()))
    figure, panels = new_figure(3, 3.2)
    models = models_of(result)
    for number, model in enumerate(models):
        ks = ks_of(result)
        found = {
            quantity: _at_ks(result, quantity, model, ks) for quantity in ("fve", "l0", "active")
        }
        style: dict[str, Any] = {"color": _shade(number, len(models)), "label": model.label}
        line = "--" if model.name == DENSE else "-"
        panels[0].plot(found["l0"], found["fve"], line, marker=".", **style)
        panels[1].plot(ks, found["l0"], line, marker=".", **style)
        panels[2].plot(ks, found["active"], line, marker=".", **style)
    panels[1].axline((0, 0), slope=1, color=DEAD, linewidth=0.8, linestyle=":", label="L0 = k")
    for axes, x, y in zip(
        panels,
        ("active latents per image, L0", "k", "k"),
        ("variance explained", "active latents per image, L0", "latents ever active"),
        strict=True,
    ):
        axes.set_xlabel(x)
        axes.set_title(y, fontsize=8)
    panels[0].yaxis.set_major_formatter(_as_percent)
    figure.suptitle(name, fontsize=8)
    one_legend(figure)
    return figure


def ks_of(result: StudyResult) -> list[int]:
    """Return the sweep of k of a run, in rising order."""
    places = {str(row.cell.get("place", "")) for row in result.rows if row.id.startswith("fve/")}
    return sorted(
        int(place[1:]) for place in places if place.startswith("k") and place[1:].isdigit()
    )


def _at_ks(result: StudyResult, quantity: str, model: Model, ks: Iterable[int]) -> list[float]:
    return [result.row(f"{quantity}/k{k}/{model.name}").mean for k in ks]


def _shade(number: int, count: int) -> tuple[float, ...]:
    return tuple(colormaps[_SCALE](0.9 - 0.85 * number / max(1, count - 1)))


def _as_percent(value: float, _: object) -> str:
    return f"{100 * value:g} %"


def metrics_by_sparsity(runs: Runs) -> Figure:
    """Draw the six metrics against sparsity, one column per comparison.

    Top latents and random ones with bands of 95 % over classes; of other runs the top latents at
    equal numbers of classes, dotted.
    """
    (main, *others) = runs.items()
    figure, lines = _grid(len(METRIC_NAMES), 1.5)
    for line, (metric, label) in zip(lines, METRIC_NAMES.items(), strict=True):
        for axes, comparison in zip(line, COMPARISONS, strict=True):
            for selection, words in SELECTION_NAMES.items():
                color, place = _COLORS[selection], f"{selection}/{comparison}"
                draw_with_band(axes, main[1], metric, place, words, color)
            for name, other in others:
                if n_classes_of(other) == n_classes_of(main[1]):
                    x, y = curve(other, f"{metric}/top/{comparison}")
                    axes.plot(x, y, ":", color=DEAD, marker=".", label=f"top latents, {name}")
        line[0].set_ylabel(label, fontsize=8)
    finish(figure, lines[-1], main[0])
    return figure


def active_latents(runs: Runs) -> Figure:
    """Draw the latents that are ever active against sparsity, one panel per comparison.

    A thin line per seed, the mean thick; of other runs the mean, dotted, if their dictionaries and
    evaluation images are as many.
    """
    (main, *others) = runs.items()
    figure, lines = _grid(1, 2.4)
    for axes, comparison in zip(lines[0], COMPARISONS, strict=True):
        _draw_seeds(axes, main[1], f"active/{comparison}")
        draw_means(axes, main[1], f"active/{comparison}", "mean over seeds", "#0072B2")
        for name, other in others:
            if _same_count(other, main[1]):
                x, y = curve(other, f"active/{comparison}")
                axes.plot(x, y, ":", color=DEAD, marker=".", label=name)
    lines[0][0].set_ylabel("latents ever active", fontsize=8)
    finish(figure, lines[-1], main[0])
    return figure


def _same_count(one: StudyResult, other: StudyResult) -> bool:
    first, second = one.provenance.parameters, other.provenance.parameters
    return all(first[name] == second[name] for name in ("model", "expansion", "n_evaluation"))


def _draw_seeds(axes: Axes, result: StudyResult, place: str) -> None:
    rows = curve_rows(result, place)
    sparsities = [sparsity for sparsity, _ in rows]
    n_seeds = min((row.n for _, row in rows), default=0)
    for number in range(n_seeds if n_seeds > 1 else 0):
        values = [row.per_seed[number] for _, row in rows]
        axes.plot(sparsities, values, color="#56B4E9", linewidth=0.8, label="each seed")


def factors_by_sparsity(runs: Runs) -> Figure:
    """Draw what frequent latents know of the factors against sparsity, a column per comparison.

    Dotted: factors shuffled. A sentence alone, where factors are not known.
    """
    name, result = next(iter(runs.items()))
    if not knows_factors(result):
        return note(UNKNOWN_FACTORS)
    figure, lines = _grid(len(FACTOR_NAMES), 1.6)
    for line, (quantity, label) in zip(lines, FACTOR_NAMES.items(), strict=True):
        for axes, comparison in zip(line, COMPARISONS, strict=True):
            draw_means(axes, result, f"{quantity}/{comparison}", "frequent latents", "#0072B2")
            x, y = curve(result, f"{quantity}_shuffled/{comparison}")
            axes.plot(x, y, ":", color=DEAD, linewidth=1, label="factors shuffled")
            axes.set_ylim(bottom=0)
            axes.yaxis.set_major_formatter(_as_percent)
        line[0].set_ylabel(label, fontsize=8)
    finish(figure, lines[-1], name)
    return figure


def _grid(n_lines: int, height: float) -> tuple[Figure, list[list[Axes]]]:
    """Return a figure with a line of panels per quantity and a column per comparison."""
    figure, _ = new_figure(1, 0.8 + height * n_lines)
    figure.clear()
    lines = figure.subplots(
        n_lines, len(COMPARISONS), squeeze=False, sharex=True, sharey="row"
    ).tolist()
    for axes, comparison in zip(lines[0], COMPARISONS, strict=True):
        axes.set_title(COMPARISON_NAMES[comparison], fontsize=8)
    return figure, lines
