"""Tables of sparse autoencoders: what was compared, the splice, other methods, changes, trends."""

import math
from collections.abc import Mapping

from IPython.display import Markdown

from seethrough.plots.layers_sae import (
    COMPARISON_NAMES,
    FACTOR_NAMES,
    METRIC_NAMES,
    SELECTION_NAMES,
)
from seethrough.plots.neuron_tables import headline, interval, number_alone, verdict_text
from seethrough.plots.sparsity_curves import models_of
from seethrough.plots.tables import (
    DASH,
    Runs,
    find_row,
    half_width,
    markdown_table,
    number,
    parameters_table,
    percent,
    points,
    significant,
)
from seethrough.results import Row, StudyResult
from seethrough.studies.impact_models import DENSE, TUNED
from seethrough.studies.neuron_rows import TRENDS, VERDICTS
from seethrough.studies.sae_rows import ABSOLUTE, COMPARISONS, MARGINS, METRICS

METHOD_NAMES = {
    "k{k}": "BatchTopK, the study's",
    "topk": "TopK",
    "jump_relu": "JumpReLU",
    "l1": "L1",
    "patches": "BatchTopK on patches",
}
"""Places of a result where the dense model alone is measured, in words."""
COUNTS = {"active": "latents ever active"} | FACTOR_NAMES


def margins_table() -> Markdown:
    """Return the six metrics with the largest change that counts as none."""
    lines = [
        [METRIC_NAMES[name], words, unit, _margin(name)] for name, (words, unit) in METRICS.items()
    ]
    return markdown_table(["metric", "in words", "unit", "margin"], lines)


def _margin(name: str) -> str:
    if name in ABSOLUTE:
        return f"{MARGINS[name]:g}"
    return f"{100 * MARGINS[name]:g} % of the dense model's value"


def scale_table(runs: Runs) -> Markdown:
    """Return what each run looked at."""
    shown = {
        "model": "model",
        "sparsities": "weights removed",
        "expansion": "latents per feature",
        "ks": "sweep of k",
        "k": "fixed k",
        "n_pool": "training images of the pool",
        "steps": "steps of each autoencoder",
        "priced_steps": "steps of L1 and JumpReLU",
        "sae_batch_size": "activations per step",
        "n_evaluation": "evaluation images",
        "n_classes": "classes",
        "images_per_class": "images per class",
        "n_latents": "top latents per class",
        "n_highest": "images behind the purity",
    }
    return parameters_table(runs, shown)


def paper_table(runs: Runs) -> Markdown:
    """Return the paper's settings and figures beside ours, for the dense model as released."""
    lines = [
        ["latents, k, width", "24,576, 128, 768", *(_sizes(result) for result in runs.values())],
        ["variance explained, class token", "99.26 %", *_of_dense(runs, "fve")],
        ["variance explained, patches", "about 94.7 %", *_of_dense(runs, "fve", "patches")],
    ]
    return markdown_table(["", "paper (ImageNet, second-hand)", *runs], lines)


def _sizes(result: StudyResult) -> str:
    chosen = result.provenance.parameters
    row = find_row(result, f"active/fixed_k/{DENSE}")
    dead = find_row(result, f"dead/fixed_k/{DENSE}")
    if row is None or dead is None:
        return DASH
    # Active latents are the dictionary less its dead share.
    width = round(row.per_seed[0] / (1 - dead.per_seed[0])) if dead.per_seed[0] < 1 else 0
    return f"{width:,}, {chosen['k']}, {width // chosen['expansion']}"


def _of_dense(runs: Runs, quantity: str, place: str = "fixed_k") -> list[str]:
    return [percent(find_row(result, f"{quantity}/{place}/{DENSE}"), 1) for result in runs.values()]


def splice_table(runs: Runs) -> Markdown:
    """Return reconstruction at the fixed k and what it costs the model, for every model."""
    header = ["run", "model", "variance explained", "L0", "dead", "images right",
              "with the reconstruction", "cross-entropy, change", "recovered"]  # fmt: skip
    lines = []
    for name, result in runs.items():
        for model in models_of(result):
            rows = {
                quantity: find_row(result, f"{quantity}/fixed_k/{model.name}")
                for quantity in ("fve", "l0", "dead", "top_1", "top_1_change",
                                 "cross_entropy_change", "recovered")
            }  # fmt: skip
            lines.append(
                [
                    name,
                    model.label,
                    percent(rows["fve"], 1),
                    number(rows["l0"], 1),
                    percent(rows["dead"]),
                    percent(rows["top_1"], 1),
                    points(rows["top_1_change"]),
                    significant(rows["cross_entropy_change"]),
                    percent(rows["recovered"], 1),
                ]
            )
    return markdown_table(header, lines)


def methods_table(runs: Runs) -> Markdown:
    """Return other methods and other tokens beside the study's, for the dense model as released."""
    header = ["run", "autoencoder", "variance explained", "L0", "latents ever active",
              "images right with it, change", "selectivity", "monosemanticity"]  # fmt: skip
    lines = []
    for name, result in runs.items():
        k = result.provenance.parameters["k"]
        for place, words in METHOD_NAMES.items():
            at = f"{place.format(k=k)}/{DENSE}"
            if find_row(result, f"fve/{at}") is None:
                continue
            lines.append(
                [
                    name,
                    words,
                    percent(find_row(result, f"fve/{at}"), 1),
                    number(find_row(result, f"l0/{at}"), 1),
                    number(find_row(result, f"active/{at}"), 0),
                    points(find_row(result, f"top_1_change/{at}")),
                    number_alone(find_row(result, f"selectivity/top/{at}")),
                    number_alone(find_row(result, f"monosemanticity/top/{at}")),
                ]
            )
    return markdown_table(header, lines)


def equivalence_table(runs: Runs) -> Markdown:
    """Return the top latents' changes against the dense model with the same steps, and verdicts.

    At the headline sparsity, or the nearest that a run has: change with its 90 % interval over
    classes, for each comparison; the margin at the fixed k.
    """
    header = ["metric", "run", "removed", "margin"]
    for words in COMPARISON_NAMES.values():
        header += [f"{words}: change (90 %)", "verdict"]
    lines = []
    for metric, label in METRIC_NAMES.items():
        for name, result in runs.items():
            model = headline(result)
            at = f"fixed_k/{model.name}/{TUNED}"
            margin = number_alone(find_row(result, f"{metric}_margin/{at}"))
            line = [label, name, f"{100 * model.sparsity:g} %", margin]
            for comparison in COMPARISONS:
                place = f"{comparison}/{model.name}/{TUNED}"
                ends = [
                    find_row(result, f"{metric}_change{end}/{place}")
                    for end in ("", "_low", "_high")
                ]
                verdict = find_row(result, f"{metric}_equivalent/{place}")
                line += [interval(*ends), _verdict(verdict, VERDICTS)]
            lines.append(line)
    return markdown_table(header, lines)


def trend_table(runs: Runs) -> Markdown:
    """Return how each metric moves with sparsity in each comparison: top latents and random ones.

    Mean rank correlation over classes with its 95 % interval, and the verdict.
    """
    header = ["metric", "run", "latents"]
    for words in COMPARISON_NAMES.values():
        header += [words, "verdict"]
    lines = []
    for metric, label in METRIC_NAMES.items():
        for name, result in runs.items():
            for selection, words in SELECTION_NAMES.items():
                line = [label, name, words]
                for comparison in COMPARISONS:
                    place = f"{selection}/{comparison}"
                    ends = [
                        find_row(result, f"{metric}_trend{end}/{place}")
                        for end in ("", "_low", "_high")
                    ]
                    verdict = find_row(result, f"{metric}_trend_verdict/{place}")
                    line += [interval(*ends), _verdict(verdict, TRENDS)]
                lines.append(line)
    return markdown_table(header, lines)


def _verdict(row: Row | None, words: Mapping[str, float]) -> str:
    """Return a verdict, a dash where sweeps do not meet in every seed, so that there is none."""
    return DASH if row is None or math.isnan(row.mean) else verdict_text(row, words)


def counts_table(runs: Runs) -> Markdown:
    """Return active latents and what they know: dense, about 30 %, about 70 %, and the direction.

    The direction is the rank correlation with sparsity over the models that took the recovery's
    steps, mean over seeds.
    """
    header = ["", "compared at", "run", "dense, same steps", "about 30 % removed",
              "about 70 % removed", "rank correlation"]  # fmt: skip
    lines = []
    for quantity, words in COUNTS.items():
        for comparison, at in COMPARISON_NAMES.items():
            for name, result in runs.items():
                place = f"{quantity}/{comparison}"
                if find_row(result, f"{place}/{TUNED}") is None:
                    continue
                trend = find_row(result, f"{quantity}_trend/{comparison}")
                models = (TUNED, lightest(result), headline(result).name)
                cells = [_count(quantity, find_row(result, f"{place}/{m}")) for m in models]
                lines.append([words, at, name, *cells, number_alone(trend, signed=True)])
    return markdown_table(header, lines)


def lightest(result: StudyResult) -> str:
    """Return the pruned model nearest to 30 %, where the paper counts active latents first."""
    pruned = [model for model in models_of(result) if model.name not in (DENSE, TUNED)]
    return min(pruned, key=lambda model: abs(model.sparsity - 0.3)).name


def _count(quantity: str, row: Row | None) -> str:
    return number(row, 0) if quantity == "active" else half_width(row, 1)
