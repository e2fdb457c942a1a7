from dataclasses import replace
from typing import Any

import pytest

from seethrough.plots import methods
from seethrough.plots.stack_slider import PNG_SIGNATURE
from seethrough.results import StudyResult
from seethrough.studies.cells import Cell
from seethrough.studies.squeeze import TrainedCell

LINEAR = "dsprites/top_k/beside/500"
SOFT = "dsprites/l1/beside/500"
WIDE = "dsprites/top_k/beside/1000"
ROOM = "shapes3d/top_k/beside/500"


@pytest.fixture
def result(make_result: Any) -> StudyResult:
    dead = {LINEAR: [0.2, 0.4], SOFT: [0.3, 0.4], WIDE: [0.5, 0.5], ROOM: [0.6, 0.7]}
    rows = {f"dead_share/{cell}": shares for cell, shares in dead.items()}
    rows |= {f"active_last/{cell}": [50.0, 50.0] for cell in dead}
    rows |= {f"unexplained_last/{cell}": [0.1, 0.2] for cell in dead}
    rows |= {f"coefficient/{SOFT}": [0.0321, 0.0321]}
    curves = {f"{name}/{cell}": [[0.1, 0.2], [0.3, 0.4]] for cell in dead
              for name in ("dead_share", "active")}  # fmt: skip
    made: StudyResult = make_result(rows, curves)
    return made


def test_curves_are_those_of_the_first_place(result: StudyResult) -> None:
    sprites, rooms, *below = methods.by_epoch(result).axes
    assert [line.get_label() for line in sprites.lines] == ["Top-k", "L1"]
    assert [line.get_label() for line in rooms.lines] == ["Top-k"]
    assert list(below[0].lines[0].get_ydata()) == pytest.approx([0.2, 0.3])
    assert below[0].get_ylim()[0] == 0


def test_every_seed_is_a_mark_filled_for_the_reference(result: StudyResult) -> None:
    alone = methods.unexplained_against_dead(None, result).axes
    assert [len(axes.lines) for axes in alone] == [3 + 1, 1 + 1]  # and the dotted line
    assert list(alone[0].lines[0].get_xdata()) == [0.2, 0.4]
    assert list(alone[0].lines[0].get_ydata()) == [0.1, 0.2]
    assert {line.get_markerfacecolor() for line in alone[0].lines[:3]} == {"none"}
    both = methods.unexplained_against_dead(replace(result), result).axes[1].lines
    assert [line.get_markerfacecolor() for line in both[:2]] == ["#0072B2", "none"]


def test_cells_of_both_runs_in_one_table(result: StudyResult, make_result: Any) -> None:
    reference = make_result({f"dead_share/{ROOM}": [0.5], "active_last/x": [1.0]})
    lines = methods.cells_table(reference, result).data.splitlines()
    assert lines[0] == (
        "| cell | dead: paper | dead: reference run | dead: this run "
        "| active: reference run | active: this run |"
    )
    assert [line.split(" | ")[0][2:] for line in lines[2:]] == [
        "Shapes3D, Top-k, beside, 500 units",
        "dSprites, Top-k, beside, 500 units",
        "dSprites, L1, beside, 500 units",
        "dSprites, Top-k, beside, 1000 units",
    ]
    assert "| 62.7 ± 1.3 % | 50" in lines[2]
    assert lines[2].endswith("| – | 50 (50 to 50) |")
    assert "| 41.7 ± 4.4 % | – |" in lines[4]


def test_difference_from_top_k_at_the_same_place(result: StudyResult) -> None:
    # seeds: 0.3 - 0.2 and 0.4 - 0.4; mean 5 points
    (line,) = methods.against_top_k_table(None, result).data.splitlines()[2:]
    assert line.startswith("| dSprites, L1, beside, 500 units | +5.0")
    assert methods.against_top_k(result, Cell(method="l1", width=1000)) is None


def test_a_given_coefficient_is_told_from_a_searched_one(
    result: StudyResult, make_result: Any
) -> None:
    rows = {row.id: row.per_seed for row in result.rows}
    searched = make_result(rows | {f"search_trials/{SOFT}": [7.0], f"search_active/{SOFT}": [48.6]})
    first, second = methods.search_table(searched, result).data.splitlines()[2:]
    assert first == (
        "| reference run | dSprites, L1, beside, 500 units | 0.032 | 7 | 48.6 "
        "| 50.0 (50.0 to 50.0) |"
    )
    assert "| 0.032 | given, not searched | – |" in second


def test_maps_of_the_cells_that_differ_in_method_alone(trained: list[TrainedCell]) -> None:
    chosen = methods.first_place(trained)
    assert [one.cell.method for one in chosen] == ["top_k", "l1"]
    hard, soft = methods.last_maps(chosen)
    assert hard.startswith(PNG_SIGNATURE)
    assert hard != soft
