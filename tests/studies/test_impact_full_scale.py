from typing import Any

import pytest

from seethrough.models.plain_vit import meta_model
from seethrough.models.study_cost import cost_estimate
from seethrough.models.vit_sizes import vit_sizes
from seethrough.parameters import ParameterError, build, load
from seethrough.results import StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies.impact_full_scale import COUNTS, Parameters, of_profile, run

MODEL = "test_vit"


@pytest.fixture(scope="module")
def result(store: ArtifactStore) -> StudyResult:
    return run(Parameters(model=MODEL, n_images=2, n_steps=2, sparsity=0.5), store)


def test_counts_are_those_of_the_architecture(result: StudyResult) -> None:
    sizes = vit_sizes(meta_model(MODEL))
    for name in COUNTS:
        assert result.row(f"count/{name}").mean == getattr(sizes, name)
    # 160 pixels in patches of 16
    assert result.row("map_cells").mean == 10 * 10


def test_half_of_the_weights_are_removed(result: StudyResult) -> None:
    # 64 and 192 weights in a row, both even: half of each is exact.
    assert result.row("density").mean == 0.5


def test_the_estimate_follows_from_the_forward_pass(result: StudyResult) -> None:
    levels = ("forward", "wanda", "neurons", "attribution")
    seconds = [result.row(f"seconds_per_image/{level}").mean for level in levels]
    assert min(seconds) > 0
    assert seconds[3] > seconds[0]  # holds several forward passes
    for cost in cost_estimate(1 / seconds[0]):
        hours = result.row(f"full_cost/{cost.level}").mean
        assert hours == pytest.approx(cost.seconds / 3600)
    # A process with torch in it holds more than its own weights, and less than a terabyte.
    assert 4 * result.row("count/parameters").mean < result.row("memory").mean < 1e12


def test_no_row_stands_for_accuracy(result: StudyResult) -> None:
    assert not any("top_" in row.id for row in result.rows)
    assert not result.series


def test_parameters_of_a_profile() -> None:
    assert of_profile("custom") == Parameters()
    assert of_profile("reference") == build(Parameters, load("reference", "impact_full_scale"))
    assert of_profile("reference").model == "deit3_base_patch16_224"
    with pytest.raises(ParameterError, match="^profile is 'huge', allowed are smoke, "):
        of_profile("huge")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_images": 0}, "^n_images is 0, allowed is at least 1"),
        ({"n_steps": 0}, "^n_steps is 0, allowed is at least 1"),
        ({"sparsity": 1.5}, "^sparsity is 1.5, allowed is 0 to 1$"),
        ({"device": "tpu"}, "^device is 'tpu', allowed are cpu, cuda"),
    ],
)
def test_bad_parameters_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Parameters(**changes)


def test_an_unknown_model_is_refused_with_the_nearest(store: ArtifactStore) -> None:
    with pytest.raises(
        ValueError, match="'deit3_bsae_patch16_224' is unknown .* nearest are deit3"
    ):
        run(Parameters(model="deit3_bsae_patch16_224"), store)
