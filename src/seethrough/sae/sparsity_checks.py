"""Checks that the methods share; each raises ValueError with the value and what is allowed."""

import torch

PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16}
"""Name of the encoder's precision -> what the kernels take: None is that of the inputs."""


def check_count(k: int, width: int | None = None) -> None:
    """Raise unless k is at least 1 and, where the dictionary is known, at most its width."""
    if k < 1 or (width is not None and k > width):
        most = "" if width is None else f" and at most the dictionary's {width} latents"
        raise ValueError(f"k is {k}, allowed is a count of at least 1{most}")


def check_precision(name: str) -> None:
    """Raise unless the precision has a name that is known."""
    if name not in PRECISIONS:
        raise ValueError(f"encoder_precision is {name!r}, allowed are {', '.join(PRECISIONS)}")


def check_above_zero(name: str, value: int | float) -> None:
    """Raise unless the value is a finite number above 0."""
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} is {value}, allowed is a finite number above 0")
