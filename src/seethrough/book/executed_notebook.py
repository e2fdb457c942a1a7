"""Turn papermill's output into a notebook that reads well as a page."""

from typing import Any

PARAMETERS, INJECTED = "parameters", "injected-parameters"
NOISE = ("papermill", "execution")
"""Metadata that papermill leaves in notebook and cells: durations, paths of this machine."""
PROMPTS = {
    "code_prompt_show": "Show the parameters of this run",
    "code_prompt_hide": "Hide the parameters of this run",
}


def tidy(notebook: Any) -> Any:
    """Return the executed notebook without papermill's traces and with one cell of parameters.

    The cell of defaults stays in the notebook and out of the page; the injected values take over
    its tags and stand in the page behind a click. Messages on stderr, such as progress bars, go.
    """
    for holder in (notebook, *notebook.cells):
        for name in NOISE:
            holder.metadata.pop(name, None)
    defaults, injected = _tagged(notebook, PARAMETERS), _tagged(notebook, INJECTED)
    if injected is not None:
        # papermill gives it a random id
        injected.id = "parameters-of-this-run"
        _mark(injected, "hide-input")
        injected.metadata["mystnb"] = {**injected.metadata.get("mystnb", {}), **PROMPTS}
    if injected is not None and defaults is not None:
        for tag in defaults.metadata.tags:
            if tag not in (PARAMETERS, "remove-cell"):
                _mark(injected, tag)
        _mark(defaults, "remove-cell")
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _is_message(output)]
        if not cell.metadata.get("tags", True):
            del cell.metadata["tags"]  # papermill gives every cell a list of tags
    return notebook


def _tagged(notebook: Any, tag: str) -> Any:
    return next((cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])), None)


def _mark(cell: Any, tag: str) -> None:
    if tag not in cell.metadata.setdefault("tags", []):
        cell.metadata.tags.append(tag)


def _is_message(output: Any) -> bool:
    return bool(output.output_type == "stream" and output.name == "stderr")
