"""The study of the data sets, on samples of a few images."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from jaxtyping import Int64, UInt8
from torch import Tensor

from seethrough.data import FactorDataset, catalogue, shapes3d
from seethrough.data.dsprites import render
from seethrough.results import StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies import collapse_data_sets as study

TINY = study.Parameters(n_images=6)
QUANTITIES = {
    "images", "factors", "sampled", "distinct", "pixel_mean", "pixel_sd", "pixel_gamma",
    "pixel_directions",
}  # fmt: skip


def flat_rooms(classes: torch.Tensor) -> torch.Tensor:
    """Rooms without rays, whose casting takes seconds: each channel is one hue."""
    pixel = (25 * classes[:, :3]).to(torch.uint8)
    return pixel[:, :, None, None].expand(-1, 3, 64, 64)


@pytest.fixture(scope="module", autouse=True)
def _quick_rooms() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shapes3d, "render", flat_rooms)
        yield


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    return study.run(TINY, ArtifactStore(tmp_path_factory.mktemp("store")))


def factor_names(name: str) -> tuple[str, ...]:
    return catalogue.load(name).factor_names


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    classes = torch.tensor([[0, 0, 0, 0, 0], [2, 5, 13, 31, 8]])
    images = render(classes)[:, 0].numpy()
    images[1, 0, :3] ^= 1
    np.savez(tmp_path / "frames.npz", images=images, factors=classes.numpy())
    return tmp_path / "frames.npz"


def test_every_data_set_has_every_row(result: StudyResult) -> None:
    ids = {f"{quantity}/{name}" for quantity in QUANTITIES for name in catalogue.NAMES}
    factors = [(name, f) for name in ("dsprites", "shapes3d") for f in factor_names(name)]
    steps = {f"step/{name}/{factor}" for name, factor in factors}
    assert {row.id for row in result.rows} == ids | steps
    assert result.series == ()
    assert result.row("pixel_gamma/shapes3d").cell == {
        "data_set": "shapes3d",
        "source": "Shapes3D (re-rendered)",
    }


def test_sizes_are_those_of_the_data_sets(result: StudyResult) -> None:
    sizes = [result.row(f"images/{name}").mean for name in catalogue.NAMES]
    assert sizes == [737_280, 737_280, 7_372_800, 480_000, 480_000, 48_000]
    factors = [result.row(f"factors/{name}").mean for name in catalogue.NAMES]
    assert factors == [5, 5, 6, 6, 6, 5]


def test_pixels_of_binary_sprites_obey_their_identities(result: StudyResult) -> None:
    mean, sd = (result.row(f"pixel_{what}/dsprites").mean for what in ("mean", "sd"))
    assert sd == pytest.approx(math.sqrt(mean * (1 - mean)))  # pixels are 0 or 1
    # Another colour is an affine map of every pixel of a sprite: the same directions.
    assert result.row("pixel_directions/dsprites_rgb").mean == pytest.approx(
        result.row("pixel_directions/dsprites").mean
    )


def test_statistics_equal_their_definitions(result: StudyResult) -> None:
    dataset = catalogue.load("dsprites_hued")
    index = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0))[:6]
    pixels = dataset.images(index).flatten(1).numpy().astype(np.float64) / 255
    variances = np.linalg.svd(pixels - pixels.mean(axis=0), compute_uv=False) ** 2
    expected = {
        "pixel_mean": pixels.mean(),
        "pixel_sd": pixels.std(),
        "pixel_gamma": np.linalg.norm(pixels.mean(axis=0)) / np.linalg.norm(pixels.std(axis=0)),
        "pixel_directions": variances.sum() ** 2 / (variances**2).sum(),
    }
    found = {name: result.row(f"{name}/dsprites_hued").mean for name in expected}
    assert found == pytest.approx(expected)


def test_equal_images_count_once() -> None:
    images = torch.tensor([3, 1, 3, 0, 1], dtype=torch.uint8)[:, None, None, None]
    assert study.n_distinct(images) == 3
    assert study.n_distinct(images[:0]) == 0


def test_samples_depend_on_the_seed_alone() -> None:
    dataset = catalogue.load("dsprites")
    first, again = (study.sample(dataset, TINY) for _ in range(2))
    other = study.sample(dataset, study.Parameters(n_images=6, seed=1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_step_of_a_factor_is_measured_in_pixels() -> None:
    class Bars(FactorDataset):
        """The bar is one column wider per length; the second factor changes nothing."""

        name = "bars"
        factor_names = ("length", "nothing")
        factor_sizes = (4, 3)
        factor_values = ((0.0, 1.0, 2.0, 3.0), (0.0, 1.0, 2.0))
        image_shape = (1, 8, 4)
        max_value = 1

        def images(self, index: Int64[Tensor, " N"]) -> UInt8[Tensor, "N C H W"]:
            lengths = self.classes(index)[:, :1]
            bar = (torch.arange(4) < lengths).to(torch.uint8)
            return bar[:, None, None, :].expand(-1, 1, 8, 4)

    rows = list(study.step_rows("bars", Bars(), TINY, "pixels of 32", 32))
    # Every step of length, the last class's included, adds one column of 8 pixels.
    assert [(row.id, row.mean) for row in rows] == [
        ("step/bars/length", 8),
        ("step/bars/nothing", 0),
    ]


def test_errors_appear_with_their_frames(frames: Path) -> None:
    def errors(parameters: study.Parameters) -> dict[str, float]:
        return {row.id: row.mean for row in study.error_rows(parameters)}

    assert errors(TINY) == {}
    # One image of two has three wrong pixels.
    assert errors(study.Parameters(n_images=6, dsprites_frames=str(frames))) == {
        "frames/dsprites": 2,
        "frames_exact/dsprites": 1,
        "frame_error_mean/dsprites": 1.5,
        "frame_error_max/dsprites": 3,
    }


def test_a_published_file_is_read_where_it_is_given(tmp_path: Path) -> None:
    path = tmp_path / "published.npz"
    path.write_bytes(b"not the published file")
    parameters = study.Parameters(dsprites_path=str(path))
    with pytest.raises(ValueError, match="published"):
        parameters.data_sets()


def test_held_out_images_of_rooms_have_their_own_rows(
    monkeypatch: pytest.MonkeyPatch, frames: Path
) -> None:
    found = torch.tensor([1.0, 2.0, 3.0, 6.0], dtype=torch.float64)
    monkeypatch.setattr(study, "calibration_errors", lambda path: found)
    monkeypatch.setattr(study, "calibration_shifts", lambda path: found)
    rows = study.error_rows(study.Parameters(shapes3d_frames=str(frames)))
    errors = {row.id: row.mean for row in rows if row.id.startswith("frame_error")}
    # The second and the fourth were not used in the fit.
    assert errors == {
        "frame_error_mean/shapes3d": 3,
        "frame_error_max/shapes3d": 6,
        "frame_error_mean_held_out/shapes3d": 4,
        "frame_error_max_held_out/shapes3d": 6,
    }


def test_edges_have_median_and_an_upper_end() -> None:
    shifts = torch.tensor([0.0, 0.1, 0.2, 0.3, 1.0], dtype=torch.float64)
    rows = {row.id: row.mean for row in study.edge_rows(shifts)}
    # 95 % of four steps is 3.8: four fifths of the way from 0.3 to 1.0
    assert rows == {
        "edges/shapes3d": 5,
        "edge_shift_median/shapes3d": 0.2,
        "edge_shift_high/shapes3d": pytest.approx(0.86),
    }
    nothing = study.edge_rows(shifts[:0])
    assert [row.mean for row in nothing][0] == 0
    assert all(math.isnan(row.mean) for row in nothing[1:])


def test_variants_share_the_data_set_of_their_family() -> None:
    datasets = TINY.data_sets()
    assert tuple(datasets) == catalogue.NAMES
    assert {type(dataset) for dataset in datasets.values()} == {
        type(catalogue.load(name)) for name in catalogue.NAMES
    }
    assert vars(datasets["dsprites_hued"])["sprites"] is datasets["dsprites"]


def test_wrong_parameters_are_refused() -> None:
    with pytest.raises(ValueError, match="n_images is 1, allowed is 2 to 20,000"):
        study.Parameters(n_images=1)
    with pytest.raises(ValueError, match="threads is 0"):
        study.Parameters(threads=0)
    with pytest.raises(ValueError, match=r"shapes3d_frames is 'no\.npz', allowed is the path"):
        study.Parameters(shapes3d_frames="no.npz")
    with pytest.raises(ValueError, match="device is 'abacus'"):
        study.Parameters(device="abacus")
