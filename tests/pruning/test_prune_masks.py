"""Masks of whole models."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from seethrough.pruning.apply_masks import apply_masks, density, mask_density
from seethrough.pruning.column_norms import column_norms
from seethrough.pruning.magnitude import magnitude_mask
from seethrough.pruning.prunable_layers import kept_weights, prunable_layers
from seethrough.pruning.prune_masks import prune_masks
from seethrough.pruning.pruning_config import PruningConfig
from seethrough.pruning.semi_structured import semi_structured_mask
from seethrough.pruning.wanda import wanda_mask, wanda_scores

Maker = Callable[..., nn.Module]
METHODS = ("wanda", "magnitude", "random")


def images(seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(4, 3, 16, 16, generator=generator) for _ in range(2)]


def equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("sparsity", [0, 0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 1])
def test_every_row_loses_the_exact_count(
    tiny_vit: Maker, method: str, sparsity: int | float
) -> None:
    model = tiny_vit(depth=2)
    masks = prune_masks(model, images(), PruningConfig(method=method, sparsity=sparsity))
    assert list(masks) == list(prunable_layers(model))
    for mask in masks.values():
        d_in = mask.shape[1]
        assert bool((mask.sum(dim=1) == d_in - int(d_in * sparsity)).all())
    apply_masks(model, masks)
    n_weights = sum(mask.numel() for mask in masks.values())
    assert density(model) == mask_density(masks) == kept_weights(model, sparsity) / n_weights


def test_dense_wanda_is_wanda_layer_by_layer(tiny_vit: Maker) -> None:
    model = tiny_vit(depth=2)
    layers = prunable_layers(model)
    norms = column_norms(model, images(), layers)
    for group in ("row", "layer"):
        masks = prune_masks(model, images(), PruningConfig(group=group))
        expected = {
            name: wanda_mask(layer.weight, norms[name], 0.7, group)
            for name, layer in layers.items()
        }
        assert equal(masks, expected)


def test_magnitude_is_magnitude_layer_by_layer(tiny_vit: Maker) -> None:
    model = tiny_vit(depth=2)
    masks = prune_masks(model, (), PruningConfig(method="magnitude", group="layer"))
    expected = {
        name: magnitude_mask(layer.weight, 0.7, "layer")
        for name, layer in prunable_layers(model).items()
    }
    assert equal(masks, expected)


@pytest.mark.parametrize("structure", ["2:4", "4:8"])
@pytest.mark.parametrize("method", METHODS)
def test_groups_lose_half(tiny_vit: Maker, structure: str, method: str) -> None:
    config = PruningConfig(method=method, structure=structure, sparsity=0.5)
    for mask in prune_masks(tiny_vit(depth=1), images(), config).values():
        length = int(structure[-1])
        assert bool((mask.view(-1, length).sum(dim=1) == length // 2).all())


def test_semi_structured_wanda_takes_wandas_scores(tiny_vit: Maker) -> None:
    model = tiny_vit(depth=1)
    norms = column_norms(model, images(), prunable_layers(model))
    masks = prune_masks(model, images(), PruningConfig(structure="2:4", sparsity=0.5))
    for name, layer in prunable_layers(model).items():
        assert torch.equal(
            masks[name], semi_structured_mask(wanda_scores(layer.weight, norms[name]))
        )


def test_sequential_statistics_see_pruned_blocks(tiny_vit: Maker) -> None:
    """Written out: measure block 0, prune it for good, then measure block 1, and so on."""
    model, pruned, expected = tiny_vit(), tiny_vit(), {}
    for number in range(3):
        block = {
            n: x for n, x in prunable_layers(pruned).items() if n.startswith(f"blocks.{number}.")
        }
        norms = column_norms(pruned, images(), block)
        of_block = {n: wanda_mask(layer.weight, norms[n], 0.7) for n, layer in block.items()}
        apply_masks(pruned, of_block)
        expected |= of_block
    masks = prune_masks(model, images(), PruningConfig(statistics="sequential"))
    assert equal(masks, expected)
    dense = prune_masks(model, images(), PruningConfig())
    first = [name for name in masks if name.startswith("blocks.0.")]
    assert all(torch.equal(masks[name], dense[name]) for name in first)
    assert not equal(masks, dense)


@pytest.mark.parametrize("statistics", ["dense", "sequential"])
def test_the_model_is_left_as_it_was(tiny_vit: Maker, statistics: str) -> None:
    class Broken(list[Tensor]):
        """Fails at the second reading, when the first block is pruned already."""

        readings = 0

        def __iter__(self):  # type: ignore[no-untyped-def]
            self.readings += 1
            if self.readings == 2:
                raise OSError("the disk is gone")
            return super().__iter__()

    model = tiny_vit(depth=2)
    before = copy.deepcopy(model.state_dict())
    prune_masks(model, images(), PruningConfig(statistics=statistics))
    assert equal(dict(model.state_dict()), dict(before))
    if statistics == "sequential":
        with pytest.raises(OSError, match="the disk is gone"):
            prune_masks(model, Broken(images()), PruningConfig(statistics=statistics))
        assert equal(dict(model.state_dict()), dict(before))
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_seed_decides_random_masks(tiny_vit: Maker) -> None:
    model = tiny_vit(depth=1)
    one, again, other = (
        prune_masks(model, (), PruningConfig(method="random", seed=seed)) for seed in (1, 1, 2)
    )
    assert equal(one, again)
    assert not equal(one, other)


def test_random_masks_know_nothing_of_the_weights(tiny_vit: Maker) -> None:
    config = PruningConfig(method="random")
    one, other = (prune_masks(tiny_vit(seed, depth=1), (), config) for seed in (0, 1))
    assert equal(one, other)


def test_the_scope_is_all_that_is_pruned(tiny_vit: Maker) -> None:
    config = PruningConfig(scope=("fc2", "qkv"))
    masks = prune_masks(tiny_vit(depth=2), images(), config)
    parts = ("attn.qkv", "mlp.fc2")
    assert list(masks) == [f"blocks.{block}.{part}" for block in range(2) for part in parts]


def test_an_iterator_cannot_be_read_per_block(tiny_vit: Maker) -> None:
    model = tiny_vit(depth=2)
    with pytest.raises(ValueError, match="batches are an iterator, allowed for sequential"):
        prune_masks(model, iter(images()), PruningConfig(statistics="sequential"))
    assert equal(
        prune_masks(model, iter(images()), PruningConfig()),
        prune_masks(model, images(), PruningConfig()),
    )


def test_wanda_needs_images(tiny_vit: Maker) -> None:
    with pytest.raises(ValueError, match="no images to measure"):
        prune_masks(tiny_vit(depth=1), (), PruningConfig())
