from typing import Any

import pytest

from seethrough.autoencoders.l1 import L1
from seethrough.autoencoders.top_k import TopK
from seethrough.models.training_config import TrainingConfig
from seethrough.store import ArtifactStore
from seethrough.studies.cells import Cell
from seethrough.studies.collapse_dead_neurons import Parameters
from seethrough.studies.collapse_extended import Parameters as Extended
from seethrough.studies.l1_search import FIRST_GUESS
from seethrough.studies.squeeze import train_cells, training_seconds, without_extra_epochs
from seethrough.studies.trained_layers import SideLayerConfig


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seeds": ()}, r"seeds is \(\)"),
        ({"seeds": (1, 1)}, r"seeds is \(1, 1\)"),
        ({"seeds": (-1,)}, "seed is -1"),
        ({"frequency_thresholds": (0.0,)}, "frequency_thresholds has 0.0"),
        ({"maximum_thresholds": (1.5,)}, "maximum_thresholds has 1.5"),
        ({"dsprites_path": "/nowhere/d.npz"}, "dsprites_path is '/nowhere/d.npz'"),
        ({"shapes3d_path": "/nowhere/3d.h5"}, "shapes3d_path is '/nowhere/3d.h5'"),
        ({"dataset": "shape3d"}, r"data set 'shape3d' is unknown \(did you mean shapes3d\?\)"),
        ({"width": 49}, "width is 49"),
        ({"position": "under"}, "position is 'under'"),
        ({"method": "steps"}, "method is 'steps'"),
        ({"k_start": 40}, "k starts at 40"),
        ({"k_end": 0}, "k at the end is 0"),
        ({"l1_coefficient": -0.1}, "l1_coefficient is -0.1"),
        ({"precision": "float8"}, "precision is 'float8'"),
        ({"workers": 0}, "workers is 0"),
        ({"device": "abacus"}, "device is 'abacus'"),
    ],
)
def test_wrong_values_are_refused_before_any_work(change: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Parameters(**change)  # type: ignore[arg-type]


@pytest.mark.parametrize("width", [40, 49, 50])
@pytest.mark.parametrize(
    ("position", "name"),
    [
        ("beside", "l1_coefficient"),
        ("latent", "l1_coefficient"),
        ("in_path", "path_l1_coefficient"),
    ],
)
def test_a_search_for_more_units_than_can_be_active_is_refused(
    position: str, name: str, width: int
) -> None:
    """A layer of as many units as are to stay active has none to silence: nothing to search for."""
    searched: dict[str, Any] = {name: 0.0}
    with pytest.raises(ValueError, match=f"^width is {width} in .*, 50, .* or {name} above 0"):
        Parameters(method="l1_cosine", position=position, width=width, **searched)


def test_what_can_be_searched_or_is_given_is_accepted() -> None:
    assert Parameters(method="l1", width=51, l1_coefficient=0.0).is_searched(Cell(method="l1"))
    Parameters(method="l1", width=40, path_l1_coefficient=0.0)  # the other place's: not searched
    Parameters(width=50, l1_coefficient=0.0)  # Top-k has none


def test_a_layer_beside_has_a_run_of_its_own_and_one_in_the_path_is_its_vae() -> None:
    parameters = Parameters(k_start=30, k_end=4)
    beside = parameters.layer_config(Cell(position="latent", width=60), 5)
    assert isinstance(beside, SideLayerConfig)
    assert (beside.position, beside.sae.width, beside.sae.seed) == ("latent", 60, 5)
    assert beside.vae == parameters.vae_config("dsprites", 5)
    inside = parameters.layer_config(Cell(position="in_path", width=60), 5)
    assert isinstance(inside, TrainingConfig)
    assert inside.layer is not None
    assert inside.layer.sparsifier == TopK(start=30, end=4)


def test_an_open_cell_keeps_the_first_k_throughout() -> None:
    sparsifier = Parameters(k_start=30, k_end=4).sparsifier(Cell(method="top_k_open"))
    assert [sparsifier.level(epoch, 3) for epoch in (1, 2, 3)] == [30, 30, 30]
    l1 = Parameters(l1_coefficient=0.5).sparsifier(Cell(method="l1_constant"))
    assert l1 == L1(coefficient=0.5, schedule="constant")


def test_extra_epochs_are_of_layer_and_vae_and_can_be_left_out() -> None:
    config = Extended(extra_epochs=7).layer_config(Cell(), 0)
    assert isinstance(config, SideLayerConfig)
    assert (config.vae.extra_epochs, config.sae.extra_epochs) == (7, 7)
    assert without_extra_epochs(config) == Parameters().layer_config(Cell(), 0)


def test_a_searched_coefficient_is_that_of_the_first_seed_for_all(
    store: ArtifactStore, tiny: dict[str, Any]
) -> None:
    """A target that the first guess meets: one trial, and its coefficient for both seeds."""
    cell, guess = Cell(method="l1", width=40), FIRST_GUESS["beside"]
    given = Parameters(**tiny | {"k_end": 20}, width=40, l1_coefficient=guess)
    (plain,) = train_cells(given, [cell], store)
    reached = plain.layers[0].history.scalars["active"][-1]
    wanted = round(reached)
    assert 1 <= wanted <= 30
    searched = Parameters(**tiny | {"k_end": wanted}, width=40, l1_coefficient=0.0)
    (found,) = train_cells(searched, [cell], store)
    assert plain.trials == ()
    assert [(t.coefficient, t.active) for t in found.trials] == [(guess, reached)]
    assert [layer.level for layer in found.layers] == [guess, guess]


def test_seconds_count_a_shared_vae_once(store: ArtifactStore, tiny: dict[str, Any]) -> None:
    cells = [Cell(width=40), Cell(width=50)]
    trained = train_cells(Parameters(**tiny, width=40), cells, store)
    layers = [layer for one in trained for layer in one.layers]
    vaes = {layer.vae.folder: layer.vae.seconds for layer in layers}
    assert len(vaes) == 2
    expected = sum(vaes.values()) + sum(layer.seconds for layer in layers)
    assert training_seconds(trained) == pytest.approx(expected)
