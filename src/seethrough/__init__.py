"""Sparse, but see-through? A reproducible companion to three papers on sparsity."""

__version__ = "0.1.0"
