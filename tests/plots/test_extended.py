from typing import Any

import numpy as np
import pytest

from seethrough.metrics.dead_units import never_active
from seethrough.plots import extended
from seethrough.plots.stack_slider import PNG_SIGNATURE
from seethrough.results import StudyResult
from seethrough.studies.layer_results import LayerResults
from seethrough.studies.squeeze import TrainedCell

HARD, SOFT = "dsprites/top_k/beside/60", "dsprites/l1/beside/60"


@pytest.fixture
def result(make_result: Any) -> StudyResult:
    rows: dict[str, list[float]] = {}
    for cell in (HARD, SOFT):
        rows |= {f"dead_share/{cell}": [0.4], f"dead_share_squeezed/{cell}": [0.5],
                 f"dead_change/{cell}": [-0.1], f"revived_share/{cell}": [0.15],
                 f"died_share/{cell}": [0.05]}  # fmt: skip
    curves = {f"dead_share/{cell}": [[0.1, 0.5, 0.4]] for cell in (HARD, SOFT)}
    curves |= {f"revived/{cell}": [[0.0, 0.1, 0.15]] for cell in (HARD, SOFT)}
    made: StudyResult = make_result(rows, curves, extra_epochs=1)
    return made


def test_newly_dead_worked_by_hand(result: StudyResult) -> None:
    # 0.1 -> 0.5 while 0.1 came back: 0.5 died; 0.5 -> 0.4 while 0.15 came back: 0.05 died
    dead, back = (result.one_series(f"{name}/{HARD}") for name in ("dead_share", "revived"))
    assert extended.newly_dead(dead, back).per_seed[0] == pytest.approx([0, 0.5, 0.05])


def test_newly_dead_counted_unit_by_unit(side: TrainedCell) -> None:
    series = {curve.id.split("/")[0]: curve for curve in LayerResults(side).dead_series()}
    found = extended.newly_dead(series["dead_share"], series["revived"])
    for layer, curve in zip(side.layers, found.per_seed, strict=True):
        masks = [never_active(layer.history.activity(epoch)).numpy() for epoch in (1, 2, 3)]
        died = [0, *(np.mean(~a & b) for a, b in zip(masks, masks[1:], strict=False))]
        assert curve == pytest.approx(died)


def test_the_squeezes_end_is_a_line_in_every_panel(result: StudyResult) -> None:
    figure = extended.dead_by_epoch(result, result)
    assert len(figure.axes) == 2
    for axes in figure.axes:
        assert [line.get_label() for line in axes.lines[:2]] == [
            "Top-k, beside, 60 units", "L1, beside, 60 units"
        ]  # fmt: skip
        assert list(axes.lines[2].get_xdata()) == [2, 2]
    assert figure.axes[1].get_title(loc="left") == "dSprites (re-rendered), this run"


def test_a_run_with_fewer_data_sets_leaves_a_panel_empty(
    result: StudyResult, make_result: Any
) -> None:
    room = "shapes3d/top_k/beside/60"
    other = make_result(
        {f"dead_share/{room}": [0.4], f"dead_share/{HARD}": [0.4]},
        {f"dead_share/{cell}": [[0.1, 0.5, 0.4]] for cell in (room, HARD)},
    )
    figure = extended.dead_by_epoch(other, result)
    assert [axes.axison for axes in figure.axes] == [True, True, True, False]


def test_one_place_has_one_dash_in_every_run(result: StudyResult, make_result: Any) -> None:
    wide = "dsprites/top_k/beside/90"
    other = make_result({f"dead_share/{wide}": [0.4]}, {f"dead_share/{wide}": [[0.1, 0.5, 0.4]]})
    first, second = extended.dead_by_epoch(other, result).axes
    assert first.lines[0].get_linestyle() != second.lines[0].get_linestyle()
    assert second.lines[0].get_linestyle() == second.lines[1].get_linestyle()


def test_turnover_has_a_panel_per_cell(result: StudyResult) -> None:
    figure = extended.turnover(result)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "dSprites, Top-k, beside, 60 units", "dSprites, L1, beside, 60 units"
    ]  # fmt: skip
    means = {line.get_label(): list(line.get_ydata()) for line in figure.axes[0].lines}
    assert means["back again"] == [0, 0.1, 0.15]
    assert means["newly dead"] == pytest.approx([0, 0.5, 0.05])


@pytest.mark.parametrize(
    ("squeeze", "extra", "at_most", "epochs"),
    [
        (50, 100, 6, [1, 26, 50, 83, 117, 150]),
        (3, 3, 16, [1, 2, 3, 4, 5, 6]),
        (3, 1, 16, [1, 2, 3, 4]),
    ],
)
def test_epochs_of_the_slider(squeeze: int, extra: int, at_most: int, epochs: list[int]) -> None:
    assert extended.shown_epochs(squeeze, extra, at_most) == epochs


def test_back_again_is_dead_then_and_alive_now(soft: TrainedCell) -> None:
    layer = soft.layers[0]
    counts = [layer.history.activity(epoch).fired_count for epoch in (2, 3)]
    expected = ((counts[0] == 0) & (counts[1] > 0)).tolist()
    assert extended.back_again(layer, 2, 3).tolist() == expected
    assert not extended.back_again(layer, 2, 2).any()


def test_maps_change_with_the_epoch(side: TrainedCell) -> None:
    maps = extended.unit_maps(side.layers[0], 2, [1, 2, 3])
    assert all(picture.startswith(PNG_SIGNATURE) for picture in maps)
    assert len(set(maps)) == 3


def test_table_shows_both_ends_and_the_turnover(result: StudyResult) -> None:
    lines = extended.changes_table(None, result).data.splitlines()
    assert len(lines) == 2 + 2
    cells = [text.replace("\N{NARROW NO-BREAK SPACE}", " ") for text in lines[2].split(" | ")]
    assert cells[1:] == [
        "dSprites, Top-k, beside, 60 units", "50 % (one seed)", "40 % (one seed)",
        "-10.0 points (one seed)", "15.0 % (one seed)", "5.0 % (one seed) |",
    ]  # fmt: skip
