"""Fit of the 3D Shapes scene to real images, and how far the re-rendered ones are from them.

The fit uses every second real image; the others are held out, and errors are printed for both
halves. The constants it found stand as defaults in `shapes3d_scene.Scene`; its start came from
earlier fits to all images, so the held-out half is not wholly unseen. A fit from a start rounded
to at most three digits ends in slightly other constants and 0.80 of 255 on the fitted half, 0.86 on
the other, against 0.94 and 0.90: little of the held-out error is owed to the start.

Run: python -m seethrough.data.shapes3d_calibration FRAMES.npz [--evaluations N] [--picture OUT.png]

Symbols: M real images; P exact pixels, those that are the same as in the published file.
"""

import argparse
import colorsys
import dataclasses
import zipfile
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64, UInt8
from numpy.typing import NDArray
from torch import Tensor

from seethrough.data.factor_dataset import require_classes
from seethrough.data.shapes3d import N_SAMPLES, SKY_COLOUR, average, render
from seethrough.data.shapes3d_boundaries import boundary_shifts
from seethrough.data.shapes3d_factors import (
    FACTOR_NAMES,
    FACTOR_SIZES,
    FACTOR_VALUES,
    HUES,
    IMAGE_SHAPE,
)
from seethrough.data.shapes3d_scene import FLOOR, OBJECT, SKY, WALL, Scene, trace

# Change of each constant that finite differences use: large enough to move edges over samples.
STEP_GEOMETRY = 0.002
STEPS = {"focal_length": 0.2, "spot_exponent": 0.3, "lamp_z": 0.02}
# Grey levels at which the robust loss turns from squares to distances: edges and texture.
LOSS_SCALE = 10.0
# Keeps constants that the images say nothing about; far too weak to matter to the others.
PULL_TO_START = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class RealFrames:
    """Published images with their factors."""

    images: UInt8[Tensor, "M 3 64 64"]
    """Values 0 to 255."""
    classes: Int64[Tensor, "M 6"]
    """Classes as in `shapes3d_factors`."""
    exact: Bool[Tensor, "64 64"]
    """Pixels known without error in all images."""

    @property
    def fitted(self) -> Bool[Tensor, " M"]:
        """Images that the fit uses: every second one, the first included."""
        return torch.arange(len(self.images)) % 2 == 0


def read_frames(path: str | Path) -> RealFrames:
    """Return the real images in an npz; nothing is unpickled.

    Its arrays are `images` (M, 64, 64, 3) uint8, `factors` (M, 6) with classes as in
    `shapes3d_factors`, and `pixel_status` (64, 64), 0 where pixels are exact.

    Raises:
        ValueError: not such a file, or a class outside its factor.
    """
    try:
        with np.load(path, allow_pickle=False) as frames:
            images = torch.from_numpy(frames["images"])
            classes = torch.from_numpy(frames["factors"]).long()
            exact = torch.from_numpy(frames["pixel_status"] == 0)
    except (OSError, KeyError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise ValueError(f"{path} is no npz of images, factors, pixel_status ({error})") from error
    shapes = tuple(images.shape), tuple(classes.shape), tuple(exact.shape)
    count = len(images)
    if shapes != ((count, 64, 64, 3), (count, len(FACTOR_NAMES)), (64, 64)) or count == 0:
        raise ValueError(
            f"{path} has images, factors and pixel_status of shapes {shapes}, allowed are "
            "(M, 64, 64, 3), (M, 6), (64, 64) with M at least 1"
        )
    if images.dtype != torch.uint8:
        raise ValueError(f"{path} has images of type {images.dtype}, allowed is torch.uint8")
    require_classes(classes, FACTOR_NAMES, FACTOR_SIZES)
    return RealFrames(images=images.permute(0, 3, 1, 2), classes=classes, exact=exact)


def draw(scene: Scene, classes: Int64[Tensor, "M 6"]) -> Float64[Tensor, "M 3 64 64"]:
    """Return images of any scene in grey levels, one by one from their samples, not rounded."""
    # Loop over images: one at a time its arrays stay in cache.
    images = [_draw_one(scene, row) for row in classes.tolist()]
    return torch.stack(images) if images else torch.empty(0, *IMAGE_SHAPE, dtype=torch.float64)


def calibration_errors(path: str | Path) -> Float64[Tensor, " M"]:
    """Return the mean absolute error of `render` on each real image, in grey levels of 255.

    The mean is over exact pixels and channels. Images 0, 2, 4, ... were used in the last fit, the
    others were not.

    Raises:
        ValueError: not a file of real images (see `read_frames`).
    """
    frames = read_frames(path)
    return _errors(render(frames.classes).double(), frames)


def calibration_shifts(path: str | Path) -> Float64[Tensor, " E"]:
    """Return how far edges of `render` lie from those of the real images, in pixels, at least 0.

    See `boundary_shifts`. Raises ValueError for a file that is not one of real images.
    """
    frames = read_frames(path)
    return boundary_shifts(render(frames.classes).double(), frames.images.double()).abs()


def fit_scene(frames: RealFrames, start: Scene, n_evaluations: int) -> Scene:
    """Return the scene that draws the fitted half of the images best, from a start near it.

    Least squares with a soft-L1 loss and forward differences; deterministic.

    Raises:
        ModuleNotFoundError: SciPy is not installed.
    """
    least_squares = _import("scipy.optimize", "the fit needs SciPy").least_squares
    names = [field.name for field in dataclasses.fields(Scene)]
    steps = np.array([STEPS.get(name, STEP_GEOMETRY) for name in names])
    first = np.array([getattr(start, name) for name in names])
    classes = frames.classes[frames.fitted]
    real = frames.images[frames.fitted].double()

    def scene_at(values: NDArray[np.float64]) -> Scene:
        return Scene(**dict(zip(names, (values * steps).tolist(), strict=True)))

    def residuals(values: NDArray[np.float64]) -> NDArray[np.float64]:
        difference = (draw(scene_at(values), classes) - real)[:, :, frames.exact]
        misfit = difference.flatten().numpy() / LOSS_SCALE
        return np.concatenate([misfit, PULL_TO_START * (values - first / steps)])

    def jacobian(values: NDArray[np.float64]) -> NDArray[np.float64]:
        base = residuals(values)
        # One constant at a time.
        columns = [residuals(values + unit) - base for unit in np.eye(len(values))]
        return np.stack(columns, axis=1)

    found = least_squares(
        residuals, first / steps, jac=jacobian, loss="soft_l1", max_nfev=n_evaluations
    )
    return scene_at(found.x)


def _import(module: str, reason: str) -> Any:
    """Return a module of a package that drawing does without."""
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{reason}, which is not installed ({error})") from error


def _draw_one(scene: Scene, classes: list[int]) -> Float64[Tensor, "3 64 64"]:
    scale, degrees = (torch.tensor([FACTOR_VALUES[f][classes[f]]]).double() for f in (3, 5))
    samples = trace(scene, classes[4], scale, degrees, N_SAMPLES)
    colours = torch.zeros(4, 3, dtype=torch.float64)
    colours[SKY] = torch.tensor(SKY_COLOUR) / 255
    for kind, hue in zip((FLOOR, WALL, OBJECT), classes[:3], strict=True):
        colours[kind] = torch.tensor(colorsys.hsv_to_rgb(HUES[hue], 1, 1))
    kinds = samples.surface[0].long()
    light = samples.light[0].masked_fill(kinds == SKY, 1.0)
    values = (light[:, None] * colours[kinds] + samples.gloss[0][:, None]).clamp(0, 1)
    return (255 * average(values.T)).clamp(0, 255)


def _errors(drawn: Float64[Tensor, "M 3 64 64"], frames: RealFrames) -> Float64[Tensor, " M"]:
    return (drawn.round() - frames.images).abs()[:, :, frames.exact].mean(dim=(1, 2))


def _print_report(scene: Scene, frames: RealFrames) -> None:
    drawn = draw(scene, frames.classes).round()
    errors = _errors(drawn, frames)
    for row, error, fitted in zip(frames.classes.tolist(), errors, frames.fitted, strict=True):
        print(
            f"{row}: mean absolute error {error:.2f} of 255, {'fitted' if fitted else 'held out'}"
        )
    for half, chosen in (("fitted", frames.fitted), ("held-out", ~frames.fitted)):
        shifts = boundary_shifts(drawn[chosen], frames.images[chosen].double())
        middle, high = shifts.abs().quantile(torch.tensor([0.5, 0.95]).double()).tolist()
        print(
            f"{half} images: {int(chosen.sum())}, mean absolute error {errors[chosen].mean():.2f} "
            f"(largest {errors[chosen].max():.2f}) of 255; {len(shifts)} boundaries, shift "
            f"median {middle:.2f}, 95 % below {high:.2f} pixels"
        )
    print(f"all images: mean absolute error {errors.mean():.2f} of 255")


def _write_picture(path: Path, scene: Scene, frames: RealFrames) -> None:
    """Write rows of three: real, drawn, and half the difference around grey."""
    image = _import("PIL.Image", "the picture needs Pillow")
    drawn = draw(scene, frames.classes).round()
    difference = (128 + (drawn - frames.images) / 2).round()
    tiles = torch.cat([frames.images.double(), drawn, difference], dim=3)  # (M, 3, 64, 192)
    picture = torch.cat(list(tiles), dim=1).permute(1, 2, 0).to(torch.uint8)
    image.fromarray(picture.numpy()).resize((192 * 4, len(tiles) * 64 * 4), 0).save(path)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description="Fit the 3D Shapes scene to real images.")
    parser.add_argument("frames", type=Path, help="npz of images, factors and pixel_status")
    parser.add_argument("--evaluations", type=int, default=10, help="0 keeps the constants")
    parser.add_argument("--picture", type=Path, help="where to write real and drawn side by side")
    arguments = parser.parse_args()
    frames = read_frames(arguments.frames)
    scene = Scene()
    if arguments.evaluations > 0:
        scene = fit_scene(frames, scene, arguments.evaluations)
        for name, value in dataclasses.asdict(scene).items():
            print(f"{name} = {value:.5g}")
    _print_report(scene, frames)
    if arguments.picture is not None:
        _write_picture(arguments.picture, scene, frames)


if __name__ == "__main__":
    main()
