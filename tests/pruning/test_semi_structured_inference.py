"""Sparse tensor cores: a clear no without them, equal logits with them."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from seethrough.pruning import semi_structured_inference
from seethrough.pruning.apply_masks import apply_masks
from seethrough.pruning.prune_masks import prune_masks
from seethrough.pruning.pruning_config import PruningConfig
from seethrough.pruning.semi_structured_inference import (
    SemiStructuredReport,
    compare_semi_structured,
    semi_structured_obstacle,
    semi_structured_weights,
    weight_obstacle,
)

Maker = Callable[..., nn.Module]
GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def pruned(tiny_vit: Maker) -> nn.Module:
    model = tiny_vit(depth=2, embed_dim=128)
    config = PruningConfig(method="magnitude", structure="2:4", sparsity=0.5)
    apply_masks(model, prune_masks(model, (), config))
    return model.bfloat16()


def images() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(8, 3, 16, 16, generator=generator).bfloat16()


def test_a_cpu_is_refused(tiny_vit: Maker) -> None:
    model = pruned(tiny_vit)
    message = "2:4 inference is not supported on cpu: it needs a CUDA device"
    assert semi_structured_obstacle(model) == message
    with pytest.raises(RuntimeError, match=message), semi_structured_weights(model):
        pass
    with pytest.raises(RuntimeError, match=message):
        compare_semi_structured(model, images())


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (torch.zeros(32, 64), r"is torch\.float32, allowed are torch\.bfloat16 and torch\.float16"),
        (torch.zeros(32, 32).half(), r"has shape \(32, 32\), allowed are multiples of \(32, 64\)"),
        (torch.zeros(48, 64).half(), r"has shape \(48, 64\), allowed are multiples of \(32, 64\)"),
        (torch.ones(32, 64).half(), "has 512 groups of 4 with more than 2 nonzeros"),
    ],
)
def test_a_weight_that_cannot_be_compressed_is_named(weight: Tensor, message: str) -> None:
    obstacle = weight_obstacle(weight)
    assert obstacle is not None
    with pytest.raises(ValueError, match=f"^{message}$"):
        raise ValueError(obstacle)


def test_a_2_4_weight_has_no_obstacle(tiny_vit: Maker) -> None:
    assert weight_obstacle(pruned(tiny_vit).get_submodule("blocks.0.mlp.fc1").weight) is None
    # Fewer nonzeros than two are allowed as well.
    assert weight_obstacle(torch.zeros(32, 64).half()) is None


def test_weights_come_back(tiny_vit: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for the compression: the weights are swapped, also back after an error."""
    module = semi_structured_inference
    monkeypatch.setattr(module, "semi_structured_obstacle", lambda model, scope: None)
    monkeypatch.setattr(module, "to_sparse_semi_structured", lambda weight: 2 * weight)
    model = pruned(tiny_vit)
    fc1, fc2 = (model.get_submodule(f"blocks.1.mlp.{part}") for part in ("fc1", "fc2"))
    before, untouched = fc1.weight, fc2.weight
    with semi_structured_weights(model, ("fc1",)):
        assert torch.equal(fc1.weight, 2 * before)
        assert not fc1.weight.requires_grad
        assert fc2.weight is untouched
    assert fc1.weight is before
    with pytest.raises(OSError, match="stopped"), semi_structured_weights(model, ("fc1",)):
        raise OSError("stopped")
    assert fc1.weight is before
    assert before.requires_grad


def test_speed_up_is_dense_over_sparse() -> None:
    report = SemiStructuredReport(
        device="none",
        difference=0.0,
        rounding=0.0,
        dense_milliseconds=3.0,
        sparse_milliseconds=4.0,
    )
    assert report.speed_up == 0.75


@pytest.mark.gpu
@GPU
def test_logits_are_equal_within_rounding(tiny_vit: Maker) -> None:
    model = pruned(tiny_vit).cuda()
    obstacle = semi_structured_obstacle(model)
    if obstacle:
        pytest.skip(obstacle)
    report = compare_semi_structured(model, images().cuda(), rounds=2)
    assert report.difference <= 2 * report.rounding
    assert report.speed_up > 0
    assert semi_structured_obstacle(model) is None  # the dense weights are back
