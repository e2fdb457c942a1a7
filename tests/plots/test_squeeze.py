from typing import Any

import pytest
import torch
from matplotlib.figure import Figure

from seethrough.models.held_out import pixels
from seethrough.plots import squeeze
from seethrough.results import StudyResult
from seethrough.studies.layer_results import LayerResults
from seethrough.studies.squeeze import TrainedCell


def measured(make_result: Any, trained: TrainedCell) -> StudyResult:
    """A result with everything that was measured on one cell."""
    found = LayerResults(trained)
    rows = (*found.dead_rows(), *found.score_rows())
    series = (*found.dead_series(), *found.score_series())
    return StudyResult("a_study", rows, series, make_result({"a": [1.0, 1.0]}).provenance)


def lines(figure: Figure) -> dict[str, list[float]]:
    """Drawn curves by label."""
    return {
        str(line.get_label()): [float(y) for y in line.get_ydata()]
        for axes in figure.axes
        for line in axes.lines
    }


def test_dead_by_epoch_draws_the_results_numbers(make_result: Any, side: TrainedCell) -> None:
    result, name = measured(make_result, side), side.cell.name
    drawn = lines(squeeze.dead_by_epoch(result, name))
    assert drawn["dead"] == pytest.approx(list(result.one_series(f"dead_share/{name}").mean))
    assert drawn["allowed (k)"] == [30, 4, 4]
    assert set(drawn["paper, after the squeeze"]) == {0.344}


def test_l1_has_no_k_and_one_way_to_die(make_result: Any, soft: TrainedCell) -> None:
    drawn = lines(squeeze.dead_by_epoch(measured(make_result, soft), soft.cell.name))
    assert list(drawn) == ["active", "dead", "paper, after the squeeze"]
    assert set(drawn["paper, after the squeeze"]) == {0.417}


def test_shares_are_never_drawn_above_all(make_result: Any, side: TrainedCell) -> None:
    right = squeeze.dead_by_epoch(measured(make_result, side), side.cell.name).axes[1]
    assert right.get_ylim()[0] == 0
    assert right.get_ylim()[1] <= 1


def test_mig_draws_every_control(make_result: Any, side: TrainedCell) -> None:
    figure = squeeze.mig_by_epoch(measured(make_result, side), side.cell.name)
    labels = [line.get_label() for axes in figure.axes for line in axes.lines]
    assert labels == [
        "latent mean", "shuffled", "sparse code", "shuffled", "best unit", "shuffled"
    ]  # fmt: skip


def test_quality_has_one_path_in_the_path(
    make_result: Any, side: TrainedCell, room: TrainedCell
) -> None:
    beside = lines(squeeze.quality_by_epoch(measured(make_result, side), side.cell.name))
    in_path = lines(squeeze.quality_by_epoch(measured(make_result, room), room.cell.name))
    assert list(beside) == [
        "sparse code", "the mean alone", "the VAE's own path", "through the sparse code"
    ]  # fmt: skip
    assert list(in_path) == list(beside)[:-1]


def test_rows_of_reconstructions_fit_the_place(
    side: TrainedCell, soft: TrainedCell, room: TrainedCell
) -> None:
    rows = [
        [axes.get_ylabel() for axes in squeeze.reconstructions(one.layers[0], [30, 4]).axes]
        for one in (side, soft, room)
    ]
    assert rows == [
        ["image", "own path", "k = 30", "k = 4"],
        ["image", "own path", "through\nthe code"],
        ["image", "k = 30", "k = 4"],
    ]


@pytest.mark.parametrize("place", ["side", "room"])
def test_pictures_through_the_code_are_those_of_training(
    place: str, request: pytest.FixtureRequest
) -> None:
    """The last epoch's pictures in the history, decoded again from the stored model."""
    layer = request.getfixturevalue(place).layers[0]
    history = layer.vae.history if layer.config is None else layer.history
    kept = history.tensors["pictures/own" if layer.config is None else "pictures/code"][-1]
    again = squeeze.through_code(layer, layer.level, 8)
    assert torch.allclose(again, pixels(kept, 255), atol=0.51 / 255 + 1e-4)


def test_live_features_show_the_strongest_images(room: TrainedCell) -> None:
    layer = room.layers[0]
    figure = squeeze.live_features(layer, n_units=2, n_images=1)
    mean, top = (axes.images[0].get_array() for axes in figure.axes)
    assert mean is not None
    assert top is not None
    assert mean.shape == top.shape == (64, 2 * 64 + 3, 3)
    frequency = (layer.output.code > 0).double().mean(0)
    shares = sorted(float(share) for share in frequency if share > 0)
    words = [text.get_text() for text in figure.axes[0].texts]
    assert words == [f"{100 * share:.1f} %" for share in (shares[0], shares[-1])]
    strongest = layer.output.code[:, int(frequency.argmax())].argmax()
    expected = layer.vae.heldout.pixels(int(strongest), int(strongest) + 1)[0]
    if shares.count(shares[-1]) == 1:  # else a tie decides which unit is the last
        assert torch.equal(torch.tensor(top[:, 67:]).permute(2, 0, 1).float(), expected)


def test_comparison_has_the_papers_value_of_the_cell(make_result: Any, room: TrainedCell) -> None:
    result = measured(make_result, room)
    table = squeeze.comparison(result, None, room.cell.name).data.splitlines()
    assert table[0].startswith(f"| {room.cell.name} | paper | reference run |")
    assert table[3].startswith("| dead units (never active) | 62.7 ± 1.3 % | – |")
    assert not any("coefficient" in line for line in table)


def test_a_rare_unit_has_white_places(side: TrainedCell) -> None:
    """Every column shows as many images as its unit fires on, at most three."""
    layer = side.layers[0]
    figure = squeeze.live_features(layer)
    _, *strips = (torch.tensor(axes.images[0].get_array()) for axes in figure.axes)
    for column, text in enumerate(figure.axes[0].texts):
        fires_on = round(float(text.get_text().removesuffix(" %")) / 100 * len(layer.output.code))
        places = [strip[:, 67 * column : 67 * column + 64] for strip in strips]
        assert sum(bool((place < 1).any()) for place in places) == min(3, fires_on)
