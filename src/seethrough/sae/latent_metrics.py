"""The neurons' metrics with latents in place of units, for a site of one vector per image.

Selectivity, class variance and label entropy are those of `seethrough.neurons`, on the latent's
activation on the class token; a class's number is the mean over the latents selected for it. Only
latents that some class selects are computed, a block at a time. Symbols: N images, C classes,
M latents.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from seethrough.kernels.ragged_code import RaggedCode
from seethrough.neurons.class_selectivity import class_selectivity
from seethrough.neurons.class_variance import class_variance
from seethrough.neurons.label_entropy import label_entropy
from seethrough.neurons.selected_mean import selected_mean
from seethrough.sae.latent_codes import latent_columns

MAX_DENSE = 1 << 26
"""Numbers written out at once."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LatentMetrics:
    """One number per class and metric; NaN for a class whose latents have none."""

    selectivity: Float64[Tensor, " C"]
    """AUROC of the latents as detectors of the class, 0 to 1."""
    class_variance: Float64[Tensor, " C"]
    """Coefficient of variation of the latents over images of the class, 0 or above."""
    label_entropy: Float64[Tensor, " C"]
    """Entropy of the latents over classes in nats, 0 to ln C."""


def latent_metrics(
    code: RaggedCode, labels: Int64[Tensor, " N"], selected: Bool[Tensor, "C M"]
) -> LatentMetrics:
    """Return the metrics of the latents selected for each class; `code` holds one row per image.

    Latents whose value is NaN (dead ones, for some metrics) are left out.

    Raises:
        ValueError: labels of another number than rows, or outside 0 to C - 1.
    """
    used = selected.any(dim=0).nonzero()[:, 0]
    n_classes, step = len(selected), max(1, MAX_DENSE // max(code.n_rows, 1))
    tables: list[tuple[Tensor, Tensor, Tensor]] = []
    # At least one round, so that labels are checked and no selection gives NaN.
    for start in range(0, max(len(used), 1), step):
        columns = latent_columns(code, used[start : start + step])
        tables.append(
            (
                class_selectivity(columns, labels, n_classes),
                class_variance(columns, labels, n_classes),
                label_entropy(columns, labels, n_classes)[None],
            )
        )
    chosen = selected[:, used]
    found = [selected_mean(torch.cat(table, dim=1), chosen) for table in zip(*tables, strict=True)]
    return LatentMetrics(selectivity=found[0], class_variance=found[1], label_entropy=found[2])
