"""Insertion and deletion: does the class come and go with the pixels that a map ranks first?

Deletion replaces the image by a reference, most relevant cells first; insertion starts from the
reference and puts the image back in the same order ({cite:t}`petsiuk2018rise`). The score is the
softmax probability of the target. A good map has a low area under deletion, a high one under
insertion.

Symbols: B images of H x W pixels; n cells of a map; S steps, S + 1 points of a curve.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from jaxtyping import Float, Float64, Int32, Int64
from torch import Tensor, nn

from seethrough.attribution.gaussian_blur import gaussian_blur
from seethrough.attribution.map_sizes import to_pixels
from seethrough.attribution.model_state import evaluating
from seethrough.attribution.targets import chosen_targets, of_targets

Unit = Literal["patch", "pixel"]
"""What changes at once: a cell of the map as given, or a pixel of the map upsampled."""
Reference = Literal["zero", "blur"]
"""What stands for a deleted pixel: 0 in normalised space, or the image blurred."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class InsertionDeletion:
    """Probability of the target as B images are deleted and inserted."""

    targets: Int64[Tensor, " B"]
    """Class of each image whose probability is followed."""
    fractions: Float64[Tensor, " points"]
    """Share of cells changed at each point of a curve, from 0 to 1."""
    deletion: Float[Tensor, "B points"]
    """Probability, from the whole image to the reference."""
    insertion: Float[Tensor, "B points"]
    """Probability, from the reference to the whole image."""

    @property
    def clean_probability(self) -> Float[Tensor, " B"]:
        """Return the probability on the whole image."""
        return self.deletion[:, 0]

    @property
    def deletion_auc(self) -> Float64[Tensor, " B"]:
        """Return the area under deletion over the share of cells, 0 to 1; low is good."""
        return torch.trapezoid(self.deletion.double(), self.fractions, dim=1)

    @property
    def insertion_auc(self) -> Float64[Tensor, " B"]:
        """Return the area under insertion over the share of cells, 0 to 1; high is good."""
        return torch.trapezoid(self.insertion.double(), self.fractions, dim=1)

    @property
    def normalised_deletion_auc(self) -> Float64[Tensor, " B"]:
        """Return the area under deletion over the clean probability; NaN where that is 0."""
        return self._over_clean(self.deletion_auc)

    @property
    def normalised_insertion_auc(self) -> Float64[Tensor, " B"]:
        """Return the area under insertion over the clean probability; NaN where that is 0."""
        return self._over_clean(self.insertion_auc)

    def _over_clean(self, area: Float64[Tensor, " B"]) -> Float64[Tensor, " B"]:
        clean = self.clean_probability.double()
        return torch.where(clean > 0, area / clean, torch.nan)


@torch.no_grad()
def insertion_deletion(
    model: nn.Module,
    images: Float[Tensor, "B 3 H W"],
    maps: Float[Tensor, "B h w"],
    targets: Int64[Tensor, " B"] | None = None,
    unit: Unit = "patch",
    steps: int = 28,
    reference: Reference = "zero",
    batch_size: int = 64,
) -> InsertionDeletion:
    """Return both curves of every image.

    Cells are taken by decreasing relevance, equal ones by increasing index in reading order, so a
    constant map is reading order. After step i, floor(i n / S) of n cells are changed: steps differ
    by at most one cell where S does not divide n. Targets left out are the classes predicted on the
    whole images.

    The two curves run between the same two images: those are put through the model once (a zero
    reference once for all images), so 2 (S - 1) + 1 forward passes per image remain. `batch_size`
    is the number of changed images in the model at once (at least 2, a deletion and an insertion);
    nothing leaves the device between them. For any classifier that returns logits.

    >>> image = torch.zeros(1, 3, 1, 2)
    >>> image[0, 0, 0, 1] = 5.0
    >>> the_pixels_are_the_logits = nn.Flatten()
    >>> bright_first = torch.tensor([[[0.0, 1.0]]])
    >>> found = insertion_deletion(the_pixels_are_the_logits, image, bright_first, steps=2)
    >>> found.targets.tolist(), bool(found.insertion_auc > 2 * found.deletion_auc)
    ([1], True)

    Raises:
        ValueError: no images, unequal numbers of images and maps, a map with NaN or infinity, a map
            size that does not divide the images', `steps` outside 1 to n, `batch_size` below 1, a
            target, unit or reference that is not there.
    """
    _require_usable(images, maps, unit, reference, batch_size)
    size = (images.shape[2], images.shape[3])
    by_pixel = to_pixels(maps, size)  # refuses a grid that does not divide the images
    ranks = _ranks(by_pixel if unit == "pixel" else maps)
    counts = _changed_counts(ranks[0].numel(), steps)
    blank = torch.zeros_like(images[:1]) if reference == "zero" else gaussian_blur(images)
    with evaluating(model):
        clean = _probabilities(model, images, batch_size)
        empty = _probabilities(model, blank, batch_size).expand_as(clean)
        chosen = chosen_targets(clean, targets)
        curves = clean.new_empty(2, len(images), steps + 1)  # deletion, insertion
        curves[0, :, 0] = curves[1, :, -1] = of_targets(clean, chosen)
        curves[0, :, -1] = curves[1, :, 0] = of_targets(empty, chosen)
        inner = curves[:, :, 1:-1]
        blanks = blank.expand_as(images)
        _fill(inner, model, images, blanks, _spread(ranks, size), counts, chosen, batch_size)
    fractions = torch.tensor(counts, dtype=torch.float64, device=curves.device) / counts[-1]
    return InsertionDeletion(
        targets=chosen, fractions=fractions, deletion=curves[0], insertion=curves[1]
    )


def _fill(
    curves: Float[Tensor, "2 B inner"],
    model: nn.Module,
    images: Float[Tensor, "B 3 H W"],
    blanks: Float[Tensor, "B 3 H W"],
    ranks: Int32[Tensor, "B 1 H W"],
    counts: list[int],
    targets: Int64[Tensor, " B"],
    batch_size: int,
) -> None:
    """Write the probabilities between the end points into `curves`, deletion and insertion."""
    inner = counts[1:-1]
    # Loops over groups of images and of steps: each pair of groups is one forward pass.
    for some in _slices(len(images), max(1, batch_size // 2)):
        size = some.stop - some.start
        per_pass = max(1, min(len(inner), batch_size // (2 * size)))
        changed = images.new_empty(per_pass, 2, size, *images.shape[1:])  # written anew each pass
        for steps in _slices(len(inner), per_pass):
            filled = changed[: steps.stop - steps.start]
            for row, count in zip(filled, inner[steps], strict=True):
                first = ranks[some] < count
                torch.where(first, blanks[some], images[some], out=row[0])
                torch.where(first, images[some], blanks[some], out=row[1])
            repeated = targets[some].repeat(2 * len(filled))
            scores = of_targets(_softmax(model(filled.flatten(0, 2))), repeated)
            curves[:, some, steps] = scores.view(-1, 2, size).permute(1, 2, 0)


def _probabilities(
    model: nn.Module, images: Float[Tensor, "B 3 H W"], batch_size: int
) -> Float[Tensor, "B C"]:
    return torch.cat([_softmax(model(images[some])) for some in _slices(len(images), batch_size)])


def _softmax(logits: Float[Tensor, "B C"]) -> Float[Tensor, "B C"]:
    """Return probabilities, in float32 at least: half precision has too few digits for a curve."""
    return logits.softmax(dim=1, dtype=torch.promote_types(logits.dtype, torch.float32))


def _ranks(maps: Float[Tensor, "B h w"]) -> Int32[Tensor, "B h w"]:
    """Return each cell's place in the order of its map, 0 for the most relevant."""
    order = maps.flatten(1).sort(dim=1, descending=True, stable=True).indices
    places = torch.arange(order.shape[1], dtype=torch.int32, device=maps.device)
    ranks = torch.empty_like(order, dtype=torch.int32).scatter_(1, order, places.expand_as(order))
    return ranks.view(maps.shape)


def _spread(ranks: Int32[Tensor, "B h w"], size: tuple[int, int]) -> Int32[Tensor, "B 1 H W"]:
    """Return the ranks by pixel: every pixel of a cell has the cell's rank."""
    rows, columns = size[0] // ranks.shape[1], size[1] // ranks.shape[2]
    return ranks.repeat_interleave(rows, dim=1).repeat_interleave(columns, dim=2)[:, None]


def _changed_counts(n_cells: int, steps: int) -> list[int]:
    """Return how many cells are changed at each point of a curve, from 0 to all."""
    if not 1 <= steps <= n_cells:
        raise ValueError(f"steps is {steps}, allowed is 1 to {n_cells}, the cells of a map")
    return [step * n_cells // steps for step in range(steps + 1)]


def _require_usable(
    images: Tensor, maps: Tensor, unit: str, reference: str, batch_size: int
) -> None:
    if len(images) != len(maps) or len(images) == 0:
        raise ValueError(
            f"images and maps need one of each, got {len(images)} images and {len(maps)} maps"
        )
    if not bool(maps.isfinite().all()):
        raise ValueError("maps must be finite, got NaN or infinity")
    for name, value, allowed in (
        ("unit", unit, get_args(Unit)),
        ("reference", reference, get_args(Reference)),
    ):
        if value not in allowed:
            raise ValueError(f"{name} is {value!r}, allowed is one of {allowed}")
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}, allowed is at least 1")


def _slices(total: int, step: int) -> Iterator[slice]:
    for start in range(0, total, step):
        yield slice(start, min(start + step, total))
