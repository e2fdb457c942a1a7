"""Refresh the saved tables of the source notebooks, which the tests compare with a fresh run.

    python -m seethrough.book.source_notebook

Executes every notebook of notebooks/ with its own defaults and keeps the outputs of the cells
tagged `nbval-check-output` alone. Run it after a change that is meant to change a table, and read
the difference before committing it.
"""

import os
import tempfile
from pathlib import Path
from typing import Any

CHECKED = "nbval-check-output"
"""Tag of cells whose output is compared."""


def keep_checked_outputs(source: Any, executed: Any) -> Any:
    """Return `source` with the outputs of `executed` in checked cells and none in the others.

    Both are notebooks (nbformat 4) with the same cells. Raises ValueError if they are not.
    """
    kept = source.copy()
    by_id = {cell["id"]: cell for cell in executed["cells"]}
    missing = [cell["id"] for cell in source["cells"] if cell["id"] not in by_id]
    if missing:
        raise ValueError(f"the executed notebook lacks the cells {', '.join(missing)}")
    for cell in kept["cells"]:
        if cell["cell_type"] != "code":
            continue
        checked = CHECKED in cell["metadata"].get("tags", [])
        cell["outputs"] = by_id[cell["id"]]["outputs"] if checked else []
        cell["execution_count"] = None
        for output in cell["outputs"]:
            if "execution_count" in output:
                output["execution_count"] = None
    return kept


def refresh(path: Path) -> None:
    """Execute one source notebook and rewrite it with fresh tables, complete or not at all."""
    import nbformat
    from papermill import execute_notebook  # type: ignore[import-untyped]

    source = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    with tempfile.TemporaryDirectory() as folder:
        executed = execute_notebook(str(path), str(Path(folder) / path.name))
    temporary = path.with_suffix(".tmp")
    text = nbformat.writes(keep_checked_outputs(source, executed))  # type: ignore[no-untyped-call]
    temporary.write_text(text + "\n", encoding="utf-8")
    os.replace(temporary, path)


if __name__ == "__main__":
    for notebook in sorted(Path("notebooks").glob("*.ipynb")):
        print(notebook)
        refresh(notebook)
