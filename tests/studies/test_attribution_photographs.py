"""Photographs as a model sees them: a small model whose answer is known."""

import torch
from torch import nn

from seethrough.models.embedded import load_embedded
from seethrough.studies.attribution_photographs import (
    explained_photographs,
    photograph_inputs,
    photograph_squares,
)
from seethrough.studies.impact_models import Condition

PRUNED = Condition(method="wanda", sparsity=0.5, recovered=True)


class Constant(nn.Module):
    """Says class 1 of three with odds of e to one against each other class."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return torch.tensor([[0.0, 1.0, 0.0]]).repeat(len(images), 1)


def test_answers_and_maps_by_hand() -> None:
    maps = torch.tensor([[[2.0, -1.0], [1.0, 0.0]], [[-1.0, -2.0], [-3.0, -4.0]]])
    rows, series = explained_photographs(
        Constant(), PRUNED, ("chelsea", "coffee"), torch.zeros(2, 3, 4, 4), ("a", "b", "c"),
        ("rollout",), lambda method, model, images, targets: maps,
    )  # fmt: skip
    # e / (e + 2)
    assert [round(row.mean, 4) for row in rows] == [0.5761, 0.5761]
    assert [row.id for row in rows] == [
        "photograph_probability/chelsea/wanda/0.5", "photograph_probability/coffee/wanda/0.5",
    ]  # fmt: skip
    assert {row.cell["predicted"] for row in rows} == {"b"}
    assert series[0].per_seed == ((1.0, 0.0, 0.5, 0.0),)
    assert series[1].per_seed == ((0.0, 0.0, 0.0, 0.0),)  # nothing speaks for the class
    assert series[1].id == "photograph_map/rollout/coffee/wanda/0.5"


def test_inputs_are_the_normalised_squares() -> None:
    classifier = load_embedded("shapes3d_vit")
    inputs = photograph_inputs(("rocket",), classifier)
    squares = photograph_squares(("rocket",), "shapes3d_vit")
    mean, std = classifier.preprocessing.mean, classifier.preprocessing.std
    undone = inputs * torch.tensor(std).view(3, 1, 1) + torch.tensor(mean).view(3, 1, 1)
    torch.testing.assert_close(undone, squares)


def test_squares_of_a_timm_model_need_no_weights() -> None:
    squares = photograph_squares(("chelsea", "coffee"), "deit_tiny_patch16_224")
    assert tuple(squares.shape) == (2, 3, 224, 224)
    assert 0 <= float(squares.min()) < float(squares.max()) <= 1
