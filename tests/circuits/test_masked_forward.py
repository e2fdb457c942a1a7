"""The masked forward pass: against timm's own modules under hooks, by hand, and its gradients."""

from contextlib import ExitStack

import pytest
import torch

from seethrough.circuits.mask_sites import node_layout
from seethrough.circuits.masked_forward import masked_logits

VARIANTS = [{}, {"init_values": None}, {"no_embed_class": False}]
MODULES = {
    "norm1": ("norm1",),
    "attn.qkv": ("q", "k", "v"),
    "ls1": ("attn_out",),
    "norm2": ("norm2",),
    "mlp.act": ("mlp_act",),
    "ls2": ("mlp_out",),
}


def hooked(model, images, gates, means, layout):
    """Return the logits under one mask by hooks on the model's modules, site by site."""
    channels, starts, first = layout.channels(gates), {}, 0
    for site in layout.sites:
        starts[site.name], first = slice(first, first + site.width), first + site.width
    with ExitStack() as stack:
        for number, block in enumerate(model.blocks):
            for name, kinds in MODULES.items():
                parts = [starts[f"blocks.{number}.{kind}"] for kind in kinds]
                gate = torch.cat([channels[part] for part in parts])
                mean = torch.cat([means[part] for part in parts])

                def replace(_module, _inputs, output, gate=gate, mean=mean):
                    return gate * output + (1 - gate) * mean

                handle = block.get_submodule(name).register_forward_hook(replace)
                stack.callback(handle.remove)
        return model(images)


@pytest.mark.parametrize("granularity", ["channel", "head"])
@pytest.mark.parametrize("changes", VARIANTS)
@torch.no_grad()
def test_equals_timms_modules_under_hooks(small_vit, patterns, random_gates, changes, granularity):
    model, images = small_vit(**changes).double(), patterns.pixels[:6].double()
    layout, gates, means = random_gates(model, 4, granularity)
    gates[3] = (gates[3] > 0.4).double()  # a hard mask among soft ones
    shared = masked_logits(model, images[None], gates, means, layout)
    two_groups = masked_logits(model, images.unflatten(0, (2, 3)), gates, means, layout)
    for mask in range(4):
        expected = hooked(model, images, gates[mask], means, layout)
        torch.testing.assert_close(shared[mask], expected)
        # Masks 0 and 1 read the first three images, masks 2 and 3 the others.
        group = slice(0, 3) if mask < 2 else slice(3, 6)
        torch.testing.assert_close(two_groups[mask], expected[group])
    assert (shared[0] - shared[1]).abs().max() > 0.1


@pytest.mark.parametrize("granularity", ["channel", "head"])
@pytest.mark.parametrize("changes", VARIANTS)
@torch.no_grad()
def test_all_gates_on_is_the_model(small_vit, patterns, random_gates, changes, granularity):
    model, images = small_vit(**changes), patterns.pixels[:6]
    layout, gates, means = random_gates(model, 2, granularity)
    logits = masked_logits(model, images[None], torch.ones_like(gates), means, layout)
    torch.testing.assert_close(logits, model(images).expand(2, -1, -1), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_all_gates_off_leaves_the_class_token_and_the_means(small_vit, patterns, random_gates):
    # What blocks add is then the mean of attn_out and mlp_out, whatever the image, so the head
    # reads the class token plus the sum of those means.
    model, images = small_vit(), patterns.pixels[:3]
    layout, gates, means = random_gates(model, 1)
    added = torch.zeros(8)
    for site, mean in zip(layout.sites, layout.by_site(means), strict=True):
        if site.kind in ("attn_out", "mlp_out"):
            added += mean
    expected = model.head(model.norm(model.cls_token[0, 0] + added))
    logits = masked_logits(model, images[None], torch.zeros_like(gates), means, layout)
    torch.testing.assert_close(logits, expected.expand(1, 3, -1))


@pytest.mark.parametrize("granularity", ["channel", "head"])
def test_gradients_are_those_of_finite_differences(small_vit, patterns, random_gates, granularity):
    model, images = small_vit().double(), patterns.pixels[:2].double()
    layout, gates, means = random_gates(model, 2, granularity)

    def logits(gates):
        return masked_logits(model, images[None], gates, means, layout)

    assert torch.autograd.gradcheck(logits, gates.requires_grad_(), fast_mode=True)
    # Node by node, for one number of the logits: central differences of the relaxed gate.
    (gradient,) = torch.autograd.grad(logits(gates)[1, 0, 2], gates)
    assert torch.all(gradient[0] == 0)
    step = 1e-6
    for site in layout.sites:
        node = site.first + 1
        moved = gates.detach().repeat(2, 1)[:2].clone()
        moved[0], moved[1] = gates[1].detach(), gates[1].detach()
        moved[0, node] += step
        moved[1, node] -= step
        with torch.no_grad():
            above, below = logits(moved)[:, 0, 2]
        assert float(gradient[1, node]) == pytest.approx(
            float(above - below) / (2 * step), rel=1e-5, abs=1e-8
        )
    assert (gradient[1] != 0).float().mean() > 0.9


def test_only_gates_have_gradients_and_the_model_is_left_as_it_was(
    small_vit, patterns, random_gates
):
    model = small_vit(pos_drop_rate=0.5, proj_drop_rate=0.5, drop_path_rate=0.5).train()
    layout, gates, means = random_gates(model, 1)
    gates.requires_grad_()
    images = patterns.pixels[None, :4]
    logits = masked_logits(model, images, gates, means, layout)
    logits.sum().backward()
    assert gates.grad is not None
    assert all(module.training for module in model.modules())
    for parameter in model.parameters():
        assert parameter.requires_grad
        assert parameter.grad is None
    # Dropout has no part in it.
    assert torch.equal(logits, masked_logits(model, images, gates, means, layout))


@torch.no_grad()
def test_nan_is_passed_on(small_vit, patterns, random_gates):
    model = small_vit()
    layout, gates, means = random_gates(model, 2)
    gates[1, 5] = torch.nan
    logits = masked_logits(model, patterns.pixels[None, :2], gates, means, layout)
    assert logits[0].isfinite().all()
    assert logits[1].isnan().all()
    means[0] = torch.nan
    ones = torch.ones_like(gates)
    assert masked_logits(model, patterns.pixels[None, :2], ones, means, layout).isnan().all()


@torch.no_grad()
def test_what_does_not_fit_is_refused(small_vit, patterns, random_gates):
    model, images = small_vit(), patterns.pixels[:6].view(3, 2, 3, 16, 16)
    layout, gates, means = random_gates(model, 2)
    with pytest.raises(ValueError, match="2 masks cannot share 3 groups"):
        masked_logits(model, images, gates, means, layout)
    with pytest.raises(ValueError, match="2 masks cannot share 0 groups"):
        masked_logits(model, images[:0], gates, means, layout)
    with pytest.raises(ValueError, match=r"gates have 175 nodes.*allowed is 176 nodes"):
        masked_logits(model, images[:1], gates[:, 1:], means, layout)
    with pytest.raises(ValueError, match="means 175 channels"):
        masked_logits(model, images[:1], gates, means[1:], layout)
    with pytest.raises(ValueError, match="the model 88; allowed"):
        masked_logits(small_vit(depth=1), images[:1], gates, means, layout)
    assert node_layout(model).n_nodes == 176
