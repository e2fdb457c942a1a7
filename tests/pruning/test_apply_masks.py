from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from seethrough.pruning.apply_masks import apply_masks, density, mask_density, require_pruned


def masks_of(model: nn.Module, parts: tuple[str, ...] = ("blocks.0.mlp.fc1",)) -> dict[str, Tensor]:
    """Keep every second column."""
    return {
        name: torch.arange(model.get_submodule(name).weight.shape[1]).expand(
            model.get_submodule(name).weight.shape
        )
        % 2
        == 0
        for name in parts
    }


def test_pruned_weights_are_zero_and_the_rest_is_untouched(
    tiny_vit: Callable[..., nn.Module],
) -> None:
    model, dense = tiny_vit(depth=1), tiny_vit(depth=1).state_dict()
    masks = masks_of(model)
    apply_masks(model, masks)
    for name, tensor in model.state_dict().items():
        mask = masks.get(name.removesuffix(".weight")) if name.endswith("weight") else None
        expected = dense[name] if mask is None else torch.where(mask, dense[name], 0.0)
        assert torch.equal(tensor, expected)
    require_pruned(model, masks)


def test_an_infinite_weight_goes_too(tiny_vit: Callable[..., nn.Module]) -> None:
    # A product with 0 would leave NaN.
    model = tiny_vit(depth=1)
    with torch.no_grad():
        model.get_submodule("blocks.0.mlp.fc1").weight[0, 1] = torch.inf
    apply_masks(model, masks_of(model))
    require_pruned(model, masks_of(model))


def test_densities(tiny_vit: Callable[..., nn.Module]) -> None:
    # Weights of a block of width 32: qkv 3072, proj 1024, fc1 and fc2 4096 each, 12,288 in all.
    model = tiny_vit(depth=1)
    assert density(model) == 1
    masks = masks_of(model)
    apply_masks(model, masks)
    assert mask_density(masks) == 0.5
    assert density(model) == (12_288 - 2048) / 12_288
    assert density(model, ("fc1",)) == 0.5
    assert mask_density({}) == 1


def test_a_weight_that_came_back_is_named(tiny_vit: Callable[..., nn.Module]) -> None:
    model = tiny_vit(depth=1)
    masks = masks_of(model, ("blocks.0.mlp.fc1", "blocks.0.mlp.fc2"))
    apply_masks(model, masks)
    with torch.no_grad():
        model.get_submodule("blocks.0.mlp.fc2").weight[3, 1] = 1e-30
        model.get_submodule("blocks.0.mlp.fc2").weight[3, 3] = torch.nan
    message = r"got 2 others in blocks\.0\.mlp\.fc2 and 2 in 1 layers"
    with pytest.raises(ValueError, match=message):
        require_pruned(model, masks)


def test_no_masks_hold_anywhere(tiny_vit: Callable[..., nn.Module]) -> None:
    require_pruned(tiny_vit(depth=1), {})


def test_masks_that_do_not_fit_are_refused(tiny_vit: Callable[..., nn.Module]) -> None:
    model = tiny_vit(depth=1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    good = masks_of(model)
    with pytest.raises(
        ValueError, match=r"1 masks belong to no linear layer.*'blocks\.7\.mlp\.fc1'"
    ):
        apply_masks(model, good | {"blocks.7.mlp.fc1": torch.ones(2, 2, dtype=torch.bool)})
    message = r"the mask of blocks\.0\.attn\.qkv has shape \(2, 2\), .* its weight's, \(96, 32\)"
    with pytest.raises(ValueError, match=message):
        apply_masks(model, good | {"blocks.0.attn.qkv": torch.ones(2, 2, dtype=torch.bool)})
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
