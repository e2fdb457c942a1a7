from dataclasses import replace
from typing import Any

import pytest

from seethrough.plots import full_scale
from seethrough.results import StudyResult
from seethrough.studies.impact_full_scale import COUNTS


@pytest.fixture
def result(make_result: Any) -> StudyResult:
    rows = {f"count/{name}": [12345.0] for name in COUNTS}
    rows |= {f"seconds_per_image/{name}": [0.256] for name in full_scale.MEASURED}
    rows |= {"memory": [1.26e9], "full_cost/recovery": [1234.4], "full_cost/total": [2000.0]}
    made: StudyResult = make_result(rows, model="a_model", n_images=3)
    return made


def lines(markdown: Any) -> list[list[str]]:
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in markdown.data.splitlines()
    ]


def test_counts_beside_what_they_should_be(result: StudyResult) -> None:
    header, _, *body = lines(full_scale.counts_table(None, result))
    assert header[-2:] == ["`deit3_base_patch16_224`, built here", "this run, `a_model`"]
    assert len(body) == len(COUNTS)
    assert {line[-1] for line in body} == {"12,345"}
    exact = [line for line in body if line[1].endswith(("(derived)", "(second-hand)"))]
    assert len(exact) == 5
    for _, expected, built, _ in exact:
        assert expected.split(" ")[0] == built
    assert body[0][1:3] == ["86.6 million (timm)", "86,585,320"]
    assert body[-1][1] == "2 x 17.5 billion (its authors)"
    assert float(body[-1][2].replace(",", "")) == pytest.approx(2 * 17.5e9, rel=0.01)


def test_cost_by_run(result: StudyResult) -> None:
    reference = replace(
        result,
        rows=tuple(row for row in result.rows if row.id != "full_cost/total"),
        provenance=replace(result.provenance, device="A GPU"),
    )
    header, _, *body = lines(full_scale.cost_table(reference, result))
    assert header == ["", "reference run, `a_model`", "this run, `a_model`"]
    assert body == [
        ["device", "A GPU", "CPU, 1 thread"],
        ["images at once", "3", "3"],
        *([f"seconds per image, {words}", "0.26 s", "0.26 s"]
          for words in full_scale.MEASURED.values()),
        ["memory of the process", "1.3 GB", "1.3 GB"],
        ["estimate, recovery", "1,234.4 h", "1,234.4 h"],
        ["estimate, total", "–", "2,000.0 h"],
    ]  # fmt: skip
