"""Where a run computes: device and CPU threads."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


def check_device(device: str) -> None:
    """Raise ValueError unless torch can compute on `device` here."""
    try:
        kind = torch.device(device).type
    except RuntimeError as error:
        raise ValueError(f"device is {device!r}, allowed are cpu, cuda and cuda:N") from error
    if kind not in ("cpu", "cuda"):
        raise ValueError(f"device is {device!r}, allowed are cpu, cuda and cuda:N")
    seen = torch.cuda.device_count()
    if kind == "cuda" and (torch.device(device).index or 0) >= seen:
        there = f"only cuda:0 to cuda:{seen - 1}" if seen else "no CUDA device"
        here = "one of these, or cpu" if seen else "cpu"
        raise ValueError(f"device is {device!r}, but torch sees {there}: allowed here is {here}")


@contextmanager
def thread_count(threads: int) -> Iterator[None]:
    """Compute with `threads` CPU threads inside the block, then restore the count."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
