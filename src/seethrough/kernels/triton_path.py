"""Which path a kernel takes: Triton on CUDA where it is installed, torch everywhere else."""

import warnings
from functools import cache
from importlib.util import find_spec

import torch


def takes_triton(device: torch.device) -> bool:
    """Return whether tensors on this device go to a Triton kernel.

    On CUDA without triton the answer is False, with one RuntimeWarning per process.
    """
    return device.type == "cuda" and _triton_is_installed()


@cache
def _triton_is_installed() -> bool:
    if find_spec("triton") is not None:
        return True
    warnings.warn(
        "triton is not installed, so kernels on CUDA take torch's slower path; "
        "pip install 'seethrough[gpu]' brings it",
        RuntimeWarning,
        stacklevel=3,
    )
    return False
