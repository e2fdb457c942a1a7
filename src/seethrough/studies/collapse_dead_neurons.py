"""Study: how many units of one sparse layer die when k falls from 500 to 50, and is MIG stable?

Claims COL-01, COL-02, COL-12 and COL-13 of {cite:t}`roy2026collapse`, for one data set, place and
width.
"""

from dataclasses import dataclass

from seethrough.results import StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies.cells import Cell
from seethrough.studies.layer_results import LayerResults
from seethrough.studies.squeeze import SqueezeParameters, train_cells, training_seconds
from seethrough.studies.study_run import Findings, stored_result


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters(SqueezeParameters):
    """Parameters of the study; the defaults are the `smoke` scale."""

    dataset: str = "dsprites"
    """Data set: dsprites, shapes3d, or a rung of the ladder between them."""
    method: str = "top_k"
    """Sparsifier and schedule: top_k or l1, also with _cosine or _constant."""
    position: str = "beside"
    """Place of the sparse layer: beside, in_path or latent."""
    width: int = 500
    """Units of the dictionary, at least k_end."""

    def cells(self) -> list[Cell]:
        """Return the one sparse layer."""
        return [
            Cell(dataset=self.dataset, method=self.method, position=self.position, width=self.width)
        ]


def run(parameters: Parameters, store: ArtifactStore | None = None) -> StudyResult:
    """Return the study's rows, curves and provenance, from the store if they are there."""
    return stored_result("collapse_dead_neurons", parameters, store, measure)


def measure(parameters: Parameters, store: ArtifactStore) -> Findings:
    """Train the layer and return everything measured on it."""
    trained = train_cells(parameters, parameters.cells(), store)
    results = LayerResults(trained[0])
    rows = [
        *results.dead_rows(),
        *results.threshold_rows(parameters.frequency_thresholds, parameters.maximum_thresholds),
        *results.score_rows(),
    ]
    series = [*results.dead_series(), *results.score_series()]
    return Findings(rows, series, training_seconds(trained))
