from collections.abc import Callable

import pytest

from seethrough.plots import circuit_tables
from seethrough.results import StudyResult

MakeResult = Callable[..., StudyResult]
TABLES = (
    circuit_tables.layout_table, circuit_tables.scale_table, circuit_tables.ratio_table,
    circuit_tables.change_table, circuit_tables.circuit_table, circuit_tables.control_table,
    circuit_tables.hue_table,
)  # fmt: skip


def lines(table) -> list[list[str]]:  # type: ignore[no-untyped-def]
    """Cells of a Markdown table, line by line, without the rule."""
    found = [line.strip("| ").split(" | ") for line in table.data.splitlines()]
    return [found[0], *found[2:]]


@pytest.mark.parametrize("table", TABLES)
def test_every_line_has_every_column(table, circuit_result: MakeResult) -> None:  # type: ignore[no-untyped-def]
    runs = {"reference run": circuit_result(), "this run": circuit_result(("sphere",))}
    header, *body = (line for line in table(runs).data.splitlines())
    assert body
    assert {line.count("|") for line in body} == {header.count("|")}


def test_ratios_by_hand(circuit_result: MakeResult) -> None:
    table = lines(circuit_tables.ratio_table({"this run": circuit_result()}))
    # At the paper's prices: 400 edges of the dense over 400 of the sparse; 400 over 320 to expect.
    # The same for both tasks, so the intervals have no width.
    assert table[1] == ["the paper's two prices", "this run", *["1.00 (1.00 to 1.00)"] * 3,
                        "1.25 (1.25 to 1.25)", "0.80 (0.80 to 0.80)", "2"]  # fmt: skip
    assert [line[0] for line in table[2:]] == ["equal price, 4e-05", "equal price, 8e-05",
                                               "equal loss, 0.15 nats"]  # fmt: skip


def test_a_single_pair_has_no_interval(circuit_result: MakeResult) -> None:
    table = lines(circuit_tables.change_table({"this run": circuit_result(("sphere",))}))
    assert table[1][2] == "+0.40"
    assert table[1][3] == "-0.20"


def test_controls_stand_beside_the_circuit(circuit_result: MakeResult) -> None:
    table = lines(circuit_tables.control_table({"this run": circuit_result()}))
    assert [line[0] for line in table[1:]] == [
        "dense", "dense, labels dealt", "70 % removed", "70 % removed, labels dealt",
        "untrained model", "70 % removed, mask of the dense one", "dense, mask of 70 % removed",
    ]  # fmt: skip
    assert table[6][3] == "300"


def test_only_shapes_have_a_line_of_hues(circuit_result: MakeResult) -> None:
    table = lines(circuit_tables.hue_table({"this run": circuit_result()}))
    assert {line[0] for line in table[1:]} == {"sphere"}
    assert len(table) == 1 + 4


def test_runs_without_rows_have_dashes(circuit_result: MakeResult) -> None:
    table = lines(circuit_tables.layout_table({"this run": circuit_result()}))
    assert table[1] == ["looked at", "16", "–", "–"]
    assert table[2][1] == "96"
