from typing import Any

import pytest
from matplotlib.figure import Figure

from seethrough.plots.dead_by_cell import dead_by_cell
from seethrough.plots.style import PAPER

SHARES = {"dead_share": 0.5, "dead_share_by_relu": 0.2, "dead_share_by_top_k": 0.3}


def cell_rows(*cells: str) -> dict[str, list[float]]:
    return {f"{name}/{cell}": [x, x] for cell in cells for name, x in SHARES.items()}


def bars(figure: Figure) -> list[list[tuple[float, float]]]:
    """Width and opacity of every bar, by panel."""
    return [[(p.get_width(), p.get_alpha()) for p in axes.patches] for axes in figure.axes]  # type: ignore[attr-defined]


def test_one_panel_per_data_set_and_bars_by_cause(make_result: Any) -> None:
    figure = dead_by_cell(
        make_result(cell_rows("dsprites/top_k/beside/500", "dsprites/top_k/latent/500")),
        make_result(cell_rows("shapes3d/l1/beside/500", "dsprites/top_k/beside/500")),
    )
    solid = [(0.2, 1.0), (0.3, 1.0)]
    assert bars(figure) == [solid + solid, [(0.2, 0.45), (0.3, 0.45)]]
    sprites, rooms = figure.axes
    labels = [label.get_text() for label in sprites.get_yticklabels()]
    assert labels == ["Top-k, beside", "Top-k, latent mean"]
    assert [label.get_text() for label in rooms.get_yticklabels()] == ["L1, beside"]
    assert rooms.get_title(loc="left") == "Shapes3D (re-rendered)"
    # the diamond of this run stands in both panels, once each
    assert [[line.get_marker() for line in a.lines].count("D") for a in figure.axes] == [1, 1]


def test_the_paper_is_drawn_only_where_it_has_a_value(make_result: Any) -> None:
    cells = (
        "dsprites/top_k/beside/500",
        "dsprites/top_k_open/beside/500",
        "dsprites/l1/beside/500",
    )
    (axes,) = dead_by_cell(None, make_result(cell_rows(*cells))).axes
    edges = sorted(
        tuple(round(float(x), 3) for x in (band.get_paths()[0].vertices[:, 0].min(),
                                           band.get_paths()[0].vertices[:, 0].max()))
        for band in axes.collections
    )  # fmt: skip
    assert edges == [(0.335, 0.353), (0.373, 0.461)]
    assert PAPER == "#009E73"


def test_the_ceiling_is_a_tick(make_result: Any) -> None:
    cell = "dsprites/top_k/beside/500"
    rows = cell_rows(cell) | {f"dead_ceiling/{cell}": [0.9, 0.9]}
    (axes,) = dead_by_cell(make_result(rows), None).axes
    assert [float(line.get_xdata()[0]) for line in axes.lines if line.get_marker() == "|"] == [0.9]


def test_nothing_to_draw_is_refused() -> None:
    with pytest.raises(ValueError, match="got no cells"):
        dead_by_cell(None, None)
