"""Study: how many units of one sparse layer die when k falls from 500 to 50, and is MIG stable?

Claims COL-01, COL-10, COL-12 and COL-13 of {cite:t}`roy2026collapse`, for one position and width.
"""

from dataclasses import dataclass

from seethrough.models.vae_sae import Branch
from seethrough.results import StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies.squeeze import SqueezeParameters, run_study


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters(SqueezeParameters):
    """Parameters of the study; the defaults are the `smoke` scale."""

    position: str = "beside"
    """Place of the sparse layer: beside, in_path or latent."""
    width: int = 500
    """Units of the dictionary, at least k_end."""

    def branch_groups(self) -> list[tuple[Branch, ...]]:
        """Return the one sparse layer."""
        return [(Branch(position=self.position, width=self.width),)]


def run(parameters: Parameters, store: ArtifactStore | None = None) -> StudyResult:
    """Return the study's rows, curves and provenance, from the store if they are there."""
    return run_study("collapse_dead_neurons", parameters, store)
