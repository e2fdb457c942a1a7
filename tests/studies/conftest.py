from pathlib import Path
from typing import Any

import pytest

from seethrough.results import StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies import collapse_grid

TINY: dict[str, Any] = {
    "n_train": 24,
    "n_heldout": 48,
    "k_start": 30,
    "k_end": 4,
    "epochs": 3,
    "batch_size": 16,
    "seeds": (0, 1),
}
"""A study of a second or two."""


@pytest.fixture(scope="session")
def tiny() -> dict[str, Any]:
    return TINY


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> ArtifactStore:
    root: Path = tmp_path_factory.mktemp("store")
    return ArtifactStore(root)


@pytest.fixture(scope="session")
def grid() -> collapse_grid.Parameters:
    return collapse_grid.Parameters(
        **TINY, datasets=("dsprites",), widths=(40, 50), path_widths=(40, 50)
    )


@pytest.fixture(scope="session")
def grid_result(grid: collapse_grid.Parameters, store: ArtifactStore) -> StudyResult:
    return collapse_grid.run(grid, store)
