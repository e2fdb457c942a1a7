"""Tables of attribution: models, changes with their verdicts, trends, conservation, the object."""

import math
from collections.abc import Sequence

from IPython.display import Markdown

from seethrough.plots.attribution import (
    METHODS,
    estimate,
    methods_of,
    model_names,
    model_text,
    places_of,
    sparsity_of,
)
from seethrough.plots.tables import (
    DASH,
    find_row,
    markdown_table,
    named_runs,
    rows_named,
    union,
)
from seethrough.results import Row, StudyResult
from seethrough.studies.impact_attribution import TRENDS, VERDICTS
from seethrough.studies.impact_models import DENSE

RULES = ("transformer", "transformer_inverse_gamma")
"""Transformer attribution with both rules for LayerScale: the methods of the paper's claim."""
ROUNDING = 0.0001
"""A conservation error below this is rounding in float32."""
LIGHT = 0.3
"""Up to here the paper's gain is expected, beyond it none."""
COLUMNS = {
    "insertion": "insertion",
    "insertion_normalised": "insertion, normalised",
    "deletion": "deletion",
    "deletion_normalised": "deletion, normalised",
}
BLANKS = {"zero": "zero", "blur": "blurred"}


def models_table(
    reference: StudyResult | None, result: StudyResult, title: str = "this run"
) -> Markdown:
    """Return accuracy and clean probability of the models; `title` names the second run."""
    lines = [
        [
            name,
            model_text(model),
            share_text(run, "accuracy", model, digits=1),
            share_text(run, "clean_probability", model, digits=1),
        ]
        for name, run in named_runs(reference, result, title).items()
        for model in model_names(run)
    ]
    header = ["run", "model", "images right", "probability of the predicted class"]
    return markdown_table(header, lines)


def changes_table(
    reference: StudyResult | None, result: StudyResult, against: str, title: str = "this run"
) -> Markdown:
    """Return how areas of transformer attribution change against a dense model, with verdicts.

    The means carry their 90 % intervals over images, those of the test of equivalence. Where a run
    has several units and blanks, its first. `title` names the second run.
    """
    lines = []
    for run_name, run in named_runs(reference, result, title).items():
        place = places_of(run)[0]
        for method in (method for method in methods_of(run) if method in RULES):
            for model in model_names(run):
                name = f"{method}/{place}/{model}/{against}"
                cells = [_change_text(run, score, name) for score in COLUMNS]
                if set(cells) != {DASH}:
                    what = [METHODS[method], model_text(model), _paper_text(model, against)]
                    lines.append([run_name, *what, *cells])
    header = ["run", "map", f"against: {model_text(against)}", "paper", *COLUMNS.values()]
    return markdown_table(header, lines or [[DASH] * len(header)])


def trends_table(
    reference: StudyResult | None, result: StudyResult, title: str = "this run"
) -> Markdown:
    """Return the rank correlation of every area with sparsity; dashes for fewer than three levels.

    Every unit and blank of both runs has its lines. `title` names the second run.
    """
    lines = []
    for name, run in named_runs(reference, result, title).items():
        for place in places_of(run):
            for method in methods_of(run):
                cells = [_trend_text(run, score, f"{method}/{place}") for score in COLUMNS]
                if set(cells) != {DASH}:
                    lines.append([name, _place_text(place), METHODS[method], *cells])
    header = ["run", "unit, blank", "map", *COLUMNS.values()]
    return markdown_table(header, lines or [[DASH] * len(header)])


def conservation_table(reference: StudyResult | None, result: StudyResult) -> Markdown:
    """Return the relevance lost or made by both rules for LayerScale, for every model."""
    lines = [
        [title, model_text(model), *(
            error_text(run, f"{rule}/{model}")
            for rule in ("identity", "inverse_gamma")
        )]
        for title, run in named_runs(reference, result).items()
        for model in model_names(run)
    ]  # fmt: skip
    return markdown_table(["run", "model", "handed through", "divided by γ"], lines)


def on_object_table(reference: StudyResult | None, result: StudyResult) -> Markdown:
    """Return the share of relevance on the object and, in brackets, over the object's area.

    The last line of a run is the area itself: what a map gets that knows nothing. Dashes where no
    run knows the object's place.
    """
    models = union(model_names(reference), model_names(result))
    lines = []
    for title, run in named_runs(reference, result).items():
        if not rows_named(run, "object_area"):
            continue
        for method in methods_of(run):
            cells = [_on_object_text(run, f"{method}/{model}") for model in models]
            lines.append([title, METHODS[method], *cells])
        areas = [find_row(run, f"object_area/{model}") for model in models]
        lines.append([title, "the object's area", *(_percent(row) for row in areas)])
    header = ["run", "map", *(model_text(model) for model in models)]
    return markdown_table(header, lines or [[DASH] * len(header)])


def share_text(run: StudyResult, quantity: str, name: str, digits: int = 0) -> str:
    """Return a share as `71.2 % (64.0 to 77.5)`, interval over images; a dash for no row."""
    found = estimate(run, quantity, name)
    if found is None or math.isnan(found.mean):
        return DASH
    mean, low, high = (f"{100 * value:.{digits}f}" for value in found)
    return f"{mean} %" if math.isnan(found.low) else f"{mean} % ({low} to {high})"


def error_text(run: StudyResult, name: str) -> str:
    """Return a conservation error with its interval over images; a dash for no row.

    Rounding is not told apart from zero: its digits differ from machine to machine.
    """
    found = estimate(run, "conservation_error", name)
    if found is None or math.isnan(found.mean):
        return DASH
    if found.mean < ROUNDING:
        return f"below {ROUNDING:g}"
    mean, low, high = (f"{value:.2g}" for value in found)
    return mean if math.isnan(found.low) else f"{mean} ({low} to {high})"


def verdict_text(row: Row | None, meanings: dict[str, float]) -> str:
    """Return a verdict in words, counted where the seeds differ; a dash for no row.

    >>> verdict_text(Row("a", "", {}, "", (1.0, 0.0, 1.0)), {"equivalent": 1.0, "undecided": 0.0})
    'equivalent 2, undecided 1'
    """
    if row is None:
        return DASH
    counts = {word: row.per_seed.count(value) for word, value in meanings.items()}
    there = {word: n for word, n in counts.items() if n}
    if len(there) == 1:
        return next(iter(there))
    return ", ".join(f"{word} {n}" for word, n in there.items())


def _change_text(run: StudyResult, score: str, name: str) -> str:
    rows = [find_row(run, f"{score}_change{end}/{name}") for end in ("", "_low", "_high")]
    verdict = verdict_text(find_row(run, f"{score}_equivalent/{name}"), VERDICTS)
    return _signed_text(rows, verdict)


def _trend_text(run: StudyResult, score: str, name: str) -> str:
    rows = [find_row(run, f"{score}_trend{end}/{name}") for end in ("", "_low", "_high")]
    verdict = verdict_text(find_row(run, f"{score}_trend_verdict/{name}"), TRENDS)
    return _signed_text(rows, verdict, digits=2)


def _signed_text(rows: Sequence[Row | None], verdict: str, digits: int = 3) -> str:
    """Return `+0.012 (-0.003 to +0.027), undecided`; a dash where a row lacks."""
    values = [row.mean for row in rows if row is not None]
    if len(values) < len(rows) or math.isnan(values[0]):
        return DASH
    mean, low, high = (f"{round(value, digits) + 0.0:+.{digits}f}" for value in values)
    interval = "" if math.isnan(values[1]) else f" ({low} to {high})"
    return f"{mean}{interval}, {verdict}"


def _paper_text(model: str, against: str) -> str:
    """Return what the paper says of a sparsity; it has no dense model that was trained further."""
    if against != DENSE or sparsity_of(model) == 0:
        return "not given"
    return "a slight gain" if sparsity_of(model) <= LIGHT else "no further gain"


def _place_text(place: str) -> str:
    unit, blank = place.split("/")
    return f"{unit}, {BLANKS[blank]}"


def _on_object_text(run: StudyResult, name: str) -> str:
    share = find_row(run, f"share_on_object/{name}")
    lift = find_row(run, f"lift_on_object/{name}")
    if share is None or lift is None:
        return DASH
    return f"{_percent(share)} (× {lift.mean:.2f})"


def _percent(row: Row | None) -> str:
    return DASH if row is None or math.isnan(row.mean) else f"{100 * row.mean:.0f} %"
