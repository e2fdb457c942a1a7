"""Everything that decides the outcome of one training run of a VAE-SAE."""

from dataclasses import dataclass, replace

from seethrough.models.vae_sae import PathLayer
from seethrough.training.checks import at_least, check_learning_rate
from seethrough.training.device import check_device

PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingConfig:
    """One training run of a VAE-SAE; two runs of one config give the same bytes on one device."""

    dataset: str = "dsprites"
    """Name in `seethrough.data.catalogue`."""
    published: bool = False
    """Whether the images come from the published file, not from our renderer."""
    n_train: int = 10_000
    """Training images, at least 1; training and held-out images are disjoint."""
    n_heldout: int = 4_096
    """Held-out images for every measurement, at least 2."""
    layer: PathLayer | None = None
    """The sparse layer in the path, if there is one."""
    epochs: int = 50
    """Passes over the training images during the squeeze, at least 1. From the abstract."""
    extra_epochs: int = 0
    """Passes after the squeeze, at its end, at least 0. The paper's abstract adds 100."""
    beta: float = 1.0
    """Weight of the KL divergence, at least 0. Our assumption."""
    learning_rate: float = 1e-3
    """Adam's step size, above 0. Our assumption."""
    batch_size: int = 64
    """Images per step, at least 1. Our assumption."""
    precision: str = "float32"
    """float32, or bfloat16 for the convolutions (by autocast; weights and losses stay float32)."""
    seed: int = 0
    """Decides images, start, order and noise; at least 0."""
    device: str = "cpu"
    """cpu, cuda or cuda:N."""
    threads: int = 1
    """Threads of one run on the CPU, at least 1: sums depend on it in the last bits."""

    def __post_init__(self) -> None:
        for name in ("n_train", "epochs", "batch_size", "threads"):
            at_least(name, getattr(self, name), 1)
        at_least("n_heldout", self.n_heldout, 2)
        for name in ("seed", "beta", "extra_epochs"):
            at_least(name, getattr(self, name), 0)
        check_learning_rate(self.learning_rate)
        if self.precision not in PRECISIONS:
            raise ValueError(
                f"precision is {self.precision!r}, allowed are {', '.join(PRECISIONS)}"
            )
        check_device(self.device)

    @property
    def total_epochs(self) -> int:
        """Return all epochs, those after the squeeze included."""
        return self.epochs + self.extra_epochs

    def level(self, epoch: int) -> float:
        """Return the sparsifier's level (k, or lambda) of an epoch from 1; 0 without a layer."""
        return 0.0 if self.layer is None else self.layer.sparsifier.level(epoch, self.epochs)

    def squeeze(self) -> "TrainingConfig":
        """Return the run that ends with the squeeze: what the extra epochs go on from."""
        return replace(self, extra_epochs=0)
