"""Sparse autoencoders with large dictionaries on a vision transformer's activations."""

from seethrough.sae.activation_pool import ActivationPool, activation_pool, shuffled_batches
from seethrough.sae.auxk import AuxK
from seethrough.sae.batch_topk import BatchTopK
from seethrough.sae.export_saelens import (
    SAELensWeights,
    export_saelens,
    read_saelens,
    saelens_weights,
)
from seethrough.sae.jump_relu import JumpReLU
from seethrough.sae.l1 import L1
from seethrough.sae.latent_ablation import latent_ablation_impact, without_latents
from seethrough.sae.latent_codes import latent_codes, latent_columns
from seethrough.sae.latent_importance import latent_importance, top_latents
from seethrough.sae.latent_metrics import LatentMetrics, latent_metrics
from seethrough.sae.modal_class_purity import modal_class_purity
from seethrough.sae.monosemanticity import monosemanticity
from seethrough.sae.reconstruction_scores import ReconstructionScores, reconstruction_scores
from seethrough.sae.residual_site import ResidualSite, last_block_site
from seethrough.sae.sae_config import SAEConfig
from seethrough.sae.sae_history import SAEHistory, load_history
from seethrough.sae.sparse_autoencoder import (
    Method,
    SparseAutoencoder,
    load_autoencoder,
    save_autoencoder,
)
from seethrough.sae.splice import SpliceScores, splice_scores
from seethrough.sae.topk import TopK
from seethrough.sae.train_sae import train_sae

__all__ = [
    "L1",
    "ActivationPool",
    "AuxK",
    "BatchTopK",
    "JumpReLU",
    "LatentMetrics",
    "Method",
    "ReconstructionScores",
    "ResidualSite",
    "SAEConfig",
    "SAEHistory",
    "SAELensWeights",
    "SparseAutoencoder",
    "SpliceScores",
    "TopK",
    "activation_pool",
    "export_saelens",
    "last_block_site",
    "latent_ablation_impact",
    "latent_codes",
    "latent_columns",
    "latent_importance",
    "latent_metrics",
    "load_autoencoder",
    "load_history",
    "modal_class_purity",
    "monosemanticity",
    "read_saelens",
    "reconstruction_scores",
    "saelens_weights",
    "save_autoencoder",
    "shuffled_batches",
    "splice_scores",
    "top_latents",
    "train_sae",
    "without_latents",
]
