"""Kernels run in Triton's interpreter where there is no card; the choice is made at import."""

import os

import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"
