"""Reference run and this run in one figure or table: which rows, and what they are called.

`Runs` names the runs to show, in order; a run that is None is not there and is left out.
"""

from collections.abc import Mapping, Sequence

from seethrough.results import Row, StudyResult

Runs = Mapping[str, StudyResult | None]

PAPER = "#009E73"
"""Colour of what the paper, or a post about it, reports."""

DATASETS = {
    "dsprites": "dSprites",
    "dsprites_rgb": "dSprites, red on blue",
    "dsprites_hued": "dSprites in ten hues",
    "shapes3d_grey": "Shapes3D in grey",
    "shapes3d_fixed_floor": "Shapes3D, one floor",
    "shapes3d": "Shapes3D",
}
"""Data sets by name, in words; all images are re-rendered."""

METHODS = {
    "top_k": "Top-k",
    "top_k_cosine": "Top-k, cosine",
    "top_k_constant": "Top-k, no schedule",
    "top_k_open": "Top-k, no squeeze",
    "l1": "L1",
    "l1_cosine": "L1, cosine",
    "l1_constant": "L1, no schedule",
}
"""Sparsifiers with their schedules, in words."""

_POSITIONS = {"beside": "beside", "in_path": "in path", "latent": "latent"}


def present(runs: Runs) -> dict[str, StudyResult]:
    """Return the runs that are there, by name, in their order."""
    return {name: result for name, result in runs.items() if result is not None}


def run_title(name: str, result: StudyResult) -> str:
    """Return a run's name and scale: `this run: 64 images, 3 epochs, 3 seeds`."""
    chosen = result.provenance.parameters
    n = len(result.provenance.seeds)
    seeds = f"{n} seed" if n == 1 else f"{n} seeds"
    return f"{name}: {chosen['n_train']:,} images, {chosen['epochs']} epochs, {seeds}"


def by_cell(result: StudyResult, quantity: str) -> dict[str, Row]:
    """Return the rows `quantity/cell` by cell, in the run's order."""
    head = f"{quantity}/"
    return {row.id.removeprefix(head): row for row in result.rows if row.id.startswith(head)}


def cells_of(runs: Runs, quantity: str) -> list[str]:
    """Return the cells that have a row `quantity/cell` in any run, each once."""
    rows = [by_cell(result, quantity) for result in present(runs).values()]
    return list(dict.fromkeys(cell for some in rows for cell in some))


def cell_labels(cells: Sequence[str]) -> list[str]:
    """Return cells in words, without the parts that all of several cells share.

    >>> cell_labels(["dsprites/top_k/beside/500", "shapes3d/top_k/beside/500"])
    ['dSprites', 'Shapes3D']
    """
    named = [_words(cell) for cell in cells]
    differ = [len(set(column)) > 1 or len(cells) == 1 for column in zip(*named, strict=True)]
    return [
        ", ".join(word for word, shown in zip(words, differ, strict=True) if shown)
        for words in named
    ]


def _words(cell: str) -> tuple[str, str, str, str]:
    dataset, method, position, width = cell.split("/")
    return DATASETS[dataset], METHODS[method], _POSITIONS[position], f"{width} units"
