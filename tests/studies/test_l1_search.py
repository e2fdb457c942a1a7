import pytest

from seethrough.autoencoders.configuration import SAEConfig
from seethrough.autoencoders.l1 import L1
from seethrough.autoencoders.top_k import TopK
from seethrough.models.training_config import TrainingConfig
from seethrough.models.vae_sae import PathLayer
from seethrough.studies.l1_search import with_coefficient
from seethrough.studies.trained_layers import SideLayerConfig


def test_only_the_coefficient_changes() -> None:
    side = SideLayerConfig(
        vae=TrainingConfig(),
        position="beside",
        sae=SAEConfig(sparsifier=L1(coefficient=1.0, schedule="cosine")),
    )
    changed = with_coefficient(side, 0.25)
    assert isinstance(changed, SideLayerConfig)
    assert changed.sae.sparsifier == L1(coefficient=0.25, schedule="cosine")
    assert with_coefficient(changed, 1.0) == side
    inside = TrainingConfig(layer=PathLayer(sparsifier=L1(coefficient=1.0)))
    changed_inside = with_coefficient(inside, 0.25)
    assert isinstance(changed_inside, TrainingConfig)
    assert changed_inside.layer == PathLayer(sparsifier=L1(coefficient=0.25))


def test_a_layer_without_a_coefficient_is_refused() -> None:
    with pytest.raises(ValueError, match="no layer in its path"):
        with_coefficient(TrainingConfig(), 0.1)
    with pytest.raises(ValueError, match="allowed is L1"):
        with_coefficient(TrainingConfig(layer=PathLayer(sparsifier=TopK())), 0.1)
