"""How every study becomes a result: from the store if it is there, computed and kept if not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from seethrough.provenance import collect
from seethrough.results import Row, Series, StudyResult
from seethrough.store import ArtifactStore

RESULT_FILE = "result.json"
Parameters = TypeVar("Parameters")


@dataclass(frozen=True, slots=True)
class Findings:
    """What a study measured."""

    rows: Sequence[Row]
    """Numbers, with distinct ids."""
    series: Sequence[Series]
    """Curves, with distinct ids."""
    seconds: float
    """Time that the training behind it took, whenever it happened."""


def stored_result(
    study: str,
    parameters: Parameters,
    store: ArtifactStore | None,
    measure: Callable[[Parameters, ArtifactStore], Findings],
) -> StudyResult:
    """Return rows, curves and provenance of a study.

    `measure` belongs to the study's module: a change of that code, or of what it uses, makes the
    result anew.
    """
    store = store or ArtifactStore()

    def build(parameters: Parameters, workspace: Path) -> None:
        found = measure(parameters, store)
        provenance = collect(study, parameters, seconds=found.seconds)
        StudyResult(study, tuple(found.rows), tuple(found.series), provenance).write(
            workspace / RESULT_FILE
        )

    build.__module__ = measure.__module__
    return StudyResult.read(store.get(parameters, build) / RESULT_FILE)
