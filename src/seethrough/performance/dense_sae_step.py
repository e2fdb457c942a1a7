"""A BatchTopK training step as everyone writes it, dense, and vectors to train on.

    z = top k B of ReLU((x - b_dec) W_enc^T + b_enc),   x_hat = z W_dec + b_dec
    loss = mean over B and D of (x_hat - x)^2

Five products of B M D, where ours has one. It is what our step is compared with, in gradients and
in time. Symbols: B inputs, D features, M latents.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seethrough.sae.dictionary import Dictionary
from seethrough.sae.unit_norm import project_gradient, renormalise


class DenseSAE(nn.Module):
    """Dense autoencoder with its optimiser."""

    def __init__(self, start: Dictionary, k_per_sample: int, learning_rate: float = 3e-4) -> None:
        """Copy the dictionary's weights."""
        super().__init__()
        self.W_enc, self.b_enc, self.W_dec, self.b_dec = (
            nn.Parameter(parameter.detach().clone())
            for parameter in (start.W_enc, start.b_enc, start.W_dec, start.b_dec)
        )
        self.k_per_sample = k_per_sample
        self.optimizer = torch.optim.Adam(self.parameters(), lr=learning_rate, fused=True)

    def loss(self, inputs: Float[Tensor, "B D"]) -> Float[Tensor, ""]:
        """Return the mean squared error of a batch."""
        active = torch.addmm(self.b_enc, inputs - self.b_dec, self.W_enc.T).relu()
        flat = active.flatten()
        highest = flat.topk(self.k_per_sample * len(inputs), sorted=False)
        code = torch.zeros_like(flat).scatter(0, highest.indices, highest.values)
        found = torch.addmm(self.b_dec, code.view_as(active), self.W_dec)
        return (found - inputs).square().mean()

    def step(self, inputs: Float[Tensor, "B D"]) -> None:
        """Take one step, the decoder's rows kept at norm 1."""
        self.optimizer.zero_grad()
        self.loss(inputs).backward()  # type: ignore[no-untyped-call]
        project_gradient(self.W_dec)
        self.optimizer.step()
        renormalise(self.W_dec)


def sample_activations(
    n_inputs: int, d_input: int, seed: int, n_features: int = 2048, n_active: int = 16
) -> Float[Tensor, "N D"]:
    """Return vectors that some sparse features explain but for noise; of size about 1 a number.

    The features are the same for every seed. Each vector adds `n_active` of them, drawn with
    repetition, at strengths from 0.5 to 1.5, and noise of a tenth of their spread.
    """
    directions = torch.randn(n_features, d_input, generator=torch.Generator().manual_seed(12))
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randint(n_features, (n_inputs, n_active), generator=generator)
    strengths = torch.rand(n_inputs, n_active, generator=generator) + 0.5
    clean = nn.functional.embedding_bag(
        chosen, directions, mode="sum", per_sample_weights=strengths
    )
    noise = torch.randn(n_inputs, d_input, generator=generator)
    found: Tensor = clean / n_active**0.5 + 0.1 * noise
    return found
