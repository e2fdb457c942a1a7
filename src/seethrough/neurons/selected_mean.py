"""One number per class out of a table of units: the mean over the units selected for the class."""

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor


def selected_mean(
    values: Float[Tensor, "#C U"], selected: Bool[Tensor, "C U"]
) -> Float64[Tensor, " C"]:
    """Return the mean of the selected units' values for each class.

    Units whose value is NaN (dead ones, for some metrics) are left out; a class of which nothing is
    left has NaN. Values that do not depend on the class come as one row.

    >>> values = torch.tensor([[1.0, 3.0, torch.nan]])
    >>> selected_mean(values, torch.tensor([[True, True, True], [False, False, True]]))
    tensor([2., nan], dtype=torch.float64)
    """
    used = selected & ~values.isnan()
    totals = torch.where(used, values.double(), 0.0).sum(dim=1)
    return totals / used.sum(dim=1)
