import pytest

from seethrough.results import StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies.collapse_grid import Parameters
from seethrough.studies.collapse_rows import threshold_tag
from seethrough.studies.squeeze import train_all


@pytest.mark.parametrize(
    ("threshold", "tag"), [(1e-4, "1e-4"), (0.05, "5e-2"), (0.0025, "2.5e-3"), (1e-6, "1e-6")]
)
def test_thresholds_in_names(threshold: float, tag: str) -> None:
    assert threshold_tag(threshold) == tag


def test_rows_are_counted_again_from_the_codes(
    grid_result: StudyResult, grid: Parameters, store: ArtifactStore
) -> None:
    """The final model, run again over the held-out images, gives the shares of the last epoch."""
    runs = train_all(grid, store)
    for number, branch in enumerate(grid.branch_groups()[0]):
        row = grid_result.row(f"dead_share/{branch.name}")
        by_relu = grid_result.row(f"dead_share_by_relu/{branch.name}")
        for seed in range(2):
            codes = runs[seed].codes(k=4)
            fired = (codes.codes[number] > 0).sum(0)
            switched_on = (codes.relu_codes[number] > 0).sum(0)
            assert row.per_seed[seed] == int((fired == 0).sum()) / branch.width
            assert by_relu.per_seed[seed] == int((switched_on == 0).sum()) / branch.width


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
        width = row.cell["width"]
        if min(active) == 4:
            assert max(row.per_seed) <= (width - 4) / width


def test_looser_thresholds_call_more_units_dead(grid_result: StudyResult) -> None:
    for cell in ("beside/40", "in_path/50", "latent/40"):
        shares = [
            grid_result.row(f"dead_share{rule}/{cell}").mean
            for rule in ("", "_frequency_below_1e-4", "_frequency_below_1e-3",
                         "_frequency_below_1e-2")
        ]  # fmt: skip
        assert shares == sorted(shares)


def test_the_mean_of_an_untouched_vae_is_the_same_beside_every_layer(
    grid_result: StudyResult,
) -> None:
    """MIG of the mean beside a side branch is stable by construction: trap 1 of the chapter."""
    rows = [grid_result.row(f"mig_mean_last/{cell}") for cell in ("beside/40", "latent/50")]
    assert rows[0].per_seed == rows[1].per_seed
    assert rows[0].per_seed != grid_result.row("mig_mean_last/in_path/40").per_seed
