"""Pruned weights are exactly zero after every step, whatever the optimiser adds."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from seethrough.pruning.apply_masks import require_pruned
from seethrough.pruning.frozen_masks import FrozenMasks
from seethrough.pruning.prune_masks import prune_masks
from seethrough.pruning.pruning_config import PruningConfig

Maker = Callable[..., nn.Module]
OPTIMIZERS: dict[str, Callable[[nn.Module], torch.optim.Optimizer]] = {
    "adamw": lambda m: torch.optim.AdamW(m.parameters(), lr=1e-2, weight_decay=0.1, amsgrad=True),
    "sgd": lambda m: torch.optim.SGD(m.parameters(), lr=1e-2, momentum=0.9, weight_decay=0.1),
}


def batch(step: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(step)
    images = torch.randn(4, 3, 16, 16, generator=generator)
    return images, torch.randint(0, 5, (4,), generator=generator)


def backward(model: nn.Module, step: int) -> None:
    images, labels = batch(step)
    model.zero_grad()
    nn.functional.cross_entropy(model(images), labels).backward()


def masks_of(model: nn.Module) -> dict[str, Tensor]:
    return prune_masks(model, (), PruningConfig(method="magnitude"))


def test_by_hand() -> None:
    model = nn.Sequential(nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[2.0, 3.0]]))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    frozen = FrozenMasks(model, {"0": torch.tensor([[True, False]])}, optimizer)
    assert model[0].weight.tolist() == [[2.0, 0.0]]
    # The gradient of w1 + w2 is 1 for both; momentum 1 after the first step, 1.9 after the second:
    # the kept weight goes 2 -> 1.5 -> 0.55, the pruned one would go to -0.5 and on.
    for expected in (1.5, 0.55):
        optimizer.zero_grad()
        model(torch.ones(1, 2)).sum().backward()
        optimizer.step()
        frozen.apply()
        assert model[0].weight.tolist() == [[pytest.approx(expected), 0.0]]
    assert optimizer.state[model[0].weight]["momentum_buffer"].tolist() == [
        [pytest.approx(1.9), 0.0]
    ]


@pytest.mark.parametrize("optimizer_name", OPTIMIZERS)
@pytest.mark.parametrize("known", [True, False])
def test_pruned_weights_are_zero_after_every_step(
    tiny_vit: Maker, optimizer_name: str, known: bool
) -> None:
    model = tiny_vit(depth=1)
    masks, optimizer = masks_of(model), OPTIMIZERS[optimizer_name](model)
    before = {name: model.get_submodule(name).weight.detach().clone() for name in masks}
    frozen = FrozenMasks(model, masks, optimizer if known else None)
    for step in range(5):
        backward(model, step)
        optimizer.step()
        with pytest.raises(ValueError, match="pruned weights must be zero"):
            require_pruned(model, masks)  # the step itself brings them back
        frozen.apply()
        require_pruned(model, masks)
    for name, mask in masks.items():
        weight = model.get_submodule(name).weight
        assert bool((weight[mask] != before[name][mask]).all())


def test_nothing_is_remembered_of_pruned_weights(tiny_vit: Maker) -> None:
    model = tiny_vit(depth=1)
    masks, optimizer = masks_of(model), OPTIMIZERS["adamw"](model)
    frozen = FrozenMasks(model, masks, optimizer)
    backward(model, 0)
    optimizer.step()
    frozen.apply()
    for name, mask in masks.items():
        weight = model.get_submodule(name).weight
        slots = optimizer.state[weight]
        for kind in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq"):
            assert not slots[kind][~mask].any()
            assert bool(slots[kind][mask].any())
        assert float(slots["step"]) == 1
        assert not weight.grad[~mask].any()


def test_masked_gradients_alone_hold_the_zeros_of_adamw(tiny_vit: Maker) -> None:
    # Moments of zero gradients are zero, and decay of zero is zero.
    model = tiny_vit(depth=1)
    masks, optimizer = masks_of(model), OPTIMIZERS["adamw"](model)
    frozen = FrozenMasks(model, masks, optimizer)
    for step in range(3):
        backward(model, step)
        frozen.mask_gradients()
        optimizer.step()
        require_pruned(model, masks)


def test_clipping_counts_kept_weights_only() -> None:
    # Gradients (3, 4): the norm is 5, that of the kept weight 3.
    model = nn.Sequential(nn.Linear(2, 1, bias=False))
    frozen = FrozenMasks(model, {"0": torch.tensor([[True, False]])})
    model(torch.tensor([[3.0, 4.0]])).sum().backward()
    frozen.mask_gradients()
    assert float(nn.utils.clip_grad_norm_(model.parameters(), 1.0)) == 3


def test_weights_outside_the_masks_learn_as_ever(tiny_vit: Maker) -> None:
    model, plain = tiny_vit(depth=1), tiny_vit(depth=1)
    masks = {name: torch.ones_like(mask) for name, mask in masks_of(model).items()}
    optimizers = OPTIMIZERS["adamw"](model), OPTIMIZERS["adamw"](plain)
    frozen = FrozenMasks(model, masks, optimizers[0])
    for step in range(2):
        backward(model, step)
        backward(plain, step)
        for optimizer in optimizers:
            optimizer.step()
        frozen.apply()
    for one, other in zip(model.parameters(), plain.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_mask_that_fits_nothing_is_refused(tiny_vit: Maker) -> None:
    with pytest.raises(ValueError, match="belong to no linear layer"):
        FrozenMasks(tiny_vit(depth=1), {"norm": torch.ones(32, 32, dtype=torch.bool)})
