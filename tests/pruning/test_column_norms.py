"""Streamed norms against stored activations."""

import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from seethrough.pruning.column_norms import RunningSquares, column_norms
from seethrough.pruning.prunable_layers import prunable_layers

Maker = Callable[..., nn.Module]


def batches(sizes: tuple[int, ...] = (3, 2, 1), seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(size, 3, 16, 16, generator=generator) for size in sizes]


def stored_norms(
    model: nn.Module, images: Tensor, layers: dict[str, nn.Linear]
) -> dict[str, Tensor]:
    """Keep every input of every layer, then take the norms in float64."""
    kept: dict[str, Tensor] = {}
    handles = [
        layer.register_forward_hook(
            lambda _, inputs, __, name=name: kept.__setitem__(name, inputs[0])
        )
        for name, layer in layers.items()
    ]
    with torch.no_grad():
        model(images)
    for handle in handles:
        handle.remove()
    return {name: kept[name].double().square().sum(dim=(0, 1)).sqrt() for name in layers}


def test_by_hand() -> None:
    # Feature 0: 3, 4 and 0, so 5. Feature 1: 1, 2 and 2, so 3. The cut in batches does not matter.
    squares = RunningSquares(2, torch.device("cpu"))
    squares.add(torch.tensor([[[3.0, 1.0], [4.0, 2.0]]]))
    squares.add(torch.tensor([[[0.0, 2.0]]]))
    assert squares.norm().tolist() == [5.0, 3.0]
    assert squares.n_tokens == 3


@pytest.mark.parametrize("block_elements", [1, 100, 1 << 18])
def test_equals_stored_activations(
    tiny_vit: Maker, block_elements: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The package's attribute of this name is the function.
    module = sys.modules["seethrough.pruning.column_norms"]
    monkeypatch.setattr(module, "BLOCK_ELEMENTS_CPU", block_elements)
    model = tiny_vit()
    layers = prunable_layers(model)
    norms = column_norms(model, batches(), layers)
    expected = stored_norms(model, torch.cat(batches()), layers)
    assert list(norms) == list(layers)
    for name, norm in norms.items():
        torch.testing.assert_close(norm, expected[name].float(), rtol=1e-5, atol=0.0)


def test_some_layers_alone_give_the_same(tiny_vit: Maker) -> None:
    model = tiny_vit()
    every = column_norms(model, batches(), prunable_layers(model))
    some = column_norms(model, batches(), prunable_layers(model, ("fc2",)))
    assert list(some) == [f"blocks.{block}.mlp.fc2" for block in range(3)]
    assert all(torch.equal(norm, every[name]) for name, norm in some.items())


def test_the_pass_ends_after_the_last_block_that_is_measured(tiny_vit: Maker) -> None:
    model, ran = tiny_vit(), []
    for number in range(3):
        block = model.get_submodule(f"blocks.{number}")
        block.register_forward_hook(lambda *_, number=number: ran.append(number))
    layers = prunable_layers(model)
    column_norms(model, batches((2,)), {"blocks.1.mlp.fc1": layers["blocks.1.mlp.fc1"]})
    assert ran == [0, 1]


def test_long_sums_keep_their_digits() -> None:
    # 2^25 ones per feature after the first: a plain float32 sum stops at 2^24.
    squares = RunningSquares(1, torch.device("cpu"))
    ones = torch.ones(1 << 18, 1)
    for _ in range(128):
        squares.add(ones)
    squares.add(torch.full((1, 1), 4.0))
    assert float(squares.norm()) == pytest.approx((2**25 + 16) ** 0.5, rel=1e-7)


def test_half_activations_are_squared_in_float32() -> None:
    squares = RunningSquares(1, torch.device("cpu"))
    squares.add(torch.full((2, 1), 300.0, dtype=torch.float16))  # 300^2 is beyond float16
    assert float(squares.norm()) == pytest.approx(300 * 2**0.5)


def test_a_silent_feature_has_norm_zero(tiny_vit: Maker) -> None:
    model = tiny_vit(depth=1)
    norm1 = model.get_submodule("blocks.0.norm1")
    with torch.no_grad():
        norm1.weight[5] = 0.0
        norm1.bias[5] = 0.0
    norm = column_norms(model, batches(), prunable_layers(model))["blocks.0.attn.qkv"]
    assert float(norm[5]) == 0
    assert int((norm == 0).sum()) == 1


def test_no_hook_stays(tiny_vit: Maker) -> None:
    def broken() -> object:
        yield batches((2,))[0]
        raise OSError("the disk is gone")

    model = tiny_vit(depth=1)
    layers = prunable_layers(model)
    column_norms(model, batches(), layers)
    with pytest.raises(OSError, match="the disk is gone"):
        column_norms(model, broken(), layers)  # type: ignore[arg-type]
    assert not any(layer._forward_pre_hooks for layer in layers.values())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not model.training


def test_what_cannot_be_measured_is_refused(tiny_vit: Maker) -> None:
    model = tiny_vit(depth=2)
    layers = prunable_layers(model)
    with pytest.raises(ValueError, match="no images to measure"):
        column_norms(model, [], layers)
    with pytest.raises(ValueError, match="no layers to measure"):
        column_norms(model, batches(), {})
    with pytest.raises(ValueError, match="the model is in training mode"):
        column_norms(model.train(), batches(), layers)


def test_inputs_that_are_not_finite_are_refused(tiny_vit: Maker) -> None:
    model = tiny_vit(depth=2)
    with torch.no_grad():
        model.get_submodule("blocks.0.mlp.fc1").bias[0] = torch.nan
    message = r"got NaN, .* in 5 layers, first in blocks\.0\.mlp\.fc2"
    with pytest.raises(ValueError, match=message):
        column_norms(model, batches(), prunable_layers(model))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_nothing_moves_to_the_host_in_the_loop(tiny_vit: Maker) -> None:
    model = tiny_vit(depth=2)
    on_cpu = column_norms(model, batches(), prunable_layers(model))
    model = model.cuda()
    squares = RunningSquares(8, torch.device("cuda"))
    tokens = torch.ones(2, 3, 8, device="cuda")
    torch.cuda.set_sync_debug_mode("error")
    try:
        squares.add(tokens)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    on_gpu = column_norms(model, [images.cuda() for images in batches()], prunable_layers(model))
    for name, norm in on_gpu.items():
        torch.testing.assert_close(norm.cpu(), on_cpu[name], rtol=1e-4, atol=0.0)
