"""Models that attribution would explain wrongly are refused by name of the part."""

import pytest
import torch
from torch import nn

from seethrough.attribution.plain_transformer import blocks_from, patch_grid, require_images


def test_blocks_and_grid(tiny_vit):
    model = tiny_vit(depth=3, img_size=(16, 24))
    assert blocks_from(model, 1) == [model.blocks[1], model.blocks[2]]
    assert patch_grid(model) == (4, 6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"qk_norm": True}, "normalised queries and keys"),
        ({"global_pool": "avg"}, "a head that does not read the class token"),
        ({"reg_tokens": 2}, "not exactly one class token"),
        ({"class_token": False, "global_pool": "avg"}, "not exactly one class token"),
        ({"num_classes": 0}, "a head that is not one linear layer"),
        ({"patch_drop_rate": 0.5}, "patch dropout"),
        ({"fc_norm": True}, "a norm between pooling and head"),
        ({"pre_norm": True, "scale_mlp_norm": True}, "a norm inside the MLP"),
    ],
)
def test_other_transformers_are_refused(tiny_vit, changes, message):
    with pytest.raises(ValueError, match=message):
        blocks_from(tiny_vit(**changes), 0)


def test_gradient_checkpointing_is_refused(tiny_vit):
    model = tiny_vit()
    model.set_grad_checkpointing(True)
    with pytest.raises(ValueError, match="gradient checkpointing switched on"):
        blocks_from(model, 0)


def test_other_models_are_refused():
    with pytest.raises(ValueError, match="the model is a Linear, allowed is timm's"):
        blocks_from(nn.Linear(2, 2), 0)


@pytest.mark.parametrize("shape", [(0, 3, 16, 16), (1, 3, 16, 12)])
def test_other_images_are_refused(tiny_vit, shape):
    with pytest.raises(ValueError, match=r"allowed is \(B, 3, 16, 16\)"):
        require_images(tiny_vit(), torch.zeros(shape))
