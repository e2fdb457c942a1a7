"""Random circuits: the control that knows the size of a circuit alone."""

import torch
from jaxtyping import Bool
from torch import Tensor

from seethrough.circuits.mask_sites import NodeLayout


def random_circuit(
    active: Bool[Tensor, " nodes"], layout: NodeLayout, generator: torch.Generator
) -> Bool[Tensor, " nodes"]:
    """Return a circuit with as many nodes at every site, drawn evenly, on the device of `active`.

    Random numbers are drawn on the generator's device.
    """
    parts = [
        part[
            torch.randperm(len(part), generator=generator, device=generator.device).to(part.device)
        ]
        for part in layout.by_site(active)
    ]
    return torch.cat(parts)
