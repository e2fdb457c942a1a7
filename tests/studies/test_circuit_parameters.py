from typing import Any

import pytest

from seethrough.studies.circuit_parameters import PAPER_NODES, Parameters
from seethrough.studies.circuit_rows import Comparison


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tasks": ()}, "tasks is"),
        ({"tasks": ("sphere", "sphere")}, "each once"),
        ({"target_losses": (0.0,)}, "target_losses has 0.0, allowed is finite and above 0"),
        ({"kappas": (4e-5,)}, "allowed is one with 8e-05 in it"),
        ({"kappas": (8e-5, 1e-5)}, "allowed is one with 4e-05 in it"),
        ({"kappas": (4e-5, 8e-5, 8e-5)}, "each once"),
        ({"kappas": (4e-5, 8e-5, -1.0)}, "kappa"),
        ({"n_pairs": 0}, "n_pairs is 0, allowed is at least 1"),
        ({"n_control_seeds": 2}, "n_control_seeds is 2, allowed is 1 to 1"),
        ({"granularity": "token"}, "granularity is 'token'"),
        ({"epochs": 0}, "epochs"),
        ({"sparsities": (1.0,)}, "sparsities has 1.0"),
    ],
)
def test_what_cannot_be_measured_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Parameters(**change)


def test_models_are_the_dense_one_trained_alike_and_the_pruned_ones() -> None:
    names = [c.name for c in Parameters(sparsities=(0.5, 0.7)).conditions()]
    assert names == ["dense_tuned", "wanda/0.5", "wanda/0.7"]


def test_all_nodes_cost_the_same_in_every_model() -> None:
    parameters = Parameters()
    # The paper's own model keeps the paper's price.
    assert parameters.training((8e-5,), PAPER_NODES["channel"], 0).kappas == (8e-5,)
    (kappa,) = parameters.training((8e-5,), 8448, 0).kappas
    assert kappa * 8448 == pytest.approx(8e-5 * 101_376)
    per_head = Parameters(granularity="head")
    assert per_head.training((8e-5,), 74_160, 0).kappas == (8e-5,)


def test_comparisons_are_the_papers_every_price_and_every_loss() -> None:
    found = Parameters(kappas=(4e-5, 8e-5), target_losses=(0.15,)).comparisons()
    assert found == [
        Comparison("paper", "8e-05", "4e-05"),
        Comparison("kappa_4e-05", "4e-05", "4e-05"),
        Comparison("kappa_8e-05", "8e-05", "8e-05"),
        Comparison("loss_0.15", "loss_0.15", "loss_0.15"),
    ]
