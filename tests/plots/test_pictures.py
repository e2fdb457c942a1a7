import matplotlib as mpl
import torch

from seethrough.plots.pictures import picture_grid

mpl.use("Agg")


def test_strip_puts_images_side_by_side() -> None:
    figure = picture_grid([torch.zeros(3, 1, 4, 4), torch.ones(2, 3, 4, 4)], ["a", "b"])
    shapes = [axes.images[0].get_array().shape for axes in figure.axes]  # type: ignore[union-attr]
    assert shapes == [(4, 3 * 4 + 2 * 3), (4, 2 * 4 + 3, 3)]
    assert [axes.get_ylabel() for axes in figure.axes] == ["a", "b"]
