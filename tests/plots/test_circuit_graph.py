import math
from collections.abc import Callable

import pytest

from seethrough.circuits.circuit_edges import ENDS
from seethrough.plots import circuit_graph
from seethrough.plots.stack_slider import PNG_SIGNATURE
from seethrough.results import StudyResult

MakeResult = Callable[..., StudyResult]


def test_a_graph_has_every_site_matrix_and_step_of_the_residual_stream(
    circuit_result: MakeResult,
) -> None:
    graph = circuit_graph.circuit_graph(circuit_result(), "wanda/0.7", 4e-5, "sphere")
    assert len(graph) == 2 * 8
    assert graph.nodes[0, "mlp_act"]["share"] == pytest.approx(0.8)
    matrices = [(a, b) for a, b, n in graph.edges(data="edges") if n is not None]
    assert len(matrices) == 2 * len(ENDS)
    for block in (0, 1):
        for source, target in ENDS.values():
            data = graph.edges[(block, source), (block, target)]
            assert data["edges"] == pytest.approx(400 / 12)
            assert data["over_null"] == pytest.approx(1.25)
    residual = {(a, b) for a, b, n in graph.edges(data="edges") if n is None}
    assert residual == {
        ((0, "attn_out"), (0, "norm2")), ((1, "attn_out"), (1, "norm2")),
        ((0, "mlp_out"), (1, "norm1")),
    }  # fmt: skip


def test_data_flows_upwards_and_to_the_right(circuit_result: MakeResult) -> None:
    graph = circuit_graph.circuit_graph(circuit_result(), "dense_tuned", 8e-5, "sphere")
    position = {node: data["pos"] for node, data in graph.nodes(data=True)}
    for source, target in graph.edges:
        right = position[source][0] < position[target][0]
        up = source[0] < target[0]
        assert right or up


def test_every_price_has_a_picture(circuit_result: MakeResult) -> None:
    pictures = circuit_graph.graph_pictures({"this run": circuit_result(("sphere",))})
    assert list(pictures) == ["4e-05", "8e-05"]
    assert all(picture.startswith(PNG_SIGNATURE) for picture in pictures.values())


def test_the_first_graph_is_at_the_papers_price_for_dense_models(
    circuit_result: MakeResult,
) -> None:
    figure = circuit_graph.first_graph({"this run": circuit_result(("sphere",))})
    titles = [axes.get_title("left") for axes in figure.axes[:2]]
    assert titles[0].startswith("dense: 40.0 % of nodes,\n400 edges, loss 0.40")
    assert titles[1].startswith("70 % removed: 40.0 % of nodes,\n200 edges")


def test_no_edges_to_expect_is_no_error(circuit_result: MakeResult) -> None:
    result = circuit_result(("sphere",))
    for curve in result.series:
        if "edges" in curve.id:
            object.__setattr__(curve, "per_seed", ((0.0, 0.0),))
    graph = circuit_graph.circuit_graph(result, "dense_tuned", 8e-5, "sphere")
    assert math.isnan(graph.edges[(0, "norm1"), (0, "q")]["over_null"])
    circuit_graph.first_graph({"this run": result})
