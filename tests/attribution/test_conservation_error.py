"""Relevance is conserved by one LayerScale rule and not by the other."""

import torch

from seethrough.attribution.conservation_error import conservation_error


def draw_images(n: int) -> torch.Tensor:
    return torch.randn(n, 3, 16, 16, generator=torch.Generator().manual_seed(0)).double()


def test_identity_conserves_and_inverse_gamma_does_not(tiny_vit):
    errors = conservation_error(tiny_vit().double(), draw_images(3))
    assert errors.identity.shape == errors.inverse_gamma.shape == (3, 3)
    assert float(errors.identity.abs().max()) < 1e-5
    assert float(errors.inverse_gamma.abs().min()) > 1e-2


def test_without_layer_scale_both_conserve(tiny_vit):
    errors = conservation_error(tiny_vit(init_values=None).double(), draw_images(2))
    assert torch.equal(errors.identity, errors.inverse_gamma)
    assert float(errors.identity.abs().max()) < 1e-5


def test_gamma_of_one_conserves_under_both_rules(tiny_vit):
    model = tiny_vit().double()
    with torch.no_grad():
        for block in model.blocks:
            block.ls1.gamma.fill_(1.0)
            block.ls2.gamma.fill_(1.0)
    errors = conservation_error(model, draw_images(2))
    assert float(errors.identity.abs().max()) < 1e-5
    assert float(errors.inverse_gamma.abs().max()) < 1e-5


def test_one_gamma_by_hand(tiny_vit):
    """With no MLP and gamma 1/2 everywhere, out / in = residual share + 2 x branch share.

    The branches carry |sum a| and |sum b| of their sums' sizes, a = x R / Z and b alike, where R is
    1 on the class token's head inputs. All of it is read off the last block's own activations.
    """
    model = tiny_vit(depth=1).double()
    block = model.blocks[0]
    with torch.no_grad():
        block.ls1.gamma.fill_(0.5)
        block.mlp.fc2.weight.zero_()
        block.mlp.fc2.bias.zero_()
    image, target = draw_images(1), 3
    x = model._pos_embed(model.patch_embed(image))
    branch = block.ls1(block.attn(block.norm1(x)))
    top = model.norm(x + branch)[0, 0]
    contributions = (top * model.head.weight[target]).clamp(min=0)
    relevance = contributions / contributions.sum()
    ratio = relevance / (x + branch)[0, 0]
    a, b = (x[0, 0] * ratio).sum().abs(), (branch[0, 0] * ratio).sum().abs()
    errors = conservation_error(model, image, torch.tensor([target]))
    expected = (a + 2 * b) / (a + b) - 1
    torch.testing.assert_close(errors.inverse_gamma[0, 0], expected.detach(), rtol=1e-5, atol=0)
