"""Freely licensed photographs that come with scikit-image, for pictures of attribution maps."""

from dataclasses import dataclass

from PIL import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class Photograph:
    """One photograph and who made it."""

    title: str
    """What it shows."""
    credit: str
    """Who made it and on what terms."""


PHOTOGRAPHS = {
    "chelsea": Photograph(title="a cat", credit="Stefan van der Walt, CC0"),
    "coffee": Photograph(
        title="a cup of coffee", credit="Rachel Michetti and Pikolo Espresso Bar, CC0"
    ),
    "rocket": Photograph(title="a rocket's launch", credit="SpaceX, public domain"),
    "astronaut": Photograph(title="Eileen Collins", credit="NASA, public domain"),
}
"""Name in scikit-image's data -> what it shows and its licence."""


def photograph(name: str) -> Image.Image:
    """Return a photograph as it comes with scikit-image; no network is used.

    Raises:
        ValueError: a name that `PHOTOGRAPHS` lacks, or scikit-image is not installed.
    """
    if name not in PHOTOGRAPHS:
        raise ValueError(f"photograph is {name!r}, allowed are {', '.join(PHOTOGRAPHS)}")
    try:
        from skimage import data
    except ImportError as error:
        raise ValueError(
            f"photograph {name!r} comes with scikit-image, which is not installed: "
            "pip install 'seethrough[book]'"
        ) from error
    return Image.fromarray(getattr(data, name)()).convert("RGB")
