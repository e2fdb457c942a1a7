import pytest

from seethrough.results import StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies.collapse_grid import Parameters
from seethrough.studies.layer_results import LayerResults, threshold_tag
from seethrough.studies.squeeze import TrainedCell, train_cells


@pytest.fixture(scope="module")
def trained(grid: Parameters, store: ArtifactStore) -> list[TrainedCell]:
    return train_cells(grid, grid.cells(), store)


@pytest.mark.parametrize(
    ("threshold", "tag"), [(1e-4, "1e-4"), (0.05, "5e-2"), (0.0025, "2.5e-3"), (1e-6, "1e-6")]
)
def test_thresholds_in_names(threshold: float, tag: str) -> None:
    assert threshold_tag(threshold) == tag


def test_rows_are_counted_again_from_the_codes(
    grid_result: StudyResult, trained: list[TrainedCell]
) -> None:
    """The final model, run again over the held-out images, gives the shares of the last epoch."""
    for cell in trained:
        row = grid_result.row(f"dead_share/{cell.cell.name}")
        by_relu = grid_result.row(f"dead_share_by_relu/{cell.cell.name}")
        for seed, layer in enumerate(cell.layers):
            fired = (layer.output.code > 0).sum(0)
            switched_on = (layer.output.relu_code > 0).sum(0)
            assert row.per_seed[seed] == int((fired == 0).sum()) / cell.cell.width
            assert by_relu.per_seed[seed] == int((switched_on == 0).sum()) / cell.cell.width


def test_shares_add_up_and_keep_below_the_ceiling(grid_result: StudyResult) -> None:
    for row in grid_result.rows:
        name, cell = row.id.split("/", 1)
        if name != "dead_share":
            continue
        relu = grid_result.row(f"dead_share_by_relu/{cell}").per_seed
        top_k = grid_result.row(f"dead_share_by_top_k/{cell}").per_seed
        assert row.per_seed == pytest.approx([a + b for a, b in zip(relu, top_k, strict=True)])
        curve = grid_result.one_series(f"dead_share/{cell}")
        assert [seed[-1] for seed in curve.per_seed] == list(row.per_seed)
        active = grid_result.row(f"active_last/{cell}").per_seed
        assert max(active) <= 4
        if min(active) == 4:
            assert max(row.per_seed) <= grid_result.row(f"dead_ceiling/{cell}").mean


def test_looser_thresholds_call_more_units_dead(trained: list[TrainedCell]) -> None:
    for cell in trained:
        results = LayerResults(cell)
        frequency = results.threshold_rows((1e-4, 1e-3, 1e-2, 1e-1), ())
        maximum = results.threshold_rows((), (1e-6, 1e-3, 1e-2, 5e-2))
        for rows in (frequency, maximum):
            shares = [results.dead_rows()[0].mean, *(row.mean for row in rows)]
            assert shares == sorted(shares)


def test_the_mean_of_an_untouched_vae_is_the_same_beside_every_layer(
    grid_result: StudyResult,
) -> None:
    """MIG of the mean beside a side layer is stable by construction: trap 1 of the chapter."""
    rows = [
        grid_result.row(f"mig_mean_last/dsprites/top_k/{cell}")
        for cell in ("beside/40", "latent/50", "in_path/40")
    ]
    assert rows[0].per_seed == rows[1].per_seed
    assert rows[0].per_seed != rows[2].per_seed


def test_scores_have_the_epochs_in_which_they_were_measured(trained: list[TrainedCell]) -> None:
    curves = {curve.id.split("/")[0]: curve for curve in LayerResults(trained[0]).score_series()}
    assert curves["mig_code"].x == (1.0, 3.0)  # first and last of three epochs
    assert len(curves["mig_mean"].per_seed) == 2
    assert {"active", "unexplained"}.isdisjoint(curves)
