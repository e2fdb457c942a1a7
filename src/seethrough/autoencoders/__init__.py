"""Sparse autoencoders on given activations: sparsifiers, starts, remedies against dead units."""
