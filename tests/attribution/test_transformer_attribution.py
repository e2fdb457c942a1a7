"""Transformer attribution against the definition written out for one image at a time."""

import pytest
import torch
from torch.nn import functional as F

from seethrough.attribution.transformer_attribution import transformer_attribution

RULES = ("identity", "inverse_gamma")


def draw_images(n: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 3, 16, 16, generator=generator, dtype=torch.float64)


def divide(a, b):
    """a / (b + 1e-9), 0 where b is 0."""
    return torch.where(b == 0, torch.zeros_like(b), a / (b + 1e-9))


def back_linear(relevance, x, weight):
    """The alpha 1, beta 0 rule, contribution by contribution."""
    result = torch.zeros_like(x)
    for t in range(len(x)):
        contributions = (weight * x[t]).clamp(min=0)  # (out, in)
        ratio = divide(relevance[t], contributions.sum(dim=1))
        result[t] = (contributions * ratio[:, None]).sum(dim=0)
    return result


def back_product(relevance, left, right):
    """Input times gradient of Z along R / Z, half each, by automatic differentiation."""
    a, b = left.detach().requires_grad_(), right.detach().requires_grad_()
    z = a @ b
    da, db = torch.autograd.grad(z, (a, b), divide(relevance, z.detach()))
    return a.detach() * da / 2, b.detach() * db / 2


def back_sum(relevance, a, b):
    z = a + b
    a, b = a * divide(relevance, z), b * divide(relevance, z)
    size = a.sum().abs() + b.sum().abs()
    for_a = divide(a.sum().abs(), size) * relevance.sum()
    for_b = divide(b.sum().abs(), size) * relevance.sum()
    return a * divide(for_a, a.sum()), b * divide(for_b, b.sum())


def back_scale(relevance, gamma, rule):
    return relevance if rule == "identity" else divide(relevance, gamma.expand_as(relevance))


def heads(x, n_heads):
    return x.view(len(x), n_heads, -1).transpose(0, 1)  # (H, T, d)


def merged(x):
    return x.transpose(0, 1).reshape(x.shape[1], -1)  # (T, H d)


def definition(model, image, target, start_block=0, rule="identity"):
    """The map of one image, with its own forward pass from the weights."""
    patches = model.patch_embed(image[None])[0]
    if model.no_embed_class:
        x = torch.cat([model.cls_token[0], patches + model.pos_embed[0]])
    else:
        x = torch.cat([model.cls_token[0], patches]) + model.pos_embed[0]
    n_heads = model.blocks[0].attn.num_heads
    kept = []
    for block in model.blocks:
        a = block.attn
        n1 = F.layer_norm(x, (x.shape[1],), block.norm1.weight, block.norm1.bias, block.norm1.eps)
        q, k, v = (heads(part, n_heads) for part in a.qkv(n1).chunk(3, dim=1))
        attention = (q @ k.transpose(1, 2) / q.shape[2] ** 0.5).softmax(dim=2)
        mixed = merged(attention @ v)
        branch1 = block.ls1.gamma * (mixed @ a.proj.weight.T + a.proj.bias)
        middle = x + branch1
        n2 = F.layer_norm(
            middle, (x.shape[1],), block.norm2.weight, block.norm2.bias, block.norm2.eps
        )
        hidden = F.gelu(n2 @ block.mlp.fc1.weight.T + block.mlp.fc1.bias)
        branch2 = block.ls2.gamma * (hidden @ block.mlp.fc2.weight.T + block.mlp.fc2.bias)
        kept.append((block, x, n1, q, k, v, attention, mixed, branch1, middle, n2, hidden, branch2))
        x = middle + branch2
    top = F.layer_norm(x, (x.shape[1],), model.norm.weight, model.norm.bias, model.norm.eps)
    logits = top[0] @ model.head.weight.T + model.head.bias
    gradients = torch.autograd.grad(logits[target], [activations[6] for activations in kept])

    start = torch.zeros_like(logits)
    start[target] = 1
    relevance = torch.zeros_like(x)
    relevance[0] = back_linear(start[None], top[:1].detach(), model.head.weight)[0]
    matrices = []
    for activations, gradient in reversed(list(zip(kept, gradients, strict=True))):
        block = activations[0]
        x, n1, q, k, v, attention, mixed, branch1, middle, n2, hidden, branch2 = (
            activation.detach() for activation in activations[1:]
        )
        relevance, branch = back_sum(relevance, middle, branch2)
        branch = back_scale(branch, block.ls2.gamma, rule)
        branch = back_linear(branch, hidden, block.mlp.fc2.weight)
        branch = back_linear(branch, n2, block.mlp.fc1.weight)
        relevance = relevance + branch
        relevance, branch = back_sum(relevance, x, branch1)
        branch = back_scale(branch, block.ls1.gamma, rule)
        branch = back_linear(branch, mixed, block.attn.proj.weight)
        of_attention, of_v = back_product(heads(branch, n_heads), attention, v)
        of_q, of_k = back_product(of_attention, q, k.transpose(1, 2))
        branch = torch.cat([merged(of_q), merged(of_k.transpose(1, 2)), merged(of_v)], dim=1)
        relevance = relevance + back_linear(branch, n1, block.attn.qkv.weight)
        matrices.insert(0, (gradient * of_attention).clamp(min=0).mean(dim=0))
    rollout = torch.eye(len(x), dtype=x.dtype)
    for matrix in matrices[start_block:]:
        rollout = (torch.eye(len(x), dtype=x.dtype) + matrix) @ rollout
    return rollout[0, 1:].view(model.patch_embed.grid_size).detach()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("start_block", [0, 1])
def test_equals_the_definition(tiny_vit, rule, start_block):
    model = tiny_vit().double()
    images = draw_images(2)
    targets = torch.tensor([4, 1])
    maps = transformer_attribution(model, images, targets, start_block, rule)
    for image, target, found in zip(images, targets.tolist(), maps, strict=True):
        expected = definition(model, image, target, start_block, rule)
        assert expected.max() > 0
        torch.testing.assert_close(found, expected, rtol=1e-7, atol=1e-12 * float(expected.max()))


def test_equals_the_definition_where_the_class_token_has_a_position(tiny_vit):
    model = tiny_vit(no_embed_class=False, depth=2).double()
    image = draw_images(1)
    maps = transformer_attribution(model, image, torch.tensor([2]))
    torch.testing.assert_close(maps[0], definition(model, image[0], 2), rtol=1e-7, atol=1e-15)


@pytest.mark.parametrize("rule", RULES)
def test_a_batch_gives_the_maps_of_its_images_alone(tiny_vit, rule):
    model = tiny_vit().double()
    images = draw_images(5) * torch.tensor([0.1, 1.0, 10.0, 0.0, 3.0]).view(-1, 1, 1, 1)
    together = transformer_attribution(model, images, layer_scale_rule=rule)
    for image, found in zip(images, together, strict=True):
        alone = transformer_attribution(model, image[None], layer_scale_rule=rule)[0]
        torch.testing.assert_close(found, alone, rtol=1e-8, atol=1e-13 * float(alone.max()))


def test_no_target_is_the_predicted_class(tiny_vit):
    model = tiny_vit().double()
    images = draw_images(4)
    predicted = model(images).argmax(dim=1)
    maps = transformer_attribution(model, images)
    torch.testing.assert_close(maps, transformer_attribution(model, images, predicted))
    other = transformer_attribution(model, images, (predicted + 1) % 5)
    assert not torch.allclose(maps, other, rtol=1e-3)


def test_classes_may_change_their_numbers(tiny_vit):
    model = tiny_vit().double()
    images, targets = draw_images(3), torch.tensor([0, 3, 4])
    before = transformer_attribution(model, images, targets)
    order = torch.tensor([2, 0, 4, 1, 3])  # new class i is the old class order[i]
    with torch.no_grad():
        model.head.weight.copy_(model.head.weight[order].clone())
        model.head.bias.copy_(model.head.bias[order].clone())
    after = transformer_attribution(model, images, order.argsort()[targets])
    torch.testing.assert_close(before, after)


def test_rules_agree_without_layer_scale(tiny_vit):
    model = tiny_vit(init_values=None).double()
    images = draw_images(2)
    one, other = (transformer_attribution(model, images, layer_scale_rule=r) for r in RULES)
    assert torch.equal(one, other)


def test_single_precision_stays_near_double(tiny_vit):
    model = tiny_vit()
    images = draw_images(3)
    single = transformer_attribution(model, images.float())
    assert single.dtype == torch.float32
    double = transformer_attribution(model.double(), images)
    assert float((single - double).abs().max()) < 1e-3 * float(double.max())


def test_relevance_of_an_empty_class_is_zero(tiny_vit):
    model = tiny_vit().double()
    with torch.no_grad():
        model.head.weight[2] = 0
    maps = transformer_attribution(model, draw_images(2), torch.tensor([2, 2]))
    assert torch.equal(maps, torch.zeros_like(maps))


@pytest.mark.parametrize("rule", RULES)
def test_tiny_layer_scale_stays_finite(tiny_vit, rule):
    """A branch scaled by gamma has a share of about gamma: dividing by gamma does not explode."""
    model = tiny_vit()
    with torch.no_grad():
        for block in model.blocks:
            block.ls1.gamma.fill_(1e-6)
            block.ls2.gamma.fill_(1e-6)
    maps = transformer_attribution(model, draw_images(2).float(), layer_scale_rule=rule)
    assert bool(maps.isfinite().all())


def test_an_image_with_nan_is_refused(tiny_vit):
    images = draw_images(3)
    images[1, 0, 0, 0] = torch.nan
    with pytest.raises(ValueError, match="of 1 of 3 images is not finite"):
        transformer_attribution(tiny_vit().double(), images)


def test_bad_blocks_rules_and_targets_are_refused(tiny_vit, no_shape_checks):
    model, images = tiny_vit(depth=2), draw_images(2).float()
    with pytest.raises(ValueError, match="start_block is 2, allowed is 0 to 1"):
        transformer_attribution(model, images, start_block=2)
    with pytest.raises(ValueError, match="target 5 is no class, allowed is 0 to 4"):
        transformer_attribution(model, images, torch.tensor([0, 5]))
    with pytest.raises(ValueError, match="layer_scale_rule is 'gamma', allowed is one of"):
        transformer_attribution(model, images, layer_scale_rule="gamma")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("rule", RULES)
def test_gpu_equals_cpu(tiny_vit, rule):
    model, images = tiny_vit().double(), draw_images(4)
    on_cpu = transformer_attribution(model, images, layer_scale_rule=rule)
    on_gpu = transformer_attribution(model.cuda(), images.cuda(), layer_scale_rule=rule)
    torch.testing.assert_close(on_gpu.cpu(), on_cpu, rtol=1e-7, atol=1e-12 * float(on_cpu.max()))
