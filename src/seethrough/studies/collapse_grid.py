"""Study: the same squeeze at every position and width that the paper's counts admit.

The abstract of {cite:t}`roy2026collapse` leaves place and width of the sparse layer open, and both
decide how much dies. All side layers of one seed read the same VAE, which they cannot influence;
each layer in the path has a VAE of its own.
"""

from dataclasses import dataclass

from seethrough.results import StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies.cell_grid import GridParameters
from seethrough.studies.dead_steps import step_rows
from seethrough.studies.layer_results import LayerResults
from seethrough.studies.squeeze import train_cells, training_seconds
from seethrough.studies.study_run import Findings, stored_result


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters(GridParameters):
    """Parameters of the study; the defaults are the `smoke` scale."""

    methods: tuple[str, ...] = ("top_k",)
    """Sparsifiers with their schedules, each once."""
    positions: tuple[str, ...] = ("beside", "in_path", "latent")
    """Places of the sparse layer, each once."""
    widths: tuple[int, ...] = (500, 1000)
    """Units of the dictionary, each at least k_end, each once."""


def run(parameters: Parameters, store: ArtifactStore | None = None) -> StudyResult:
    """Return the study's rows, curves and provenance, from the store if they are there."""
    return stored_result("collapse_grid", parameters, store, measure)


def measure(parameters: Parameters, store: ArtifactStore) -> Findings:
    """Train every cell; return what died, ratios of the data sets, scores, curves of dead units."""
    trained = train_cells(parameters, parameters.cells(), store)
    results = [LayerResults(cell) for cell in trained]
    rows = [row for one in results for row in (*one.dead_rows(), *one.score_rows())]
    rows += step_rows(trained)
    series = [curve for one in results for curve in one.dead_series()]
    return Findings(rows, series, training_seconds(trained))
