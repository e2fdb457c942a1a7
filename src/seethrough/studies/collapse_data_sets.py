"""Study: what do the models see, and how exact are the re-rendered images?

For every data set of the ladder between dSprites and 3D Shapes: its size, how its pixels are
distributed over a random sample, and, where real images are given, how far re-rendered ones are
from them. Rows are named `quantity/data set`, or `step/data set/factor`. The statistics are of
pixels as shares of the largest value; distances are in pixels (dSprites) or levels (3D Shapes).
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float64, Int64, UInt8
from torch import Tensor

from seethrough.data import FactorDataset, catalogue
from seethrough.data.dsprites_calibration import wrong_pixels
from seethrough.data.shapes3d_calibration import calibration_errors, calibration_shifts
from seethrough.metrics.death_model import mean_to_spread, participation_ratio
from seethrough.provenance import collect
from seethrough.results import Row, StudyResult
from seethrough.store import ArtifactStore
from seethrough.training.device import check_device, thread_count

STUDY = "collapse_data_sets"
RESULT_FILE = "result.json"
FRACTION, PIXELS, LEVELS = "fraction", "pixels of 4,096", "levels of 255"

# Their colour pixels in float64 take 2 GB.
MOST_IMAGES = 20_000
Cell = dict[str, str | int | float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Parameters of the study; the defaults are the `smoke` scale."""

    dsprites_path: str = ""
    """Path of the published npz of dSprites; without it the images are re-rendered."""
    shapes3d_path: str = ""
    """Path of the published h5 of 3D Shapes; without it the images are re-rendered."""
    dsprites_frames: str = ""
    """Path of an npz of real dSprites images with factors; without it no calibration."""
    shapes3d_frames: str = ""
    """Path of an npz of real 3D Shapes images with factors; without it no calibration."""
    n_images: int = 32
    """Images of the random sample of each data set, 2 to 20,000, each image at most once."""
    seed: int = 0
    """Seed of the samples."""
    device: str = "cpu"
    """cpu, cuda or cuda:N."""
    threads: int = 1
    """CPU threads; other counts change results in the last bits."""

    def __post_init__(self) -> None:
        if not 2 <= self.n_images <= MOST_IMAGES:
            raise ValueError(f"n_images is {self.n_images}, allowed is 2 to {MOST_IMAGES:,}")
        if self.threads < 1:
            raise ValueError(f"threads is {self.threads}, allowed is 1 or more")
        for name in ("dsprites_path", "shapes3d_path", "dsprites_frames", "shapes3d_frames"):
            path = getattr(self, name)
            if path and not Path(path).is_file():
                raise ValueError(f"{name} is {path!r}, allowed is the path of a file or nothing")
        check_device(self.device)

    def data_sets(self) -> dict[str, FactorDataset]:
        """Return all data sets of the catalogue by name; a published file is read once."""
        paths = {catalogue.DSPRITES: self.dsprites_path, catalogue.SHAPES3D: self.shapes3d_path}
        families = {family: catalogue.load(family, path) for family, path in paths.items()}
        return {
            name: variant(families[family]) if variant else families[family]
            for name, (family, variant) in catalogue.VARIANTS.items()
        }


def run(parameters: Parameters, store: ArtifactStore | None = None) -> StudyResult:
    """Return the study's rows and provenance, from the store if they are there."""
    store = store or ArtifactStore()
    return StudyResult.read(store.get(parameters, _build) / RESULT_FILE)


def _build(parameters: Parameters, workspace: Path) -> None:
    started = time.monotonic()
    rows: list[Row] = []
    with thread_count(parameters.threads):
        datasets = parameters.data_sets()
        for name, dataset in datasets.items():
            rows += data_set_rows(name, dataset, parameters)
        rows += step_rows("dsprites", datasets["dsprites"], parameters, PIXELS, 64 * 64)
        rows += step_rows("shapes3d", datasets["shapes3d"], parameters, LEVELS, 1)
        rows += error_rows(parameters)
    StudyResult(
        study=STUDY,
        rows=tuple(rows),
        series=(),
        provenance=collect(STUDY, parameters, seconds=time.monotonic() - started),
    ).write(workspace / RESULT_FILE)


def data_set_rows(name: str, dataset: FactorDataset, parameters: Parameters) -> list[Row]:
    """Return the size of a data set and the statistics of its pixels."""
    images = sample(dataset, parameters)
    pixels = images.flatten(1).double() / dataset.max_value  # (N, C H W)
    measured = (
        ("images", "images", "images", len(dataset)),
        ("factors", "factors that vary", "factors", len(dataset.factor_sizes)),
        ("sampled", "images of the sample", "images", len(images)),
        ("distinct", "different images in the sample", "images", n_distinct(images)),
        ("pixel_mean", "mean of the pixels", FRACTION, pixels.mean()),
        ("pixel_sd", "standard deviation of the pixels", FRACTION, pixels.std(correction=0)),
        ("pixel_gamma", "mean-to-spread ratio of the pixels", "ratio", mean_to_spread(pixels)),
        ("pixel_directions", "participation ratio of the pixels", "directions",
         participation_ratio(pixels)),
    )  # fmt: skip
    cell: Cell = {"data_set": name, "source": dataset.name}
    return [
        Row(f"{id}/{name}", quantity, cell, unit, (float(value),))
        for id, quantity, unit, value in measured
    ]


def sample(dataset: FactorDataset, parameters: Parameters) -> UInt8[Tensor, "N C H W"]:
    """Return the images at `sample_index`."""
    return dataset.images(sample_index(dataset, parameters))


def sample_index(dataset: FactorDataset, parameters: Parameters) -> Int64[Tensor, " N"]:
    """Return random indices of a data set, each at most once, on the study's device."""
    generator = torch.Generator().manual_seed(parameters.seed)
    index = torch.randperm(len(dataset), generator=generator)[: parameters.n_images]
    return index.to(parameters.device)


def n_distinct(images: UInt8[Tensor, "N C H W"]) -> int:
    """Return how many different images there are.

    >>> n_distinct(torch.tensor([[[[1]]], [[[0]]], [[[1]]]], dtype=torch.uint8))
    2
    """
    # A set of bytes is ten times faster than torch.unique of rows this long.
    return len({image.tobytes() for image in images.cpu().numpy()})


def step_rows(
    name: str, dataset: FactorDataset, parameters: Parameters, unit: str, n_pixels: int
) -> Iterator[Row]:
    """Yield how much one step of each factor changes an image: a ruler for the errors.

    The mean over the sample of the mean absolute difference of the pixels, times `n_pixels`. The
    last class of a factor counts as the step that leads to it.
    """
    classes = dataset.classes(sample_index(dataset, parameters))
    for factor, (factor_name, size) in enumerate(
        zip(dataset.factor_names, dataset.factor_sizes, strict=True)
    ):
        before, after = classes.clone(), classes.clone()
        before[:, factor] = classes[:, factor].clamp(max=size - 2)
        after[:, factor] = before[:, factor] + 1
        images, moved = (dataset.images(dataset.index(c)).short() for c in (before, after))
        change = n_pixels * float((moved - images).abs().mean(dtype=torch.float64))
        cell: Cell = {"data_set": name, "source": dataset.name, "factor": factor_name}
        quantity = "change of an image by one step of the factor"
        yield Row(f"step/{name}/{factor_name}", quantity, cell, unit, (change,))


def error_rows(parameters: Parameters) -> list[Row]:
    """Return how far re-rendered images are from real ones, for the real images that are given."""
    rows: list[Row] = []
    if parameters.dsprites_frames:
        errors = wrong_pixels(parameters.dsprites_frames).double()
        rows += _errors("dsprites", errors, PIXELS)
    if parameters.shapes3d_frames:
        errors = calibration_errors(parameters.shapes3d_frames)
        rows += _errors("shapes3d", errors, LEVELS)
        if len(errors) > 1:
            rows += _errors("shapes3d", errors[1::2], LEVELS, "_held_out", ", not fitted")
        rows += edge_rows(calibration_shifts(parameters.shapes3d_frames))
    return rows


def edge_rows(shifts: Float64[Tensor, " E"]) -> list[Row]:
    """Return how many edges of rooms were compared, and how far they are shifted; NaN for none."""
    cell: Cell = {"data_set": "shapes3d"}
    middle, high = (float(torch.quantile(shifts, q)) if len(shifts) else math.nan
                    for q in (0.5, 0.95))  # fmt: skip
    measured = (
        ("edges", "edges compared with real images", "edges", float(len(shifts))),
        ("edge_shift_median", "shift of an edge, median", "pixels", middle),
        ("edge_shift_high", "shift of an edge that 95 % stay below", "pixels", high),
    )
    return [
        Row(f"{id}/shapes3d", quantity, cell, unit, (value,))
        for id, quantity, unit, value in measured
    ]


def _errors(
    name: str, errors: Float64[Tensor, " N"], unit: str, tag: str = "", which: str = ""
) -> list[Row]:
    cell: Cell = {"data_set": name}
    measured = (
        ("frames", "real images", "images", len(errors)),
        ("frames_exact", "real images drawn without any error", "images", (errors == 0).sum()),
        ("frame_error_mean", "error per real image, mean over images", unit, errors.mean()),
        ("frame_error_max", "error per real image, largest of all", unit, errors.max()),
    )
    return [
        Row(f"{id}{tag}/{name}", f"{quantity}{which}", cell, measured_in, (float(value),))
        for id, quantity, measured_in, value in measured
    ]
