from typing import Any

import pytest

from seethrough.results import Row, StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies.impact_models import Condition
from seethrough.studies.impact_models_and_pruning import (
    Parameters,
    model_rows,
    retention_rows,
    run,
)

TINY: dict[str, Any] = {
    "sparsities": (0.7,), "n_calibration": 32, "n_recovery": 64, "recovery_epochs": 1,
    "batch_size": 64, "n_evaluation": 32, "methods": ("wanda", "magnitude"),
}  # fmt: skip
DENSE, TUNED = Condition(method="dense"), Condition(method="dense_tuned", recovered=True)
MASKED = Condition(method="wanda", sparsity=0.7)
RECOVERED = Condition(method="wanda", sparsity=0.7, recovered=True)


@pytest.fixture(scope="module")
def result(store: ArtifactStore) -> StudyResult:
    return run(Parameters(**TINY), store)


def test_every_model_has_its_rows(result: StudyResult) -> None:
    kinds = ("top_1", "top_5", "density", "checkpoint")
    names = ["dense_tuned", "wanda/0.7"]
    pruned = ["wanda/0.7", "magnitude/0.7", "wanda/2:4"]
    assert {row.id for row in result.rows} == {
        *(f"{kind}/dense" for kind in kinds[:3]),  # its weights are the package's own file
        *(f"{kind}/{name}" for kind in kinds for name in names),
        *(f"{kind}_pruned/{name}" for kind in kinds for name in pruned),
        "retention/wanda/0.7",
        "retention_tuned/wanda/0.7",
    }
    assert {row.n for row in result.rows} == {1}


def test_removed_weights_stay_removed(result: StudyResult) -> None:
    # Rows of 128 and of 512 weights lose int(89.6) and int(358.4). A block has 384 + 128 + 512 rows
    # of the first kind and 128 of the second.
    kept = (1024 * (128 - 89) + 128 * (512 - 358)) / (1024 * 128 + 128 * 512)
    for name in ("density_pruned/wanda/0.7", "density_pruned/magnitude/0.7"):
        assert result.row(name).mean == pytest.approx(kept, rel=1e-12)
    # A kept weight below half precision's smallest number counts as zero.
    assert result.row("density/wanda/0.7").mean == pytest.approx(kept, abs=1e-4)
    assert result.row("density_pruned/wanda/2:4").mean == 0.5
    assert result.row("density/dense").mean == 1


def test_the_package_model_is_right_and_its_file_shrinks(result: StudyResult) -> None:
    assert result.row("top_1/dense").mean > 0.9
    for row in result.rows:
        if row.id.startswith("top_1"):
            assert (row.mean * 32).is_integer()
            assert row.mean <= result.row(row.id.replace("top_1", "top_5")).mean
    sizes = [result.row(f"checkpoint/{name}").mean for name in ("wanda/0.7", "dense_tuned")]
    assert sizes[0] < sizes[1] / 2


def test_retention_is_the_quotient_of_the_rows(result: StudyResult) -> None:
    top = {name: result.row(f"top_1/{name}").mean for name in ("dense", "dense_tuned", "wanda/0.7")}
    assert result.row("retention/wanda/0.7").mean == top["wanda/0.7"] / top["dense"]
    assert result.row("retention_tuned/wanda/0.7").mean == top["wanda/0.7"] / top["dense_tuned"]


def rows_of(condition: Condition, *top_1: float) -> list[Row]:
    return model_rows(condition, {"top_1": list(top_1)})


def test_retention_by_hand() -> None:
    rows = [*rows_of(DENSE, 0.8, 0.8), *rows_of(TUNED, 0.5, 0.0),
            *rows_of(MASKED, 0.1, 0.1), *rows_of(RECOVERED, 0.4, 0.6)]  # fmt: skip
    plain, tuned = retention_rows(rows, [DENSE, TUNED, MASKED, RECOVERED])
    assert (plain.id, tuned.id) == ("retention/wanda/0.7", "retention_tuned/wanda/0.7")
    assert plain.per_seed == pytest.approx((0.5, 0.75))  # 0.4 / 0.8 and 0.6 / 0.8
    # 0.4 / 0.5; a control that is never right leaves no quotient.
    assert tuned.per_seed == pytest.approx((0.8, float("nan")), nan_ok=True)
    assert plain.cell == {
        "model": "wanda", "sparsity": 0.7, "structure": "unstructured", "recovered": "true",
    }  # fmt: skip


def test_rows_before_the_recovery_say_so() -> None:
    (before,), (after,), (dense,) = (rows_of(c, 0.5) for c in (MASKED, RECOVERED, DENSE))
    assert [row.id for row in (before, after, dense)] == [
        "top_1_pruned/wanda/0.7", "top_1/wanda/0.7", "top_1/dense",
    ]  # fmt: skip
    assert before.quantity == f"{after.quantity}, before the recovery"


def test_conditions_in_order() -> None:
    parameters = Parameters(
        sparsities=(0.3,), methods=("wanda", "random"), recovered=("random",),
        patterns=("4:8",), recover_patterns=True,
    )  # fmt: skip
    assert [(c.name, c.recovered) for c in parameters.conditions()] == [
        ("dense", False), ("dense_tuned", True), ("wanda/0.3", False), ("random/0.3", False),
        ("random/0.3", True), ("wanda/4:8", False), ("wanda/4:8", True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods": ("wanda", "obd")}, r"^methods is \('wanda', 'obd'\), allowed are wanda, "),
        ({"methods": ()}, r"^recovered is \('wanda',\), allowed are "),
        ({"methods": (), "recovered": ()}, r"^methods is empty, allowed is one or more$"),
        ({"methods": ("random",)}, r"^recovered is \('wanda',\), allowed are random, each once$"),
        ({"patterns": ("1:2",)}, r"^patterns is \('1:2',\), allowed are 2:4, 4:8, each once$"),
        ({"patterns": ("2:4", "2:4")}, r"^patterns is .* each once$"),
        ({"sparsities": (0.5, 1.0)}, r"^sparsities has 1.0, allowed is above 0 and below 1$"),
        ({"sparsities": (0.5, 0.5)}, r"^sparsities is .* each once$"),
        ({"n_evaluation": 0}, r"^n_evaluation is 0, allowed is at least 1$"),
        ({"data": "pictures"}, r"^data is 'pictures', allowed is nothing for shapes3d_vit"),
        ({"model": "vit_tiny_patch16_224"}, r"needs weights and data"),
    ],
)
def test_bad_parameters_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Parameters(**changes)
