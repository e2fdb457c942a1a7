"""Everything that decides the outcome of training one sparse autoencoder, its inputs apart."""

from dataclasses import dataclass

from seethrough.autoencoders.active_subspace import ActiveSubspaceStart
from seethrough.autoencoders.aligned import AlignedEncoder, FreeEncoder
from seethrough.autoencoders.auxk import AuxK
from seethrough.autoencoders.batch_top_k import BatchTopK
from seethrough.autoencoders.ghost_gradients import GhostGradients
from seethrough.autoencoders.jump_relu import JumpReLU
from seethrough.autoencoders.l1 import L1
from seethrough.autoencoders.mean_centring import MeanCentring
from seethrough.autoencoders.no_centring import NoCentring
from seethrough.autoencoders.no_revival import NoRevival
from seethrough.autoencoders.resampling import Resampling
from seethrough.autoencoders.tied_start import TiedStart
from seethrough.autoencoders.top_k import TopK
from seethrough.autoencoders.untied_start import UntiedStart
from seethrough.autoencoders.whitening import Whitening
from seethrough.training.checks import at_least, check_learning_rate, check_width
from seethrough.training.device import check_device

Sparsifier = TopK | L1 | BatchTopK | JumpReLU
Start = TiedStart | UntiedStart | ActiveSubspaceStart
Preparation = NoCentring | MeanCentring | Whitening
Encoder = FreeEncoder | AlignedEncoder
Revival = NoRevival | AuxK | Resampling | GhostGradients


@dataclass(frozen=True, slots=True, kw_only=True)
class SAEConfig:
    """One sparse autoencoder; two runs of one config on the same inputs give the same bytes."""

    width: int = 500
    """Units of the dictionary, at least 2 and at least the final k."""
    sparsifier: Sparsifier = TopK()
    """What keeps the code sparse, and how hard by epoch."""
    start: Start = TiedStart()
    """How encoder and decoder begin."""
    preparation: Preparation = NoCentring()
    """What happens to the inputs before the encoder reads them."""
    encoder: Encoder = FreeEncoder()
    """Whether the encoder's rows are bound to the decoder's."""
    revival: Revival = NoRevival()
    """What is done for units that have fallen silent."""
    epochs: int = 50
    """Length of the squeeze, at least 1. From the paper's abstract."""
    extra_epochs: int = 0
    """Epochs after the squeeze at its end, at least 0."""
    learning_rate: float = 1e-3
    """Adam's step size, above 0. Our assumption."""
    batch_size: int = 64
    """Inputs per step, at least 1. Our assumption."""
    seed: int = 0
    """Decides the start; at least 0."""
    scored: bool = True
    """Whether codes are scored during the squeeze, or after its last epoch alone."""
    device: str = "cpu"
    """cpu, cuda or cuda:N."""
    threads: int = 1
    """Threads of one run on the CPU, at least 1: sums depend on it in the last bits."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "threads"):
            at_least(name, getattr(self, name), 1)
        for name in ("extra_epochs", "seed"):
            at_least(name, getattr(self, name), 0)
        check_learning_rate(self.learning_rate)
        check_width(self.width, self.sparsifier.least_width())
        check_device(self.device)

    @property
    def total_epochs(self) -> int:
        """Return all epochs, those after the squeeze included."""
        return self.epochs + self.extra_epochs

    def level(self, epoch: int) -> float:
        """Return the sparsifier's level (k, or lambda) of one epoch, counted from 1."""
        return self.sparsifier.level(epoch, self.epochs)
