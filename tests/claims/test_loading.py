from pathlib import Path
from typing import Any

import pytest
import yaml

from seethrough.claims import Claim, ClaimError, PaperValue, load
from seethrough.claims.loading import parse

FULL: dict[str, Any] = {
    "id": "COL-01",
    "paper": "collapse",
    "claim": "A third never fires.",
    "standing": "abstract",
    "value": {"mean": 0.344, "sd": 0.009, "unit": "fraction"},
    "study": "collapse_dead_neurons",
    "row": "dead_share/beside/500",
    "rule": "within_two_sd",
    "direction_above": 0.05,
    "requires": {"epochs": 50, "source": "official"},
    "note": "The place of the layer is our choice.",
}
BARE = {"id": "COL-02", "paper": "collapse", "claim": "More on colour.", "standing": "abstract"}
UNCHANGED = BARE | {"study": "s", "rule": "unchanged", "rows": ["a", "b"], "tolerance": 0.1}
SAME_ORDER = BARE | {"study": "s", "rule": "same_order", "groups": [["a", "b"], ["c", "d"]]}


def test_parse_reads_every_field() -> None:
    assert parse(FULL) == Claim(
        id="COL-01",
        paper="collapse",
        claim="A third never fires.",
        standing="abstract",
        value=PaperValue(mean=0.344, sd=0.009, unit="fraction"),
        study="collapse_dead_neurons",
        rows=("dead_share/beside/500",),
        rule="within_two_sd",
        direction_above=0.05,
        requires={"epochs": 50.0, "source": "official"},
        note="The place of the layer is our choice.",
    )


def test_parse_takes_a_bare_claim_as_one_without_a_rule() -> None:
    claim = parse(BARE)
    assert (claim.rule, claim.study, claim.value, claim.row_ids) == ("none", None, None, ())


@pytest.mark.parametrize("entry", [UNCHANGED, SAME_ORDER, BARE | {"value": None, "study": None}])
def test_parse_accepts_the_other_rules(entry: dict[str, Any]) -> None:
    assert parse(entry).rule == entry.get("rule", "none")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"verdict": "reproduced"}, "got key 'verdict', allowed bound, claim, "),
        ({"rows": ["a"]}, "row and rows"),
        ({"rule": "close_enough"}, "got rule 'close_enough', allowed within_two_sd"),
        ({"study": None}, "needs a study"),
        ({"value": None}, "needs a value with mean and sd"),
        ({"value": {"mean": 0.3}}, "needs a value with mean and sd"),
        ({"value": {"mean": "0.3"}}, "got mean '0.3', expected a number"),
        ({"value": {"average": 0.3}}, "'average', allowed mean, sd, text, unit"),
        ({"value": 0.3}, "expected a mapping or null"),
        ({"tolerance": 0.1}, "no use for tolerance"),
        ({"direction_above": True}, "expected a number"),
        ({"requires": {"epochs": None}}, "got requires.epochs None"),
        ({"requires": ["epochs"]}, "expected a mapping"),
        ({"standing": ""}, "got standing '', expected a text"),
        ({"row": 500}, "an entry of rows 500"),
    ],
)
def test_parse_refuses_and_names_the_claim(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ClaimError, match="COL-01") as caught:
        parse(FULL | change)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("COL-01", "expected a mapping"),
        ({"id": "COL-02", "paper": "collapse", "claim": "c"}, "'standing' is missing"),
        (UNCHANGED | {"rows": ["a"]}, "reads 2 rows, got 1"),
        (UNCHANGED | {"rows": "a"}, "expected a list"),
        ({k: v for k, v in UNCHANGED.items() if k != "tolerance"}, "needs tolerance"),
        (SAME_ORDER | {"groups": []}, r"lengths []"),
        (SAME_ORDER | {"groups": {"cells": ["a", "b"]}}, "the key 'quantities' of groups"),
        (SAME_ORDER | {"groups": {"rows": []}}, "got groups with 'rows', allowed cells"),
        (SAME_ORDER | {"groups": [["a", "b"], ["c"]]}, r"lengths [2, 1]"),
        (SAME_ORDER | {"groups": [["a"], ["b"]]}, r"lengths [1, 1]"),
        (SAME_ORDER | {"groups": "a"}, "expected a list of lists"),
        (SAME_ORDER | {"groups": ["ab", "cd"]}, "got a group 'ab'"),
    ],
)
def test_parse_refuses_what_a_rule_cannot_read(entry: object, message: str) -> None:
    with pytest.raises(ClaimError) as caught:
        parse(entry)
    assert message in str(caught.value)


def test_load_keeps_the_order_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "claims.yml"
    path.write_text(yaml.safe_dump([FULL, BARE]), encoding="utf-8")
    assert [claim.id for claim in load(path)] == ["COL-01", "COL-02"]


@pytest.mark.parametrize(
    ("content", "message"),
    [({"claims": [BARE]}, "holds dict, expected a list"), ([BARE, BARE], "COL-02 more than once")],
)
def test_load_refuses(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "claims.yml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(ClaimError, match=message):
        load(path)


def test_the_books_own_claims_are_well_formed() -> None:
    path = Path(__file__).parents[2] / "book" / "claims.yml"
    claims = load(path)
    assert {claim.paper for claim in claims} <= {"impact", "collapse", "psychophysics"}
    assert any(claim.id.startswith("COL-01") and claim.rule != "none" for claim in claims)


def test_groups_can_be_every_quantity_in_every_cell() -> None:
    entry = SAME_ORDER | {"groups": {"quantities": ["q", "r"], "cells": ["a/1", "b/1"]}}
    assert parse(entry).groups == (("q/a/1", "q/b/1"), ("r/a/1", "r/b/1"))
