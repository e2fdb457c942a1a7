"""Edges of a circuit, beside what its nodes alone would lead one to expect.

An edge is a weight other than 0 that joins two active nodes:

    E = sum over matrices of sum_ij 1[W_ij != 0] in_j out_i

over W_q, W_k, W_v (norm1 to q, k, v), the projection (v to attn_out), fc1 (norm2 to mlp_act) and
fc2 (mlp_act to mlp_out) {cite:p}`gao2025weightsparse`. Biases, LayerScale and the residual stream
have none. The null model spreads a matrix's weights evenly, whatever the nodes,

    E_0 = sum over matrices of density * (sum_j in_j) * (sum_i out_i),

so that E / E_0 says whether a circuit prefers nodes that are joined. Masks learned on one model may
be laid on the weights of another. With nodes per head, an active head counts all its channels.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor, nn

from seethrough.attribution.plain_transformer import blocks_from
from seethrough.circuits.mask_sites import KINDS, NodeLayout

ENDS = {
    "q": ("norm1", "q"),
    "k": ("norm1", "k"),
    "v": ("norm1", "v"),
    "proj": ("v", "attn_out"),
    "fc1": ("norm2", "mlp_act"),
    "fc2": ("mlp_act", "mlp_out"),
}
"""Matrix -> the sites it reads and writes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CircuitEdges:
    """Edges by block and matrix, the matrices in the order of ENDS, on the CPU."""

    edges: Int64[Tensor, "L 6"]
    """Weights other than 0 between active nodes."""
    null: Float64[Tensor, "L 6"]
    """What density and numbers of active nodes lead one to expect."""
    weights: Int64[Tensor, "L 6"]
    """Weights other than 0, whatever the nodes."""
    sizes: Int64[Tensor, "L 6"]
    """All weights."""

    @property
    def n_edges(self) -> int:
        """Return the edges of all matrices."""
        return int(self.edges.sum())

    @property
    def over_null(self) -> float:
        """Return edges over the null model's, NaN where that expects none."""
        expected = float(self.null.sum())
        return self.n_edges / expected if expected else float("nan")


@torch.no_grad()
def circuit_edges(
    model: nn.Module, active: Bool[Tensor, " nodes"], layout: NodeLayout
) -> CircuitEdges:
    """Return the edges of a circuit in the weights of a plain vision transformer.

    With all nodes active the edges are the weights other than 0, and so is the null. A weight that
    is NaN counts as other than 0.

    Raises:
        ValueError: a model that is not plain, or one that does not fit the layout.
    """
    blocks = blocks_from(model, 0)
    open_channels = _by_kind(layout, active.to(next(model.parameters()).device))
    if len(blocks) != len(open_channels):
        raise ValueError(f"the layout has {len(open_channels)} blocks, the model {len(blocks)}")
    counts = [
        _counts(weight, channels[source], channels[target])
        for block, channels in zip(blocks, open_channels, strict=True)
        for weight, (source, target) in zip(_matrices(block), ENDS.values(), strict=True)
    ]
    edges, weights, sizes, pairs = (
        torch.stack(column).cpu().view(len(blocks), len(ENDS))
        for column in zip(*counts, strict=True)
    )
    null = weights.double() / sizes.double() * pairs.double()
    return CircuitEdges(edges=edges, null=null, weights=weights, sizes=sizes)


def _counts(
    weight: Tensor, reads: Bool[Tensor, " in"], writes: Bool[Tensor, " out"]
) -> tuple[Int64[Tensor, ""], Int64[Tensor, ""], Int64[Tensor, ""], Int64[Tensor, ""]]:
    """Return edges, weights other than 0, all weights, and pairs of active nodes."""
    if weight.shape != (len(writes), len(reads)):
        raise ValueError(
            f"the layout joins {len(reads)} channels with {len(writes)}, the model has a matrix of "
            f"shape {tuple(weight.shape)}"
        )
    there = weight != 0
    edges = (there & reads).sum(dim=1)[writes].sum()
    size = torch.tensor(weight.numel(), device=weight.device)
    return edges, there.sum(), size, reads.sum() * writes.sum()


def _by_kind(layout: NodeLayout, active: Bool[Tensor, " nodes"]) -> list[dict[str, Tensor]]:
    """Return the active channels of each kind of site, block by block."""
    parts = torch.split(layout.channels(active), [site.width for site in layout.sites])
    return [
        dict(zip(KINDS, parts[first : first + len(KINDS)], strict=True))
        for first in range(0, len(parts), len(KINDS))
    ]


def _matrices(block: Any) -> Iterator[Tensor]:
    """Yield the weights of a block in the order of ENDS."""
    yield from block.attn.qkv.weight.chunk(3)
    yield block.attn.proj.weight
    yield block.mlp.fc1.weight
    yield block.mlp.fc2.weight
