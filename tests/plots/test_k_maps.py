import pytest
import torch

from seethrough.metrics.dead_units import never_active, share
from seethrough.plots import k_maps
from seethrough.plots.stack_slider import PNG_SIGNATURE
from seethrough.studies.squeeze import TrainedCell


def test_values_of_k_are_multiples_of_the_last_within_the_width(
    side: TrainedCell, soft: TrainedCell
) -> None:
    # 4 x (0.1, 0.2, 0.5, 1, 2, 4) = 0.4, 0.8, 2, 4, 8, 16; the first k, 99, is above the 60 units
    assert k_maps.k_values(side.layers[0], 99, 4) == [1, 2, 4, 8, 16, 60]
    assert k_maps.k_values(soft.layers[0], 99, 4) == [60]


def test_activity_at_a_k_is_counted_image_by_image(side: TrainedCell) -> None:
    relu_code = side.layers[0].output.relu_code
    activity = k_maps.activity_at(side.layers[0], 2)
    fired = torch.zeros(60)
    for image in relu_code:
        for unit in image.argsort(descending=True)[:2]:
            fired[unit] += image[unit] > 0
    assert activity.fired_count.tolist() == fired.tolist()
    assert activity.n_images == len(relu_code)


def test_at_the_last_k_it_is_what_training_left(side: TrainedCell) -> None:
    layer = side.layers[0]
    trained = layer.history.activity(-1)
    assert k_maps.activity_at(layer, 4).fired_count.tolist() == trained.fired_count.tolist()


def test_more_may_speak_and_fewer_are_silent(side: TrainedCell) -> None:
    silent = [share(never_active(k_maps.activity_at(side.layers[0], k))) for k in (1, 4, 16, 60)]
    assert silent == sorted(silent, reverse=True)
    assert silent[0] > silent[-1]


@pytest.mark.parametrize("place", ["side", "soft", "room"])
def test_one_picture_for_every_k(place: str, request: pytest.FixtureRequest) -> None:
    trained: TrainedCell = request.getfixturevalue(place)
    ks = k_maps.k_values(trained.layers[0], 30, 4)
    pictures = k_maps.k_maps(trained.layers[0], ks)
    assert len(set(pictures)) == len(ks)
    assert all(picture.startswith(PNG_SIGNATURE) for picture in pictures)


def test_titles_say_what_fires(side: TrainedCell) -> None:
    layer = side.layers[0]
    title = k_maps.k_title(k_maps.activity_at(layer, 1), 1)
    assert title.startswith("k = 1: 1 active per image, ")
    assert title.endswith("% of 60 never fire")
