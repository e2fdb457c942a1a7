import html
import math
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seethrough.book.result_files import MissingResult
from seethrough.book.result_role import (
    ERROR_CLASS,
    Quotation,
    complete_id,
    format_interval,
    format_value,
    parse_quotation,
    typeset,
)
from seethrough.results import Row, StudyResult

ROWS = {
    "dead/beside/500": ("fraction", (0.32, 0.34, 0.36)),
    "dead_below_0.05/beside/500": ("fraction", (0.5,)),
    "loss": ("nats", (0.5, math.nan)),
}


@pytest.fixture
def results(book_root: Path, write_result: Callable[..., Path]) -> Callable[..., None]:
    def write(rows: dict[str, Any]) -> None:
        folder = book_root / "book" / "executed" / "results"
        write_result(folder / "study.json", rows, parameters={"epochs": 50, "widths": [500, 1000]})

    return write


@pytest.mark.parametrize(
    ("text", "row", "field", "format_"),
    [
        ("this:study:dead/500", "dead/500", "mean", ""),
        ("this:study:dead/500.sd", "dead/500", "sd", ""),
        ("this:study:dead/500.low:.1%", "dead/500", "low", ".1%"),
        ("this:study:dead/500:interval%", "dead/500", "mean", "interval%"),
        # only a known field is split off, and only the last one
        ("this:study:below_0.05/500", "below_0.05/500", "mean", ""),
        ("this:study:below_0.05/500.n", "below_0.05/500", "n", ""),
        ("this:study:@parameters.n", "@parameters.n", "mean", ""),
        ("this:study:dead/500::>9", "dead/500", "mean", ":>9"),  # a colon may fill
    ],
)
def test_parse_quotation(text: str, row: str, field: str, format_: str) -> None:
    expected = Quotation(source="this", study="study", row=row, field=field, format=format_)
    assert parse_quotation(text) == expected


@pytest.mark.parametrize("text", ["", "this", "this:study", "this::dead", ":study:dead"])
def test_parse_quotation_refuses_missing_parts(text: str) -> None:
    with pytest.raises(ValueError, match="expected SOURCE:STUDY:ROW"):
        parse_quotation(text)


@pytest.mark.parametrize(
    ("value", "specification", "expected"),
    [
        (0.34449, "", "0.344"),
        (0.34449, ".1%", "34.4\N{NARROW NO-BREAK SPACE}%"),
        (-0.5, "", "−0.5"),
        (0.0000123, "", "1.23 × 10⁻⁵"),
        (3, "", "3"),
        (737280, ",", "737,280"),
        (1234567, "", "1234567"),  # a count is shown in full
        (True, "", "True"),
        ("quick", "", "quick"),
        (None, ".2f", "one seed, no interval"),
        (math.nan, ".2f", "undefined"),
        ([500, 1000], "", "500, 1000"),
        ((), "", ""),
    ],
)
def test_format_value(value: Any, specification: str, expected: str) -> None:
    assert format_value(value, specification) == expected


@pytest.mark.parametrize("text", ["there", "1e", "een"])
def test_typeset_leaves_an_e_without_exponent(text: str) -> None:
    assert typeset(text) == text


# The 95 % Student interval of 0.32, 0.34, 0.36 is 0.34 ± 4.303 · 0.02 / √3 = 0.34 ± 0.0497.
@pytest.mark.parametrize(
    ("per_seed", "per_cent", "expected"),
    [
        ((0.32, 0.34, 0.36), True, "34.0 % (95 % interval 29.0 to 39.0 %, 3 seeds)"),
        ((0.32, 0.34, 0.36), False, "0.34 (95 % interval 0.29 to 0.39, n = 3)"),
        ((0.34,), True, "34.0 % (one seed, no interval)"),
        ((0.34,), False, "0.34 (one seed, no interval)"),
        ((0.34, math.nan), False, "undefined (no interval)"),
    ],
)
def test_format_interval(per_seed: tuple[float, ...], per_cent: bool, expected: str) -> None:
    row = Row(id="a", quantity="a", cell={}, unit="fraction", per_seed=per_seed)
    shown = format_interval(row, per_cent=per_cent)
    assert shown == expected.replace(" %", "\N{NARROW NO-BREAK SPACE}%")


def test_role_puts_numbers_into_the_page(
    results: Callable[..., None], build_pages: Callable[..., Any]
) -> None:
    results(ROWS)
    quoted = {
        "{result}`this:study:dead/beside/500:.0%`": "34\N{NARROW NO-BREAK SPACE}%",
        "{result}`this:study:dead/beside/500.n`": "3",
        "{result}`this:study:dead/beside/500.unit`": "fraction",
        "{result}`this:study:dead_below_0.05/beside/500.high`": "one seed, no interval",
        "{result}`this:study:loss`": "undefined",
        "{result}`this:study:@parameters.epochs`": "50",
        "{result}`this:study:@parameters.widths`": "500, 1000",
        "{result}`this:study:@profile`": "quick",
    }
    built = build_pages({"page": "# Page\n\n" + "\n\n".join(quoted)})
    assert built.warnings == []
    for text in quoted.values():
        assert f'<span class="result">{text}</span>' in built.html["page"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("this:study:dead/beside/50", "dead/beside/500"),
        ("this:study:dead/beside/500.median", "results/study.json: "),
        ("this:study:@parameters.epoch", "no entry @parameters.epoch; nearest: epochs"),
        ("this:study:@profile.name", "no entry @profile.name; there is none"),
        ("this:stduy:dead/beside/500", "results/stduy.json for study 'stduy'; nearest: study"),
        ("reference:study:dead/beside/500", "no result file results/reference/study.json"),
        ("mine:study:dead/beside/500", "got source 'mine', allowed this, reference, natural"),
        ("this:study", "expected SOURCE:STUDY:ROW"),
        ("this:study:dead/beside/500:.1q", "format"),
        ("this:study:dead/beside/500.unit:.1%", "format"),
        ("this:study:dead/beside/500.sd:interval", "an interval has no field, got .sd"),
    ],
)
def test_role_warns_and_marks_what_is_missing(
    results: Callable[..., None], build_pages: Callable[..., Any], text: str, message: str
) -> None:
    results(ROWS)
    built = build_pages({"page": f"# Page\n\nBefore {{result}}`{text}` after."})
    (warning,) = built.warnings
    assert "page.md:3: WARNING: result " in warning
    assert message in warning
    assert f'<span class="{ERROR_CLASS}">[no result: {text}]</span>' in html.unescape(
        built.html["page"]
    )


def test_a_changed_result_rebuilds_the_pages_that_quote_it_and_no_other(
    results: Callable[..., None], build_pages: Callable[..., Any], book_root: Path
) -> None:
    results({"dead": ("fraction", (0.25,))})
    pages = {
        "page": "# Page\n\n{result}`this:study:dead`\n\n```{toctree}\nother\n```",
        "other": "# Other",
    }
    assert ">0.25<" in build_pages(pages).html["page"]
    results({"dead": ("fraction", (0.75,))})
    later = time.time() + 10  # the file system's clock may be coarse
    os.utime(book_root / "book" / "executed" / "results" / "study.json", (later, later))
    again = build_pages()
    assert again.read == {"page"}
    assert ">0.75<" in again.html["page"]


def test_a_result_that_appears_later_is_taken_up(
    results: Callable[..., None], build_pages: Callable[..., Any]
) -> None:
    assert build_pages({"page": "# Page\n\n{result}`this:study:dead`"}).warnings
    results({"dead": ("fraction", (0.25,))})
    again = build_pages()
    assert again.warnings == []
    assert ">0.25<" in again.html["page"]


def test_the_only_cell_of_a_run_needs_no_name(
    book_root: Path, write_result: Callable[..., Path]
) -> None:
    folder = book_root / "book" / "executed" / "results"
    rows = {name: ("fraction", (0.5,)) for name in ("a/in_path/60", "b/x/1", "b/x/2")}
    result = StudyResult.read(write_result(folder / "study.json", rows))
    assert complete_id(result, "a/*") == "a/in_path/60"
    assert complete_id(result, "b/x/1") == "b/x/1"
    with pytest.raises(MissingResult, match="2 rows"):
        complete_id(result, "b/*")
    with pytest.raises(MissingResult, match="0 rows"):
        complete_id(result, "c/*")
