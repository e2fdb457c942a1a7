from dataclasses import replace
from pathlib import Path

import pytest

from seethrough.autoencoders.top_k import TopK
from seethrough.data.catalogue import load
from seethrough.data.factor_dataset import FactorDataset
from seethrough.models.training_config import TrainingConfig
from seethrough.models.vae_sae import PathLayer


@pytest.fixture(scope="session")
def dsprites() -> FactorDataset:
    return load("dsprites")


@pytest.fixture
def config() -> TrainingConfig:
    """A VAE alone, trained in less than a second: 3 epochs of 2 batches."""
    return TrainingConfig(n_train=24, n_heldout=20, epochs=3, batch_size=16)


@pytest.fixture
def in_path(config: TrainingConfig) -> TrainingConfig:
    """The same with a Top-k layer in its path: k is 30, 17 and 4."""
    return replace(config, layer=PathLayer(width=40, sparsifier=TopK(start=30, end=4)))


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    return folder
