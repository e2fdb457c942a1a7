"""Configurations of mask training: steps, rates and what is refused."""

import math
from dataclasses import replace

import pytest

from seethrough.circuits.mask_training import MaskTraining


def test_defaults_are_the_published_ones():
    training = MaskTraining()
    assert (training.kappas, training.epochs) == ((8e-5,), 15)
    assert (training.learning_rate, training.beta2, training.weight_decay) == (3e-3, 0.95, 1e-3)
    assert (training.clip, training.temperature, training.granularity) == (1.0, 1.0, "channel")
    # 1,300 positives in steps of 32 with a rest: 41 steps an epoch.
    assert training.steps(1_300) == 15 * 41


def test_the_rate_falls_along_a_line():
    training = MaskTraining(learning_rate=0.8)
    assert [training.rate(step, 4) for step in range(4)] == pytest.approx([0.8, 0.6, 0.4, 0.2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kappas": ()}, "kappas are"),
        ({"kappas": (0.1, 0.1)}, "each once"),
        ({"kappas": (0.0, -0.1)}, "kappa is -0.1"),
        ({"kappas": (math.nan,)}, "kappa is nan"),
        ({"epochs": 0}, "epochs is 0"),
        ({"batch_pairs": 0}, "batch_pairs is 0"),
        ({"masks_per_pass": 0}, "masks_per_pass is 0"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"beta2": 1.0}, "beta2 is 1.0"),
        ({"weight_decay": -1.0}, "weight_decay is -1.0"),
        ({"clip": 0.0}, "clip is 0.0"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"granularity": "token"}, "granularity is 'token'"),
        ({"device": "abacus"}, "device is 'abacus'"),
        ({"threads": 0}, "threads is 0"),
    ],
)
def test_values_out_of_range_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(MaskTraining(), **change)


def test_no_price_is_allowed():
    assert MaskTraining(kappas=(0.0,)).kappas == (0.0,)
