"""Kernels: sparse products, selections and counts, with a CPU path and a Triton path each."""
