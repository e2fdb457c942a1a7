"""Whatever a method does with a model, the model is as before, also after an exception."""

import copy

import pytest
import torch

import seethrough.attribution as attribution

METHODS = {
    "transformer_attribution": attribution.transformer_attribution,
    "conservation_error": attribution.conservation_error,
    "attention_rollout": attribution.attention_rollout,
    "raw_attention": attribution.raw_attention,
    "gradient_times_input": attribution.gradient_times_input,
    "integrated_gradients": attribution.integrated_gradients,
    "insertion_deletion": lambda model, images, targets=None: attribution.insertion_deletion(
        model, images, torch.rand(len(images), 4, 4), targets, steps=4
    ),
}


def state(model):
    return {
        "training": [module.training for module in model.modules()],
        "requires_grad": [parameter.requires_grad for parameter in model.parameters()],
        "gradients": [parameter.grad is None for parameter in model.parameters()],
        "fused": [block.attn.fused_attn for block in model.blocks],
        "hooks": [
            len(module._forward_hooks)
            + len(module._forward_pre_hooks)
            + len(module._backward_hooks)
            for module in model.modules()
        ],
    }


@pytest.fixture
def mixed(tiny_vit):
    """A model in a state of its own: partly training, partly frozen, partly fused."""
    model = tiny_vit(depth=2)
    model.blocks[1].train()
    model.blocks[0].mlp.fc1.weight.requires_grad_(False)
    model.head.bias.requires_grad_(False)
    model.blocks[0].attn.fused_attn = False
    model.blocks[1].attn.fused_attn = True
    return model


@pytest.mark.parametrize("name", METHODS)
def test_state_is_restored(mixed, name):
    before, weights = state(mixed), copy.deepcopy(mixed.state_dict())
    images = torch.ones(2, 3, 16, 16, requires_grad=True)
    METHODS[name](mixed, images)
    assert state(mixed) == before
    assert images.grad is None
    assert torch.equal(images.detach(), torch.ones(2, 3, 16, 16))
    assert all(torch.equal(weights[key], value) for key, value in mixed.state_dict().items())


@pytest.mark.parametrize("name", ["transformer_attribution", "gradient_times_input"])
def test_gradients_switched_off_by_the_caller_change_nothing(mixed, name):
    images = torch.ones(2, 3, 16, 16)
    expected = METHODS[name](mixed, images)
    with torch.no_grad():
        assert torch.equal(METHODS[name](mixed, images), expected)


@pytest.mark.parametrize("name", METHODS)
def test_state_is_restored_after_a_bad_target(mixed, name):
    before = state(mixed)
    with pytest.raises(ValueError, match="target 5 is no class"):
        METHODS[name](mixed, torch.ones(2, 3, 16, 16), torch.tensor([1, 5]))
    assert state(mixed) == before


@pytest.mark.parametrize("name", METHODS)
def test_state_is_restored_when_the_model_fails(mixed, name, monkeypatch):
    def fail(_):
        raise RuntimeError("the last norm broke")

    monkeypatch.setattr(mixed.norm, "forward", fail)
    before = state(mixed)
    with pytest.raises(RuntimeError, match="the last norm broke"):
        METHODS[name](mixed, torch.ones(2, 3, 16, 16))
    assert state(mixed) == before
