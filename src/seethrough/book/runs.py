"""Which notebooks the book executes, with which parameters, at a profile's scale."""

import json
from dataclasses import dataclass
from pathlib import Path

from seethrough import studies
from seethrough.parameters import ParameterError, build, load_profile


@dataclass(frozen=True, slots=True, kw_only=True)
class NotebookRun:
    """One notebook and its parameters."""

    notebook: str
    """Name of the notebook and of its study."""
    parameters: str
    """Parameters as a JSON object with sorted keys."""
    threads: int
    """CPU threads that it is given: half of those of one training run times the runs at a time,
    rounded up. Half of its time a notebook is one process, which imports, draws or measures."""
    gpus: int
    """1 if it computes on a GPU, else 0."""


def notebook_runs(profile: str, root: Path = Path()) -> dict[str, NotebookRun]:
    """Return name -> run of every notebook in root/notebooks, sorted.

    Raises ParameterError for an unknown profile, or a notebook without parameters in its file.
    """
    studies_of_profile = load_profile(profile, root / "params")
    runs = {}
    for path in sorted(root.glob("notebooks/*.ipynb")):
        if path.stem not in studies_of_profile:
            raise ParameterError(
                f"params/{profile}.yml has no parameters for notebooks/{path.name}: add them"
            )
        values = studies_of_profile[path.stem]
        runs[path.stem] = NotebookRun(
            notebook=path.stem,
            parameters=json.dumps(values, sort_keys=True),
            threads=_half(int(values.get("threads", 1)) * int(values.get("workers", 1))),
            gpus=int(str(values.get("device", "cpu")).startswith("cuda")),
        )
    return runs


def _half(threads: int) -> int:
    return max(1, (threads + 1) // 2)


def check_profile(profile: str, root: Path = Path()) -> None:
    """Raise ParameterError unless every study in a profile's file takes its parameters here."""
    for study, values in load_profile(profile, root / "params").items():
        try:
            build(studies.get(study).load().Parameters, values)
        except ParameterError as error:
            raise ParameterError(f"params/{profile}.yml, {study}: {error}") from error
