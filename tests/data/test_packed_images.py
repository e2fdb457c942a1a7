"""Packing of binary images into bits, against numpy.packbits."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seethrough.data import PackedDataset, pack_images, unpack_images


def random_images(n: int, shape: tuple[int, int, int], seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 2, (n, *shape), generator=generator, dtype=torch.uint8)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(
    n=st.integers(1, 7),
    shape=st.sampled_from([(1, 64, 64), (1, 1, 8), (2, 4, 3), (3, 8, 8)]),
    seed=st.integers(0, 1000),
)
def test_equals_numpy_and_comes_back(n, shape, seed):
    images = random_images(n, shape, seed)
    bits = pack_images(images)
    assert np.array_equal(bits.numpy(), np.packbits(images.flatten(1).numpy(), axis=1))
    assert torch.equal(unpack_images(bits, shape), images)


def test_every_byte_comes_back():
    bits = torch.arange(256, dtype=torch.uint8)[:, None]
    images = unpack_images(bits, (1, 1, 8))
    # 131 = 1000 0011 in binary: the first pixel is the highest bit.
    assert images[131].flatten().tolist() == [1, 0, 0, 0, 0, 0, 1, 1]
    assert torch.equal(pack_images(images), bits)


def test_non_contiguous_images_are_packed_in_their_own_order():
    images = random_images(3, (1, 8, 16), 1).transpose(2, 3)
    assert torch.equal(unpack_images(pack_images(images), (1, 16, 8)), images)


def test_no_images():
    assert pack_images(torch.empty(0, 1, 8, 8, dtype=torch.uint8)).shape == (0, 8)
    assert unpack_images(torch.empty(0, 8, dtype=torch.uint8), (1, 8, 8)).shape == (0, 1, 8, 8)


@pytest.mark.parametrize("pixel", [2, 128, 255])
def test_grey_pixels_are_refused(pixel):
    images = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    images[1, 0, 3, 5] = pixel
    with pytest.raises(ValueError, match=f"must be 0 or 1, got {pixel}"):
        pack_images(images)


def test_pixel_counts_that_do_not_fill_bytes_are_refused():
    with pytest.raises(ValueError, match="multiple of 8 pixels, got 9"):
        pack_images(torch.zeros(1, 1, 3, 3, dtype=torch.uint8))
    with pytest.raises(ValueError, match="need 8 bytes, got 7"):
        unpack_images(torch.zeros(1, 7, dtype=torch.uint8), (1, 8, 8))


def packed(images: torch.Tensor, **changes: object) -> PackedDataset:
    fields = {
        "name": "noise",
        "factor_names": ("a", "b"),
        "factor_sizes": (2, 3),
        "factor_values": ((0.0, 1.0), (0.0, 1.0, 2.0)),
        "image_shape": (1, 8, 8),
        "bits": pack_images(images),
    }
    return PackedDataset(**{**fields, **changes})


def test_dataset_serves_images_in_any_order_and_repeated():
    images = random_images(6, (1, 8, 8), 2)
    dataset = packed(images)
    index = torch.tensor([5, 0, 0, 3])
    assert len(dataset) == 6
    assert torch.equal(dataset.images(index), images[index])
    with pytest.raises(IndexError, match="from 0 to 5, got 6"):
        dataset.images(torch.tensor([6]))


def test_dataset_refuses_bits_of_another_size():
    with pytest.raises(ValueError, match=r"shape \(6, 8\), got \(5, 8\)"):
        packed(random_images(5, (1, 8, 8), 2))
    with pytest.raises(ValueError, match="max_value of packed images must be 1, got 255"):
        packed(random_images(6, (1, 8, 8), 2), max_value=255)
