"""Study: do dead units come back when training goes on after the squeeze?

Claims COL-08 and COL-09 of {cite:t}`roy2026collapse`: 100 additional epochs revive no unit.
"""

from dataclasses import dataclass

from seethrough.results import StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies.cell_grid import GridParameters
from seethrough.studies.layer_results import LayerResults
from seethrough.studies.squeeze import train_cells, training_seconds
from seethrough.studies.study_run import Findings, stored_result


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters(GridParameters):
    """Parameters of the study; the defaults are the `smoke` scale."""

    datasets: tuple[str, ...] = ("dsprites",)
    """Data sets, each once."""
    extra_epochs: int = 2
    """Epochs after the squeeze, at its end (k, or the L1 coefficient), at least 1."""

    def __post_init__(self) -> None:
        if self.extra_epochs < 1:
            raise ValueError(f"extra_epochs is {self.extra_epochs}, allowed is at least 1")
        GridParameters.__post_init__(self)

    def extra(self) -> int:
        """Return the epochs after the squeeze."""
        return self.extra_epochs


def run(parameters: Parameters, store: ArtifactStore | None = None) -> StudyResult:
    """Return the study's rows, curves and provenance, from the store if they are there."""
    return stored_result("collapse_extended", parameters, store, measure)


def measure(parameters: Parameters, store: ArtifactStore) -> Findings:
    """Train every cell to the end and return who died and who came back, and when."""
    trained = train_cells(parameters, parameters.cells(), store)
    results = [LayerResults(cell) for cell in trained]
    rows = [
        row for one in results for row in (*one.dead_rows(), *one.late_rows(), *one.score_rows())
    ]
    series = [curve for one in results for curve in (*one.dead_series(), *one.score_series())]
    return Findings(rows, series, training_seconds(trained))
