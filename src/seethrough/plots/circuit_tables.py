"""Tables of circuits: what a run looked at, comparisons, controls, unseen colours."""

import math

from IPython.display import Markdown

from seethrough.circuits.mask_sites import GRANULARITIES
from seethrough.plots.circuit_comparisons import RATIOS, comparison_label, comparisons_of
from seethrough.plots.circuits import model_label, sparse_models, tasks_of
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
from seethrough.studies.circuit_masks import SEEN_HUES, SHUFFLED, UNTRAINED
from seethrough.studies.circuit_measure import FULL
from seethrough.studies.circuit_parameters import (
    DENSE_KAPPA,
    SPARSE_KAPPA,
    loss_setting,
    setting,
)
from seethrough.studies.circuit_rows import MEAN
from seethrough.studies.impact_models import TUNED

SHOWN = {
    "model": "model",
    "sparsities": "weights removed",
    "tasks": "tasks",
    "kappas": "prices, in the paper's unit",
    "target_losses": "target losses, nats",
    "n_pairs": "pairs to learn from",
    "n_heldout_pairs": "held-out pairs",
    "n_mean_images": "images behind the means",
    "epochs": "epochs",
    "n_recovery": "images of the recovery",
}
CHANGES = (
    ("node_fraction", "active nodes, share"),
    ("loss", "loss of the circuit, nats"),
    ("accuracy", "accuracy of the circuit"),
    ("ncq", "NCQ"),
    ("edge_ncq", "NCQ with edges, of the model's own"),
    ("edge_ncq_all", "NCQ with edges, of all weights"),
)


def layout_table(runs: Runs) -> Markdown:
    """Return hook points and nodes of the model that was looked at, and of the paper's."""
    result = next(iter(runs.values()))
    lines = []
    for name, words in (("own", "looked at"), ("paper", "the paper's")):
        nodes = [_count(find_row(result, f"all_nodes/{name}/{g}")) for g in GRANULARITIES]
        lines.append([words, _count(find_row(result, f"hook_points/{name}")), *nodes])
    header = ["model", "hook points", "nodes, q k v per channel", "nodes, q k v per head"]
    return markdown_table(header, lines)


def scale_table(runs: Runs) -> Markdown:
    """Return what each run looked at."""
    return parameters_table(runs, SHOWN)


def ratio_table(runs: Runs) -> Markdown:
    """Return the ratio of edges, dense over sparse, in every comparison, with its intervals.

    Beside it the ratio to expect, the one over the other, and how many pairs of circuits there are.
    """
    labels = [label for _, label, _, _ in RATIOS]
    header = ["comparison", "run", *labels, "edges / to expect, dense / sparse", "pairs"]
    lines = []
    for name, result, model, comparison in _comparisons(runs):
        place = f"{comparison}/{model}"
        cells = [_interval(result, f"{quantity}/{place}") for quantity, *_ in RATIOS]
        cells.append(_interval(result, f"beyond_null/{place}"))
        pairs = _count(find_row(result, f"pairs/{place}"))
        lines.append([_compared(result, comparison, model), name, *cells, pairs])
    return markdown_table(header, lines)


def change_table(runs: Runs) -> Markdown:
    """Return what changes from the dense circuits to the sparse ones, in every comparison."""
    header = ["comparison", "run", *(words for _, words in CHANGES)]
    lines = []
    for name, result, model, comparison in _comparisons(runs):
        cells = [
            _interval(result, f"{quantity}_change/{comparison}/{model}", signed=True)
            for quantity, _ in CHANGES
        ]
        lines.append([_compared(result, comparison, model), name, *cells])
    return markdown_table(header, lines)


def circuit_table(runs: Runs) -> Markdown:
    """Return the circuits at the paper's prices and at the target losses, mean over tasks."""
    quantities = (
        ("node_fraction", "nodes", _percent), ("edges", "edges", _count),
        ("over_null", "edges / to expect", _two), ("loss", "loss", _two),
        ("accuracy", "accuracy", _percent), ("without_accuracy", "accuracy without it", _percent),
        ("random_accuracy", "accuracy, random circuit", _percent), ("ncq", "NCQ", _two),
        ("edge_ncq", "NCQ with edges", _two),
    )  # fmt: skip
    lines = []
    for name, result in runs.items():
        for model in (TUNED, *sparse_models(result)):
            targets = result.provenance.parameters["target_losses"]
            settings = [setting(SPARSE_KAPPA), setting(DENSE_KAPPA), *map(loss_setting, targets)]
            for chosen in settings:
                place = f"{model}/{chosen}/{MEAN}"
                cells = [write(find_row(result, f"{q}/{place}")) for q, _, write in quantities]
                lines.append([model_label(model), chosen.replace("_", " "), name, *cells])
    return markdown_table(["model", "price", "run", *(words for _, words, _ in quantities)], lines)


def control_table(runs: Runs) -> Markdown:
    """Return the controls beside the circuit of the dense model at its price, mean over tasks."""
    quantities = (
        ("node_fraction", "nodes", _percent),
        ("edges", "edges", _count),
        ("over_null", "edges / to expect", _two),
        ("learned_loss", "loss, pairs learned from", _two),
        ("loss", "loss, held-out pairs", _two),
        ("accuracy", "accuracy, held-out pairs", _percent),
    )
    lines = []
    for name, result in runs.items():
        for place, words in _controls(result).items():
            cells = [write(find_row(result, f"{q}/{place}/{MEAN}")) for q, _, write in quantities]
            lines.append([words, name, *cells])
    return markdown_table(["circuit of", "run", *(words for _, words, _ in quantities)], lines)


def _controls(result: StudyResult) -> dict[str, str]:
    """Return the places of the controls, with what they are."""
    found = {}
    for model in (TUNED, *sparse_models(result)):
        label = model_label(model)
        found[f"{model}/{setting(DENSE_KAPPA)}"] = label
        found[f"{model}/{SHUFFLED}"] = f"{label}, labels dealt"
    found[f"{UNTRAINED}/{setting(DENSE_KAPPA)}"] = "untrained model"
    for model in sparse_models(result):
        other = model.replace("/", "_")
        found[f"{model}/mask_of_{TUNED}"] = f"{model_label(model)}, mask of the dense one"
        found[f"{TUNED}/mask_of_{other}"] = f"dense, mask of {model_label(model)}"
    return found


def hue_table(runs: Runs) -> Markdown:
    """Return accuracy on seen and unseen hues of models and of circuits learned on seen ones.

    Runs whose hues are not known have no lines.
    """
    header = ["task", "what answers", "run", "nodes", "accuracy, seen hues",
              "accuracy, unseen hues", "loss, seen", "loss, unseen"]  # fmt: skip
    lines = []
    for name, result in runs.items():
        for task in tasks_of(result):
            for model in (TUNED, *sparse_models(result)):
                for kind, words in ((f"{FULL}_{SEEN_HUES}", "all nodes"), (SEEN_HUES, "circuit")):
                    place = f"{model}/{kind}/{task}"
                    if find_row(result, f"unseen_loss/{place}") is None:
                        continue
                    cells = [
                        write(find_row(result, f"{quantity}/{place}"))
                        for quantity, write in (
                            ("node_fraction", _percent), ("accuracy", _percent),
                            ("unseen_accuracy", _percent), ("loss", _two), ("unseen_loss", _two),
                        )
                    ]  # fmt: skip
                    lines.append([task, f"{model_label(model)}, {words}", name, *cells])
    return markdown_table(header, lines)


def _comparisons(runs: Runs) -> list[tuple[str, StudyResult, str, str]]:
    """Return run with its name, pruned model and comparison, for all that there are."""
    return [
        (name, result, model, comparison)
        for name, result in runs.items()
        for model in sparse_models(result)
        for comparison in comparisons_of(result)
    ]


def _compared(result: StudyResult, comparison: str, model: str) -> str:
    """Return a comparison in words, with the model where a run has several."""
    words = comparison_label(comparison)
    return f"{words}, {model_label(model)}" if len(sparse_models(result)) > 1 else words


def _interval(result: StudyResult, id: str, *, signed: bool = False) -> str:
    """Return `2.41 (1.90 to 3.02)`: a value with its interval; a dash for NaN or no row."""
    head, _, place = id.partition("/")
    rows = [find_row(result, f"{head}{end}/{place}") for end in ("", "_low", "_high")]
    values = [math.nan if row is None else row.mean for row in rows]
    mean, low, high = (f"{v:+.2f}" if signed else f"{v:.2f}" for v in values)
    if math.isnan(values[0]):
        return DASH
    return mean if math.isnan(values[1]) else f"{mean} ({low} to {high})"


def _two(row: Row | None) -> str:
    return number(row, 2)


def _percent(row: Row | None) -> str:
    return percent(row, 1)


def _count(row: Row | None) -> str:
    return DASH if row is None or math.isnan(row.mean) else f"{row.mean:,.0f}"
