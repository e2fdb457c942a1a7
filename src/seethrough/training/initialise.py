"""Random starts that come from a seed alone, never from torch's global generator."""

import hashlib
import math

import torch
from torch import nn


def derive_seed(seed: int, *purpose: str | int) -> int:
    """Return a 63-bit seed for one purpose, so that streams of one run never overlap.

    The same arguments give the same number on every machine; any other purpose gives an unrelated
    one (SHA-256 of the arguments' text).
    """
    text = "/".join(str(part) for part in (seed, *purpose))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator_for(seed: int, *purpose: str | int, device: str = "cpu") -> torch.Generator:
    """Return a generator on `device` seeded for one purpose."""
    return torch.Generator(device).manual_seed(derive_seed(seed, *purpose))


def reset_parameters(module: nn.Module, generator: torch.Generator) -> None:
    """Fill every convolution and linear layer by torch's own default rule, from `generator`.

    Weights and biases are uniform within 1 / sqrt(fan in) of zero, which is what torch's layers do
    by default, but drawn on the CPU so that every device starts from the same numbers.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            # torch counts fan in on dimension 1, for transposed convolutions too
            bound = 1 / math.sqrt(layer.weight[0].numel())
            for parameter in layer.parameters():
                draw = torch.rand(parameter.shape, generator=generator) * 2 - 1
                parameter.data.copy_(draw * bound)
