"""Readings over tokens: by hand, for units and heads, and their precision."""

import pytest
import torch

from seethrough.neurons.sites import AttentionHeads, MlpUnits
from seethrough.neurons.token_readings import token_readings


def test_units_by_hand():
    # One image, class token and two patches, two units.
    vectors = torch.tensor([[[5.0, -1.0], [1.0, -2.0], [3.0, -3.0]]])[..., None]
    readings = token_readings(MlpUnits(block=0), vectors)
    assert readings.class_token.tolist() == [[5.0, -1.0]]
    assert readings.patch_maximum.tolist() == [[3.0, -2.0]]  # the class token does not count
    assert readings.token_mean.tolist() == [[3.0, -2.0]]
    assert readings.vector_mean.tolist() == [[[3.0], [-2.0]]]


def test_heads_by_hand():
    # One head of width 2: norms 5, 0, 10, mean 5; the mean vector is (3 - 6, 4 + 8) / 3.
    vectors = torch.tensor([[[[3.0, 4.0]], [[0.0, 0.0]], [[-6.0, 8.0]]]])
    readings = token_readings(AttentionHeads(block=0), vectors)
    assert readings.class_token.tolist() == [[5.0]]
    assert readings.patch_maximum.tolist() == [[10.0]]
    assert readings.token_mean.tolist() == [[5.0]]
    assert readings.vector_mean.tolist() == [[[-1.0, 4.0]]]


def test_means_of_short_numbers_are_float32():
    vectors = torch.ones(1, 300, 1, 1, dtype=torch.bfloat16)
    vectors[0, 0] = 2.0  # the mean, 301 / 300, lies between 1 and the next bfloat16, 1.0078
    readings = token_readings(MlpUnits(block=0), vectors)
    torch.testing.assert_close(readings.token_mean, torch.tensor([[301 / 300]]))


def test_readings_do_not_keep_the_tokens_in_memory():
    vectors = torch.rand(2, 50, 3, 1)
    readings = token_readings(MlpUnits(block=0), vectors)
    for reading in (readings.class_token, readings.patch_maximum, readings.token_mean):
        assert reading.untyped_storage().nbytes() == 2 * 3 * 4


def test_without_patches_refused():
    with pytest.raises(ValueError, match="tokens are 1"):
        token_readings(MlpUnits(block=0), torch.zeros(2, 1, 3, 1))
