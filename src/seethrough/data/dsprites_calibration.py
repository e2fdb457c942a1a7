"""How far re-rendered dSprites images are from real ones of the same factors."""

import zipfile
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64
from torch import Tensor

from seethrough.data.dsprites import render


def wrong_pixels(path: str | Path) -> Int64[Tensor, " N"]:
    """Return in how many of its 4,096 pixels each real image differs from the re-rendered one.

    `path` is an npz of N real images: `images` (N, 64, 64) with pixels 0 and 1, and `factors`
    (N, 5) with their classes of shape, scale, orientation, posX, posY. Nothing is unpickled.

    Raises:
        ValueError: not such a file.
    """
    try:
        with np.load(path, allow_pickle=False) as frames:
            real = torch.from_numpy(frames["images"])
            classes = torch.from_numpy(frames["factors"]).long()
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is no npz of images and factors ({error})") from error
    if real.shape[1:] != (64, 64) or classes.shape != (len(real), 5) or not len(real):
        raise ValueError(
            f"{path} has images of shape {tuple(real.shape)} and factors of shape "
            f"{tuple(classes.shape)}, allowed are (N, 64, 64) and (N, 5) with N at least 1"
        )
    return (render(classes)[:, 0] != real).flatten(1).sum(dim=1)
