"""Figures and tables of the data sets: what each factor does, what each rung of the ladder changes.

Images are drawn from 0 to the largest pixel value of their data set.
"""

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from IPython.display import Markdown
from jaxtyping import Float, Int64
from matplotlib.figure import Figure
from torch import Tensor

from seethrough.data import FactorDataset, catalogue
from seethrough.plots.pictures import picture_grid
from seethrough.plots.tables import markdown_table
from seethrough.results import StudyResult

DASH = "–"


def traversals(dataset: FactorDataset, base: tuple[int, ...], columns: int = 10) -> Figure:
    """Draw one row of images per factor, which varies while the others keep their class of `base`.

    A factor of more classes than columns is shown at even steps from its first to its last class.

    Raises:
        ValueError: `base` is not one class per factor.
    """
    rows, labels = [], []
    for factor, (name, size) in enumerate(
        zip(dataset.factor_names, dataset.factor_sizes, strict=True)
    ):
        shown = pixels(dataset, dataset.index(one_factor(base, factor, size, columns)))
        # White images on the right keep all rows at one scale.
        rows.append(F.pad(shown, (0, 0, 0, 0, 0, 0, 0, columns - len(shown)), value=1.0))
        labels.append(f"{name} ({size})")
    figure = picture_grid(rows, labels)
    figure.set_figheight(0.64 * len(rows))
    return figure


def one_factor(
    base: tuple[int, ...], factor: int, size: int, columns: int
) -> Int64[Tensor, "shown F"]:
    """Return classes that differ in one factor alone: all its classes, or `columns` of them.

    >>> one_factor((5, 7), factor=0, size=9, columns=3).tolist()
    [[0, 7], [4, 7], [8, 7]]
    """
    n = min(size, columns)
    classes = torch.tensor(base).repeat(n, 1)
    classes[:, factor] = torch.linspace(0, size - 1, n, dtype=torch.float64).round().long()
    return classes


def ladder(datasets: Mapping[str, FactorDataset], n: int = 8, seed: int = 0) -> Figure:
    """Draw one row of random images per data set, of which each column shows the same factors.

    The factor that one data set has and another lacks is the slowest, so the same number, modulo
    the length, names the same classes of all other factors.
    """
    n_numbers = math.lcm(*map(len, datasets.values()))
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randint(n_numbers, (n,), generator=generator)
    rows = [pixels(dataset, numbers % len(dataset)) for dataset in datasets.values()]
    return picture_grid(rows, list(datasets))


def pixels(dataset: FactorDataset, index: Int64[Tensor, " N"]) -> Float[Tensor, "N C H W"]:
    """Return images as numbers from 0 to 1."""
    return dataset.images(index).float() / dataset.max_value


def numbers_table(result: StudyResult) -> Markdown:
    """Return size and pixel statistics of every data set, one line each."""
    columns = (
        ("images", "images", "{:,.0f}"),
        ("factors", "factors", "{:.0f}"),
        ("different in the sample", "distinct", "{:,.0f}"),
        ("pixel mean", "pixel_mean", "{:.2f}"),
        ("pixel sd", "pixel_sd", "{:.2f}"),
        ("gamma", "pixel_gamma", "{:.2f}"),
        ("directions", "pixel_directions", "{:.1f}"),
    )
    lines = [
        [name, *[write.format(result.row(f"{id}/{name}").mean) for _, id, write in columns]]
        for name in catalogue.NAMES
    ]
    return markdown_table(["data set", *[title for title, _, _ in columns]], lines)


def calibration_table(result: StudyResult | None) -> Markdown:
    """Return how far re-rendered images are from real ones, dashes where nothing was measured.

    Held-out images are those that no constant was fitted to. The smallest step is the ruler: how
    much one step changes an image, of the factor whose steps change least. Edges are of rooms.
    """
    titles = ["real images", "exact", "error, mean", "largest", "held out, mean", "smallest step",
              "edges shifted by, median", "95 % below"]  # fmt: skip
    lines = [
        ["dSprites, pixels of 4,096", *_errors(result, "dsprites")],
        ["Shapes3D, levels of 255", *_errors(result, "shapes3d")],
    ]
    return markdown_table(["re-rendered", *titles], lines)


def _errors(result: StudyResult | None, name: str) -> list[str]:
    rows = {row.id: row for row in result.rows} if result else {}
    if f"frames/{name}" not in rows:
        return 8 * [DASH]
    counts = [f"{rows[f'{id}/{name}'].mean:.0f}" for id in ("frames", "frames_exact")]
    names = [f"frame_error_{which}/{name}" for which in ("mean", "max", "mean_held_out")]
    errors = [f"{rows[id].mean:.2f}" if id in rows else DASH for id in names]
    steps = [row for id, row in rows.items() if id.startswith(f"step/{name}/")]
    least = min(steps, key=lambda row: row.mean)
    shifts = [
        f"{rows[id].mean:.2f} px" if id in rows else DASH
        for id in (f"edge_shift_median/{name}", f"edge_shift_high/{name}")
    ]
    return [*counts, *errors, f"{least.mean:.2f} ({least.cell['factor']})", *shifts]
