"""Datasets of images made from known factors."""

from seethrough.data.factor_dataset import FactorDataset
from seethrough.data.official_file import OfficialFileError
from seethrough.data.packed_images import PackedDataset, pack_images, unpack_images

__all__ = [
    "FactorDataset",
    "OfficialFileError",
    "PackedDataset",
    "pack_images",
    "unpack_images",
]
