"""Random order: the floor that every attribution method has to beat."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from seethrough.attribution.plain_transformer import blocks_from, patch_grid, require_images


def random_order(
    model: nn.Module,
    images: Float[Tensor, "B 3 H W"],
    targets: Int64[Tensor, " B"] | None = None,
    *,
    generator: torch.Generator,
) -> Float[Tensor, "B h w"]:
    """Return a map for each image that ranks its patches in an order drawn at random.

    The values of a map are 0, 1/n, ..., (n - 1)/n for n patches, so no two patches tie. Neither
    model nor targets are asked: they stand here so that every method takes the same arguments.

    Raises:
        ValueError: a model that is not plain, or images of another size.
    """
    blocks_from(model, 0)
    require_images(model, images)
    rows, columns = patch_grid(model)
    n_patches = rows * columns
    draws = torch.rand(
        len(images), n_patches, generator=generator, device=generator.device, dtype=torch.float64
    )
    ranks = draws.argsort(dim=1).to(images.device, images.dtype)  # each row a permutation
    return (ranks / n_patches).view(-1, rows, columns)
