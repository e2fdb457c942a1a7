"""Statistics of every unit's activations over a data set, gathered while the batches stream by.

No activation is kept. Sums have two levels: over the tokens of an image in the model's precision,
over images in float64, so that a million images lose no digits. Nothing moves to the host inside
the loop. The readings of all sites are counted in together, once per batch: for small models the
number of operations costs more than the arithmetic.

Symbols: B images of a batch, T tokens, U units of a site, V numbers per unit, C classes, K columns.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor, nn

from seethrough.neurons.sites import Batches, MlpUnits, Site, frozen, visited
from seethrough.neurons.token_readings import TokenReadings, token_readings


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ColumnStatistics:
    """What K numbers per image were on a set of images; updated in place."""

    class_totals: Float64[Tensor, "C K"]
    """Sum over the images of each class."""
    total_squares: Float64[Tensor, " K"]
    """Sum of squares over all images."""
    maximum: Float64[Tensor, " K"]
    """Largest value; minus infinity before the first image, NaN once a value was NaN."""
    n_positive: Int64[Tensor, " K"]
    """Images on which the value is above 0."""

    @property
    def total(self) -> Float64[Tensor, " K"]:
        """Sum over all images."""
        return self.class_totals.sum(dim=0)

    @classmethod
    def none(cls, n_columns: int, n_classes: int, device: torch.device) -> "ColumnStatistics":
        """Return the statistics of no image."""
        return cls(
            class_totals=torch.zeros(n_classes, n_columns, dtype=torch.float64, device=device),
            total_squares=torch.zeros(n_columns, dtype=torch.float64, device=device),
            maximum=torch.full((n_columns,), -torch.inf, dtype=torch.float64, device=device),
            n_positive=torch.zeros(n_columns, dtype=torch.int64, device=device),
        )

    def observe(self, values: Float[Tensor, "B K"], labels: Int64[Tensor, " B"]) -> None:
        """Count in the values of one batch, in place."""
        exact = values.double()
        self.class_totals.index_add_(0, labels, exact)
        torch.maximum(self.maximum, values.amax(dim=0).double(), out=self.maximum)
        # Comparing into floats is a third of the time of summing truth values.
        positive = torch.gt(values, 0, out=torch.empty_like(values))
        self.n_positive.add_(positive.sum(dim=0).long())
        self.total_squares.add_((exact * exact).sum(dim=0))

    def columns(self, some: slice) -> "ColumnStatistics":
        """Return the statistics of some columns, as a view."""
        return ColumnStatistics(
            class_totals=self.class_totals[:, some],
            total_squares=self.total_squares[some],
            maximum=self.maximum[some],
            n_positive=self.n_positive[some],
        )

    def merged(self, other: "ColumnStatistics") -> "ColumnStatistics":
        """Return the statistics of the images of both; neither is changed."""
        return ColumnStatistics(
            class_totals=self.class_totals + other.class_totals,
            total_squares=self.total_squares + other.total_squares,
            maximum=torch.maximum(self.maximum, other.maximum),
            n_positive=self.n_positive + other.n_positive,
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SiteStatistics:
    """What the U units of one site did on a set of images; one column per unit and reading."""

    class_counts: Int64[Tensor, " C"]
    """Images of each class."""
    class_token: ColumnStatistics
    """Of the activation on the class token."""
    patch_maximum: ColumnStatistics
    """Of the largest activation on patches."""
    token_mean: ColumnStatistics
    """Of the mean activation over tokens."""
    vector_total: Float64[Tensor, "U V"]
    """Sum over images of the mean over tokens of each unit's V numbers."""

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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StatisticsTable:
    """Statistics of several sites in one table of columns, so that a batch is counted in at once.

    Site after site: class token, patch maximum and token mean of each unit, then the V numbers of
    each head; of an MLP unit these would repeat the token mean.
    """

    shapes: dict[Site, tuple[int, int]]
    """(U, V) of every site, in the order of the columns."""
    class_counts: Int64[Tensor, " C"]
    """Images of each class."""
    columns: ColumnStatistics
    """Statistics of every column."""

    @classmethod
    def none(cls, model: nn.Module, sites: Iterable[Site], n_classes: int) -> "StatisticsTable":
        """Return the statistics of no image, on the model's device.

        Raises ValueError for `n_classes` below 1, or a site that the model lacks.
        """
        if n_classes < 1:
            raise ValueError(f"n_classes is {n_classes}, allowed is at least 1")
        device = next(model.parameters()).device
        shapes = {site: site.shape(model) for site in sites}
        n_columns = sum(_width(site, shape) for site, shape in shapes.items())
        return cls(
            shapes=shapes,
            class_counts=torch.zeros(n_classes, dtype=torch.int64, device=device),
            columns=ColumnStatistics.none(n_columns, n_classes, device),
        )

    def observe(self, readings: dict[Site, TokenReadings], labels: Int64[Tensor, " B"]) -> None:
        """Count in the readings of one batch, in place; labels are 0 to C - 1."""
        parts: list[Tensor] = []
        for site in self.shapes:
            found = readings[site]
            parts += [found.class_token, found.patch_maximum, found.token_mean]
            if not isinstance(site, MlpUnits):
                parts.append(found.vector_mean.flatten(start_dim=1))
        self.class_counts.index_add_(0, labels, torch.ones_like(labels))
        if parts:
            self.columns.observe(torch.cat(parts, dim=1), labels)  # (B, K)

    def by_site(self) -> dict[Site, SiteStatistics]:
        """Return the statistics of every site, as views: they go on with the table."""
        statistics, start = {}, 0
        for site, (n_units, width) in self.shapes.items():
            three = [
                self.columns.columns(slice(start + which * n_units, start + (which + 1) * n_units))
                for which in range(3)
            ]
            end = start + _width(site, (n_units, width))
            vectors = self.columns.columns(slice(end - n_units * width, end))
            statistics[site] = SiteStatistics(
                class_counts=self.class_counts,
                class_token=three[0],
                patch_maximum=three[1],
                token_mean=three[2],
                vector_total=vectors.total.view(n_units, width),
            )
            start = end
        return statistics


@torch.no_grad()
def activation_statistics(
    model: nn.Module, batches: Batches, sites: Iterable[Site], n_classes: int
) -> dict[Site, SiteStatistics]:
    """Return the statistics of every site over all images, one forward pass each.

    The model runs in evaluation mode and is left as it was. With no images all sums are 0.

    Raises:
        ValueError: `n_classes` below 1, or a site that the model lacks.
        IndexError: a label outside 0 to C - 1 (on a CUDA device, a device-side assertion).
    """
    table = StatisticsTable.none(model, sites, n_classes)
    observe_batches(model, batches, table)
    return table.by_site()


@torch.no_grad()
def observe_batches(model: nn.Module, batches: Batches, table: StatisticsTable) -> None:
    """Count in the activations of these batches, in place; the model is left as it was.

    Tokens are summed up at the site, while they are still in cache.
    """
    readings: dict[Site, TokenReadings] = {}

    def read(site: Site, vectors: Tensor) -> None:
        readings[site] = token_readings(site, vectors)

    with frozen(model), visited(model, table.shapes, read):
        for images, labels in batches:
            model(images)
            table.observe(readings, labels)


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
        class_token=first.class_token.merged(second.class_token),
        patch_maximum=first.patch_maximum.merged(second.patch_maximum),
        token_mean=first.token_mean.merged(second.token_mean),
        vector_total=first.vector_total + second.vector_total,
    )


def _width(site: Site, shape: tuple[int, int]) -> int:
    """Return the number of columns of a site in the table."""
    n_units, width = shape
    return 3 * n_units + (0 if isinstance(site, MlpUnits) else n_units * width)
