"""The hybrid of VAE and sparse autoencoders (VAE-SAE).

Where the sparse layer sits is unknown from the abstract, so all three places are models here:

| position | input of the SAE        | effect on the VAE                                    |
|----------|-------------------------|------------------------------------------------------|
| beside   | hidden layer h (256)    | none: the input is detached                          |
| in_path  | hidden layer h (256)    | the heads read the SAE's reconstruction of h         |
| latent   | latent mean (10)        | none: the input is detached                          |

Branches beside the VAE do not touch it, so several may share one training run. A branch in the path
changes the VAE and must be alone.

Loss: negative ELBO + `sae_weight` x sum over side branches of the fraction of variance unexplained.
A layer in the path learns from the ELBO alone, as any other layer of the path does; how well it
reconstructs h is measured but not asked for. The ELBO is standard; the branch term, its weight and
the detached input are our assumption. Adam makes side branches insensitive to the weight.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seethrough.models.initialise import generator_for
from seethrough.models.sparse_autoencoder import SparseAutoencoder, top_k, unexplained_variance
from seethrough.models.vae import D_HIDDEN, N_LATENTS, VAE, Elbo, negative_elbo, sample_latents

POSITIONS = ("beside", "in_path", "latent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """One sparse layer: where it sits and how many units it has."""

    position: str = "beside"
    """beside or in_path: on the 256-unit encoder layer; latent: on the mean of q(z|x)."""
    width: int = 500
    """Units of the dictionary, at least 2. 500 and 1000 fit the paper's counts best."""

    def __post_init__(self) -> None:
        if self.position not in POSITIONS:
            raise ValueError(f"position is {self.position!r}, allowed are {', '.join(POSITIONS)}")
        if self.width < 2:
            raise ValueError(f"width is {self.width}, allowed is at least 2 units")

    @property
    def name(self) -> str:
        """Return `position/width`, unique among the branches of one model."""
        return f"{self.position}/{self.width}"


def check_branches(branches: Sequence[Branch]) -> None:
    """Raise ValueError for no branch, a repeated one, or an in_path branch in company."""
    names = [branch.name for branch in branches]
    if not names:
        raise ValueError("branches is empty, allowed is one sparse layer or more")
    if len(set(names)) < len(names):
        raise ValueError(f"branches are {', '.join(names)}, allowed is each one once")
    if len(names) > 1 and any(branch.position == "in_path" for branch in branches):
        raise ValueError(
            f"branches are {', '.join(names)}, allowed is an in_path branch only when alone"
        )


@dataclass(frozen=True, slots=True)
class BranchOutput:
    """What one branch computes from a batch."""

    inputs: Tensor
    """What the SAE reads, detached, [B D]."""
    relu_code: Tensor
    """Code before the sparsifier, [B M], non-negative."""
    code: Tensor
    """Code after the sparsifier, [B M], at most k entries above 0 a row."""
    reconstruction: Tensor
    """Reconstruction of the inputs, [B D]."""

    def unexplained(self) -> Tensor:
        """Return the batch's fraction of variance unexplained, 0-dim."""
        return unexplained_variance(self.reconstruction, self.inputs)


@dataclass(frozen=True, slots=True)
class Encoding:
    """What the encoder and the branches compute from a batch."""

    mean: Tensor
    """Mean of q(z|x) as the VAE's own decoder sees it, [B 10]."""
    log_variance: Tensor
    """Log-variance of q(z|x), [B 10]."""
    branches: tuple[BranchOutput, ...]
    """One output per branch, in the model's order."""


class VAESAE(nn.Module):
    """A VAE with one or more sparse branches; see the module's docstring."""

    def __init__(self, channels: int, branches: Sequence[Branch], seed: int) -> None:
        """Draw the VAE and every branch from its own stream of `seed`.

        The stream of a branch depends on its position and width alone, so a branch starts from the
        same numbers whatever else is trained beside it.
        """
        check_branches(branches)
        super().__init__()
        self.branches = tuple(branches)
        self.vae = VAE.create(channels, generator_for(seed, "vae"))
        self.saes = nn.ModuleList(
            SparseAutoencoder(
                N_LATENTS if branch.position == "latent" else D_HIDDEN,
                branch.width,
                generator_for(seed, "sae", branch.position, branch.width),
            )
            for branch in self.branches
        )

    def encode(self, images: Float[Tensor, "B C 64 64"], k: int) -> Encoding:
        """Return posterior and branch outputs with at most k active units per image and branch."""
        hidden = self.vae.hidden(images)
        if self.branches[0].position == "in_path":
            output = self._branch(0, hidden, hidden.detach(), k)
            return Encoding(*self.vae.posterior(output.reconstruction), (output,))
        mean, log_variance = self.vae.posterior(hidden)
        outputs = []
        for number, branch in enumerate(self.branches):
            inputs = (mean if branch.position == "latent" else hidden).detach()
            outputs.append(self._branch(number, inputs, inputs, k))
        return Encoding(mean, log_variance, tuple(outputs))

    def _branch(self, number: int, inputs: Tensor, target: Tensor, k: int) -> BranchOutput:
        sae = self.saes[number]
        assert isinstance(sae, SparseAutoencoder)
        relu_code = sae.relu_code(inputs)
        code = top_k(relu_code, k)
        return BranchOutput(target, relu_code, code, sae.decode(code))

    def mean_through_code(self, encoding: Encoding, number: int) -> Float[Tensor, "B 10"]:
        """Return the latent mean when the decoder must read branch `number`'s reconstruction."""
        reconstruction = encoding.branches[number].reconstruction
        match self.branches[number].position:
            case "latent":
                return reconstruction
            case "beside":
                return self.vae.posterior(reconstruction)[0]
        return encoding.mean  # in_path: the decoder reads the code anyway

    def losses(
        self,
        images: Float[Tensor, "B C 64 64"],
        k: int,
        noise: Float[Tensor, "B 10"],
    ) -> tuple[Elbo, Float[Tensor, " n_branches"]]:
        """Return the ELBO's parts and every branch's fraction of variance unexplained.

        The latter carries gradients for side branches only.
        """
        encoding = self.encode(images, k)
        latents = sample_latents(encoding.mean, encoding.log_variance, noise)
        elbo = negative_elbo(self.vae.decode(latents), images, encoding.mean, encoding.log_variance)
        unexplained = torch.stack([output.unexplained() for output in encoding.branches])
        in_path = self.branches[0].position == "in_path"
        return elbo, unexplained.detach() if in_path else unexplained
