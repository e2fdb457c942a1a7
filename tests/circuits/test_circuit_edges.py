"""Edges: by hand, weight by weight, all masks on, and masks on other weights."""

import math

import pytest
import torch

from seethrough.circuits.circuit_edges import ENDS, circuit_edges
from seethrough.circuits.mask_sites import node_layout
from seethrough.pruning.apply_masks import apply_masks, density
from seethrough.pruning.prunable_layers import prunable_layers, prunable_weights


@pytest.fixture
def pruned(small_vit):
    """Return a model whose matrices have three weights in ten, like the headline's."""
    model, generator = small_vit(), torch.Generator().manual_seed(5)
    masks = {
        name: torch.rand(layer.weight.shape, generator=generator) < 0.3
        for name, layer in prunable_layers(model).items()
    }
    apply_masks(model, masks)
    return model


def random_nodes(layout, seed=0):
    return torch.rand(layout.n_nodes, generator=torch.Generator().manual_seed(seed)) < 0.6


def test_by_hand(tiny_vit):
    model = tiny_vit(embed_dim=2, depth=1, num_heads=1, mlp_ratio=1)
    layout = node_layout(model)
    with torch.no_grad():
        for layer in prunable_layers(model).values():
            layer.weight.fill_(1.0)
        model.blocks[0].attn.qkv.weight[0] = torch.tensor([0.0, 3.0])  # first row of q
        model.blocks[0].mlp.fc2.weight.copy_(torch.tensor([[0.0, 0.0], [-2.0, 0.0]]))
    # Two channels everywhere. Both of norm1; the first of q; none of k; both of v; the second of
    # attn_out; both of norm2; the first of mlp_act; both of mlp_out.
    active = torch.tensor([1, 1, 1, 0, 0, 0, 1, 1, 0, 1, 1, 1, 1, 0, 1, 1]).bool()
    found = circuit_edges(model, active, layout)
    # q: its row 0 is (0, 3), one edge; k: none; v: 2 x 2; proj: 2 to 1; fc1: 2 to 1; fc2: the
    # first hidden unit reaches the second output alone.
    assert found.edges.tolist() == [[1, 0, 4, 2, 2, 1]]
    assert found.weights.tolist() == [[3, 4, 4, 4, 4, 1]]
    assert found.sizes.tolist() == [[4, 4, 4, 4, 4, 4]]
    # q: 3/4 x 2 x 1; fc2: 1/4 x 1 x 2; all others are full.
    assert found.null.tolist() == [[1.5, 0.0, 4.0, 2.0, 2.0, 0.5]]
    assert found.n_edges == 10
    assert found.over_null == 10 / 10


@pytest.mark.parametrize("granularity", ["channel", "head"])
def test_equals_counting_weight_by_weight(pruned, granularity):
    layout = node_layout(pruned, granularity)
    active = random_nodes(layout)
    channels, first, at = layout.channels(active), 0, {}
    for site in layout.sites:
        at[site.block, site.kind] = channels[first : first + site.width]
        first += site.width
    found = circuit_edges(pruned, active, layout)
    for number, block in enumerate(pruned.blocks):
        q, k, v = block.attn.qkv.weight.view(3, 8, 8)
        matrices = (q, k, v, block.attn.proj.weight, block.mlp.fc1.weight, block.mlp.fc2.weight)
        for column, (matrix, (source, target)) in enumerate(
            zip(matrices, ENDS.values(), strict=True)
        ):
            reads, writes = at[number, source], at[number, target]
            edges = sum(
                bool(matrix[i, j] != 0) and bool(reads[j]) and bool(writes[i])
                for i in range(len(matrix))
                for j in range(matrix.shape[1])
            )
            assert found.edges[number, column] == edges
            share = float((matrix != 0).double().mean())
            expected = share * int(reads.sum()) * int(writes.sum())
            assert float(found.null[number, column]) == pytest.approx(expected)


def test_a_head_counts_all_its_channels(pruned):
    layout = node_layout(pruned, "head")
    active = torch.zeros(layout.n_nodes, dtype=torch.bool)
    q = layout.sites[1]
    active[layout.sites[0].nodes] = True
    active[q.first + 1] = True  # the second head of q: channels 4 to 7
    expected = int((pruned.blocks[0].attn.qkv.weight[4:8] != 0).sum())
    found = circuit_edges(pruned, active, layout)
    assert found.edges[0].tolist() == [expected, 0, 0, 0, 0, 0]
    assert found.n_edges == expected


@pytest.mark.parametrize("granularity", ["channel", "head"])
def test_all_nodes_have_every_weight_and_no_nodes_none(pruned, granularity):
    layout = node_layout(pruned, granularity)
    everything = circuit_edges(pruned, torch.ones(layout.n_nodes, dtype=torch.bool), layout)
    n_weights = round(density(pruned) * prunable_weights(pruned))
    assert everything.n_edges == int(everything.weights.sum()) == n_weights
    assert int(everything.sizes.sum()) == prunable_weights(pruned)
    assert everything.over_null == pytest.approx(1)
    nothing = circuit_edges(pruned, torch.zeros(layout.n_nodes, dtype=torch.bool), layout)
    assert nothing.n_edges == 0
    assert math.isnan(nothing.over_null)
    assert torch.equal(nothing.weights, everything.weights)


def test_one_mask_on_dense_weights_meets_its_null(small_vit, pruned):
    dense, layout = small_vit(), node_layout(pruned)
    active = random_nodes(layout)
    on_dense, on_sparse = (circuit_edges(model, active, layout) for model in (dense, pruned))
    # Without zeros, edges are pairs of active nodes; the null scales them by each density.
    assert torch.equal(on_dense.edges.double(), on_dense.null)
    shares = on_sparse.weights / on_sparse.sizes
    torch.testing.assert_close(on_sparse.null, on_dense.null * shares.double(), rtol=1e-6, atol=0)
    assert torch.all(on_sparse.edges <= on_dense.edges)


def test_edges_of_random_nodes_are_near_the_null(pruned):
    layout = node_layout(pruned)
    ratios = [
        circuit_edges(pruned, random_nodes(layout, seed), layout).over_null for seed in range(20)
    ]
    assert sum(ratios) / 20 == pytest.approx(1, abs=0.03)


def test_a_model_that_does_not_fit_is_refused(small_vit):
    layout = node_layout(small_vit())
    active = torch.ones(layout.n_nodes, dtype=torch.bool)
    with pytest.raises(ValueError, match="the layout has 2 blocks, the model 1"):
        circuit_edges(small_vit(depth=1), active, layout)
    with pytest.raises(ValueError, match="joins 8 channels with 8, the model has a matrix of"):
        circuit_edges(small_vit(embed_dim=16), active, layout)
