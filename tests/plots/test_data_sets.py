from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
import torch
from jaxtyping import Int64, UInt8
from matplotlib.figure import Figure
from torch import Tensor

from seethrough.data import FactorDataset, catalogue
from seethrough.plots import data_sets
from seethrough.provenance import Provenance
from seethrough.results import Row, StudyResult

mpl.use("Agg")


class Greys(FactorDataset):
    """Image i is of the grey i, in 4 x 4 pixels; 24 or more images."""

    name = "greys"
    factor_values = ()
    image_shape = (1, 4, 4)
    max_value = 100

    def __init__(self, **sizes: int) -> None:
        self.factor_names = tuple(sizes)
        self.factor_sizes = tuple(sizes.values())

    def images(self, index: Int64[Tensor, " N"]) -> UInt8[Tensor, "N C H W"]:
        self.require_indices(index)
        return index.to(torch.uint8)[:, None, None, None].expand(-1, 1, 4, 4)


def strips(figure: Figure) -> list[list[float]]:
    """The first pixel of every image in every row, in hundredths."""
    arrays: list[Any] = [axes.images[0].get_array() for axes in figure.axes]
    return [[round(float(100 * grey)) for grey in np.asarray(array)[0, ::7]] for array in arrays]


def test_traversals_vary_one_factor_per_row() -> None:
    figure = data_sets.traversals(Greys(a=2, b=3, c=4), base=(1, 1, 2), columns=4)
    # Image (a, b, c) is of grey 12 a + 4 b + c; 100 is white, where a factor has no more classes.
    assert strips(figure) == [[6, 18, 100, 100], [14, 18, 22, 100], [16, 17, 18, 19]]
    assert [axes.get_ylabel() for axes in figure.axes] == ["a (2)", "b (3)", "c (4)"]


def test_traversals_reach_both_ends_of_a_long_factor() -> None:
    assert data_sets.one_factor((0, 3), 1, size=40, columns=4).tolist() == [
        [0, 0], [0, 13], [0, 26], [0, 39]
    ]  # fmt: skip


def test_traversals_refuse_another_number_of_factors() -> None:
    with pytest.raises(ValueError, match="need 2 columns"):
        data_sets.traversals(Greys(a=2, b=3), base=(0, 0, 0))


def test_columns_of_the_ladder_show_the_same_factors() -> None:
    members = {"all": Greys(a=4, b=2, c=3), "fixed": Greys(b=2, c=3), "again": Greys(b=2, c=3)}
    every, fixed, again = strips(data_sets.ladder(members, n=30))
    assert [number % 6 for number in every] == fixed == again
    assert set(fixed) == set(range(6))
    assert strips(data_sets.ladder(members, n=30, seed=1))[0] != every


def test_pixels_run_from_0_to_1() -> None:
    shown = data_sets.pixels(Greys(a=101), torch.tensor([0, 25, 100]))
    assert shown[:, 0, 0, 0].tolist() == [0.0, 0.25, 1.0]


def result(*rows: Row) -> StudyResult:
    provenance = Provenance(
        parameters={}, seeds=(), profile="custom", device="cpu", threads=1, versions={},
        git_commit=None, git_dirty=False, seconds=0.0,
    )  # fmt: skip
    return StudyResult("collapse_data_sets", rows, (), provenance)


def row(id: str, value: float, **cell: str) -> Row:
    return Row(id, "", {**cell}, "", (value,))


def test_numbers_have_one_line_per_data_set() -> None:
    values = {
        "images": 737_280.0, "factors": 5.0, "distinct": 4999.0, "pixel_mean": 0.0456,
        "pixel_sd": 0.2, "pixel_gamma": 5.224, "pixel_directions": 19.04,
    }  # fmt: skip
    table = data_sets.numbers_table(
        result(*[row(f"{id}/{name}", v) for id, v in values.items() for name in catalogue.NAMES])
    )
    lines = table.data.splitlines()
    assert len(lines) == 2 + 6
    assert lines[3] == "| dsprites_rgb | 737,280 | 5 | 4,999 | 0.05 | 0.20 | 5.22 | 19.0 |"


def test_calibration_has_dashes_where_nothing_was_measured() -> None:
    rows = [
        row("frames/dsprites", 160.0),
        row("frames_exact/dsprites", 130.0),
        row("frame_error_mean/dsprites", 0.41875),
        row("frame_error_max/dsprites", 4.0),
        row("step/dsprites/scale", 44.8, factor="scale"),
        row("step/dsprites/orientation", 24.64, factor="orientation"),
        row("step/shapes3d/shape", 7.2, factor="shape"),
    ]
    dsprites, shapes = data_sets.calibration_table(result(*rows)).data.splitlines()[2:]
    cells = "160 | 130 | 0.42 | 4.00 | – | 24.64 (orientation) | – | –"
    assert dsprites == f"| dSprites, pixels of 4,096 | {cells} |"
    assert shapes == "| Shapes3D, levels of 255 | – | – | – | – | – | – | – | – |"
    assert data_sets.calibration_table(None).data.count("–") == 16


def test_calibration_shows_held_out_images_apart() -> None:
    values = {
        "frames": 25.0, "frames_exact": 0.0, "frame_error_mean": 3.5, "frame_error_max": 6.0,
        "frame_error_mean_held_out": 3.75, "edge_shift_median": 0.02, "edge_shift_high": 0.281,
    }  # fmt: skip
    rows = [row(f"{id}/shapes3d", value) for id, value in values.items()]
    step = row("step/shapes3d/scale", 3.07, factor="scale")
    shapes = data_sets.calibration_table(result(*rows, step)).data.splitlines()[-1]
    cells = "25 | 0 | 3.50 | 6.00 | 3.75 | 3.07 (scale) | 0.02 px | 0.28 px"
    assert shapes == f"| Shapes3D, levels of 255 | {cells} |"
