"""Figures and tables of the benchmarks: our times beside the peers', the limit and the goal."""

from collections.abc import Mapping, Sequence

from IPython.display import Markdown
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seethrough.performance.report import BenchmarkReport, Measurement
from seethrough.plots.style import new_figure
from seethrough.plots.tables import DASH, find_row, markdown_table
from seethrough.results import StudyResult

NOT_MEASURED = "not measured"
STEP = "sae_train_step_"
"""How the names of the reports on training steps begin; the latents follow."""
OURS, PEER, LIMIT = "#0072B2", "#999999", "#D55E00"
GPU_GOALS = {
    "BatchTopK training step, against the dense step as installed": "at least 8 x faster",
    "the same, against the dense step tuned, 6,144 latents": "at least 2 x faster",
    "the same, 24,576 latents": "at least 3 x faster",
    "the same, against the serial floor": "at most 2 x the floor",
    "selection alone": "none",
    "decoding and its gradients alone": "none",
    "Wanda's masks, all 48 matrices of a ViT-B": "at most 0.5 ms",
    "joint counts, 6,144 latents and 100,000 samples": "at least 100 x faster",
    "mask step": "at most 1.15 x the model's own passes",
}
"""What is to be measured on a GPU -> the goal."""


def report_table(report: BenchmarkReport | None) -> Markdown:
    """Return the cases of a benchmark: ours, every peer, the ratios, the goal and whether met."""
    if report is None:
        return Markdown(f"*{NOT_MEASURED}*")  # type: ignore[no-untyped-call]
    limited = any(entry.limit is not None for entry in report.measurements)
    header = ["case", "ours, ms", "peers, ms", "ratio"]
    header += ["limit, ms", "ours over limit"] if limited else []
    header += ["goal", "met"]
    lines = []
    for entry in report.measurements:
        line = [entry.case, _ms(entry.ours), peers_text(entry), faster_text(entry)]
        if limited:
            line += [_ms(entry.limit), _ratio(entry.over_limit)]
        lines.append([*line, goal_text(entry), met_text(entry)])
    return markdown_table(header, lines)


def origin_text(report: BenchmarkReport | None) -> Markdown:
    """Return what the numbers of a benchmark come from, in one paragraph."""
    if report is None:
        return Markdown("")  # type: ignore[no-untyped-call]
    first = report.measurements[0]
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    shapes = "; ".join(dict.fromkeys(entry.shapes for entry in report.measurements))
    device = report.machine if first.device == "cpu" else first.device
    notes = [f"{entry.case}: {entry.note}" for entry in report.measurements if entry.note]
    sentences = [
        f"Limit: {report.limit}.",
        f"{shapes}.",
        f"{device}, {first.clock}, {first.rounds} rounds, {versions}, {report.date}.",
        f"Again: `{report.command}`.",
        *(f"{note}." for note in notes),
    ]
    return Markdown(" ".join(sentences))  # type: ignore[no-untyped-call]


def gpu_table(report: BenchmarkReport | None) -> Markdown:
    """Return what was measured on a GPU; without a report, what is to be, with its goals."""
    if report is not None:
        return report_table(report)
    lines = [[what, goal, NOT_MEASURED] for what, goal in GPU_GOALS.items()]
    return markdown_table(["case", "goal", "GPU"], lines)


def overview_table(reports: Mapping[str, BenchmarkReport]) -> Markdown:
    """Return for each benchmark how many of its goals are met, and when it was measured."""
    lines = []
    for report in reports.values():
        goals = [entry.goal_met for entry in report.measurements if entry.goal_met is not None]
        met = f"{sum(goals)} of {len(goals)}" if goals else DASH
        lines.append([report.what, str(len(report.measurements)), met, report.date])
    return markdown_table(["benchmark", "cases", "goals met", "measured"], lines)


def step_reports(reports: Mapping[str, BenchmarkReport]) -> list[BenchmarkReport]:
    """Return the reports on training steps, by number of latents."""
    found = [report for name, report in reports.items() if name.startswith(STEP)]
    return sorted(found, key=lambda report: int(report.name.removeprefix(STEP)))


def training_steps(reports: Mapping[str, BenchmarkReport]) -> Figure:
    """Draw the time of a training step of ours, the peers and the limit, one column per width."""
    found = step_reports(reports)
    figure, _ = new_figure(1, 3.2)
    figure.clear()
    columns = figure.subplots(1, max(1, len(found)), squeeze=False)[0]
    for axes, report in zip(columns, found, strict=False):
        full, half = report.measurements[:2]
        _bars(axes, full, half)
        axes.set_title(f"{int(report.name.removeprefix(STEP)):,} latents")
    return figure


def _bars(axes: Axes, full: Measurement, half: Measurement) -> None:
    """Draw the bars of one width, both precisions of the encoder, the first case of each."""
    bars = [("limit: product", full.limit or 0.0, LIMIT), ("ours", full.ours, OURS)]
    bars += [
        ("limit: product, bfloat16", half.limit or 0.0, LIMIT),
        ("ours, bfloat16", half.ours, OURS),
    ]
    both = {**half.peers, **full.peers}
    bars += [(name, ms, PEER) for name, ms in sorted(both.items(), key=lambda pair: pair[1])]
    names, times, colors = zip(*bars, strict=True)
    axes.barh(names, times, color=colors)
    axes.invert_yaxis()
    axes.set(xlabel=f"{full.clock} of a step, ms", xlim=(0, None))


def live_table(result: StudyResult) -> Markdown:
    """Return the times of this run and their ratios."""
    names = {
        "product": "encoder's product alone",
        "ours": "ours",
        "ours_bfloat16": "ours, bfloat16 encoder",
        "dense": "dense torch",
    }
    own = result.row("time/ours").mean
    lines = []
    for name, words in names.items():
        row = find_row(result, f"time/{name}")
        if row is not None:
            lines.append([words, _ms(row.mean), f"{row.mean / own:.2f} x"])
    return markdown_table(["step", "ms", "over ours"], lines)


def setting_table(result: StudyResult) -> Markdown:
    """Return what this run compared, and whether both steps were equal; no times."""
    parameters = result.provenance.parameters
    lines = [
        ["inputs", f"{parameters['batch_size']:,}"],
        ["features", f"{parameters['d_input']:,}"],
        ["latents", f"{parameters['d_input'] * parameters['expansion']:,}"],
        ["active per input", f"{parameters['k']}"],
        ["rounds", f"{parameters['rounds']}"],
    ]
    from seethrough.studies.performance import EQUAL_TO

    equal = all(row.mean <= EQUAL_TO for row in result.rows if row.id.startswith("error/"))
    words = f"to {EQUAL_TO:.0e} of their norm" if equal else "no"
    return markdown_table(["", "this run"], [*lines, ["loss and gradients equal", words]])


def peers_text(entry: Measurement) -> str:
    """Return the peers with their times, the fastest first."""
    ordered: Sequence[tuple[str, float]] = sorted(entry.peers.items(), key=lambda pair: pair[1])
    return ", ".join(f"{name} {_ms(ms)}" for name, ms in ordered) or DASH


def faster_text(entry: Measurement) -> str:
    """Return how much faster ours is than the peer that counts, and which that is."""
    if entry.times_faster is None:
        return DASH
    return f"{_ratio(entry.times_faster)} ({entry.goal_peer or entry.fastest_peer})"


def goal_text(entry: Measurement) -> str:
    """Return the goals in words."""
    goals = []
    if entry.goal_faster is not None:
        goals.append(f"at least {entry.goal_faster:g} x faster")
    if entry.goal_limit is not None:
        goals.append(f"at most {entry.goal_limit:g} x the limit")
    if entry.goal_ms is not None:
        goals.append(f"at most {entry.goal_ms:g} ms")
    return ", ".join(goals) or "none"


def met_text(entry: Measurement) -> str:
    """Return whether all goals are met."""
    return DASH if entry.goal_met is None else ("yes" if entry.goal_met else "no")


def _ms(value: float | None) -> str:
    if value is None:
        return DASH
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _ratio(value: float | None) -> str:
    if value is None:
        return DASH
    return f"{value:.0f} x" if value >= 20 else f"{value:.2f} x"
