from collections.abc import Callable

import pytest
from matplotlib.axes import Axes

from seethrough.plots import circuits
from seethrough.results import StudyResult

MakeResult = Callable[..., StudyResult]


def drawn(axes: Axes, label: str) -> list[tuple[list[float], list[float]]]:
    """Points of every line with this label."""
    return [
        (list(map(float, line.get_xdata())), list(map(float, line.get_ydata())))
        for line in axes.lines
        if line.get_label() == label
    ]


def test_models_are_told_apart_in_words_and_colour(circuit_result: MakeResult) -> None:
    result = circuit_result()
    assert circuits.sparse_models(result) == ["wanda/0.7"]
    colors = {circuits.model_color(result, name) for name in ("dense_tuned", "wanda/0.7")}
    assert len(colors) == 2
    labels = [circuits.model_label(model) for model in ("dense_tuned", "wanda/0.7")]
    assert labels == ["dense", "70 % removed"]


def test_prices_show_the_mean_over_tasks_and_the_papers_own(circuit_result: MakeResult) -> None:
    figure = circuits.by_price({"this run": circuit_result()})
    nodes, edges, loss, _ = figure.axes
    assert drawn(nodes, "dense") == [([4e-5, 8e-5], [0.8, 0.4])]
    assert drawn(edges, "70 % removed") == [([4e-5, 8e-5], [400.0, 200.0])]
    assert drawn(loss, "dense") == [([4e-5, 8e-5], [0.2, 0.4])]
    # The diamonds: the dense model at 8e-5, the sparse one at 4e-5.
    diamonds = [line for line in edges.lines if line.get_marker() == "D"]
    found = [(float(line.get_xdata()[0]), float(line.get_ydata()[0])) for line in diamonds]
    assert found == [(8e-5, 400.0), (4e-5, 400.0)]


def test_other_runs_are_dotted_and_named(circuit_result: MakeResult) -> None:
    runs = {"reference run": circuit_result(), "this run": circuit_result(("sphere",))}
    figure = circuits.by_price(runs)
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "this run" in texts
    assert sum(line.get_linestyle() == ":" for line in figure.axes[0].lines) == 3


@pytest.mark.parametrize("tasks", [("sphere",), ("sphere", "hue 0", "cube")])
def test_losses_have_a_column_per_task_and_squares_at_the_target(
    circuit_result: MakeResult, tasks: tuple[str, ...]
) -> None:
    figure = circuits.by_loss({"this run": circuit_result(tasks)})
    assert len(figure.axes) == 2 * len(tasks)
    for axes, edges in zip(figure.axes[len(tasks) :], [800.0] * len(tasks), strict=True):
        assert drawn(axes, "dense") == [([0.2, 0.4], [800.0, 400.0])]
        assert drawn(axes, "dense, cut to the target") == [([0.2], [edges])]
        assert drawn(axes, "70 % removed, cut to the target") == [([0.2], [400.0])]


def test_shares_of_nodes_stand_in_a_grid_of_blocks_and_sites(circuit_result: MakeResult) -> None:
    figure = circuits.nodes_by_site({"this run": circuit_result()})
    texts = [{text.get_text() for text in axes.texts} for axes in figure.axes]
    assert texts == [{"40"}, {"80"}, {"40"}]
    assert [len(axes.texts) for axes in figure.axes] == [16, 16, 16]
