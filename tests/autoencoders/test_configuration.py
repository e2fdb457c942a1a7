import math
from dataclasses import FrozenInstanceError, replace

import pytest
import torch

from seethrough.autoencoders.active_subspace import ActiveSubspaceStart
from seethrough.autoencoders.aligned import AlignedEncoder
from seethrough.autoencoders.auxk import AuxK
from seethrough.autoencoders.batch_top_k import BatchTopK
from seethrough.autoencoders.configuration import SAEConfig
from seethrough.autoencoders.ghost_gradients import GhostGradients
from seethrough.autoencoders.jump_relu import JumpReLU
from seethrough.autoencoders.l1 import L1
from seethrough.autoencoders.mean_centring import MeanCentring
from seethrough.autoencoders.resampling import Resampling
from seethrough.autoencoders.top_k import TopK
from seethrough.autoencoders.untied_start import UntiedStart
from seethrough.autoencoders.whitening import Whitening
from seethrough.canonical import canonical_json


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"width": 49}, "width is 49, allowed is at least the final k, 50"),
        ({"width": 1, "sparsifier": L1(coefficient=1.0)}, "width is 1, allowed is at least 2"),
        ({"epochs": 0}, "epochs is 0, allowed is at least 1"),
        ({"extra_epochs": -1}, "extra_epochs is -1, allowed is at least 0"),
        ({"batch_size": 0}, "batch_size is 0, allowed is at least 1"),
        ({"threads": 0}, "threads is 0, allowed is at least 1"),
        ({"seed": -1}, "seed is -1, allowed is at least 0"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0, allowed is a finite number above 0"),
        ({"learning_rate": math.inf}, "learning_rate is inf, allowed is a finite number above 0"),
        ({"learning_rate": math.nan}, "learning_rate is nan, allowed is a finite number above 0"),
        ({"device": "tpu"}, "device is 'tpu', allowed are cpu, cuda and cuda:N"),
    ],
)
def test_wrong_values_are_named(change: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named}"):
        replace(SAEConfig(), **change)


def test_cuda_is_refused_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ValueError, match="^device is 'cuda', but torch sees no CUDA device"):
        SAEConfig(device="cuda")


def test_the_narrowest_dictionaries() -> None:
    assert SAEConfig(width=50).width == 50
    assert SAEConfig(width=2, sparsifier=TopK(start=1, end=1)).width == 2
    assert SAEConfig(width=2, sparsifier=L1(coefficient=1.0)).width == 2


def test_levels_end_with_the_squeeze_and_stay() -> None:
    config = SAEConfig(sparsifier=TopK(start=500, end=50), epochs=4, extra_epochs=2)
    assert config.total_epochs == 6
    assert [config.level(epoch) for epoch in range(1, 7)] == [500, 350, 200, 50, 50, 50]


def test_two_choices_are_two_configurations() -> None:
    choices: list[dict[str, object]] = [
        {}, {"sparsifier": L1(coefficient=0.1)}, {"sparsifier": BatchTopK()},
        {"sparsifier": JumpReLU()}, {"start": UntiedStart()}, {"start": ActiveSubspaceStart()},
        {"preparation": MeanCentring()}, {"preparation": Whitening()},
        {"encoder": AlignedEncoder()}, {"revival": AuxK()}, {"revival": Resampling()},
        {"revival": GhostGradients()},
    ]  # fmt: skip
    written = {canonical_json(replace(SAEConfig(), **choice)) for choice in choices}
    assert len(written) == len(choices)
    one = SAEConfig()
    with pytest.raises(FrozenInstanceError):
        one.width = 7  # type: ignore[misc]
