"""Models: the VAE, alone or with a sparse layer in its path, its training and its record."""
