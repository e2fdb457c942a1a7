from seethrough.plots.tables import markdown_table, number, percent
from seethrough.results import Row


def row(*values: float) -> Row:
    return Row("a/beside/500", "a", {}, "fraction", values)


def test_percent_worked_by_hand() -> None:
    # mean .3, sd .1, t(2) = 4.303: half-width 4.303 x .1 / sqrt(3) = .2484
    assert percent(row(0.2, 0.3, 0.4)) == "30\N{NARROW NO-BREAK SPACE}% (5 to 55)"
    assert percent(row(0.25)) == "25\N{NARROW NO-BREAK SPACE}% (one seed)"
    assert percent(None) == "–"


def test_number_has_no_negative_zero() -> None:
    assert number(row(-0.001, -0.001), 2) == "0.00 (0.00 to 0.00)"
    assert number(None, 2) == "–"


def test_table_is_markdown() -> None:
    table = markdown_table(["a", "b"], [["1", "2"]])
    assert table.data == "| a | b |\n| --- | --- |\n| 1 | 2 |"
