"""Names of data sets, methods and places as figures and tables write them."""

from collections.abc import Sequence

from seethrough.results import StudyResult
from seethrough.studies.cells import Cell

DATASETS = {
    "dsprites": "dSprites",
    "dsprites_rgb": "dSprites in RGB",
    "dsprites_hued": "dSprites with hues",
    "shapes3d": "Shapes3D",
    "shapes3d_grey": "Shapes3D in grey",
    "shapes3d_fixed_floor": "Shapes3D, one floor",
}
METHODS = {
    "top_k": "Top-k",
    "top_k_cosine": "Top-k, cosine",
    "top_k_constant": "Top-k, constant",
    "top_k_open": "Top-k, no squeeze",
    "l1": "L1",
    "l1_cosine": "L1, cosine",
    "l1_constant": "L1, constant",
}
POSITIONS = {"beside": "beside", "in_path": "in the path", "latent": "latent mean"}
METHOD_COLORS = {
    "top_k": "#0072B2",
    "top_k_cosine": "#56B4E9",
    "top_k_constant": "#009E73",
    "top_k_open": "#999999",
    "l1": "#D55E00",
    "l1_cosine": "#E69F00",
    "l1_constant": "#CC79A7",
}
"""One colour per method in every figure."""
POSITION_MARKERS = {"beside": "o", "in_path": "s", "latent": "^"}
"""One marker per place in every figure."""


def cell_of(name: str) -> Cell:
    """Return the cell of a name, `dataset/method/position/width`; raise ValueError for others.

    >>> cell_of("dsprites/l1/in_path/500").width
    500
    """
    parts = name.split("/")
    if len(parts) != 4:
        raise ValueError(f"cell is {name!r}, allowed is dataset/method/position/width")
    dataset, method, position, width = parts
    return Cell(dataset=dataset, method=method, position=position, width=int(width))


def dataset_title(dataset: str, result: StudyResult | None = None) -> str:
    """Return a data set's name, with `(re-rendered)` unless the run read the published file."""
    chosen = result.provenance.parameters if result else {}
    family = "dsprites" if dataset.startswith("dsprites") else "shapes3d"
    return DATASETS[dataset] + ("" if chosen.get(f"{family}_path") else " (re-rendered)")


def cell_labels(cells: Sequence[Cell], with_dataset: bool = False) -> list[str]:
    """Return one label per cell; it names what is not the same in all of them, and the method.

    >>> cell_labels([Cell(width=500), Cell(method="l1", width=500)])
    ['Top-k', 'L1']
    >>> cell_labels([Cell(width=500), Cell(width=1000, position="latent")])
    ['Top-k, beside, 500 units', 'Top-k, latent mean, 1000 units']
    """
    places = len({cell.position for cell in cells}) > 1
    widths = len({cell.width for cell in cells}) > 1
    labels = []
    for cell in cells:
        parts = [DATASETS[cell.dataset]] if with_dataset else []
        parts.append(METHODS[cell.method])
        parts += [POSITIONS[cell.position]] if places else []
        parts += [f"{cell.width} units"] if widths else []
        labels.append(", ".join(parts))
    return labels


def by_dataset(names: Sequence[str]) -> dict[str, list[Cell]]:
    """Return data set -> its cells, both in the order of the names."""
    found: dict[str, list[Cell]] = {}
    for name in names:
        cell = cell_of(name)
        found.setdefault(cell.dataset, []).append(cell)
    return found


def cell_text(cell: Cell, with_dataset: bool = True) -> str:
    """Return a cell in full, for the lines of tables.

    >>> cell_text(Cell(method="l1"))
    'dSprites, L1, beside, 500 units'
    """
    text = f"{METHODS[cell.method]}, {POSITIONS[cell.position]}, {cell.width} units"
    return f"{DATASETS[cell.dataset]}, {text}" if with_dataset else text
