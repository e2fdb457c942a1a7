"""Sites: activations from the definition, gradients, replacement, and a model left as it was."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from seethrough.neurons.sites import (
    Ablation,
    AttentionHeads,
    MlpUnits,
    ablated,
    frozen,
    recorded,
    sites_of,
    visited,
)


def images(n: int = 3) -> torch.Tensor:
    return torch.randn(n, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def n_hooks(model: nn.Module) -> int:
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def test_shapes_and_names(tiny_vit):
    sites = sites_of(tiny_vit(), [2, 0])
    assert sites == (
        MlpUnits(block=2),
        AttentionHeads(block=2),
        MlpUnits(block=0),
        AttentionHeads(block=0),
    )
    assert [site.shape(tiny_vit()) for site in sites[:2]] == [(128, 1), (2, 16)]
    assert [site.name for site in sites[:2]] == ["blocks.2.mlp", "blocks.2.heads"]


def test_activations_from_the_definition(tiny_vit):
    model, x = tiny_vit(), images()
    sites = sites_of(model, [0])
    with torch.no_grad(), recorded(model, sites) as at:
        model(x)
        block = model.blocks[0]
        tokens = model._pos_embed(model.patch_embed(x))
        qkv = block.attn.qkv(block.norm1(tokens))  # queries, keys, values, each head after head
        heads = []
        for head in range(2):
            query, key, value = (
                qkv[..., 32 * part + 16 * head : 32 * part + 16 * (head + 1)] for part in range(3)
            )
            heads.append((query @ key.mT / 16**0.5).softmax(dim=-1) @ value)
        tokens = tokens + block.ls1(block.attn.proj(torch.cat(heads, dim=-1)))
        units = functional.gelu(block.mlp.fc1(block.norm2(tokens)))
    torch.testing.assert_close(at[sites[1]], torch.stack(heads, dim=2))
    torch.testing.assert_close(at[sites[0]], units[..., None])
    assert torch.equal(sites[0].activation(at[sites[0]]), at[sites[0]][..., 0])
    norms = at[sites[1]].square().sum(dim=-1).sqrt()
    torch.testing.assert_close(sites[1].activation(at[sites[1]]), norms)


@pytest.mark.parametrize("trainable", [True, False])
def test_gradients_are_those_of_a_small_change(tiny_vit, trainable):
    model = tiny_vit().double().requires_grad_(trainable)
    x, sites = images().double(), sites_of(model, [0, 2])
    with recorded(model, sites, with_gradients=True) as at:
        logit = model(x)[:, 1].sum()
        gradients = torch.autograd.grad(logit, [at[site] for site in sites])
    step, generator = 1e-6, torch.Generator().manual_seed(0)
    for site, gradient in zip(sites, gradients, strict=True):
        direction = torch.randn(at[site].shape, generator=generator, dtype=torch.float64)
        ends = []
        for sign in (1, -1):
            change = sign * step * direction
            with torch.no_grad(), visited(model, [site], lambda _, a, c=change: a + c):
                ends.append(model(x)[:, 1].sum())
        expected = (ends[0] - ends[1]) / (2 * step)
        torch.testing.assert_close((gradient * direction).sum(), expected)


def test_recording_changes_no_logit(tiny_vit):
    model, x = tiny_vit(), images()
    plain = model(x)
    for with_gradients in (False, True):
        with recorded(model, sites_of(model, [0, 1, 2]), with_gradients=with_gradients):
            assert torch.equal(model(x), plain)


@torch.no_grad()
def test_ablation_replaces_the_units_and_no_others(tiny_vit):
    model, x = tiny_vit(), images()
    ablations = {}
    for site in sites_of(model, [1]):
        shape = site.shape(model)
        units = torch.zeros(1, shape[0], dtype=torch.bool)
        units[0, 1] = True
        ablations[site] = Ablation(units=units, mean=torch.full(shape, 0.25))
    with recorded(model, ablations) as clean:
        model(x)
    # The recording hooks come second, so they see what the ablation made.
    with ablated(model, ablations), recorded(model, ablations) as at:
        model(x)
    mlp, heads = ablations
    assert torch.all(at[mlp][:, :, 1] == 0.25)
    assert torch.all(at[heads][:, :, 1] == 0.25)
    assert torch.equal(at[heads][:, :, 0], clean[heads][:, :, 0])
    assert not torch.equal(at[mlp][:, :, 0], clean[mlp][:, :, 0])  # it comes after the head


@torch.no_grad()
def test_each_image_has_its_own_units(tiny_vit):
    model, x = tiny_vit(), images()
    site = MlpUnits(block=0)
    mean = torch.linspace(-1, 1, 128)[:, None]
    units = torch.rand(3, 128, generator=torch.Generator().manual_seed(2)) < 0.3
    with ablated(model, {site: Ablation(units=units, mean=mean)}):
        together = model(x)
    for i in range(3):
        with ablated(model, {site: Ablation(units=units[i : i + 1], mean=mean)}):
            torch.testing.assert_close(model(x[i : i + 1])[0], together[i])


@torch.no_grad()
def test_no_unit_and_its_own_activation_change_nothing(tiny_vit):
    model, x = tiny_vit(), images(1)
    site = AttentionHeads(block=2)
    none = Ablation(units=torch.zeros(1, 2, dtype=torch.bool), mean=torch.ones(2, 16))
    with ablated(model, {site: none}):
        assert torch.equal(model(x), tiny_vit()(x))


def test_hooks_and_state_are_restored_also_after_an_exception(tiny_vit):
    model = tiny_vit().train()
    model.blocks[1].eval()
    model.head.weight.requires_grad_(False)
    before = [m.training for m in model.modules()], [p.requires_grad for p in model.parameters()]
    fused = [block.attn.fused_attn for block in model.blocks]
    sites = sites_of(model, [0, 1])

    def fail(_site, _vectors):
        assert not model.training
        raise ZeroDivisionError

    def run():
        with frozen(model), visited(model, sites, fail):
            assert n_hooks(model) == 4
            model(images())

    with pytest.raises(ZeroDivisionError):
        run()
    assert n_hooks(model) == 0
    after = [m.training for m in model.modules()], [p.requires_grad for p in model.parameters()]
    assert after == before
    assert [block.attn.fused_attn for block in model.blocks] == fused
    with pytest.raises(ValueError, match="block is 9"), visited(model, [*sites, mlp(9)], fail):
        raise AssertionError("not reached")
    assert n_hooks(model) == 0


def mlp(block: int) -> MlpUnits:
    return MlpUnits(block=block)


def test_what_is_no_site_is_refused(tiny_vit):
    with pytest.raises(ValueError, match="block is 3, allowed is 0 to 2"):
        sites_of(tiny_vit(), [0, 3])
    with pytest.raises(ValueError, match="block is -1"):
        sites_of(tiny_vit(), [-1])
    with pytest.raises(ValueError, match="Linear has none"):
        sites_of(nn.Linear(2, 2), [0])
    model = tiny_vit()
    model.blocks[0].mlp = nn.Identity()
    with pytest.raises(ValueError, match=r"needs mlp.fc1, blocks.0 has none"):
        sites_of(model, [0])
