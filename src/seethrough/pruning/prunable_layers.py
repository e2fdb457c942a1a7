"""The linear layers of a vision transformer that are pruned, and how many weights they hold.

In every block: `qkv` and `proj` of the attention, `fc1` and `fc2` of the MLP. Patch embedding,
position embedding, head, biases, norms and LayerScale stay dense, as in the image classifiers of
{cite:t}`sun2024wanda`.
"""

from collections.abc import Sequence

from torch import nn

SCOPE = ("qkv", "proj", "fc1", "fc2")
PATHS = {"qkv": "attn.qkv", "proj": "attn.proj", "fc1": "mlp.fc1", "fc2": "mlp.fc2"}


def prunable_layers(model: nn.Module, scope: Sequence[str] = SCOPE) -> dict[str, nn.Linear]:
    """Return the layers by name, block by block in the order in which data meets them.

    `model` is a timm VisionTransformer; names are those of its state dict without ".weight", e.g.
    "blocks.0.attn.qkv". The order does not depend on the order of `scope`.

    Raises ValueError for a scope that `check_scope` refuses, or a model without such layers.
    """
    check_scope(scope)
    blocks = getattr(model, "blocks", ())
    if not len(blocks):
        raise ValueError(
            f"{type(model).__name__} has no blocks: a timm VisionTransformer is wanted"
        )
    parts = [PATHS[part] for part in SCOPE if part in scope]
    names = [f"blocks.{number}.{part}" for number in range(len(blocks)) for part in parts]
    return {name: _linear(model, name) for name in names}


def block_number(name: str) -> int:
    """Return the number of the block that a layer belongs to, from 0."""
    return int(name.split(".")[1])


def prunable_weights(model: nn.Module, scope: Sequence[str] = SCOPE) -> int:
    """Return the number of weights that pruning chooses from; 84,934,656 for ViT-B/16.

    >>> from torch import nn
    >>> linear, block = nn.Linear(2, 3), nn.ModuleDict()
    >>> block["attn"] = nn.ModuleDict({"qkv": linear})
    >>> prunable_weights(nn.ModuleDict({"blocks": nn.ModuleList([block])}), ("qkv",))
    6
    """
    return sum(layer.weight.numel() for layer in prunable_layers(model, scope).values())


def kept_weights(model: nn.Module, sparsity: int | float, scope: Sequence[str] = SCOPE) -> int:
    """Return how many prunable weights the row rule keeps: every row of d loses int(d sparsity)."""
    return sum(
        layer.out_features * (layer.in_features - n_removed(layer.in_features, sparsity))
        for layer in prunable_layers(model, scope).values()
    )


def n_removed(length: int, sparsity: int | float) -> int:
    """Return int(length * sparsity): how many of `length` weights a group loses, rounded down.

    The product is that of floating point, so 0.29 of 100 is 28, as in the published code.

    Raises ValueError unless sparsity is from 0 to 1.
    """
    check_sparsity(sparsity)
    return int(length * sparsity)


def check_sparsity(sparsity: int | float) -> None:
    """Raise ValueError unless sparsity, the fraction removed, is from 0 to 1."""
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparsity is {sparsity}, allowed is 0 to 1")


def check_scope(scope: Sequence[str]) -> None:
    """Raise ValueError unless the scope names at least one kind of layer, each once."""
    if (
        isinstance(scope, str)
        or not scope
        or set(scope) - set(SCOPE)
        or len(set(scope)) < len(scope)
    ):
        raise ValueError(
            f"scope is {scope!r}, allowed is a non-empty choice of {', '.join(SCOPE)}, each once"
        )


def _linear(model: nn.Module, name: str) -> nn.Linear:
    try:
        layer = model.get_submodule(name)
    except AttributeError:
        layer = None
    if not isinstance(layer, nn.Linear):
        raise ValueError(f"{type(model).__name__} has no linear layer {name}")
    return layer
