import pytest
import torch

from seethrough.metrics.dead_units import UnitActivity, never_active, share
from seethrough.plots import unit_maps
from seethrough.plots.stack_slider import PNG_SIGNATURE
from seethrough.studies.squeeze import TrainedCell


def test_states_worked_by_hand() -> None:
    # 200 images: 100 is a half, 99 less; 20 a tenth; 2 a hundredth, 1 less; 0 dead
    fired = torch.tensor([200, 100, 99, 20, 19, 2, 1, 0, 0])
    switched_on = torch.tensor([200, 150, 99, 20, 19, 2, 1, 5, 0])
    activity = UnitActivity(
        n_images=200, fired_count=fired, relu_count=switched_on, max_activation=fired.float()
    )
    assert unit_maps.states(activity).tolist() == [0, 0, 1, 1, 2, 2, 3, 4, 5]


def test_epochs_of_the_slider_are_even_and_reach_both_ends() -> None:
    # 50 epochs in 8 steps of 7
    assert unit_maps.spread(50, at_most=8) == [1, 8, 15, 22, 29, 36, 43, 50]
    assert unit_maps.spread(3, at_most=17) == [1, 2, 3]
    assert unit_maps.spread(1, at_most=17) == [1]


@pytest.mark.parametrize("place", ["side", "soft", "room"])
def test_maps_have_pictures_at_every_scored_epoch(
    place: str, request: pytest.FixtureRequest
) -> None:
    trained: TrainedCell = request.getfixturevalue(place)
    layer = trained.layers[0]
    assert unit_maps.scored_epochs(layer, at_most=17) == [1, 2, 3]
    assert unit_maps.scored_epochs(layer, at_most=2) == [1, 3]
    first, last = unit_maps.unit_maps(layer, [1, 3])
    assert first.startswith(PNG_SIGNATURE)
    assert first != last
    assert unit_maps.unit_maps(layer, [3]) == [last]


def test_order_follows_the_last_states(side: TrainedCell) -> None:
    layer = side.layers[0]
    ordered = unit_maps.states(layer.history.activity(-1))[unit_maps.last_order(layer)]
    assert ordered.tolist() == sorted(ordered)


def test_a_map_shows_every_unit_once(side: TrainedCell) -> None:
    figure = unit_maps.unit_map_pair(side.layers[0], [1, 3])
    shown = figure.axes[1].images[0].get_array()
    assert shown is not None
    assert shown.shape == (2, 50)  # 60 units in rows of 50
    assert (shown == shown).sum() == 60  # the rest is NaN
    dead = share(never_active(side.layers[0].history.activity(3)))
    assert float((shown >= 4).sum()) / 60 == pytest.approx(dead)


def test_titles_name_k_or_the_coefficient(side: TrainedCell, soft: TrainedCell) -> None:
    # k falls from 30 to 4 in two epochs and stays
    assert unit_maps.map_title(side.layers[0], 1).startswith("epoch 1: k = 30, ")
    assert unit_maps.map_title(side.layers[0], 3).startswith("epoch 3: k = 4, ")
    assert unit_maps.map_title(soft.layers[0], 3).startswith("epoch 3: λ = 0.05, ")
    assert "of 60 units dead" in unit_maps.map_title(soft.layers[0], 3)
