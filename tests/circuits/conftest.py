from collections.abc import Callable
from typing import Any

import pytest
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from seethrough.circuits.mask_sites import NodeLayout, node_layout
from seethrough.data.labelled_images import LabelledImages


class Patterns(LabelledImages):
    """Five classes, each a pattern of its own under noise."""

    def __init__(self, n: int) -> None:
        self.name, self.image_shape = "patterns", (3, 16, 16)
        self.class_names = ("a", "b", "c", "d", "e")
        self.labels = torch.arange(n) % 5
        generator = torch.Generator().manual_seed(0)
        patterns = torch.randn(5, *self.image_shape, generator=generator)
        noise = torch.randn(n, *self.image_shape, generator=generator)
        self.pixels = patterns[self.labels] + 0.5 * noise

    def images(self, index: Int64[Tensor, " N"]) -> Float[Tensor, "N 3 H W"]:
        return self.pixels.to(index.device)[index]


@pytest.fixture
def patterns() -> Patterns:
    return Patterns(40)


@pytest.fixture
def small_vit(tiny_vit: Callable[..., Any]) -> Callable[..., Any]:
    """Return a maker of models of two blocks: 8 channels, 2 heads, 32 hidden units, 5 classes."""

    def make(seed: int = 0, **changes: Any) -> Any:
        # Large activations, so that every site matters.
        model = tiny_vit(seed, **({"embed_dim": 8, "depth": 2} | changes))
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if parameter.ndim == 2 and "blocks" in name:
                    parameter.mul_(4)
        return model

    return make


@pytest.fixture
def random_gates() -> Callable[..., tuple[NodeLayout, Tensor, Tensor]]:
    """Return a maker of layout, gates of 0 to 1 and means for a model, in its precision."""

    def make(
        model: Any, n_masks: int, granularity: str = "channel"
    ) -> tuple[NodeLayout, Tensor, Tensor]:
        generator, layout = torch.Generator().manual_seed(3), node_layout(model, granularity)
        gates = torch.rand(n_masks, layout.n_nodes, generator=generator)
        means = torch.randn(layout.n_channels, generator=generator)
        return layout, gates.to(model.head.weight), means.to(model.head.weight)

    return make
