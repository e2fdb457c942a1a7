"""What the paper reports, for the figures: the values of claims COL-01 to COL-04.

Source: the abstract of {cite:t}`roy2026collapse`. What its ± means is not known; the ledger and the
figures read it as a standard deviation.
"""

from seethrough.studies.cells import Cell

PAPER_DEAD: dict[tuple[str, str], tuple[float, float]] = {
    ("dsprites", "top_k"): (0.344, 0.009),
    ("shapes3d", "top_k"): (0.627, 0.013),
    ("dsprites", "l1"): (0.417, 0.044),
    ("shapes3d", "l1"): (0.906, 0.005),
}
"""(data set, sparsifier) -> dead share after the squeeze and its ±, fractions."""
SQUEEZES = ("linear", "cosine")
"""Schedules that could be the paper's: its shape is not known, but its count of units falls."""


def paper_dead(cell: Cell) -> tuple[float, float] | None:
    """Return the paper's dead share and its ±, None where the paper has none for the cell.

    It has values for two data sets and two sparsifiers, under a squeeze; place and width of its
    layer are not known, so the value is the same for all of them.

    >>> paper_dead(Cell(dataset="shapes3d", method="l1", position="latent", width=1000))
    (0.906, 0.005)
    >>> paper_dead(Cell(method="top_k_open"))
    """
    if cell.schedule not in SQUEEZES:
        return None
    return PAPER_DEAD.get((cell.dataset, cell.sparsifier))


def paper_dead_text(cell: Cell) -> str:
    """Return the paper's dead share as it stands there, `not given` where it has none."""
    found = paper_dead(cell)
    if found is None:
        return "not given"
    mean, spread = found
    return f"{100 * mean:.1f} ± {100 * spread:.1f} %"
