"""Figures and tables of pruning: what it costs, and what a recovery gives back.

Accuracy is top-1 on held-out images. Its intervals are those over seeds; where no seed tells, over
images. The paper's values are of another model on other images and stand in tables alone.
"""

from IPython.display import Markdown
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seethrough.models.accuracy import wilson_interval
from seethrough.plots.style import DEAD, new_figure, one_legend, percent_axis
from seethrough.plots.tables import (
    DASH,
    cell_names,
    difference,
    find_row,
    markdown_table,
    named_runs,
    percent,
    points,
    result_seeds,
)
from seethrough.results import Row, StudyResult
from seethrough.studies.impact_models import DENSE, TUNED
from seethrough.studies.impact_models_and_pruning import METHODS

BEFORE, AFTER = "top_1_pruned", "top_1"
"""Quantities of a masked model as it is, and of the same after the recovery."""
PANELS = {BEFORE: "masked, no recovery", AFTER: "masked and recovered"}
PRUNERS = {"wanda": "Wanda", "magnitude": "magnitude", "random": "random"}
PRUNER_COLORS = {"wanda": "#0072B2", "magnitude": "#D55E00", "random": "#999999"}
PATTERN_MARKERS = {"2:4": "s", "4:8": "D"}
LEVELS = {DENSE: ("dense", "-"), TUNED: ("dense, same steps", "--")}
SHIFTS = {"magnitude": -0.012, "random": 0.012, "2:4": 0.035, "4:8": 0.06}
"""How far marks stand aside of their sparsity, so that none hides another."""
PAPER = {
    f"{AFTER}/{DENSE}": "83.71 %",
    f"{AFTER}/wanda/0.7": "80.44 %",
    "retention/wanda/0.7": "96 %",
}
"""F1 to F3 of {cite:t}`zhang2026impact`, from a second-hand reading: row -> value on ImageNet."""


def accuracy_by_sparsity(reference: StudyResult | None, result: StudyResult) -> Figure:
    """Draw accuracy against the share of weights removed, before and after the recovery.

    One colour per pruner, squares and diamonds for N:M masks, black lines for the dense models.
    Filled marks are the reference run, open ones this run. A pruner without a model in a panel is
    not drawn there.
    """
    figure, columns = new_figure(2, 3.6)
    for axes, (quantity, title) in zip(columns, PANELS.items(), strict=True):
        for run in named_runs(reference, result).values():
            for method in METHODS:
                _draw_pruner(axes, run, f"{quantity}/{method}/", filled=run is reference)
        _draw_levels(axes, reference or result)
        axes.set(title=title, xlabel="prunable weights removed", xlim=(0, 1))
        axes.xaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f} %")
        percent_axis(axes, "top-1 accuracy" if quantity == BEFORE else "")
        axes.set_ylim(-0.03, 1.03)
    one_legend(figure)
    return figure


def _draw_pruner(axes: Axes, run: StudyResult, prefix: str, filled: bool) -> None:
    rows = [row for row in run.rows if row.id.startswith(prefix)]
    method = prefix.split("/")[1]
    by_structure: dict[str, list[Row]] = {}
    for row in rows:
        by_structure.setdefault(str(row.cell["structure"]), []).append(row)
    for structure, some in by_structure.items():
        pattern = PATTERN_MARKERS.get(structure)
        shift = SHIFTS.get(structure if pattern else method, 0.0)
        ends = [interval(row, n_images(run)) for row in some]
        axes.errorbar(
            [float(row.cell["sparsity"]) + shift for row in some],
            [row.mean for row in some],
            yerr=[
                [row.mean - low for row, (low, _) in zip(some, ends, strict=True)],
                [high - row.mean for row, (_, high) in zip(some, ends, strict=True)],
            ],
            fmt=f"{pattern or 'o'}{'' if pattern else '-' if filled else ':'}",
            color=PRUNER_COLORS[method],
            mfc=PRUNER_COLORS[method] if filled else "white",
            ms=5, elinewidth=1, capsize=2,
            label=f"{PRUNERS[method]}{f' {structure}' if pattern else ''}",
        )  # fmt: skip


def _draw_levels(axes: Axes, run: StudyResult) -> None:
    for name, (label, line) in LEVELS.items():
        row = run.row(f"{AFTER}/{name}")
        axes.axhspan(*interval(row, n_images(run)), color=DEAD, alpha=0.08, linewidth=0)
        axes.axhline(row.mean, color=DEAD, linewidth=1, linestyle=line, label=label)


def interval(row: Row, n: int) -> tuple[float, float]:
    """Return the 95 % interval of an accuracy on n images, within 0 and 1.

    Over seeds by Student's t; where all values are one (a single seed, or a model that no seed
    changes), over images by Wilson's score.

    >>> low, high = interval(Row("top_1/dense", "", {}, "fraction", (0.8,)), 10)
    >>> round(low, 4), round(high, 4)
    (0.4902, 0.9433)
    """
    if row.low is None or row.high is None or row.low == row.high:
        share = wilson_interval(round(row.mean * n), n)
        return share.low, share.high
    return max(0.0, row.low), min(1.0, row.high)


def n_images(run: StudyResult) -> int:
    """Return on how many images a run measured accuracy."""
    return int(run.provenance.parameters["n_evaluation"])


def share(run: StudyResult, id: str) -> str:
    """Return an accuracy as `98.4 % (91.7 to 99.7)`, a dash where the run has none."""
    row = find_row(run, id)
    if row is None:
        return DASH
    low, high = interval(row, n_images(run))
    return f"{100 * row.mean:.1f} % ({100 * low:.1f} to {100 * high:.1f})"


def headline_table(reference: StudyResult | None, result: StudyResult) -> Markdown:
    """Return accuracy and retention at 70 % beside the paper's; rows that no run has are left out.

    Retention is a quotient of two accuracies and has an interval over seeds alone.
    """
    runs = list(named_runs(reference, result).values())
    shares = {
        f"{AFTER}/{DENSE}": "dense",
        f"{AFTER}/{TUNED}": "dense, with the recovery's steps",
        f"{BEFORE}/wanda/0.7": "Wanda at 70 %, no recovery",
        f"{AFTER}/wanda/0.7": "Wanda at 70 %, recovered",
    }
    quotients = {
        "retention/wanda/0.7": "recovered over dense",
        "retention_tuned/wanda/0.7": "recovered over dense with the same steps",
    }
    lines = [["model", "DeiT-III B/16", *(_model(run) for run in runs)]]
    lines.append(["recovery", "2 epochs of ImageNet-1k", *(_recovery(run) for run in runs)])
    lines.append(["judged on", "ImageNet-1k", *(_judged_on(run) for run in runs)])
    for id, words in (shares | quotients).items():
        if not any(find_row(run, id) for run in runs):
            continue
        texts = [share(run, id) if id in shares else percent(find_row(run, id), 1) for run in runs]
        lines.append([words, PAPER.get(id, "not given"), *texts])
    return markdown_table(["", "paper, second-hand", *named_runs(reference, result)], lines)


def _model(run: StudyResult) -> str:
    return f"`{run.provenance.parameters['model']}`"


def _recovery(run: StudyResult) -> str:
    chosen = run.provenance.parameters
    return f"{chosen['recovery_epochs']} epochs of {chosen['n_recovery']:,} images"


def _judged_on(run: StudyResult) -> str:
    return f"{n_images(run):,} images, {result_seeds(run)}"


def recovery_table(reference: StudyResult | None, result: StudyResult) -> Markdown:
    """Return every model before and after the recovery, the dense one first, one line per run."""
    header = ["model", "run", "before", "after", "given back", "of dense",
              "of dense, same steps"]  # fmt: skip
    names = cell_names(reference, result, BEFORE)
    lines = []
    for name in (DENSE, *names):
        for title, run in named_runs(reference, result).items():
            before, after = _ids(name)
            if find_row(run, before) is None:
                continue
            gain = difference(find_row(run, before), find_row(run, after))
            kept = [percent(find_row(run, f"{q}/{name}"), 1) for q in ("retention",
                    "retention_tuned")]  # fmt: skip
            shares = share(run, before), share(run, after)
            lines.append([model_text(name), title, *shares, points(gain), *kept])
    return markdown_table(header, lines)


def _ids(name: str) -> tuple[str, str]:
    """Return the rows of a model's accuracy before and after the recovery's steps."""
    if name == DENSE:
        return f"{AFTER}/{DENSE}", f"{AFTER}/{TUNED}"
    return f"{BEFORE}/{name}", f"{AFTER}/{name}"


def model_text(name: str) -> str:
    """Return a model's part of row names as tables write it.

    >>> model_text("wanda/0.7"), model_text("wanda/2:4"), model_text("dense")
    ('Wanda, 70 %', 'Wanda, 2:4', 'dense')
    """
    method, _, amount = name.partition("/")
    if not amount:
        return method
    return f"{PRUNERS[method]}, {amount if ':' in amount else f'{100 * float(amount):g} %'}"


def against_wanda_table(reference: StudyResult | None, result: StudyResult) -> Markdown:
    """Return Wanda's accuracy minus that of every other pruner at the same sparsity."""
    lines = [
        [model_text(name), title, *(points(_advantage(run, q, name)) for q in PANELS)]
        for name in cell_names(reference, result, BEFORE)
        for title, run in named_runs(reference, result).items()
        if _advantage(run, BEFORE, name)
    ]
    header = ["Wanda minus", "run", "no recovery", "recovered"]
    return markdown_table(header, lines)


def _advantage(run: StudyResult, quantity: str, name: str) -> Row | None:
    method, _, amount = name.partition("/")
    if method == "wanda":
        return None
    return difference(
        find_row(run, f"{quantity}/{name}"), find_row(run, f"{quantity}/wanda/{amount}")
    )
