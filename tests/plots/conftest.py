from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import pytest
from matplotlib import pyplot as plt

from seethrough.plots.style import use_style
from seethrough.provenance import Provenance
from seethrough.results import Row, Series, StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies.cells import Cell
from seethrough.studies.collapse_extended import Parameters
from seethrough.studies.squeeze import TrainedCell, train_cells

mpl.use("Agg")

TINY = Parameters(
    n_train=24, n_heldout=40, k_start=30, k_end=4, widths=(60,), epochs=2, extra_epochs=1,
    batch_size=16, seeds=(0,),
)  # fmt: skip
SIDE = Cell(width=60)
SOFT = Cell(method="l1", width=60)
ROOM = Cell(dataset="shapes3d", position="in_path", width=60)

Rows = Mapping[str, Sequence[float]]
Curves = Mapping[str, Sequence[Sequence[float]]]


@pytest.fixture(autouse=True)
def _figures() -> Any:
    use_style()
    yield
    plt.close("all")


@pytest.fixture(scope="session")
def make_result() -> Callable[..., StudyResult]:
    """Build a result from values per seed; its parameters are those of two epochs."""

    def make(rows: Rows, curves: Curves | None = None, **parameters: Any) -> StudyResult:
        n_seeds = len(next(iter(rows.values())))
        chosen = {"n_train": 1000, "epochs": 2, **parameters}
        provenance = Provenance(
            parameters=chosen, seeds=tuple(range(n_seeds)), profile="custom", device="cpu",
            threads=1, versions={}, git_commit=None, git_dirty=False, seconds=0.0,
        )  # fmt: skip
        entries = [Row(id, id.split("/")[0], {}, "fraction", tuple(v)) for id, v in rows.items()]
        series = [
            Series(
                id, "", {}, "", "epoch", tuple(float(e) for e in range(1, len(seeds[0]) + 1)),
                tuple(map(tuple, seeds)),
            )
            for id, seeds in (curves or {}).items()
        ]  # fmt: skip
        return StudyResult("a_study", tuple(entries), tuple(series), provenance)

    return make


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> list[TrainedCell]:
    """Top-k and L1 beside dSprites, Top-k in the path of Shapes3D; two epochs and one more."""
    store = ArtifactStore(tmp_path_factory.mktemp("store"))
    return train_cells(TINY, [SIDE, SOFT, ROOM], store)


@pytest.fixture(scope="session")
def side(trained: list[TrainedCell]) -> TrainedCell:
    return trained[0]


@pytest.fixture(scope="session")
def soft(trained: list[TrainedCell]) -> TrainedCell:
    return trained[1]


@pytest.fixture(scope="session")
def room(trained: list[TrainedCell]) -> TrainedCell:
    return trained[2]


@pytest.fixture(scope="session")
def tiny() -> Parameters:
    return TINY
