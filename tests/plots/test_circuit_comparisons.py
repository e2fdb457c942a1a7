from collections.abc import Callable

import pytest

from seethrough.plots import circuit_comparisons
from seethrough.results import StudyResult

MakeResult = Callable[..., StudyResult]


def test_edges_stand_against_those_to_expect(circuit_result: MakeResult) -> None:
    figure = circuit_comparisons.against_null({"this run": circuit_result(("sphere",))})
    left, right = figure.axes
    points = {
        (line.get_marker(), float(line.get_xdata()[0]), float(line.get_ydata()[0]))
        for line in left.lines
        if line.get_marker() in ("o", "x")
    }
    # 400 edges of a sparse circuit, 320 to expect; 300 of an exchanged mask, 200 to expect.
    assert {("o", 800.0, 800.0), ("o", 320.0, 400.0), ("x", 200.0, 300.0)} <= points
    sparse = [list(line.get_ydata()) for line in right.lines]
    assert [1.25, 1.25] in sparse


def test_ratios_stand_at_their_values(circuit_result: MakeResult) -> None:
    result = circuit_result()
    figure = circuit_comparisons.ratios({"this run": result})
    (axes,) = figure.axes
    found = {
        line.get_label(): float(line.get_xdata()[0])
        for line in axes.lines
        if line.get_marker() not in ("None", None)
    }
    # Of the last comparison, equal loss: 800 over 400 edges, 800 over 320 to expect.
    assert found["edges, geometric mean"] == pytest.approx(2.0)
    assert found["to expect from density and nodes"] == pytest.approx(2.5)
    verticals = [line.get_xdata()[0] for line in axes.lines if line.get_label() == "density alone"]
    assert verticals == [pytest.approx(1 / 0.3)]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels == ["the paper's two prices", "equal price, 4e-05", "equal price, 8e-05",
                      "equal loss, 0.15 nats"]  # fmt: skip


def test_a_comparison_without_pairs_is_left_empty(circuit_result: MakeResult) -> None:
    result = circuit_result(("sphere",))
    assert circuit_comparisons.comparisons_of(result)[0] == "paper"
    # One task and one seed have no interval: the lines have no extent, and nothing fails.
    circuit_comparisons.ratios({"this run": result})
