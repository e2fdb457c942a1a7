import math
from dataclasses import replace

import pytest
import torch

from seethrough.autoencoders.l1 import L1
from seethrough.autoencoders.top_k import TopK
from seethrough.models.training_config import TrainingConfig
from seethrough.models.vae_sae import PathLayer


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"n_train": 0}, "n_train is 0, allowed is at least 1"),
        ({"n_heldout": 1}, "n_heldout is 1, allowed is at least 2"),
        ({"epochs": 0}, "epochs is 0, allowed is at least 1"),
        ({"extra_epochs": -1}, "extra_epochs is -1, allowed is at least 0"),
        ({"batch_size": -3}, "batch_size is -3, allowed is at least 1"),
        ({"threads": 0}, "threads is 0, allowed is at least 1"),
        ({"beta": -1.0}, "beta is -1.0, allowed is at least 0"),
        ({"beta": math.nan}, "beta is nan, allowed is at least 0"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0, allowed is a finite number above 0"),
        ({"learning_rate": math.inf}, "learning_rate is inf, allowed is a finite number above 0"),
        ({"seed": -1}, "seed is -1, allowed is at least 0"),
        ({"precision": "float16"}, "precision is 'float16', allowed are float32, bfloat16"),
        ({"device": "tpu"}, "device is 'tpu', allowed are cpu, cuda and cuda:N"),
    ],
)
def test_wrong_values_are_named(change: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}"):
        replace(TrainingConfig(), **change)


def test_cuda_is_refused_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ValueError, match="^device is 'cuda', but torch sees no CUDA device"):
        TrainingConfig(device="cuda")


def test_levels_are_those_of_the_layer() -> None:
    layer = PathLayer(sparsifier=TopK(start=500, end=50))
    config = TrainingConfig(layer=layer, epochs=4, extra_epochs=2)
    assert [config.level(epoch) for epoch in range(1, 7)] == [500, 350, 200, 50, 50, 50]
    soft = TrainingConfig(layer=PathLayer(sparsifier=L1(coefficient=0.5)), epochs=3)
    assert [soft.level(epoch) for epoch in (1, 2, 3)] == [0, 0.25, 0.5]


def test_without_a_layer_there_is_no_level() -> None:
    assert [TrainingConfig().level(epoch) for epoch in (1, 50)] == [0, 0]


def test_extra_epochs_go_on_from_the_same_squeeze() -> None:
    longer = TrainingConfig(epochs=50, extra_epochs=100, seed=3)
    assert longer.total_epochs == 150
    assert longer.squeeze() == TrainingConfig(epochs=50, seed=3)
    assert longer.squeeze().total_epochs == 50
    assert TrainingConfig().squeeze() == TrainingConfig()
