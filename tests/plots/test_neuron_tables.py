from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from IPython.display import Markdown

from seethrough.plots import neuron_tables
from seethrough.plots.tables import DASH
from seethrough.provenance import Provenance
from seethrough.results import Row, StudyResult
from seethrough.studies.neuron_rows import TRENDS, VERDICTS

NAN = float("nan")
NNBSP = "\N{NARROW NO-BREAK SPACE}"
CELLS: Mapping[str, dict[str, str | int | float]] = {
    "dense": {"model": "dense", "sparsity": 0.0},
    "dense_tuned": {"model": "dense_tuned", "sparsity": 0.0},
    "wanda/0.5": {"model": "wanda", "sparsity": 0.5},
    "wanda/0.8": {"model": "wanda", "sparsity": 0.8},
}


def run(rows: Mapping[str, Sequence[float]], **parameters: Any) -> StudyResult:
    """A run of block 1 with these rows beside one of every model."""
    found = [Row(id, "", {"block": 1}, "1", tuple(values)) for id, values in rows.items()]
    models = [Row(f"impact/top/1/{name}", "", cell, "1", (0.0,)) for name, cell in CELLS.items()]
    provenance = Provenance(
        parameters=parameters, seeds=(0, 1), profile="custom", device="cpu", threads=1, versions={},
        git_commit=None, git_dirty=False, seconds=0.0,
    )  # fmt: skip
    return StudyResult("impact_neurons", (*models, *found), (), provenance)


def lines(table: Markdown) -> list[list[str]]:
    """The cells of a table's body."""
    return [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in table.data.splitlines()[2:]
    ]


def row(*values: float) -> Row:
    return Row("a", "a", {}, "1", values)


def test_what_a_run_looked_at() -> None:
    parameters = {
        "model": "shapes3d_vit", "sparsities": [0.5, 0.7], "blocks": [1, 3], "n_classes": 4,
        "images_per_class": 5, "n_units": 50, "n_mean_images": 32, "n_evaluation": 64,
        "n_recovery": 128,
    }  # fmt: skip
    table = lines(neuron_tables.scale_table({"this run": run({}, **parameters)}))
    assert table[:4] == [
        ["model", "shapes3d_vit"], ["weights removed", "0.5, 0.7"], ["blocks, from 0", "1, 3"],
        ["classes", "4"],
    ]  # fmt: skip
    assert table[-1] == ["seeds", "2 seeds"]


def test_the_headline_is_the_nearest_sparsity() -> None:
    # 0.8 is nearer to 0.7 than 0.5 is.
    assert neuron_tables.headline(run({})).name == "wanda/0.8"


def test_equivalence_worked_by_hand() -> None:
    place = "1/wanda/0.8/dense_tuned"
    values = {
        "change": (0.01, 0.03),
        "change_low": (-0.02, 0.0),
        "change_high": (0.03, 0.05),
        "margin": (0.02, 0.02),
        "equivalent": (0.0, 1.0),
    }
    other = {"selectivity_change/1/wanda/0.5/dense_tuned": (9.0, 9.0)}
    found = run({f"selectivity_{name}/{place}": pair for name, pair in values.items()} | other)
    table = lines(neuron_tables.equivalence_table({"this run": found}))
    assert [line[:4] for line in table][:2] == [
        ["ablation impact", "1", "this run", "80 %"],
        ["selectivity (AUROC)", "1", "this run", "80 %"],
    ]
    # Means over the two seeds; nothing is known against the released model.
    assert table[1][4:] == [
        "+0.020 (-0.010 to +0.040)", "0.020", "equivalent in 1, undecided in 1", *3 * [DASH],
    ]  # fmt: skip
    assert table[0][4:] == 6 * [DASH]


def test_trends_stand_beside_the_baselines() -> None:
    found = run({
        "entropy_trend/top/1": (-1.0, -0.5), "entropy_trend_low/top/1": (-1.0, -1.0),
        "entropy_trend_high/top/1": (-0.5, 0.0), "entropy_trend_verdict/top/1": (-1.0, -1.0),
        "entropy_trend/random/1": (0.0, 0.0), "entropy_trend_low/random/1": (-1.0, -1.0),
        "entropy_trend_high/random/1": (1.0, 1.0), "entropy_trend_verdict/random/1": (0.0, 0.0),
    })  # fmt: skip
    table = lines(neuron_tables.trend_table({"this run": found}))
    assert table[-1] == [
        "label entropy, nats", "1", "this run", "-0.750 (-1.000 to -0.250)", "falls",
        "0.000 (-1.000 to +1.000)", "no trend", DASH, DASH,
    ]  # fmt: skip


def test_a_block_that_a_run_lacks_has_no_line() -> None:
    other = run({})
    runs = {"reference run": run({"impact_trend/top/1": (0.0, 0.0)}), "this run": other}
    assert {line[2] for line in lines(neuron_tables.trend_table(runs))} == {"reference run"}


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ((row(0.5), row(0.25), row(0.75)), "+0.500 (+0.250 to +0.750)"),
        ((row(-0.0001), row(-0.5), row(0.5)), "0.000 (-0.500 to +0.500)"),
        ((row(0.5), row(NAN), row(NAN)), "+0.500"),
        ((row(NAN), row(0.1), row(0.2)), DASH),
        ((None, None, None), DASH),
    ],
)
def test_intervals_in_words(rows: tuple[Row | None, Row | None, Row | None], text: str) -> None:
    assert neuron_tables.interval(*rows) == text


@pytest.mark.parametrize(
    ("values", "words", "text"),
    [
        ((1.0, 1.0), VERDICTS, "equivalent"),
        ((-1.0,), VERDICTS, "different"),
        ((0.0, 1.0, -1.0), TRENDS, "rises in 1, no trend in 1, falls in 1"),
    ],
)
def test_verdicts_in_words(
    values: tuple[float, ...], words: Mapping[str, float], text: str
) -> None:
    assert neuron_tables.verdict_text(row(*values), words) == text


def test_the_check_of_the_ranking_has_a_column_per_model() -> None:
    found = run({
        "patching_rank_correlation/1/dense": (0.9, 0.9),
        "patching_rank_correlation/1/wanda/0.8": (0.5, 0.5),
        "heads_among_top/1/dense": (0.05, 0.05),
    })  # fmt: skip
    table = neuron_tables.sanity_table({"this run": found})
    assert table.data.splitlines()[0] == (
        "|  | block | run | dense, as released | dense, same steps | 50 % removed | 80 % removed |"
    )
    assert lines(table) == [
        ["rank correlation with true patching", "1", "this run", "0.90 (0.90 to 0.90)", DASH, DASH,
         "0.50 (0.50 to 0.50)"],
        ["heads among the top units", "1", "this run", f"5.0{NNBSP}% (5.0 to 5.0)", *3 * [DASH]],
    ]  # fmt: skip


def test_factors_at_the_dense_and_the_sparse_end() -> None:
    found = run({
        "one_factor_units/class_token/1/dense_tuned": (0.1, 0.1),
        "one_factor_units/class_token/1/wanda/0.8": (0.2, 0.2),
        "one_factor_units_shuffled/class_token/1/wanda/0.8": (0.0, 0.0),
        "factor_gap/class_token/1/dense_tuned": (0.25, 0.25),
    })  # fmt: skip
    table = lines(neuron_tables.factor_table({"this run": found}))
    assert table[0] == [
        "class token", "1", "this run", f"10.0{NNBSP}% (10.0 to 10.0)",
        f"20.0{NNBSP}% (20.0 to 20.0)", f"0.0{NNBSP}% (0.0 to 0.0)", "0.250 (0.250 to 0.250)",
        DASH, DASH,
    ]  # fmt: skip
    assert lines(neuron_tables.factor_table({"this run": run({"entropy/top/1": (1.0,)})})) == []


def test_margins_are_said_in_words() -> None:
    table = lines(neuron_tables.margins_table())
    assert [line[3] for line in table] == [
        "10 % of the dense model's value", "0.02", "10 % of the dense model's value",
        "5 % of the dense model's value",
    ]  # fmt: skip
