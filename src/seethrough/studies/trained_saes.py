"""Trained sparse autoencoders of the models that the pruning studies compare, out of the store.

Every autoencoder is an artifact, trained on first use. The pool of activations that it learns from
is read only if it is to be trained; autoencoders of one model share it.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from jaxtyping import Float
from torch import Tensor, nn

from seethrough.sae.activation_pool import activation_pool
from seethrough.sae.residual_site import ResidualSite
from seethrough.sae.sae_config import SAEConfig
from seethrough.sae.sparse_autoencoder import SparseAutoencoder, load_autoencoder
from seethrough.sae.train_sae import MODEL_FILE, train_sae
from seethrough.store import ArtifactStore
from seethrough.studies.impact_models import ModelConfig
from seethrough.studies.read_again import ReadAgain
from seethrough.training.timing import stored_seconds

VECTORS_PER_IMAGE = {"class": 1, "patches": 8}
"""Size of a pool over the number of its images; patches come from the first images alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamAutoencoder:
    """What decides the weights of one autoencoder."""

    model: ModelConfig
    """The model whose stream it reads."""
    site: ResidualSite
    """Where."""
    n_pool: int
    """Training images that its pool is taken from."""
    training: SAEConfig
    """How it is trained."""


class StreamPool:
    """Activations of one model on the pool's images, read when they are first asked for."""

    def __init__(self, model: nn.Module, site: ResidualSite, images: ReadAgain) -> None:
        """Read nothing yet."""
        self.model, self.site, self.images = model, site, images

    @property
    def vectors_per_image(self) -> int:
        """Return the size of the pool over the number of its images."""
        return VECTORS_PER_IMAGE[self.site.tokens]

    @cached_property
    def inputs(self) -> Float[Tensor, "N D"]:
        """Return the vectors: as many as there are images, or eight times as many patches."""
        capacity = len(self.images.index) * self.vectors_per_image
        return activation_pool(self.model, self.images, self.site, capacity).inputs


@dataclass(frozen=True, slots=True)
class TrainedAutoencoder:
    """One autoencoder with what its training took."""

    sae: SparseAutoencoder
    """The autoencoder, on the training's device."""
    seconds: float
    """Time of its training, whenever it happened."""


def trained_autoencoder(
    config: StreamAutoencoder, pool: StreamPool, store: ArtifactStore
) -> TrainedAutoencoder:
    """Return an autoencoder from the store, trained now on the pool if it is not there."""

    def build(config: StreamAutoencoder, workspace: Path) -> None:
        train_sae(config.training, pool.inputs, workspace, _label(config))

    folder = store.get(config, build)
    sae = load_autoencoder(config.training.method, folder / MODEL_FILE)
    return TrainedAutoencoder(sae.to(config.training.device), stored_seconds(folder))


def _label(config: StreamAutoencoder) -> str:
    pruning = config.model.pruning
    of = "dense" if pruning is None else f"{pruning.method} {pruning.sparsity:g}"
    method = type(config.training.method).__name__
    return f"{method}, {config.site.tokens}, {of}, seed {config.training.seed}"
