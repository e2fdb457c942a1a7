"""The figure of the README: dead units of every cell of the committed reference run.

The PNG carries the sha256 of the rows that it shows, so that a test can tell when it is older than
the run.

Run: python -m seethrough.plots.readme_figure
"""

import hashlib
import os
from dataclasses import asdict
from pathlib import Path

import matplotlib as mpl

from seethrough.canonical import dumps
from seethrough.checked_json import nan_to_null
from seethrough.plots.dead_by_cell import dead_by_cell
from seethrough.plots.style import use_style
from seethrough.plots.unit_maps import as_png
from seethrough.results import StudyResult
from seethrough.studies.reference import reference_result

SHOWN = ("dead_share", "dead_share_by_relu", "dead_share_by_top_k", "dead_ceiling")
"""The quantities that the figure reads."""
DIGEST = "rows_sha256"
"""The name of the digest in the PNG's metadata."""
TARGET = Path(__file__).parents[3] / "book" / "_static" / "readme_figure.png"


def main(target: Path = TARGET) -> None:
    """Write the figure; raise FileNotFoundError if there is no reference run."""
    reference = reference_result("collapse_grid")
    if reference is None:
        raise FileNotFoundError("results/reference/collapse_grid.json: run `make reference` first")
    mpl.use("Agg")
    use_style()
    temporary = target.with_suffix(".tmp")
    temporary.write_bytes(as_png(dead_by_cell(reference, None), **{DIGEST: digest(reference)}))
    os.replace(temporary, target)


def digest(reference: StudyResult) -> str:
    """Return the sha256 of the rows that the figure shows, in their order, in hexadecimal."""
    rows = [asdict(row) for row in reference.rows if row.id.partition("/")[0] in SHOWN]
    return hashlib.sha256(dumps(nan_to_null(rows)).encode()).hexdigest()


if __name__ == "__main__":
    main()
