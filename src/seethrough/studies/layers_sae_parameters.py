"""Parameters of the study of sparse autoencoders, and what they say of its autoencoders.

The paper's k is a sixth of the model's width (128 of 768), which is 21 of 128 for the model of the
package. Its step size follows the paper's component, 2e-4 / sqrt(M / 2^14) for M latents, which is
4e-4 here; with hundreds of steps in place of ten thousands we take more.
"""

from dataclasses import dataclass

from seethrough.sae.batch_topk import BatchTopK
from seethrough.sae.jump_relu import JumpReLU
from seethrough.sae.l1 import L1
from seethrough.sae.sae_config import SAEConfig
from seethrough.sae.sparse_autoencoder import Method
from seethrough.sae.topk import TopK
from seethrough.studies.impact_models import ImpactParameters
from seethrough.training.checks import at_least, check_learning_rate

METHODS = ("topk", "l1", "jump_relu")
"""Methods that the dense model is measured with beside BatchTopK."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters(ImpactParameters):
    """Parameters of the study; the defaults are the `smoke` scale."""

    block: int = -1
    """Block after which the stream is read, from 0; -1 is the last one, as in the paper."""
    expansion: int = 8
    """Latents per feature of the stream; the paper has 32."""
    k: int = 21
    """Fixed k: active latents per image at which all models are compared."""
    ks: tuple[int, ...] = (11, 21)
    """Sweep of k, each once, with the fixed one among them."""
    methods: tuple[str, ...] = ()
    """Other methods for the dense model: topk, l1, jump_relu."""
    patches: bool = False
    """Whether the dense model's patches get an autoencoder too."""
    l1_coefficient: float = 0.02
    """Price of activity of the method l1; by trial; L0 falls as it rises."""
    n_pool: int = 256
    """Training images whose activations autoencoders learn from, the same for all models."""
    steps: int = 30
    """Training steps of each autoencoder whose method sets the count of active latents."""
    priced_steps: int = 30
    """The same for l1 and jump_relu, whose count settles by a price and takes longer."""
    sae_batch_size: int = 256
    """Activations per step."""
    sae_rate: float = 6e-3
    """Adam's step size at its highest."""
    n_classes: int = 4
    """Classes whose latents are looked at, spread evenly over all."""
    images_per_class: int = 4
    """Held-out images of each, or as many as there are."""
    n_latents: int = 50
    """Latents that are selected per class, or as many as there are."""
    n_highest: int = 4
    """Images on which a latent's modal class is taken, or as many as there are."""

    def __post_init__(self) -> None:
        # Explicit base: slots make a new class, which the zero-argument super() does not know.
        ImpactParameters.__post_init__(self)
        if self.block < -1:
            raise ValueError(f"block is {self.block}, allowed is -1 or one from 0")
        if len(set(self.ks)) < len(self.ks) or self.k not in self.ks:
            raise ValueError(f"ks is {self.ks}, allowed are distinct ones with k, {self.k}")
        for name in ("steps", "priced_steps", "n_pool", "n_latents", "n_highest"):
            at_least(name, getattr(self, name), 1)
        for name in ("n_classes", "images_per_class"):
            at_least(name, getattr(self, name), 2)
        for method in self.methods:
            if method not in METHODS or self.methods.count(method) > 1:
                raise ValueError(f"methods has {method!r}, allowed are {', '.join(METHODS)}, once")
        check_learning_rate(self.sae_rate)
        for name in ("batch_topk", *METHODS):
            for k in self.ks:
                self.training(self.method(name, k), 0)

    def method(self, name: str, k: int) -> Method:
        """Return a method that asks for k active latents, if it asks for a number at all."""
        if name == "l1":
            return L1(coefficient=self.l1_coefficient)
        if name == "topk":
            return TopK(k=k)
        if name == "jump_relu":
            return JumpReLU(k=k)
        # The threshold of inference is a mean over the last twentieth of the steps.
        return BatchTopK(k=k, threshold_decay=max(0.0, 1 - 20 / self.steps))

    def training(self, method: Method, seed: int) -> SAEConfig:
        """Return how an autoencoder is trained."""
        return SAEConfig(
            method=method,
            expansion=self.expansion,
            dead_after=5 * self.sae_batch_size,
            steps=self.priced_steps if isinstance(method, (L1, JumpReLU)) else self.steps,
            batch_size=self.sae_batch_size,
            learning_rate=self.sae_rate,
            seed=seed,
            device=self.device,
            threads=self.threads,
        )
