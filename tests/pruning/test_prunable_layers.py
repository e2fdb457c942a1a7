import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import nn

from seethrough.pruning.prunable_layers import (
    kept_weights,
    n_removed,
    prunable_layers,
    prunable_weights,
)


@pytest.fixture(scope="module")
def deit3_base() -> nn.Module:
    """Return the architecture of the paper's model without its memory."""
    from seethrough.models import torchvision_compatibility  # noqa: F401

    # isort: split
    import timm

    with torch.device("meta"):
        model: nn.Module = timm.create_model("deit3_base_patch16_224")
    return model


def test_names_and_order(tiny_vit: Callable[..., nn.Module]) -> None:
    model = tiny_vit(depth=2)
    layers = prunable_layers(model)
    parts = ("attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
    assert list(layers) == [f"blocks.{block}.{part}" for block in range(2) for part in parts]
    assert all(f"{name}.weight" in model.state_dict() for name in layers)
    assert layers["blocks.1.mlp.fc2"] is model.get_submodule("blocks.1.mlp.fc2")


def test_scope_chooses_and_does_not_order(tiny_vit: Callable[..., nn.Module]) -> None:
    layers = prunable_layers(tiny_vit(depth=1), ("fc1", "qkv"))
    assert list(layers) == ["blocks.0.attn.qkv", "blocks.0.mlp.fc1"]


def test_weights_of_the_papers_model(deit3_base: nn.Module) -> None:
    # 12 blocks of 768 x 2304 (qkv) + 768^2 (proj) + 2 x 768 x 3072 (fc1, fc2)
    assert prunable_weights(deit3_base) == 84_934_656
    assert len(prunable_layers(deit3_base)) == 48
    assert prunable_weights(deit3_base, ("fc1", "fc2")) == 12 * 2 * 768 * 3072


@pytest.mark.parametrize(
    ("sparsity", "kept"),
    [
        (0, 84_934_656),
        (0.1, 76_502_016),
        (0.3, 59_489_280),
        (0.5, 42_467_328),
        (0.7, 25_528_320),
        (0.8, 17_021_952),
        (0.9, 8_515_584),
        (1, 0),
    ],
)
def test_kept_weights_of_the_papers_model(
    deit3_base: nn.Module, sparsity: float, kept: int
) -> None:
    # Rows of 768 lose int(768 s), rows of 3072 (fc2 alone) lose int(3072 s).
    assert kept_weights(deit3_base, sparsity) == kept


def test_the_count_is_cut_as_floating_point_gives_it() -> None:
    assert n_removed(768, 0.7) == 537  # 537.6
    assert n_removed(100, 0.29) == 28  # 28.999999999999996


@pytest.mark.parametrize("scope", [(), ("qkv", "head"), ("fc1", "fc1"), "qkv"])
def test_other_scopes_are_refused(tiny_vit: Callable[..., nn.Module], scope: object) -> None:
    with pytest.raises(ValueError, match="^scope is .* allowed is a non-empty choice of qkv, proj"):
        prunable_layers(tiny_vit(depth=1), scope)  # type: ignore[arg-type]


def test_models_without_such_layers_are_refused(tiny_vit: Callable[..., nn.Module]) -> None:
    with pytest.raises(ValueError, match="Linear has no blocks"):
        prunable_layers(nn.Linear(2, 2))
    model = tiny_vit(depth=2)
    model.get_submodule("blocks.1.mlp").fc1 = nn.Identity()
    with pytest.raises(ValueError, match=r"has no linear layer blocks\.1\.mlp\.fc1"):
        prunable_layers(model)


def test_the_package_does_not_import_timm() -> None:
    script = "import sys, seethrough.pruning; print({'timm', 'torchvision'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout.split() == ["set()"]
