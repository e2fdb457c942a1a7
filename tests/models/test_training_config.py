from dataclasses import replace

import pytest

from seethrough.autoencoders.schedule import ConstantSchedule, LinearSchedule
from seethrough.models.training_config import TrainingConfig, check_device
from seethrough.models.vae_sae import Branch


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"n_train": 0}, "n_train is 0"),
        ({"n_heldout": 1}, "n_heldout is 1"),
        ({"epochs": 0}, "epochs is 0"),
        ({"batch_size": -3}, "batch_size is -3"),
        ({"beta": -1.0}, "beta is -1.0"),
        ({"beta": float("nan")}, "beta is nan"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"learning_rate": float("inf")}, "learning_rate is inf"),
        ({"seed": -1}, "seed is -1"),
        ({"source": "kaggle"}, "kaggle"),
        ({"device": "tpu"}, "tpu"),
        ({"branches": ()}, "branches is empty"),
        ({"branches": (Branch(width=49),)}, "width is 49.*50"),
        ({"schedule": ConstantSchedule(k=501)}, "width is 500.*501"),
    ],
)
def test_wrong_values_are_named(change: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        replace(TrainingConfig(), **change)


def test_k_follows_the_schedule() -> None:
    config = TrainingConfig(schedule=LinearSchedule(start=500, end=50), epochs=4)
    assert [config.k_at(epoch) for epoch in range(1, 6)] == [500, 350, 200, 50, 50]


def test_cpu_is_always_there() -> None:
    check_device("cpu")
