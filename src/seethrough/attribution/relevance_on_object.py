"""How much of an attribution map falls on an object whose place in the image is known."""

from dataclasses import dataclass

from jaxtyping import Bool, Float
from torch import Tensor

from seethrough.attribution.map_sizes import to_patches


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RelevanceOnObject:
    """Where the positive relevance of B images lies."""

    share: Float[Tensor, " B"]
    """Share of positive relevance on the object, 0 to 1; NaN where none is positive."""
    area: Float[Tensor, " B"]
    """Share of the image the object covers, 0 to 1: the share of a map that knows nothing."""

    @property
    def lift(self) -> Float[Tensor, " B"]:
        """Return share / area, 1 at chance; NaN with no positive relevance or no object."""
        return self.share / self.area


def relevance_on_object(
    maps: Float[Tensor, "B h w"], objects: Bool[Tensor, "B H W"]
) -> RelevanceOnObject:
    """Return the share of positive relevance on objects given by pixel, True on the object.

    Maps may be by pixel or coarser: a cell's relevance is taken to lie evenly over its pixels, so a
    cell half on the object counts half. Negative relevance counts as none.

    >>> import torch
    >>> object_on_the_left = torch.tensor([[[True, False]]])
    >>> found = relevance_on_object(torch.tensor([[[3.0, 1.0]]]), object_on_the_left)
    >>> found.share.tolist(), found.area.tolist(), found.lift.tolist()
    ([0.75], [0.5], [1.5])

    Raises:
        ValueError: unequal numbers of maps and objects, no images, a map with NaN or infinity, or a
            map size that does not divide the object mask's.
    """
    if len(maps) != len(objects) or len(maps) == 0:
        raise ValueError(
            f"maps and objects need one of each per image, got {len(maps)} and {len(objects)}"
        )
    if not bool(maps.isfinite().all()):
        raise ValueError("maps must be finite, got NaN or infinity")
    grid = (maps.shape[1], maps.shape[2])
    pixels_per_cell = objects[0].numel() / maps[0].numel()
    coverage = to_patches(objects.to(maps.dtype), grid) / pixels_per_cell  # (B, h, w), 0 to 1
    positive = maps.relu()
    on_object = (positive * coverage).sum(dim=(1, 2))
    return RelevanceOnObject(
        share=on_object / positive.sum(dim=(1, 2)),
        area=objects.to(maps.dtype).mean(dim=(1, 2)),
    )
