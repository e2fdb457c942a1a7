import matplotlib as mpl
import pytest
from matplotlib.figure import Figure

from seethrough.plots import squeeze, tables
from seethrough.plots.style import use_style
from seethrough.results import StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies import collapse_dead_neurons
from seethrough.studies.squeeze import train_all
from seethrough.studies.trained_runs import TrainedRun

mpl.use("Agg")

PARAMETERS = collapse_dead_neurons.Parameters(
    n_train=24, n_heldout=40, width=60, k_start=30, k_end=4, epochs=3, batch_size=16, seeds=(0, 1)
)
CELL = "beside/60"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ArtifactStore:
    return ArtifactStore(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def result(store: ArtifactStore) -> StudyResult:
    return collapse_dead_neurons.run(PARAMETERS, store)


@pytest.fixture(scope="module")
def run(store: ArtifactStore) -> TrainedRun:
    return train_all(PARAMETERS, store)[0]


@pytest.fixture(autouse=True)
def _style() -> None:
    use_style()


def lines(figure: Figure) -> dict[str, list[float]]:
    """Drawn curves by label."""
    return {
        str(line.get_label()): [float(y) for y in line.get_ydata()]
        for axes in figure.axes
        for line in axes.lines
    }


def test_dead_by_epoch_draws_the_results_numbers(result: StudyResult) -> None:
    drawn = lines(squeeze.dead_by_epoch(result, CELL, paper=(0.344, 0.009)))
    assert drawn["dead"] == pytest.approx(list(result.one_series(f"dead_share/{CELL}").mean))
    assert drawn["allowed (k)"] == [30, 17, 4]
    assert set(drawn["paper, k = 50"]) == {0.344}


def test_shares_are_never_drawn_above_all(result: StudyResult) -> None:
    right = squeeze.dead_by_epoch(result, CELL, paper=None).axes[1]
    assert right.get_ylim()[0] == 0
    assert right.get_ylim()[1] <= 1


def test_mig_draws_every_control(result: StudyResult) -> None:
    figure = squeeze.mig_by_epoch(result, CELL)
    labels = [line.get_label() for axes in figure.axes for line in axes.lines]
    assert labels == [
        "latent mean", "shuffled", "sparse code", "shuffled", "best unit", "shuffled"
    ]  # fmt: skip


def test_every_seed_is_a_dot(result: StudyResult) -> None:
    rows, labels = tables.threshold_rows(result, CELL, (1e-2,), (1e-3,))
    assert labels[0] == "never active"
    figure = squeeze.dead_by_threshold(rows, labels)
    dots = [list(line.get_xdata()) for line in figure.axes[0].lines if line.get_marker() == "o"]
    assert dots == [list(row.per_seed) for row in rows]


def test_cells_of_reference_and_run(result: StudyResult) -> None:
    figure = squeeze.dead_by_cell(result, result, paper=(0.344, 0.009))
    bars = [patch.get_width() for patch in figure.axes[0].patches[1:]]
    assert sum(bars) == pytest.approx(result.row(f"dead_share/{CELL}").mean)
    assert squeeze.dead_by_cell(None, result, paper=(0.344, 0.009)).axes[0].patches


def test_pictures_of_the_model(run: TrainedRun) -> None:
    assert len(squeeze.reconstructions(run, [30, 4]).axes) == 4
    assert len(squeeze.live_features(run).axes) == 4
    assert len(squeeze.unit_map_pair(run, [1, 3]).axes) == 2


def test_maps_change_with_the_epoch_and_keep_their_bytes(run: TrainedRun) -> None:
    first, last = squeeze.unit_maps(run, [1, 3])
    assert first.startswith(b"\x89PNG")
    assert first != last
    assert squeeze.unit_maps(run, [1, 3]) == [first, last]


def test_epochs_of_the_slider_are_even_and_reach_both_ends() -> None:
    # 50 epochs in 8 steps of 7
    assert squeeze.spread(50, at_most=8) == [1, 8, 15, 22, 29, 36, 43, 50]
    assert squeeze.spread(3, at_most=17) == [1, 2, 3]
    assert squeeze.spread(1, at_most=17) == [1]
