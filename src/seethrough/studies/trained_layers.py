"""Trained sparse layers out of the artifact store, trained on first use."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float
from safetensors.torch import load_file
from torch import Tensor

from seethrough.autoencoders.activations import FrozenActivations
from seethrough.autoencoders.configuration import SAEConfig
from seethrough.autoencoders.measure import heldout_output, measure_information
from seethrough.autoencoders.sparse_autoencoder import SparseAutoencoder, SparseOutput
from seethrough.autoencoders.train_sparse_autoencoder import (
    MODEL_FILE,
    create,
    train_sparse_autoencoder,
)
from seethrough.models.held_out import pictures, reconstruction_error
from seethrough.models.recording import SOURCES, RecordedActivations
from seethrough.models.training_config import TrainingConfig
from seethrough.models.vae import VAE
from seethrough.store import ArtifactStore
from seethrough.studies.trained_vae import (
    TrainedVAE,
    trained_vae,
)
from seethrough.training.device import thread_count
from seethrough.training.history import HISTORY_FILE, History
from seethrough.training.timing import stored_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class SideLayerConfig:
    """A sparse layer beside a VAE that is in training, or beside one that is trained."""

    vae: TrainingConfig
    """The VAE; it has no layer in its path."""
    position: str
    """beside or latent."""
    frozen: bool = False
    """Whether the layer reads the trained VAE from its first epoch on, not the VAE in training."""
    sae: SAEConfig
    """The layer; its epochs are those of the VAE unless it is frozen."""

    def __post_init__(self) -> None:
        if self.position not in SOURCES:
            raise ValueError(f"position is {self.position!r}, allowed are {', '.join(SOURCES)}")
        if self.vae.layer is not None:
            raise ValueError(f"vae has {self.vae.layer} in its path, allowed is a VAE without one")
        for name in () if self.frozen else ("epochs", "extra_epochs", "batch_size"):
            own, of_vae = getattr(self.sae, name), getattr(self.vae, name)
            if own != of_vae:
                raise ValueError(f"{name} of the layer is {own}, allowed is its VAE's, {of_vae}")


LayerConfig = TrainingConfig | SideLayerConfig
"""A layer in the path is part of its VAE's run; a layer beside one has a run of its own."""


@dataclass(frozen=True)
class TrainedLayer:
    """One trained sparse layer, wherever it sits."""

    vae: TrainedVAE
    """The VAE that it belongs to."""
    config: SideLayerConfig | None
    """The layer's own run; None for a layer in the path."""
    folder: Path
    """The artifact's folder."""

    @cached_property
    def history(self) -> History:
        """Return the layer's measurements by epoch."""
        if self.config is None:
            return self.vae.history
        return History.from_state(load_file(self.folder / HISTORY_FILE))

    @property
    def level(self) -> float:
        """Return the sparsifier's level (k, or lambda) after the last epoch."""
        config = self.vae.config if self.config is None else self.config.sae
        return config.level(config.total_epochs)

    @property
    def seconds(self) -> float:
        """Return how long the layer took, the VAE's time not counted for a layer beside it."""
        return stored_seconds(self.folder)

    @cached_property
    def sae(self) -> SparseAutoencoder:
        """Return the layer after its last epoch, on the CPU."""
        if self.config is None:
            assert self.vae.model.sae is not None
            return self.vae.model.sae
        sae = create(self.config.sae, self._source().d_input)
        sae.load_state_dict(load_file(self.folder / MODEL_FILE))
        return sae

    @cached_property
    def output(self) -> SparseOutput:
        """Return the layer's codes of the held-out images after its last epoch."""
        if self.config is None:
            assert self.vae.final.layer is not None
            return self.vae.final.layer
        sae = self.config.sae
        inputs = self._source().heldout(sae.total_epochs).cpu()
        with thread_count(sae.threads):
            return heldout_output(self.sae, inputs, sae.level(sae.total_epochs))

    def _source(self) -> RecordedActivations | FrozenActivations:
        assert self.config is not None
        return _source(self.vae, self.config)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModels:
    """Access to trained models: from the store, or trained now."""

    store: ArtifactStore
    """Where they are kept."""
    dsprites_path: str = ""
    """Published npz of dSprites, or empty for re-rendered images."""
    shapes3d_path: str = ""
    """Published h5 of 3D Shapes, or empty for re-rendered images."""
    workers: int = 1
    """Processes that train at once, each with the run's own thread count."""

    def vae(self, config: TrainingConfig) -> TrainedVAE:
        """Return a trained VAE (with its layer in the path, if it has one)."""
        return trained_vae(config, self.store, self.path(config))

    def layer(self, config: LayerConfig) -> TrainedLayer:
        """Return a trained sparse layer."""
        if isinstance(config, TrainingConfig):
            vae = self.vae(config)
            return TrainedLayer(vae, None, vae.folder)
        vae = self.vae(config.vae)

        def build(config: SideLayerConfig, workspace: Path) -> None:
            sae = config.sae
            label = f"{config.vae.dataset}, {sae.width} units {config.position}, seed {sae.seed}"
            source, scorer = _source(vae, config), Scorer(vae, config)
            train_sparse_autoencoder(sae, source, workspace, scorer, label)

        return TrainedLayer(vae, config, self.store.get(config, build))

    def path(self, config: TrainingConfig) -> str:
        """Return the path of the published file that a run's images come from, or nothing."""
        of_dsprites = config.dataset.startswith("dsprites")
        return self.dsprites_path if of_dsprites else self.shapes3d_path


@dataclass(frozen=True, slots=True)
class Scorer:
    """Scores a side layer's codes on held-out images: information and reconstruction."""

    vae: TrainedVAE
    """The VAE beside which it sits."""
    config: SideLayerConfig
    """The layer."""

    def __call__(
        self, output: SparseOutput, epoch: int
    ) -> tuple[dict[str, float], dict[str, Tensor]]:
        """Return MIG and information with controls, reconstruction through the code, pictures."""
        held, vae = self.vae.heldout, self._vae_at(epoch)
        scalars = measure_information(output.code.cpu(), held.classes, self.config.sae.seed)
        means = self._means(vae, output.reconstruction.cpu())
        scalars["reconstruction"] = reconstruction_error(vae, means, held)
        return scalars, {"pictures/code": pictures(vae, means)}

    def _vae_at(self, epoch: int) -> VAE:
        if self.config.frozen:
            return self.vae.model.vae
        channels = self.vae.dataset.image_shape[0]
        return self.vae.recorded(self.config.position).vae(channels, epoch)

    @torch.no_grad()
    def _means(self, vae: VAE, reconstruction: Tensor) -> Float[Tensor, "N 10"]:
        if self.config.position == "latent":
            return reconstruction
        return vae.posterior(reconstruction)[0]


def _source(vae: TrainedVAE, config: SideLayerConfig) -> RecordedActivations | FrozenActivations:
    if config.frozen:
        return vae.frozen(config.position, config.sae.seed, config.sae.device)
    return vae.recorded(config.position, config.sae.device)
