from collections.abc import Callable

import pytest
import torch


@pytest.fixture
def labelled_batches() -> Callable[..., list[tuple[torch.Tensor, torch.Tensor]]]:
    """Return a maker of batches of random images, with given labels."""

    def make(
        labels: list[int], *, batch_size: int = 4, seed: int = 0, dtype: torch.dtype = torch.float32
    ) -> list[tuple[torch.Tensor, torch.Tensor]]:
        generator = torch.Generator().manual_seed(seed)
        images = torch.randn(len(labels), 3, 16, 16, generator=generator).to(dtype)
        return list(
            zip(images.split(batch_size), torch.tensor(labels).split(batch_size), strict=True)
        )

    return make
