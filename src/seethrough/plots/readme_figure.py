"""The figure of the README: dead units of every cell of the committed reference run.

Run: python -m seethrough.plots.readme_figure
"""

import os
from pathlib import Path

import matplotlib as mpl

from seethrough.plots.dead_by_cell import dead_by_cell
from seethrough.plots.style import use_style
from seethrough.plots.unit_maps import as_png
from seethrough.studies.reference import reference_result

TARGET = Path(__file__).parents[3] / "book" / "_static" / "readme_figure.png"


def main(target: Path = TARGET) -> None:
    """Write the figure; raise FileNotFoundError if there is no reference run."""
    reference = reference_result("collapse_grid")
    if reference is None:
        raise FileNotFoundError("results/reference/collapse_grid.json: run `make reference` first")
    mpl.use("Agg")
    use_style()
    temporary = target.with_suffix(".tmp")
    temporary.write_bytes(as_png(dead_by_cell(reference, None)))
    os.replace(temporary, target)


if __name__ == "__main__":
    main()
