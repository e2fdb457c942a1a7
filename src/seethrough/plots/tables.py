"""Tables of the book: the numbers behind the figures, rounded so that they read well.

Every writer takes a row, or None where a run has none, and returns the text of one table cell:
mean and 95 % interval over seeds. One seed has no interval, and NaN no number.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from IPython.display import Markdown

from seethrough.results import Row, StudyResult

DASH = "–"
_NO_BREAK = "\N{NARROW NO-BREAK SPACE}"
Write = Callable[[Row | None], str]
Runs = Mapping[str, StudyResult]
"""Runs by the name that figures and tables give them."""


def percent(row: Row | None, digits: int = 0) -> str:
    """Return a share as `34 % (31 to 38)`: mean and 95 % interval, a dash for no row."""
    return _written(row, 100.0, f"{_NO_BREAK}%", lambda value: _rounded(value, digits))


def points(row: Row | None, digits: int = 1) -> str:
    """Return a difference of shares as `+1.5 points (-0.5 to +3.5)`, a dash for no row."""
    return _written(row, 100.0, f"{_NO_BREAK}points", lambda value: _signed(value, digits))


def half_width(row: Row | None, digits: int = 0) -> str:
    """Return a share as `34 ± 3`, per cent: mean and half the 95 % interval, a dash for no row."""
    if row is None or math.isnan(row.mean):
        return DASH
    mean = _rounded(100 * row.mean, digits)
    return mean if row.high is None else f"{mean} ± {_rounded(100 * (row.high - row.mean), digits)}"


def number(row: Row | None, digits: int) -> str:
    """Return a number as `0.12 (0.10 to 0.14)`: mean and 95 % interval, a dash for no row."""
    return _written(row, 1.0, "", lambda value: _rounded(value, digits))


def significant(row: Row | None, digits: int = 2) -> str:
    """Return a number of any size with so many significant digits, a dash for no row."""
    return _written(row, 1.0, "", lambda value: _significant(value, digits))


def _written(row: Row | None, factor: float, unit: str, write: Callable[[float], str]) -> str:
    if row is None or math.isnan(row.mean):
        return DASH
    mean = f"{write(factor * row.mean)}{unit}"
    if row.low is None or row.high is None:
        return f"{mean} (one seed)"
    return f"{mean} ({write(factor * row.low)} to {write(factor * row.high)})"


def _rounded(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:.{digits}f}"  # adding 0 turns -0 into 0


def _signed(value: float, digits: int) -> str:
    value = round(value, digits) + 0.0
    return f"{value:+.{digits}f}" if value else f"{value:.{digits}f}"


def _significant(value: float, digits: int) -> str:
    before = math.floor(math.log10(abs(value))) + 1 if value else 1
    return _rounded(value, max(0, digits - before))


def markdown_table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> Markdown:
    """Return a table that Jupyter and the book both render."""
    rule = ["---"] * len(header)
    text = "\n".join("| " + " | ".join(line) + " |" for line in (header, rule, *lines))
    return Markdown(text)  # type: ignore[no-untyped-call]


def find_row(result: StudyResult | None, id: str) -> Row | None:
    """Return a row, None if there is no result or it has no such row."""
    return next((row for row in result.rows if row.id == id), None) if result else None


def rows_named(result: StudyResult | None, name: str) -> dict[str, Row]:
    """Return cell name -> row of one quantity, in the result's order; nothing for no result."""
    ids = ((row.id.partition("/"), row) for row in (result.rows if result else ()))
    return {cell: row for (quantity, _, cell), row in ids if quantity == name}


def union(*names: Iterable[str]) -> list[str]:
    """Return all names once each, in the order of their first appearance."""
    return list(dict.fromkeys(name for some in names for name in some))


def named_runs(
    reference: StudyResult | None, result: StudyResult, title: str = "this run"
) -> dict[str, StudyResult]:
    """Return the runs that are there, the reference first, by the name that figures give them."""
    found = {"reference run": reference} if reference else {}
    return found | {title: result}


def cell_names(reference: StudyResult | None, result: StudyResult | None, name: str) -> list[str]:
    """Return the names of the cells for which either run has a quantity, the reference first."""
    return union(rows_named(reference, name), rows_named(result, name))


def difference(first: Row | None, second: Row | None) -> Row | None:
    """Return second minus first, seed by seed; None if one is missing or their seeds differ."""
    if first is None or second is None or first.n != second.n:
        return None
    pairs = zip(first.per_seed, second.per_seed, strict=True)
    return replace(second, id=f"{second.id}-{first.id}", per_seed=tuple(b - a for a, b in pairs))


def comparison_table(
    title: str,
    result: StudyResult,
    reference: StudyResult | None,
    lines: Sequence[tuple[str, str, Write]],
) -> Markdown:
    """Return paper, reference run and this run side by side.

    Each line is a row's id, the paper's words on it, and how it is written; ids that neither run
    has are left out. A row that ends with `_first` or `_last` before its cell says so.
    """
    body = [["scale", "not known", scale(reference), scale(result)]]
    for id, paper, write in lines:
        here, there = find_row(result, id), find_row(reference, id)
        known = here or there
        if known is not None:
            body.append([known.quantity + _when(id), paper, write(there), write(here)])
    return markdown_table([title, "paper", "reference run", "this run"], body)


def scale(study: StudyResult | None) -> str:
    """Return images, epochs and seeds of a run, a dash for none."""
    if study is None:
        return DASH
    chosen = study.provenance.parameters
    images, epochs = f"{chosen['n_train']:,} images", f"{chosen['epochs']} epochs"
    if "extra_epochs" in chosen:
        epochs += f" and {chosen['extra_epochs']} more"
    return f"{images}, {epochs}, {result_seeds(study)}"


def parameters_table(runs: Runs, shown: Mapping[str, str]) -> Markdown:
    """Return what each run looked at: parameters by name, in the words given, and its seeds."""
    lines = [
        [words, *(_plain(result.provenance.parameters[name]) for result in runs.values())]
        for name, words in shown.items()
    ]
    lines.append(["seeds", *(result_seeds(result) for result in runs.values())])
    return markdown_table(["", *runs], lines)


def _plain(value: object) -> str:
    return ", ".join(map(_plain, value)) if isinstance(value, list | tuple) else f"{value}"


def result_seeds(study: StudyResult) -> str:
    """Return the number of seeds in words."""
    n = len(study.provenance.seeds)
    return f"{n} seed" if n == 1 else f"{n} seeds"


def _when(id: str) -> str:
    ending = id.partition("/")[0].rpartition("_")[2]
    return {"first": ", first epoch", "last": ", last epoch"}.get(ending, "")
