from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from seethrough.sae.batch_topk import BatchTopK
from seethrough.sae.sparse_autoencoder import Method, SparseAutoencoder


@pytest.fixture
def labelled_batches() -> Callable[..., list[tuple[Tensor, Tensor]]]:
    """Return a maker of batches of random images, with given labels."""

    def make(
        labels: list[int], *, batch_size: int = 4, seed: int = 0, dtype: torch.dtype = torch.float32
    ) -> list[tuple[Tensor, Tensor]]:
        generator = torch.Generator().manual_seed(seed)
        images = torch.randn(len(labels), 3, 16, 16, generator=generator).to(dtype)
        return list(
            zip(images.split(batch_size), torch.tensor(labels).split(batch_size), strict=True)
        )

    return make


@pytest.fixture
def make_sae() -> Callable[..., SparseAutoencoder]:
    """Return a maker of autoencoders whose every weight, bias and threshold matters."""

    def make(
        d_input: int = 32,
        width: int = 96,
        method: Method | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> SparseAutoencoder:
        generator = torch.Generator().manual_seed(5)
        sae = SparseAutoencoder(d_input, width, method or BatchTopK(k=4), generator).to(dtype)
        with torch.no_grad():
            for parameter in sae.dictionary.parameters():
                parameter += 0.1 * torch.randn(parameter.shape, generator=generator).to(dtype)
            sae.dictionary.W_dec /= sae.dictionary.W_dec.norm(dim=1, keepdim=True)
            sae.standardisation.mean.copy_(torch.randn(d_input, generator=generator))
            sae.standardisation.scale.fill_(1.5)
            for name, tensor in sae.rule.state_dict().items():
                if name == "threshold":
                    tensor.fill_(0.4)
                elif name == "jump.log_threshold":
                    tensor.copy_(torch.randn(width, generator=generator) - 1)
        return sae.eval()

    return make


@pytest.fixture
def sparse_inputs() -> Callable[..., Tensor]:
    """Return a maker of inputs that are sums of few of 12 directions, and a little noise."""

    def make(n: int = 96, d_input: int = 6, seed: int = 0) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        directions = torch.randn(12, d_input, generator=torch.Generator().manual_seed(9))
        active = torch.rand(n, 12, generator=generator) < 0.15
        strengths = 1 + torch.rand(n, 12, generator=generator)
        noise = 0.05 * torch.randn(n, d_input, generator=generator)
        return (active * strengths) @ directions + noise + 3.0

    return make
