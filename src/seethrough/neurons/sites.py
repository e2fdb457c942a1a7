"""Where units sit in a vision transformer, and how to watch or replace their activations there.

Two kinds of site per block. MLP units: the output of the MLP's activation function, one number per
unit and token. Attention heads: the input of the attention's output projection cut into heads, one
vector per head and token, whose L2 norm is the head's activation. Both are handled as tensors of
shape (B, T, U, V): images, tokens with the class token first, units, and the V numbers of a unit
(1 for an MLP unit, the head's width for a head). The models are timm's plain vision transformers.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from seethrough.attribution.model_state import evaluating, frozen_parameters

Batches = Iterable[tuple[Float[Tensor, "_ 3 H W"], Int64[Tensor, " _"]]]
"""Images and their labels, batch by batch, on the model's device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MlpUnits:
    """The units of one block's MLP, after its activation function."""

    block: int
    """Block, counted from 0."""

    @property
    def name(self) -> str:
        """Return the name of the site in tables, "blocks.2.mlp"."""
        return f"blocks.{self.block}.mlp"

    def shape(self, model: nn.Module) -> tuple[int, int]:
        """Return (U, 1); raises ValueError if the model has no such block."""
        fc1: Any = _submodule(model, self.block, "mlp.fc1")
        return int(fc1.out_features), 1

    def activation(self, vectors: Float[Tensor, "B T U 1"]) -> Float[Tensor, "B T U"]:
        """Return the activation of every unit: its number, with its sign."""
        return vectors[..., 0]

    def attach(self, model: nn.Module, visit: "Visit") -> RemovableHandle:
        """Call `visit` in every forward pass from now on, until the handle is removed."""

        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor | None:
            replaced = visit(self, output[..., None])
            return None if replaced is None else replaced[..., 0]

        return _submodule(model, self.block, "mlp.act").register_forward_hook(hook)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionHeads:
    """The heads of one block's attention, before its output projection."""

    block: int
    """Block, counted from 0."""

    @property
    def name(self) -> str:
        """Return the name of the site in tables, "blocks.2.heads"."""
        return f"blocks.{self.block}.heads"

    def shape(self, model: nn.Module) -> tuple[int, int]:
        """Return (heads, width of a head); raises ValueError if the model has no such block."""
        attention: Any = _submodule(model, self.block, "attn")
        n_heads = int(attention.num_heads)
        return n_heads, int(attention.proj.in_features) // n_heads

    def activation(self, vectors: Float[Tensor, "B T U V"]) -> Float[Tensor, "B T U"]:
        """Return the activation of every head: the L2 norm of its vector, 0 or above."""
        norms: Tensor = torch.linalg.vector_norm(vectors, dim=-1)
        return norms

    def attach(self, model: nn.Module, visit: "Visit") -> RemovableHandle:
        """Call `visit` in every forward pass from now on, until the handle is removed."""
        shape = self.shape(model)

        def hook(_module: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor | None:
            replaced = visit(self, inputs[0].reshape(*inputs[0].shape[:2], *shape))
            return None if replaced is None else replaced.flatten(start_dim=2)

        return _submodule(model, self.block, "attn.proj").register_forward_pre_hook(hook)


Site = MlpUnits | AttentionHeads
Visit = Callable[[Site, Tensor], Tensor | None]
"""Takes a site and its activations (B, T, U, V); what it returns, if anything, replaces them."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ablation:
    """Units of one site to be replaced by their mean; units may differ from image to image."""

    units: Bool[Tensor, "#B U"]
    """True for the units to replace, per image, or in one row for all images."""
    mean: Float[Tensor, "U V"]
    """What every token of a replaced unit becomes; cast to the model's precision."""


def sites_of(model: nn.Module, blocks: Iterable[int]) -> tuple[Site, ...]:
    """Return the MLP units and the heads of these blocks, in that order, block by block.

    Raises:
        ValueError: the model has no such block, or it is not a plain vision transformer.
    """
    sites: list[Site] = []
    for block in blocks:
        sites += [MlpUnits(block=block), AttentionHeads(block=block)]
    for site in sites:
        site.shape(model)
    return tuple(sites)


@contextmanager
def visited(model: nn.Module, sites: Iterable[Site], visit: Visit) -> Iterator[None]:
    """Call `visit` with the activations of the sites in every forward pass inside.

    The hooks are removed on leaving, also after an exception.
    """
    with ExitStack() as stack:
        for site in sites:
            stack.callback(site.attach(model, visit).remove)
        yield


@contextmanager
def recorded(
    model: nn.Module, sites: Iterable[Site], *, with_gradients: bool = False
) -> Iterator[dict[Site, Float[Tensor, "B T _ _"]]]:
    """Yield a dictionary that holds the sites' activations of the last forward pass inside.

    With gradients, the activations recorded are those that the logits are computed from, so
    `torch.autograd.grad` gives the derivative with respect to each; parameters may be frozen.
    """
    activations: dict[Site, Tensor] = {}

    def keep(site: Site, vectors: Tensor) -> Tensor | None:
        activations[site] = vectors
        if not with_gradients:
            return None
        # Already in the graph if an earlier site is; the earliest one starts it.
        return vectors if vectors.requires_grad else vectors.requires_grad_()

    with visited(model, sites, keep):
        yield activations


@contextmanager
def ablated(model: nn.Module, ablations: dict[Site, Ablation]) -> Iterator[None]:
    """Replace units by their mean, at all these sites at once, in every forward pass inside."""

    def replace(site: Site, vectors: Tensor) -> Tensor:
        ablation = ablations[site]
        mean = ablation.mean.to(vectors.dtype)
        return torch.where(ablation.units[:, None, :, None], mean, vectors)  # (B, T, U, V)

    with visited(model, ablations, replace):
        yield


@contextmanager
def frozen(model: nn.Module) -> Iterator[None]:
    """Put the model in evaluation mode without gradients of parameters; restore both on leaving."""
    with evaluating(model), frozen_parameters(model):
        yield


def _submodule(model: nn.Module, block: int, path: str) -> nn.Module:
    try:
        n_blocks = len(model.get_submodule("blocks"))  # type: ignore[arg-type]
    except AttributeError:
        raise ValueError(
            f"a vision transformer has blocks, {type(model).__name__} has none"
        ) from None
    if not 0 <= block < n_blocks:
        raise ValueError(f"block is {block}, allowed is 0 to {n_blocks - 1}")
    try:
        return model.get_submodule(f"blocks.{block}.{path}")
    except AttributeError:
        raise ValueError(f"a block needs {path}, blocks.{block} has none") from None
