"""Random circuits: as many nodes at every site, others by chance."""

import pytest
import torch

from seethrough.circuits.mask_sites import node_layout
from seethrough.circuits.random_circuit import random_circuit


@pytest.mark.parametrize("granularity", ["channel", "head"])
def test_every_site_keeps_its_number(small_vit, granularity):
    layout = node_layout(small_vit(), granularity)
    active = torch.rand(layout.n_nodes, generator=torch.Generator().manual_seed(0)) < 0.3
    active[layout.sites[4].nodes] = False
    active[layout.sites[5].nodes] = True
    drawn = random_circuit(active, layout, torch.Generator().manual_seed(1))
    for before, after in zip(layout.by_site(active), layout.by_site(drawn), strict=True):
        assert int(before.sum()) == int(after.sum())
    assert not torch.equal(active, drawn)
    again = random_circuit(active, layout, torch.Generator().manual_seed(1))
    assert torch.equal(drawn, again)


def test_every_node_is_drawn_equally_often(small_vit):
    layout = node_layout(small_vit())
    active = torch.zeros(layout.n_nodes, dtype=torch.bool)
    for site in layout.sites:
        active[site.first : site.first + site.n_nodes // 4] = True
    generator = torch.Generator().manual_seed(0)
    total = sum(random_circuit(active, layout, generator).double() for _ in range(400))
    # A quarter of 400 draws; five standard deviations of a binomial are 43.
    assert torch.all((total - 100).abs() < 43)
