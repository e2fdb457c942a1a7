"""Tables of the book: the numbers behind the figures, rounded so that they read well."""

from collections.abc import Sequence

from IPython.display import Markdown

from seethrough.results import Row, StudyResult
from seethrough.studies.collapse_rows import threshold_tag

_NO_BREAK = "\N{NARROW NO-BREAK SPACE}"


def percent(row: Row | None, digits: int = 0) -> str:
    """Return a share as `34 % (31 to 38)`: mean and 95 % interval, a dash for no row."""
    if row is None:
        return "–"
    if row.low is None or row.high is None:
        return f"{_rounded(100 * row.mean, digits)}{_NO_BREAK}% (one seed)"
    mean, low, high = (_rounded(100 * share, digits) for share in (row.mean, row.low, row.high))
    return f"{mean}{_NO_BREAK}% ({low} to {high})"


def number(row: Row | None, digits: int) -> str:
    """Return a number as `0.12 (0.10 to 0.14)`: mean and 95 % interval, a dash for no row."""
    if row is None:
        return "–"
    if row.low is None or row.high is None:
        return f"{row.mean:.{digits}f} (one seed)"
    mean, low, high = (_rounded(value, digits) for value in (row.mean, row.low, row.high))
    return f"{mean} ({low} to {high})"


def _rounded(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:.{digits}f}"  # adding 0 turns -0 into 0


def markdown_table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> Markdown:
    """Return a table that Jupyter and the book both render."""
    rule = ["---"] * len(header)
    text = "\n".join("| " + " | ".join(line) + " |" for line in (header, rule, *lines))
    return Markdown(text)  # type: ignore[no-untyped-call]


def threshold_rows(
    result: StudyResult,
    cell: str,
    frequency_thresholds: Sequence[float],
    maximum_thresholds: Sequence[float],
) -> tuple[list[Row], list[str]]:
    """Return the dead share under every rule, with a label for each."""
    names = {"dead_share": "never active"}
    for threshold in frequency_thresholds:
        tag = threshold_tag(threshold)
        names[f"dead_share_frequency_below_{tag}"] = f"active on < {100 * threshold:g} % of images"
    for threshold in maximum_thresholds:
        tag = threshold_tag(threshold)
        names[f"dead_share_max_below_{tag}"] = f"maximum < {threshold:g} of layer's scale"
    return [result.row(f"{name}/{cell}") for name in names], list(names.values())


def threshold_table(rows: Sequence[Row], labels: Sequence[str]) -> Markdown:
    """Return the dead share under every rule as a table."""
    lines = [[label, percent(row)] for row, label in zip(rows, labels, strict=True)]
    return markdown_table(["a unit is dead if", "dead share, mean (95 % interval)"], lines)


def comparison_table(result: StudyResult, reference: StudyResult | None, cell: str) -> Markdown:
    """Return paper, reference run and this run side by side for one position and width."""

    def shown(name: str, paper: str, digits: int | None) -> list[str]:
        row = result.row(f"{name}/{cell}")
        stored = reference and {r.id: r for r in reference.rows}.get(row.id)
        write = percent if digits is None else (lambda r: number(r, digits))
        when = {"first": ", first epoch", "last": ", last epoch"}.get(name.split("_")[-1], "")
        return [row.quantity + when, paper, write(stored or None), write(row)]

    def scale(study: StudyResult | None) -> str:
        if study is None:
            return "–"
        chosen = study.provenance.parameters
        return f"{chosen['n_train']:,} images, {chosen['epochs']} epochs, {result_seeds(study)}"

    lines = [
        ["scale", "not known", scale(reference), scale(result)],
        shown("dead_share", "34.4 ± 0.9 %", None),
        shown("dead_share_by_relu", "not given", None),
        shown("dead_share_by_top_k", "not given", None),
        shown("dead_ceiling", "not given", None),
        shown("active_last", "50", 0),
        shown("mig_mean_first", "not given", 2),
        shown("mig_mean_last", "stable", 2),
        shown("mig_mean_shuffled_last", "no control", 2),
        shown("mig_code_last", "not given", 2),
        shown("best_information_last", "not given", 2),
        shown("reconstruction_own_last", "sources conflict", 0),
        shown("reconstruction_bce_last", "sources conflict", 0),
    ]
    return markdown_table([f"{cell}", "paper", "reference run", "this run"], lines)


def result_seeds(study: StudyResult) -> str:
    """Return the number of seeds in words."""
    n = len(study.provenance.seeds)
    return f"{n} seed" if n == 1 else f"{n} seeds"
