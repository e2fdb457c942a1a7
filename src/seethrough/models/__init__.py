"""Models: the VAE, the sparse autoencoder, their union, and how it is trained."""
