"""Tables of neurons against sparsity: what a run looked at, equivalence, trend, sanity check."""

from collections import Counter
from collections.abc import Mapping

from IPython.display import Markdown

from seethrough.plots.neurons import (
    METRIC_NAMES,
    READING_NAMES,
    SELECTION_NAMES,
    blocks_of,
)
from seethrough.plots.sparsity_curves import Model, knows_factors, models_of
from seethrough.plots.tables import (
    DASH,
    Runs,
    find_row,
    markdown_table,
    number,
    parameters_table,
    percent,
)
from seethrough.results import Row, StudyResult
from seethrough.studies.impact_models import DENSE, TUNED
from seethrough.studies.neuron_rows import MARGINS, METRICS, TRENDS, VERDICTS

HEADLINE = 0.7
"""Sparsity of the paper's main comparison."""


def scale_table(runs: Runs) -> Markdown:
    """Return what each run looked at."""
    shown = {
        "model": "model",
        "sparsities": "weights removed",
        "blocks": "blocks, from 0",
        "n_classes": "classes",
        "images_per_class": "images per class",
        "n_units": "top units per block and class",
        "n_mean_images": "images behind the means",
        "n_evaluation": "images behind the information",
        "n_recovery": "images of the recovery",
    }
    return parameters_table(runs, shown)


def equivalence_table(runs: Runs) -> Markdown:
    """Return the change of the top units' metrics at the headline sparsity, tested for equivalence.

    At the nearest sparsity that a run has. Beside each dense model: change with its 90 % interval
    over classes, margin and verdict.
    """
    header = ["metric", "block", "run", "removed"]
    for control in ("dense, same steps", "dense, as released"):
        header += [f"change against {control} (90 %)", "margin", "verdict"]
    lines = []
    for metric, block, name, result in _places(runs):
        model = headline(result)
        line = [METRIC_NAMES[metric], str(block), name, f"{100 * model.sparsity:g} %"]
        for control in (TUNED, DENSE):
            line += _change(result, metric, f"{block}/{model.name}/{control}")
        lines.append(line)
    return markdown_table(header, lines)


def _places(runs: Runs) -> list[tuple[str, int, str, StudyResult]]:
    """Return metric, block, and run with its name, for all that a run looked at."""
    return [
        (metric, block, name, result)
        for metric in METRIC_NAMES
        for block in blocks_of(*runs.values())
        for name, result in runs.items()
        if block in blocks_of(result)
    ]


def _change(result: StudyResult, metric: str, place: str) -> list[str]:
    ends = [find_row(result, f"{metric}_change{end}/{place}") for end in ("", "_low", "_high")]
    margin = find_row(result, f"{metric}_margin/{place}")
    verdict = find_row(result, f"{metric}_equivalent/{place}")
    return [interval(*ends), number_alone(margin), verdict_text(verdict, VERDICTS)]


def trend_table(runs: Runs) -> Markdown:
    """Return how each metric moves with sparsity: top units beside the two baselines.

    Mean rank correlation over classes with its 95 % interval, and the verdict. A dash where all
    classes have the same value by construction, or a run has fewer than three models.
    """
    header = ["metric", "block", "run"]
    for selection in SELECTION_NAMES.values():
        header += [selection, "verdict"]
    lines = []
    for metric, block, name, result in _places(runs):
        line = [METRIC_NAMES[metric], str(block), name]
        for selection in SELECTION_NAMES:
            place = f"{selection}/{block}"
            ends = [
                find_row(result, f"{metric}_trend{end}/{place}") for end in ("", "_low", "_high")
            ]
            verdict = find_row(result, f"{metric}_trend_verdict/{place}")
            line += [interval(*ends), verdict_text(verdict, TRENDS)]
        lines.append(line)
    return markdown_table(header, lines)


def interval(mean: Row | None, low: Row | None, high: Row | None) -> str:
    """Return `+0.12 (-0.01 to +0.25)`, each a mean over seeds; a dash for no row or NaN."""
    parts = [number_alone(row, signed=True) for row in (mean, low, high)]
    if parts[0] == DASH:
        return DASH
    return parts[0] if DASH in parts else f"{parts[0]} ({parts[1]} to {parts[2]})"


def number_alone(row: Row | None, *, signed: bool = False) -> str:
    """Return the mean over seeds with three digits, a dash for no row or NaN."""
    if row is None or row.mean != row.mean:
        return DASH
    value = round(row.mean, 3) + 0.0
    return f"{value:+.3f}" if signed and value else f"{value:.3f}"


def verdict_text(row: Row | None, words: Mapping[str, float]) -> str:
    """Return a verdict, and in how many seeds where they differ; a dash for no row.

    >>> verdict_text(Row("a", "a", {}, "verdict", (1.0, 0.0, 1.0)), VERDICTS)
    'equivalent in 2, undecided in 1'
    """
    if row is None:
        return DASH
    counts = Counter(row.per_seed)
    found = {word: counts[value] for word, value in words.items() if counts[value]}
    if len(found) == 1:
        return next(iter(found))
    return ", ".join(f"{word} in {count}" for word, count in found.items())


def sanity_table(runs: Runs) -> Markdown:
    """Return the check of attribution patching and the share of heads, by block, run and model."""
    models = {m.name: m for result in runs.values() for m in models_of(result)}
    columns = sorted(models.values(), key=lambda m: (m.name not in (DENSE, TUNED), m.sparsity))
    quantities = (
        ("patching_rank_correlation", "rank correlation with true patching", _two),
        ("heads_among_top", "heads among the top units", _percent),
        ("heads_among_all", "heads among all units", _percent),
    )
    lines = []
    for quantity, words, write in quantities:
        for block in blocks_of(*runs.values()):
            for name, result in runs.items():
                rows = [find_row(result, f"{quantity}/{block}/{m.name}") for m in columns]
                if any(rows):
                    lines.append([words, str(block), name, *map(write, rows)])
    return markdown_table(["", "block", "run", *(m.label for m in columns)], lines)


def factor_table(runs: Runs) -> Markdown:
    """Return units of one factor and the gap, dense with the same steps and at the headline.

    Beside each the same of shuffled factors, at the headline's model. Runs without known factors
    have no lines.
    """
    header = ["reading", "block", "run"]
    for words in ("units of one factor", "best minus second"):
        header += [f"{words}, dense, same steps", f"about {100 * HEADLINE:g} % removed", "shuffled"]
    lines = []
    for reading, words in READING_NAMES.items():
        for block in blocks_of(*runs.values()):
            for name, result in runs.items():
                if block in blocks_of(result) and knows_factors(result):
                    lines.append([words, str(block), name, *_factors(result, f"{reading}/{block}")])
    return markdown_table(header, lines)


def _factors(result: StudyResult, place: str) -> list[str]:
    sparse = headline(result).name
    cells = []
    for quantity, write in (("one_factor_units", _percent), ("factor_gap", _three)):
        for name, model in (
            (quantity, TUNED),
            (quantity, sparse),
            (f"{quantity}_shuffled", sparse),
        ):
            cells.append(write(find_row(result, f"{name}/{place}/{model}")))
    return cells


def headline(result: StudyResult) -> Model:
    """Return the model nearest to the headline sparsity."""
    return min(models_of(result), key=lambda model: abs(model.sparsity - HEADLINE))


def _two(row: Row | None) -> str:
    return number(row, 2)


def _three(row: Row | None) -> str:
    return number(row, 3)


def _percent(row: Row | None) -> str:
    return percent(row, 1)


def margins_table() -> Markdown:
    """Return the four metrics with the largest change that counts as none."""
    lines = [
        [METRIC_NAMES[name], words, unit, _margin(name)] for name, (words, unit) in METRICS.items()
    ]
    return markdown_table(["metric", "in words", "unit", "margin"], lines)


def _margin(name: str) -> str:
    if name == "selectivity":
        return f"{MARGINS[name]:g}"
    return f"{100 * MARGINS[name]:g} % of the dense model's value"
