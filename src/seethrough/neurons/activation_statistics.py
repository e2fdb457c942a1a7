"""Statistics of every unit's activations over a data set, gathered while the batches stream by.

No activation is kept. Sums have two levels: over the tokens of an image in the model's precision,
over images in float64, so that a million images lose no digits. Nothing moves to the host inside
the loop.

Symbols: B images of a batch, T tokens, U units of a site, V numbers per unit, C classes.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor, nn

from seethrough.neurons.sites import Batches, Site, frozen, visited
from seethrough.neurons.token_readings import token_readings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ReadingStatistics:
    """What one reading of U units (see `token_readings`) was on the images; updated in place."""

    class_totals: Float64[Tensor, "C U"]
    """Sum over the images of each class."""
    total_squares: Float64[Tensor, " U"]
    """Sum of squares over all images."""
    maximum: Float64[Tensor, " U"]
    """Largest value; minus infinity before the first image, NaN once a value was NaN."""
    n_positive: Int64[Tensor, " U"]
    """Images on which the value is above 0."""

    @property
    def total(self) -> Float64[Tensor, " U"]:
        """Sum over all images."""
        return self.class_totals.sum(dim=0)

    @classmethod
    def none(cls, n_units: int, n_classes: int, device: torch.device) -> "ReadingStatistics":
        """Return the statistics of no image."""
        return cls(
            class_totals=torch.zeros(n_classes, n_units, dtype=torch.float64, device=device),
            total_squares=torch.zeros(n_units, dtype=torch.float64, device=device),
            maximum=torch.full((n_units,), -torch.inf, dtype=torch.float64, device=device),
            n_positive=torch.zeros(n_units, dtype=torch.int64, device=device),
        )

    def observe(self, values: Float[Tensor, "B U"], labels: Int64[Tensor, " B"]) -> None:
        """Count in the values of one batch, in place."""
        exact = values.double()
        self.class_totals.index_add_(0, labels, exact)
        self.total_squares.add_(exact.square().sum(dim=0))
        torch.maximum(self.maximum, exact.amax(dim=0), out=self.maximum)
        self.n_positive.add_((values > 0).sum(dim=0))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SiteStatistics:
    """What the U units of one site did on a set of images; updated in place."""

    class_counts: Int64[Tensor, " C"]
    """Images of each class."""
    vector_total: Float64[Tensor, "U V"]
    """Sum over images of the mean over tokens of each unit's V numbers."""
    class_token: ReadingStatistics
    """Of the activation on the class token."""
    patch_maximum: ReadingStatistics
    """Of the largest activation on patches."""
    token_mean: ReadingStatistics
    """Of the mean activation over tokens."""

    @property
    def n_images(self) -> Int64[Tensor, ""]:
        """Number of images, on the statistics' device."""
        return self.class_counts.sum()

    @property
    def mean(self) -> Float64[Tensor, "U V"]:
        """Mean of each unit over images and tokens; NaN without images.

        For an MLP unit a number, for a head a vector: what an ablated unit is replaced by.
        """
        return self.vector_total / self.n_images

    @classmethod
    def none(cls, shape: tuple[int, int], n_classes: int, device: torch.device) -> "SiteStatistics":
        """Return the statistics of no image for a site of this shape (U, V)."""
        if n_classes < 1:
            raise ValueError(f"n_classes is {n_classes}, allowed is at least 1")
        readings = [ReadingStatistics.none(shape[0], n_classes, device) for _ in range(3)]
        return cls(
            class_counts=torch.zeros(n_classes, dtype=torch.int64, device=device),
            vector_total=torch.zeros(shape, dtype=torch.float64, device=device),
            class_token=readings[0],
            patch_maximum=readings[1],
            token_mean=readings[2],
        )

    def observe(
        self, site: Site, vectors: Float[Tensor, "B T U V"], labels: Int64[Tensor, " B"]
    ) -> None:
        """Count in the activations of one batch, in place; labels are 0 to C - 1."""
        readings = token_readings(site, vectors)
        self.class_counts.index_add_(0, labels, torch.ones_like(labels))
        self.class_token.observe(readings.class_token, labels)
        self.patch_maximum.observe(readings.patch_maximum, labels)
        self.token_mean.observe(readings.token_mean, labels)
        self.vector_total.add_(readings.vector_mean.double().sum(dim=0))


@torch.no_grad()
def activation_statistics(
    model: nn.Module, batches: Batches, sites: tuple[Site, ...], n_classes: int
) -> dict[Site, SiteStatistics]:
    """Return the statistics of every site over all images, one forward pass each.

    The model runs in evaluation mode and is left as it was. With no images all sums are 0.

    Raises:
        ValueError: `n_classes` below 1, or a site that the model lacks.
        IndexError: a label outside 0 to C - 1 (on a CUDA device, a device-side assertion).
    """
    device = next(model.parameters()).device
    statistics = {site: SiteStatistics.none(site.shape(model), n_classes, device) for site in sites}
    for images, labels in batches:
        observe_batch(model, images, labels, statistics)
    return statistics


@torch.no_grad()
def observe_batch(
    model: nn.Module,
    images: Float[Tensor, "B 3 H W"],
    labels: Int64[Tensor, " B"],
    statistics: dict[Site, SiteStatistics],
) -> Float[Tensor, "B C"]:
    """Return the logits of a batch, its activations counted in, in place, on the way.

    Activations are read while they are still in cache.
    """

    def observe(site: Site, vectors: Tensor) -> None:
        statistics[site].observe(site, vectors, labels)

    with frozen(model), visited(model, statistics, observe):
        logits: Tensor = model(images)
    return logits


def merged(first: SiteStatistics, second: SiteStatistics) -> SiteStatistics:
    """Return the statistics of the images of both; neither is changed.

    Raises:
        ValueError: statistics of different numbers of units or classes.
    """
    shapes = [(tuple(part.vector_total.shape), len(part.class_counts)) for part in (first, second)]
    if shapes[0] != shapes[1]:
        raise ValueError(f"units and classes must agree, got {shapes[0]} and {shapes[1]}")
    return SiteStatistics(
        class_counts=first.class_counts + second.class_counts,
        vector_total=first.vector_total + second.vector_total,
        class_token=_merged_readings(first.class_token, second.class_token),
        patch_maximum=_merged_readings(first.patch_maximum, second.patch_maximum),
        token_mean=_merged_readings(first.token_mean, second.token_mean),
    )


def _merged_readings(first: ReadingStatistics, second: ReadingStatistics) -> ReadingStatistics:
    return ReadingStatistics(
        class_totals=first.class_totals + second.class_totals,
        total_squares=first.total_squares + second.total_squares,
        maximum=torch.maximum(first.maximum, second.maximum),
        n_positive=first.n_positive + second.n_positive,
    )
