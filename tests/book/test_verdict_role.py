import html
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from seethrough.book.page_reader import parse_page
from seethrough.book.result_role import ERROR_CLASS
from seethrough.book.verdict_role import parse_verdict

# The reference has 0.33, 0.34, 0.35: mean 0.34, sd 0.01, low end 0.34 - 4.303 · 0.01 / √3 = 0.315.
# Against the paper's 0.344 ± 0.009 the difference is 0.004, allowed 2 √(0.01² + 0.009²) = 0.027:
# reproduced. Against 0.5 ± 0.009 it is 0.16, and the low end is above 0.05: the direction only.
# Against 0.5 ± 0.009 with a direction above 0.32, neither.
DEAD = {
    "id": "COL-01a",
    "paper": "collapse",
    "claim": "A third is dead.",
    "standing": "abstract",
    "value": {"mean": 0.344, "sd": 0.009, "unit": "fraction"},
    "study": "study",
    "row": "dead/500",
    "rule": "within_two_sd",
    "direction_above": 0.05,
    "requires": {"epochs": 50},
}
HALF = DEAD | {"id": "COL-02", "value": {"mean": 0.5, "sd": 0.009, "unit": "fraction"}}
HIGH = HALF | {"id": "COL-03", "direction_above": 0.32}
ABSENT = DEAD | {"id": "COL-04", "row": "dead/50"}
GRID = DEAD | {"id": "COL-05", "reference_study": "grid"}
UNFIT = DEAD | {"id": "COL-06", "requires": {"epoch": 50}}
UNTESTED = {"id": "IMP-01", "paper": "impact", "claim": "Sparse is easy.", "standing": "blog"}
CLAIMS = (DEAD, HALF, HIGH, ABSENT, GRID, UNFIT, UNTESTED)
ROWS = {"dead/500": ("fraction", (0.33, 0.34, 0.35))}


@pytest.fixture
def write_claims(book_root: Path) -> Callable[..., None]:
    def write(*claims: dict[str, Any]) -> None:
        (book_root / "book").mkdir(exist_ok=True)
        (book_root / "book" / "claims.yml").write_text(yaml.safe_dump(list(claims)), "utf-8")

    return write


@pytest.fixture
def reference(book_root: Path, write_result: Callable[..., Path]) -> Path:
    path = book_root / "results" / "reference" / "study.json"
    return write_result(path, ROWS, parameters={"epochs": 50})


@pytest.fixture
def this(book_root: Path, write_result: Callable[..., Path]) -> Path:
    path = book_root / "book" / "executed" / "results" / "study.json"
    return write_result(path, ROWS, parameters={"epochs": 3})


@pytest.mark.parametrize(
    ("text", "source", "id"),
    [
        ("COL-05", "reference", "COL-05"),
        (" COL-05 ", "reference", "COL-05"),
        ("reference:COL-05", "reference", "COL-05"),
        ("this:COL-05", "this", "COL-05"),
    ],
)
def test_parse_verdict(text: str, source: str, id: str) -> None:
    assert parse_verdict(text) == (source, id)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"got '', expected \[SOURCE:\]ID"),
        ("this:", r"got 'this:', expected \[SOURCE:\]ID"),
        (":COL-05", "got source '', allowed reference, this"),
        ("natural:COL-05", "got source 'natural', allowed reference, this"),
        ("this:study:COL-05", "got source 'this:study', allowed reference, this"),
    ],
)
def test_parse_verdict_refuses(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_verdict(text)


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("COL-01a", "reproduced"),
        ("reference:COL-01a", "reproduced"),
        ("COL-02", "direction reproduced"),
        ("COL-03", "not reproduced"),
        ("this:COL-01a", "not tested at this scale"),  # 3 epochs, the claim needs 50
        ("this:COL-05", "not tested at this scale"),  # of the study itself, not of the reference's
    ],
)
@pytest.mark.usefixtures("reference", "this")
def test_role_puts_the_verdict_into_the_page(
    write_claims: Callable[..., None], build_pages: Callable[..., Any], text: str, verdict: str
) -> None:
    write_claims(*CLAIMS)
    built = build_pages({"page": f"# Page\n\nIt is *{{verdict}}`{text}`* here."})
    assert built.warnings == []
    shown = f'<em><span class="verdict-inline">{verdict}</span></em> here.'
    assert shown in built.html["page"]


@pytest.mark.usefixtures("reference")
def test_this_run_is_judged_by_its_own_numbers(
    write_claims: Callable[..., None],
    build_pages: Callable[..., Any],
    this: Path,
    write_result: Callable[..., Path],
) -> None:
    write_claims(DEAD)
    write_result(this, {"dead/500": ("fraction", (0.1, 0.11, 0.12))}, parameters={"epochs": 50})
    built = build_pages({"page": "# Page\n\n{verdict}`COL-01a`, {verdict}`this:COL-01a`"})
    assert built.warnings == []
    # low end 0.11 - 0.025 = 0.085, above 0.05
    assert ">reproduced</span>, <span" in built.html["page"]
    assert ">direction reproduced</span></p>" in built.html["page"]


def test_the_reference_may_be_of_another_study(
    write_claims: Callable[..., None],
    build_pages: Callable[..., Any],
    book_root: Path,
    write_result: Callable[..., Path],
) -> None:
    write_claims(GRID)
    path = book_root / "results" / "reference" / "grid.json"
    write_result(path, ROWS, parameters={"epochs": 50})
    built = build_pages({"page": "# Page\n\n{verdict}`COL-05`"})
    assert built.warnings == []
    assert ">reproduced</span>" in built.html["page"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("COL-01", "book/claims.yml has no claim 'COL-01'; nearest: COL-01a"),
        ("this:IMP-1", "book/claims.yml has no claim 'IMP-1'; nearest: IMP-01"),
        ("IMP-01", "IMP-01 has the rule none: no run is judged"),
        (
            "COL-04",
            "results/reference/study.json: COL-04 names the row 'dead/50'; nearest: dead/500",
        ),
        ("COL-05", "no result file results/reference/grid.json for study 'grid'; nearest: study"),
        ("this:COL-01a", "no result file book/executed/results/study.json for study 'study'"),
        ("COL-06", "study has no parameter 'epoch'; nearest: epochs"),
        ("natural:COL-01a", "got source 'natural', allowed reference, this"),
    ],
)
@pytest.mark.usefixtures("reference")
def test_role_warns_and_marks_what_is_missing(
    write_claims: Callable[..., None], build_pages: Callable[..., Any], text: str, message: str
) -> None:
    write_claims(*CLAIMS)
    built = build_pages({"page": f"# Page\n\nBefore {{verdict}}`{text}` after."})
    (warning,) = built.warnings
    assert "page.md:3: WARNING: verdict " in warning
    assert message in warning
    mark = f'<span class="{ERROR_CLASS}">[no verdict: {text}]</span>'
    assert mark in html.unescape(built.html["page"])


def test_without_claims_file_the_page_has_a_mark(build_pages: Callable[..., Any]) -> None:
    built = build_pages({"page": "# Page\n\n{verdict}`COL-01a`"})
    (warning,) = built.warnings
    assert "claims.yml" in warning
    assert parse_page(built.html["page"]).error_marks == ["[no verdict: COL-01a]"]


@pytest.mark.usefixtures("reference", "this")
def test_role_says_what_the_table_says_and_the_gates_do_not_count_it(
    write_claims: Callable[..., None], build_pages: Callable[..., Any], book_root: Path
) -> None:
    (book_root / "notebooks").mkdir()
    (book_root / "notebooks" / "study.ipynb").touch()
    # a note stands within the row, and the last paragraph after it
    write_claims(HALF | {"note": "Here {verdict}`COL-02`."}, HIGH)
    page = "# Page\n\n:::{claims}\n:::\n\n{verdict}`COL-02`, {verdict}`COL-03`"
    built = build_pages({"page": page})
    assert built.warnings == []
    rows = {row.id: row.verdicts for row in parse_page(built.html["page"]).claims}
    untested = "not tested at this scale"
    assert rows == {
        "claim-col-02": ["direction reproduced", untested],
        "claim-col-03": ["not reproduced", untested],
    }
    inline = '<span class="verdict-inline">'
    assert built.html["page"].count(f"{inline}direction reproduced</span>") == 2
    assert built.html["page"].count(f"{inline}not reproduced</span>") == 1


def test_a_changed_claim_or_result_rebuilds_the_pages_that_name_it_and_no_other(
    write_claims: Callable[..., None],
    build_pages: Callable[..., Any],
    book_root: Path,
    reference: Path,
    write_result: Callable[..., Path],
) -> None:
    def age(path: Path, seconds: int) -> None:
        """Set the file's time: the file system's clock may be coarse."""
        later = path.stat().st_mtime + seconds
        os.utime(path, (later, later))

    write_claims(DEAD)
    pages = {
        "page": "# Page\n\n{verdict}`COL-01a`\n\n```{toctree}\nother\n```",
        "other": "# Other",
    }
    assert ">reproduced<" in build_pages(pages).html["page"]
    assert build_pages().read == set()

    claims_file = book_root / "book" / "claims.yml"
    write_claims(HALF | {"id": "COL-01a"})
    age(claims_file, 100)
    again = build_pages()
    assert again.read == {"page"}
    assert ">direction reproduced<" in again.html["page"]
    age(claims_file, -200)  # else it is newer than the page at every build

    rows = {"dead/500": ("fraction", (0.0, 0.01, 0.02))}
    write_result(reference, rows, parameters={"epochs": 50})
    age(reference, 100)
    again = build_pages()
    assert again.read == {"page"}
    assert ">not reproduced<" in again.html["page"]


def test_a_result_that_appears_later_is_taken_up(
    write_claims: Callable[..., None],
    build_pages: Callable[..., Any],
    book_root: Path,
    write_result: Callable[..., Path],
) -> None:
    write_claims(DEAD)
    assert build_pages({"page": "# Page\n\n{verdict}`COL-01a`"}).warnings
    path = book_root / "results" / "reference" / "study.json"
    write_result(path, ROWS, parameters={"epochs": 50})
    again = build_pages()
    assert again.warnings == []
    assert ">reproduced<" in again.html["page"]
