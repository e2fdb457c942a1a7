"""Save fresh outputs in the sources of the notebooks, in the cells that tests compare, only.

    python -m seethrough.book.save_outputs

Run it after a change that is meant to change the tables, then read the difference.
"""

import sys
from pathlib import Path
from typing import Any

from seethrough.book.execute import run_notebook
from seethrough.book.executed_notebook import tidy
from seethrough.checked_json import write_atomically

CHECKED = "nbval-check-output"


def save_outputs(source: Path) -> None:
    """Execute a notebook as it stands and save what its checked cells put out."""
    import nbformat

    notebook = nbformat.read(source, as_version=4)  # type: ignore[no-untyped-call]
    executed = tidy(run_notebook(source))
    for cell, done in zip(notebook.cells, executed.cells, strict=True):
        if cell.cell_type == "code":
            # The test of notebooks takes outputs without a count for a mistake.
            cell.execution_count = done.execution_count if is_checked(cell) else None
            cell.outputs = done.outputs if is_checked(cell) else []
    write_atomically(source, nbformat.writes(notebook) + "\n")  # type: ignore[no-untyped-call]


def is_checked(cell: Any) -> bool:
    """Say whether tests compare the cell's output with the saved one."""
    return CHECKED in cell.metadata.get("tags", [])


def main() -> int:
    """Save the outputs of all notebooks of the current folder."""
    for source in sorted(Path("notebooks").glob("*.ipynb")):
        print(f"executing {source}", file=sys.stderr)
        save_outputs(source)
    return 0


if __name__ == "__main__":
    sys.exit(main())
