from pathlib import Path

import pytest

from seethrough.data.dsprites import load
from seethrough.data.factor_dataset import FactorDataset
from seethrough.autoencoders.schedule import LinearSchedule
from seethrough.models.training_config import TrainingConfig
from seethrough.models.vae_sae import Branch


@pytest.fixture(scope="session")
def dsprites() -> FactorDataset:
    return load(source="rendered")


@pytest.fixture
def config() -> TrainingConfig:
    """A run of a second: 3 epochs of 2 batches."""
    return TrainingConfig(
        n_train=24,
        n_heldout=20,
        branches=(Branch(position="beside", width=40),),
        schedule=LinearSchedule(start=30, end=4),
        epochs=3,
        batch_size=16,
        threads=1,
    )


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    return folder
