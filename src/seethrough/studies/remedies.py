"""The remedies against dead units that are put to the test, by name.

Each changes the plain Top-k layer in one or two respects; width, schedule, epochs, optimiser and
inputs stay. Two names are no remedies: `baseline` is the plain layer, `small_dictionary` the plain
layer with few units, which asks whether anything is lost with units that are dead.
"""

from dataclasses import dataclass, replace

from seethrough.autoencoders.active_subspace import ActiveSubspaceStart
from seethrough.autoencoders.aligned import AlignedEncoder, FreeEncoder
from seethrough.autoencoders.auxk import AuxK
from seethrough.autoencoders.batch_top_k import BatchTopK
from seethrough.autoencoders.configuration import (
    Encoder,
    Preparation,
    Revival,
    SAEConfig,
    Start,
)
from seethrough.autoencoders.ghost_gradients import GhostGradients
from seethrough.autoencoders.jump_relu import JumpReLU
from seethrough.autoencoders.mean_centring import MeanCentring
from seethrough.autoencoders.no_centring import NoCentring
from seethrough.autoencoders.no_revival import NoRevival
from seethrough.autoencoders.resampling import Resampling
from seethrough.autoencoders.tied_start import TiedStart
from seethrough.autoencoders.top_k import TopK
from seethrough.autoencoders.untied_start import UntiedStart
from seethrough.autoencoders.whitening import Whitening

BASELINE = "baseline"
SMALL = "small_dictionary"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """What is changed in the plain layer."""

    label: str
    """Name in figures and tables."""
    sparsifier: type[TopK] | type[BatchTopK] | type[JumpReLU] = TopK
    """What keeps the code sparse; start and end of its schedule are the study's."""
    start: Start = TiedStart()
    """How encoder and decoder begin."""
    preparation: Preparation = NoCentring()
    """What happens to the inputs."""
    encoder: Encoder = FreeEncoder()
    """Whether the encoder's rows are bound."""
    revival: Revival = NoRevival()
    """What is done for silent units."""

    def applied(self, plain: SAEConfig, k_start: int, k_end: int) -> SAEConfig:
        """Return a plain layer's configuration with the remedy."""
        return replace(
            plain,
            sparsifier=self.sparsifier(start=k_start, end=k_end),
            start=self.start,
            preparation=self.preparation,
            encoder=self.encoder,
            revival=self.revival,
        )


REMEDIES: dict[str, Remedy] = {
    BASELINE: Remedy(label="baseline"),
    "untied": Remedy(label="untied start", start=UntiedStart()),
    "active_subspace": Remedy(label="active subspace", start=ActiveSubspaceStart()),
    "centred": Remedy(label="centred", preparation=MeanCentring()),
    "whitened": Remedy(label="whitened", preparation=Whitening()),
    "auxk": Remedy(label="AuxK", revival=AuxK()),
    "resampling": Remedy(label="resampling", revival=Resampling()),
    "ghost_gradients": Remedy(label="ghost gradients", revival=GhostGradients()),
    "batch_top_k": Remedy(label="BatchTopK", sparsifier=BatchTopK),
    "jump_relu": Remedy(label="JumpReLU", sparsifier=JumpReLU),
    "aligned": Remedy(label="aligned encoder", encoder=AlignedEncoder()),
    "centred_auxk": Remedy(label="centred, AuxK", preparation=MeanCentring(), revival=AuxK()),
    "centred_resampling": Remedy(
        label="centred, resampling", preparation=MeanCentring(), revival=Resampling()
    ),
    "centred_subspace": Remedy(
        label="centred, active subspace", preparation=MeanCentring(), start=ActiveSubspaceStart()
    ),
    "centred_subspace_auxk": Remedy(
        label="centred, active subspace, AuxK",
        preparation=MeanCentring(),
        start=ActiveSubspaceStart(),
        revival=AuxK(),
    ),
    SMALL: Remedy(label="small dictionary"),
}
"""Name -> remedy, in the order of figures."""

TRIED = tuple(name for name in REMEDIES if name not in (BASELINE, SMALL))
"""The remedies proper."""
