"""Where circuits are masked: eight sites in every block of a plain vision transformer.

In the order in which data meets them: the normalised input of attention (norm1), queries, keys and
values (q, k, v), what attention adds to the residual stream (attn_out: after projection and
LayerScale), the normalised input of the MLP (norm2), its hidden units after the activation
(mlp_act), and what it adds to the residual stream (mlp_out). A node is one channel of a site, or,
for q, k and v with the granularity "head", all channels of one head. One mask holds for all tokens.

All nodes of a model stand in one row: block by block, site by site in this order, which is also
how the channels stand. Sites, and q, k and v "per head", follow {cite:t}`zhang2026impact`; nodes
after the norms and before the residual sum follow {cite:t}`gao2025weightsparse`.
"""

from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from seethrough.attribution.plain_transformer import blocks_from

KINDS = ("norm1", "q", "k", "v", "attn_out", "norm2", "mlp_act", "mlp_out")
"""The sites of a block."""
ATTENTION_KINDS = ("q", "k", "v")
"""Sites that may be masked by head."""
GRANULARITIES = ("channel", "head")
"""What one node of q, k and v is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskSite:
    """One site of one block, and where its nodes stand among all nodes."""

    block: int
    """Block, counted from 0."""
    kind: str
    """One of KINDS."""
    first: int
    """Position of its first node in the row of all nodes."""
    n_nodes: int
    """Number of nodes."""
    width: int
    """Number of channels, a multiple of the number of nodes."""

    @property
    def name(self) -> str:
        """Return the name of the site in tables, "blocks.2.mlp_act"."""
        return f"blocks.{self.block}.{self.kind}"

    @property
    def nodes(self) -> slice:
        """Return the positions of its nodes in the row of all nodes."""
        return slice(self.first, self.first + self.n_nodes)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeLayout:
    """All nodes of a model in one row."""

    sites: tuple[MaskSite, ...]
    """Sites in the order of the row."""
    granularity: str
    """What one node of q, k and v is: channel or head."""

    @property
    def n_nodes(self) -> int:
        """Return the number of nodes."""
        return sum(site.n_nodes for site in self.sites)

    @property
    def n_channels(self) -> int:
        """Return the number of channels of all sites."""
        return sum(site.width for site in self.sites)

    @property
    def n_blocks(self) -> int:
        """Return the number of blocks."""
        return len(self.sites) // len(KINDS)

    def by_site(self, nodes: Shaped[Tensor, "*any nodes"]) -> tuple[Tensor, ...]:
        """Return the part of each site, as views, in the order of `sites`."""
        return torch.split(nodes, [site.n_nodes for site in self.sites], dim=-1)

    def channels(self, nodes: Shaped[Tensor, "*any nodes"]) -> Shaped[Tensor, "*any channels"]:
        """Return what holds for each channel, given what holds for each node."""
        if self.granularity == "channel":
            return nodes
        parts = [
            part.repeat_interleave(site.width // site.n_nodes, dim=-1)
            for site, part in zip(self.sites, self.by_site(nodes), strict=True)
        ]
        return torch.cat(parts, dim=-1)


def node_layout(model: nn.Module, granularity: str = "channel") -> NodeLayout:
    """Return where the nodes of a plain vision transformer stand; the model may hold no values.

    Raises:
        ValueError: an unknown granularity, or a model that is not plain.
    """
    check_granularity(granularity)
    found = [
        (block, kind, n_nodes, width)
        for block, module in enumerate(blocks_from(model, 0))
        for kind, (n_nodes, width) in _sizes(module, granularity).items()
    ]
    firsts = accumulate((n_nodes for _, _, n_nodes, _ in found), initial=0)
    sites = (
        MaskSite(block=block, kind=kind, first=first, n_nodes=n_nodes, width=width)
        for first, (block, kind, n_nodes, width) in zip(firsts, found, strict=False)
    )
    return NodeLayout(sites=tuple(sites), granularity=granularity)


def check_granularity(granularity: str) -> None:
    """Raise ValueError unless q, k and v can be masked in this way."""
    if granularity not in GRANULARITIES:
        raise ValueError(f"granularity is {granularity!r}, allowed: {', '.join(GRANULARITIES)}")


def _sizes(block: Any, granularity: str) -> dict[str, tuple[int, int]]:
    """Return nodes and channels of each site of a block."""
    d_model = block.attn.proj.out_features
    d_attention = block.attn.proj.in_features
    d_mlp = block.mlp.fc1.out_features
    n_heads = block.attn.num_heads
    widths = dict.fromkeys(KINDS, d_model) | dict.fromkeys(ATTENTION_KINDS, d_attention)
    widths["mlp_act"] = d_mlp
    by_head = ATTENTION_KINDS if granularity == "head" else ()
    return {kind: (n_heads if kind in by_head else n, n) for kind, n in widths.items()}
