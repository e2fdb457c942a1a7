from collections.abc import Callable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import pytest
import torch
from matplotlib import pyplot as plt

from seethrough.parameters import plain
from seethrough.plots.style import use_style
from seethrough.provenance import Provenance
from seethrough.results import Row, Series, StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies import circuit_parameters
from seethrough.studies.cells import Cell
from seethrough.studies.circuit_curves import Profile, profile_curves
from seethrough.studies.circuit_numbers import QUANTITIES
from seethrough.studies.circuit_rows import Place, Table, circuit_rows, comparison_rows
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


@pytest.fixture(scope="session")
def circuit_result() -> Callable[..., StudyResult]:
    """Build a study of circuits by hand, two blocks and two prices, one seed.

    A dense circuit has 0.8 of all nodes and 800 edges at the price 4e-5, half of both at twice the
    price; a sparse one has as many nodes, half the edges, and 1.25 times those to expect. Losses
    are 0.2 and 0.4, cut circuits meet 0.15.
    """
    return _circuit_result


def _circuit_result(tasks: tuple[str, ...] = ("sphere", "hue 0")) -> StudyResult:
    parameters = circuit_parameters.Parameters(tasks=tasks)
    table: Table = {}
    profiles: dict[Place, Profile] = {}
    for task in tasks:
        for model, dense in (("dense_tuned", True), ("wanda/0.7", False)):
            table[Place(model, "full", task)] = {"loss": 0.05, "accuracy": 1.0}
            for setting, scale in (("4e-05", 1.0), ("8e-05", 0.5), ("loss_0.15", 1.0)):
                place, edges = Place(model, setting, task), (800 if dense else 400) * scale
                table[place] = dict.fromkeys(QUANTITIES, 0.5) | {
                    "node_fraction": 0.8 * scale, "edges": edges, "loss": 0.2 / scale,
                    "null_edges": edges / (1 if dense else 1.25),
                    "over_null": 1.0 if dense else 1.25, "reached": 1.0,
                }  # fmt: skip
                profiles[place] = {
                    "node_fraction": torch.full((2, 8), 0.8 * scale).double(),
                    "edges": torch.full((2, 6), edges / 12).double(),
                    "null_edges": torch.full((2, 6), table[place]["null_edges"] / 12).double(),
                }
            for control in ("shuffled", "seen_hues", "full_seen_hues"):
                if task == "sphere" or control == "shuffled":
                    table[Place(model, control, task)] = dict.fromkeys(QUANTITIES, 0.75)
            other = "wanda_0.7" if dense else "dense_tuned"
            table[Place(model, f"mask_of_{other}", task)] = {
                "edges": 300.0, "null_edges": 200.0, "over_null": 1.5, "loss": 0.6, "accuracy": 0.6,
            }  # fmt: skip
        table[Place("untrained", "8e-05", task)] = dict.fromkeys(QUANTITIES, 0.25)
    rows = circuit_rows([table], tasks)
    for comparison in parameters.comparisons():
        rows += comparison_rows([table], tasks, "dense_tuned", "wanda/0.7", comparison)
    points = {"own": 16.0, "paper": 96.0}
    rows += [Row(f"hook_points/{name}", "", {}, "1", (n,)) for name, n in points.items()]
    provenance = Provenance(
        parameters=plain(parameters), seeds=(0,), profile="custom", device="cpu", threads=1,
        versions={}, git_commit=None, git_dirty=False, seconds=0.0,
    )  # fmt: skip
    curves = profile_curves([profiles], tasks)
    return StudyResult("impact_circuits", tuple(rows), tuple(curves), provenance)
