"""Tables of autoencoders, cell by cell."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from IPython.display import Markdown

from seethrough.plots import layers_sae_tables as tables
from seethrough.plots.tables import DASH
from seethrough.provenance import Provenance
from seethrough.results import Row, StudyResult

NNBSP = "\N{NARROW NO-BREAK SPACE}"
CELLS: Mapping[str, dict[str, str | int | float]] = {
    "dense": {"model": "dense", "sparsity": 0.0},
    "dense_tuned": {"model": "dense_tuned", "sparsity": 0.0},
    "wanda/0.3": {"model": "wanda", "sparsity": 0.3},
    "wanda/0.8": {"model": "wanda", "sparsity": 0.8},
}


def run(rows: Mapping[str, Sequence[float]], **parameters: Any) -> StudyResult:
    """A run with these rows beside one of every model."""
    fractions = ("fve", "dead", "top_1", "recovered")
    found = [
        Row(id, "", {}, "fraction" if id.startswith(fractions) else "1", tuple(values))
        for id, values in rows.items()
    ]
    models = [Row(f"nothing/{name}", "", cell, "1", (0.0,)) for name, cell in CELLS.items()]
    provenance = Provenance(
        parameters={"k": 21, "expansion": 32, **parameters}, seeds=(0, 1), profile="custom",
        device="cpu", threads=1, versions={}, git_commit=None, git_dirty=False, seconds=0.0,
    )  # fmt: skip
    return StudyResult("impact_layers_sae", (*models, *found), (), provenance)


def lines(table: Markdown) -> list[list[str]]:
    """The cells of a table's body."""
    return [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in table.data.splitlines()[2:]
    ]


def test_margins_in_words() -> None:
    found = {line[0]: line[-1] for line in lines(tables.margins_table())}
    assert found["selectivity (AUROC)"] == found["monosemanticity"] == "0.02"
    assert found["label entropy, nats"] == "5 % of the dense model's value"


def test_what_a_run_looked_at() -> None:
    parameters = {
        "model": "m", "sparsities": [0.5, 0.7], "ks": [5, 21], "n_pool": 9, "steps": 3,
        "priced_steps": 4,
        "sae_batch_size": 4, "n_evaluation": 8, "n_classes": 2, "images_per_class": 2,
        "n_latents": 50, "n_highest": 5,
    }  # fmt: skip
    found = lines(tables.scale_table({"this run": run({}, **parameters)}))
    assert found[:4] == [
        ["model", "m"], ["weights removed", "0.5, 0.7"], ["latents per feature", "32"],
        ["sweep of k", "5, 21"],
    ]  # fmt: skip
    assert found[-1] == ["seeds", "2 seeds"]


def test_the_papers_figures_beside_ours() -> None:
    rows = {
        "active/fixed_k/dense": [1024.0], "dead/fixed_k/dense": [0.75],
        "fve/fixed_k/dense": [0.9], "fve/patches/dense": [0.8],
    }  # fmt: skip
    found = lines(tables.paper_table({"a": run(rows), "b": run({})}))
    assert found[0] == ["latents, k, width", "24,576, 128, 768", "4,096, 21, 128", DASH]
    assert found[1][1:] == ["99.26 %", f"90.0{NNBSP}% (one seed)", DASH]
    assert found[2][1:] == ["about 94.7 %", f"80.0{NNBSP}% (one seed)", DASH]


def test_the_splice_has_a_line_per_model() -> None:
    rows = {
        "fve/fixed_k/wanda/0.3": [0.9], "l0/fixed_k/wanda/0.3": [20.25],
        "top_1_change/fixed_k/wanda/0.3": [-0.01],
        "cross_entropy_change/fixed_k/wanda/0.3": [0.012],
    }  # fmt: skip
    found = lines(tables.splice_table({"a": run(rows)}))
    assert [line[1] for line in found] == [
        "dense, as released", "dense, same steps", "30 % removed", "80 % removed",
    ]  # fmt: skip
    assert found[2][2:] == [
        f"90.0{NNBSP}% (one seed)", "20.2 (one seed)", DASH, DASH, f"-1.0{NNBSP}points (one seed)",
        "0.012 (one seed)", DASH,
    ]  # fmt: skip


def test_methods_that_a_run_lacks_have_no_line() -> None:
    rows = {"fve/k21/dense": [0.9], "fve/l1/dense": [0.8], "selectivity/top/l1/dense": [0.75]}
    found = lines(tables.methods_table({"a": run(rows)}))
    assert [line[1] for line in found] == ["BatchTopK, the study's", "L1"]
    assert found[1][-2:] == ["0.750", DASH]


def test_equivalence_in_three_comparisons() -> None:
    at = "fixed_k/wanda/0.8/dense_tuned"
    rows = {
        f"impact_change/{at}": [0.1, 0.3], f"impact_change_low/{at}": [0.0, 0.2],
        f"impact_change_high/{at}": [0.2, 0.4], f"impact_margin/{at}": [0.05, 0.05],
        f"impact_equivalent/{at}": [0.0, -1.0],
    }  # fmt: skip
    (first, *_) = lines(tables.equivalence_table({"a": run(rows)}))
    assert first == [
        "ablation impact", "a", "80 %", "0.050", "+0.200 (+0.100 to +0.300)",
        "undecided in 1, different in 1", DASH, DASH, DASH, DASH,
    ]  # fmt: skip


def test_no_verdict_is_a_dash() -> None:
    rows = {"impact_trend_verdict/top/fixed_k": [float("nan"), 0.0]}
    (first, *_) = lines(tables.trend_table({"a": run(rows)}))
    assert first[3:5] == [DASH, DASH]


def test_trends_of_top_and_random_latents() -> None:
    place = "random/equal_l0"
    rows = {
        f"impact_trend/{place}": [0.5], f"impact_trend_low/{place}": [0.1],
        f"impact_trend_high/{place}": [0.9], f"impact_trend_verdict/{place}": [1.0],
    }  # fmt: skip
    top, random, *_ = lines(tables.trend_table({"a": run(rows)}))
    assert top == ["ablation impact", "a", "top latents", *[DASH] * 6]
    assert random[2:] == [
        "as many at random", DASH, DASH, "+0.500 (+0.100 to +0.900)", "rises", DASH, DASH,
    ]  # fmt: skip


def test_counts_at_light_and_at_main_sparsity() -> None:
    result = run(
        {
            "active/fixed_k/dense_tuned": [100.0], "active/fixed_k/wanda/0.3": [110.0],
            "active/fixed_k/wanda/0.8": [90.0], "active_trend/fixed_k": [-0.5],
            "factor_gap/equal_fve/dense_tuned": [0.5],
        }
    )  # fmt: skip
    assert tables.lightest(result) == "wanda/0.3"
    active, gap = lines(tables.counts_table({"a": result}))
    assert active == [
        "latents ever active", "fixed k", "a", "100 (one seed)", "110 (one seed)",
        "90 (one seed)", "-0.500",
    ]  # fmt: skip
    assert gap[:4] == ["best minus second", "equal variance explained", "a", "50.0"]
    assert gap[4:] == [DASH, DASH, DASH]


@pytest.mark.parametrize("table", [tables.trend_table, tables.equivalence_table])
def test_an_empty_run_has_dashes(table: Any) -> None:
    assert all(line[-1] == DASH for line in lines(table({"a": run({})})))
