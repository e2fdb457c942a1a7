"""Study: the same squeeze at every position and width that the paper's counts admit.

The abstract of {cite:t}`roy2026collapse` leaves place and width of the sparse layer open, and both
decide how much dies. All side branches of one seed share a VAE, which they cannot influence; each
in_path layer has a VAE of its own.
"""

from dataclasses import dataclass

from seethrough.models.vae_sae import Branch
from seethrough.results import StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies.squeeze import SqueezeParameters, run_study


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters(SqueezeParameters):
    """Parameters of the study; the defaults are the `smoke` scale."""

    positions: tuple[str, ...] = ("beside", "in_path", "latent")
    """Places of the sparse layer, each once."""
    widths: tuple[int, ...] = (500, 1000)
    """Units of the dictionary, each at least k_end."""

    def branch_groups(self) -> list[tuple[Branch, ...]]:
        """Return all side branches as one group and each in_path layer alone."""
        if not self.positions or not self.widths:
            raise ValueError("positions and widths must each name one or more")
        branches = [
            Branch(position=position, width=width)
            for position in self.positions
            for width in self.widths
        ]
        side = tuple(branch for branch in branches if branch.position != "in_path")
        alone = [(branch,) for branch in branches if branch.position == "in_path"]
        return [*([side] if side else []), *alone]


def run(parameters: Parameters, store: ArtifactStore | None = None) -> StudyResult:
    """Return the study's rows, curves and provenance, from the store if they are there."""
    return run_study("collapse_grid", parameters, store)
