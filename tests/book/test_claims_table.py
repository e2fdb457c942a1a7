import html
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from seethrough.book.claims_table import measured_text, paper_text, rule_text, typeset_reason
from seethrough.book.page_reader import parse_page
from seethrough.claims import Claim, PaperValue
from seethrough.results import StudyResult

DEAD = {
    "id": "COL-01",
    "paper": "collapse",
    "claim": "A *third* is dead at $k=50$.",
    "standing": "abstract",
    "value": {"mean": 0.344, "sd": 0.009, "unit": "fraction"},
    "study": "study",
    "row": "dead/500",
    "rule": "within_two_sd",
    "direction_above": 0.05,
    "requires": {"epochs": 50},
    "note": "Place and width are *our* choice.",
}
STABLE = {
    "id": "COL-12",
    "paper": "collapse",
    "claim": "MIG stays stable.",
    "standing": "abstract",
    "study": "study",
    "rows": ["mig_first/500", "mig_last/500"],
    "rule": "unchanged",
    "tolerance": 0.02,
}
UNTESTED = {"id": "IMP-01", "paper": "impact", "claim": "Sparse is easy.", "standing": "blog"}
REFERENCE = {
    "dead/500": ("fraction", (0.33, 0.34, 0.35)),
    "mig_first/500": ("MIG", (0.10, 0.12, 0.14)),
    "mig_last/500": ("MIG", (0.102, 0.12, 0.138)),
}
QUICK = {"dead/500": ("fraction", (0.2,)), "mig_first/500": ("MIG", (0.1,))}
PAGE = "# Page\n\n:::{claims}\n:::\n"


@pytest.fixture
def ledger(book_root: Path, write_result: Callable[..., Path]) -> Callable[..., None]:
    """Write claims.yml, a notebook and the two runs of its study."""

    def write(*claims: dict[str, Any], this: Any = QUICK, reference: Any = REFERENCE) -> None:
        (book_root / "notebooks").mkdir(exist_ok=True)
        (book_root / "notebooks" / "study.ipynb").touch()
        (book_root / "book").mkdir(exist_ok=True)
        text = yaml.safe_dump(list(claims))
        (book_root / "book" / "claims.yml").write_text(text, encoding="utf-8")
        if reference:
            path = book_root / "results" / "reference" / "study.json"
            write_result(path, reference, parameters={"epochs": 50})
        if this:
            path = book_root / "book" / "executed" / "results" / "study.json"
            write_result(path, this, parameters={"epochs": 3})

    return write


def claim(**parts: Any) -> Claim:
    return Claim(id="X", paper="p", claim="c", standing="s", **parts)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "no value given"),
        (PaperValue(text="stable"), "stable"),
        (PaperValue(mean=0.344, sd=0.009, unit="fraction"), "34.4 ± 0.9 %"),
        (PaperValue(mean=0.344, unit="fraction"), "34.4 %"),
        (PaperValue(mean=1.8, sd=0.1, unit="times"), "1.8 ± 0.1 times"),
        (PaperValue(mean=-2.0), "−2"),
    ],
)
def test_paper_text(value: PaperValue | None, text: str) -> None:
    assert paper_text(value) == text.replace(" %", "\N{NARROW NO-BREAK SPACE}%")


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({}, "none yet"),
        (
            {"rule": "same_order", "requires": {"k_end": "50"}},
            "same order; for runs with k_end = 50",
        ),
        (
            {
                "rule": "within_two_sd",
                "direction_above": 0.05,
                "value": PaperValue(mean=0.3, sd=0.1, unit="fraction"),
                "requires": {"epochs": 50.0, "n_seeds": 3.0},
            },
            "within two sd; direction above 5.0 %; for runs with epochs ≥ 50, n_seeds ≥ 3",
        ),
        ({"rule": "unchanged", "tolerance": 0.02}, "unchanged; tolerance ±0.02"),
    ],
)
def test_rule_text(parts: dict[str, Any], text: str) -> None:
    assert rule_text(claim(**parts)).replace("\N{NARROW NO-BREAK SPACE}", " ") == text


def test_measured_text(tmp_path: Path, write_result: Callable[..., Path]) -> None:
    result = StudyResult.read(write_result(tmp_path / "study.json", REFERENCE))
    one, two = claim(rows=("dead/500",)), claim(rows=("mig_first/500", "mig_last/500"))
    assert measured_text(one, result).startswith("34.0\N{NARROW NO-BREAK SPACE}% (95")
    assert measured_text(two, result) == "0.12 → 0.12"
    assert measured_text(claim(rows=("dead/1000",)), result) == ""
    assert measured_text(one, None) == ""


def test_typeset_reason() -> None:
    reason = "change -2.0 % (-3.0 % to 1.0 %), tolerance ±2.0 %; in-path"
    expected = "change −2.0 % (−3.0 % to 1.0 %), tolerance ±2.0 %; in-path"
    assert typeset_reason(reason) == expected.replace(" %", "\N{NARROW NO-BREAK SPACE}%")


def test_table_has_a_row_and_two_verdicts_per_claim(
    ledger: Callable[..., None], build_pages: Callable[..., Any]
) -> None:
    ledger(DEAD, STABLE, UNTESTED)
    built = build_pages({"page": PAGE})
    assert built.warnings == []
    rows = {row.id: row.verdicts for row in parse_page(built.html["page"]).claims}
    untested = "not tested at this scale"
    assert rows == {
        "claim-col-01": ["reproduced", untested],
        "claim-col-12": ["reproduced", untested],
        "claim-imp-01": [untested, untested],
    }
    text = html.unescape(built.html["page"])
    for part in (
        "A <em>third</em> is dead",
        "Place and width are <em>our</em> choice.",
        "34.4 ± 0.9",
        "difference 0.4 points, allowed 2.7 points",
        "needs epochs ≥ 50, the run has 3",
        "the run has no row mig_last/500",
        "no study tests it yet",
        "profile quick on cpu",
        ": 2 reproduced, 1 not tested at this scale.",
        "Reproduced when our mean over seeds differs",
        "Said when no study tests the claim yet",
    ):
        assert part in text
    assert "same order" not in text  # only the rules that are used are explained


def test_option_paper_keeps_the_claims_of_one_paper(
    ledger: Callable[..., None], build_pages: Callable[..., Any]
) -> None:
    ledger(DEAD, UNTESTED)
    built = build_pages({"page": "# Page\n\n:::{claims}\n:paper: impact\n:::\n"})
    assert built.warnings == []
    assert [row.id for row in parse_page(built.html["page"]).claims] == ["claim-imp-01"]


def test_a_study_without_notebook_needs_no_run_here(
    ledger: Callable[..., None], build_pages: Callable[..., Any], book_root: Path
) -> None:
    ledger(DEAD, this=None)
    (book_root / "notebooks" / "study.ipynb").unlink()
    built = build_pages({"page": PAGE})
    assert built.warnings == []
    assert "computed in the reference run alone" in built.html["page"]


def test_a_reference_may_be_of_another_study(
    ledger: Callable[..., None],
    build_pages: Callable[..., Any],
    book_root: Path,
    write_result: Callable[..., Path],
) -> None:
    ledger(DEAD | {"reference_study": "grid"}, reference=None)
    write_result(book_root / "results" / "reference" / "grid.json", REFERENCE)
    built = build_pages({"page": PAGE})
    assert built.warnings == []
    (row,) = parse_page(built.html["page"]).claims
    assert row.verdicts == ["reproduced", "not tested at this scale"]


@pytest.mark.parametrize(
    ("change", "kept", "message"),
    [
        ({}, {"this": None}, "no result file book/executed/results/study.json"),
        ({}, {"reference": None}, "no result file results/reference/study.json"),
        ({"row": "dead/50"}, {}, "COL-01 names the row 'dead/50'; nearest: dead/500"),
        ({"requires": {"epoch": 50}}, {}, "no parameter 'epoch'; nearest: epochs"),
        ({"row": "mig_first/500"}, {}, "the paper's unit is 'fraction', ours 'MIG'"),
        ({"rule": "close"}, {}, "COL-01: got rule 'close'"),
        ({"paper": "collaps"}, {}, "no claim is of paper 'collapse'; nearest: collaps"),
    ],
)
def test_what_does_not_fit_fails_the_strict_build(
    ledger: Callable[..., None],
    build_pages: Callable[..., Any],
    change: dict[str, Any],
    kept: dict[str, Any],
    message: str,
) -> None:
    ledger(DEAD | change, **kept)
    built = build_pages({"page": "# Page\n\n:::{claims}\n:paper: collapse\n:::\n"})
    assert any(message in warning for warning in built.warnings)
    assert all("page.md:3: WARNING: claims: " in warning for warning in built.warnings)


def test_without_claims_file_the_page_has_a_mark(build_pages: Callable[..., Any]) -> None:
    built = build_pages({"page": PAGE})
    assert "claims.yml" in built.warnings[0]
    assert len(parse_page(built.html["page"]).error_marks) == 1


def test_a_changed_result_or_claim_rebuilds_the_page(
    ledger: Callable[..., None], build_pages: Callable[..., Any], book_root: Path
) -> None:
    ledger(DEAD)
    build_pages({"page": PAGE})
    assert build_pages().read == set()
    for name in ("book/claims.yml", "results/reference/study.json"):
        path = book_root / name
        later = path.stat().st_mtime + 100
        os.utime(path, (later, later))
        assert build_pages().read == {"page"}
        os.utime(path, (later - 200, later - 200))
