from collections.abc import Callable
from typing import Any

import pytest
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from seethrough.circuits.class_tasks import ClassTask, TaskExamples
from seethrough.circuits.mask_sites import node_layout
from seethrough.data.labelled_images import LabelledImages
from seethrough.studies.circuit_images import Examples
from seethrough.studies.circuit_numbers import QUANTITIES, MaskedModel


class Noise(LabelledImages):
    """Twelve random images of five classes."""

    def __init__(self) -> None:
        self.name, self.class_names, self.image_shape = "noise", tuple("abcde"), (3, 16, 16)
        self.labels = torch.arange(12) % 5
        self.pixels = torch.randn(12, 3, 16, 16, generator=torch.Generator().manual_seed(0))

    def images(self, index: Int64[Tensor, " N"]) -> Float[Tensor, "N 3 H W"]:
        return self.pixels[index.cpu()].to(index.device)


@pytest.fixture
def masked(tiny_vit: Callable[..., Any]) -> MaskedModel:
    model = tiny_vit()
    # Half of the weights of one matrix are gone.
    with torch.no_grad():
        model.blocks[0].mlp.fc1.weight[:, ::2] = 0
    layout = node_layout(model)
    return MaskedModel(model, layout, torch.zeros(layout.n_channels), 4)


@pytest.fixture
def examples() -> Examples:
    task = ClassTask(name="a", classes=(0,))
    pairs = TaskExamples(
        task=task, positives=torch.tensor([0, 5, 10]), negatives=torch.tensor([1, 2, 3])
    )
    return Examples(Noise(), pairs)


def test_everything_is_the_model_and_its_complement_the_task_without_it(
    masked: MaskedModel, examples: Examples
) -> None:
    everything = masked.everything()
    (full,) = masked.scores(examples, everything)
    (nothing,) = masked.scores(examples, ~everything)
    found = masked.judged(everything, examples, full[1], torch.Generator().manual_seed(0))
    assert (found["loss"], found["accuracy"]) == pytest.approx(full)
    assert (found["without_loss"], found["without_accuracy"]) == pytest.approx(nothing)
    # A random circuit of all nodes is all nodes, and nothing is left out.
    assert found["random_loss"] == pytest.approx(full[0])
    assert found["ncq"] == found["edge_ncq"] == 0
    weights = 3 * (4 * 32 * 32 + 2 * 32 * 128)
    gone = 128 * 16
    assert found["edges"] == found["null_edges"] == weights - gone
    assert found["edge_ncq_all"] == pytest.approx(gone / weights if full[1] else float("nan"))
    assert found.keys() <= QUANTITIES.keys()


def test_an_empty_circuit_has_no_edges_and_a_defined_result(
    masked: MaskedModel, examples: Examples
) -> None:
    nothing = torch.zeros(masked.layout.n_nodes, dtype=torch.bool)
    found = masked.judged(nothing, examples, 0.5, torch.Generator().manual_seed(0))
    assert (found["nodes"], found["edges"], found["null_edges"]) == (0, 0, 0)
    assert found["over_null"] != found["over_null"]
    assert found["random_loss"] == pytest.approx(found["loss"])
    assert found["ncq"] == found["edge_ncq"] == pytest.approx(found["accuracy"] / 0.5)


def test_edges_stand_beside_the_null(masked: MaskedModel) -> None:
    # The inputs of a matrix that have no weights: no edge, where half of all are to be expected.
    active = torch.zeros(masked.layout.n_nodes, dtype=torch.bool)
    norm2, mlp_act = masked.layout.sites[5], masked.layout.sites[6]
    assert (norm2.kind, mlp_act.kind) == ("norm2", "mlp_act")
    active[norm2.first : norm2.first + 32 : 2] = True
    active[mlp_act.nodes] = True
    found = masked.size(active)
    assert found["edges"] == 0
    assert found["null_edges"] == pytest.approx(0.5 * 16 * 128)
    assert found["over_null"] == 0
