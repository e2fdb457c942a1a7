import pytest
import torch

from seethrough.autoencoders.aligned import AlignedEncoder, FreeEncoder
from seethrough.training.initialise import generator_for


def test_a_unit_reads_its_own_decoder_row_as_1() -> None:
    generator = generator_for(0)
    W_enc, W_dec = (torch.randn(7, 5, generator=generator) for _ in range(2))
    rows = AlignedEncoder().rows(W_enc, W_dec)
    torch.testing.assert_close((rows * W_dec).sum(1), torch.ones(7))
    for row, own in zip(rows, W_enc, strict=True):  # only the length changes, or the sign
        assert abs(float(torch.cosine_similarity(row, own, dim=0))) == pytest.approx(1)


def test_products_near_0_stay_finite_and_keep_their_sign() -> None:
    W_enc = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    W_dec = torch.tensor([[0.0, 1.0], [-1e-9, 1.0], [1e-9, 1.0]])
    assert AlignedEncoder().rows(W_enc, W_dec)[:, 0].tolist() == pytest.approx([1e3, -1e3, 1e3])


def test_a_free_encoder_is_its_parameter() -> None:
    W_enc = torch.ones(2, 3)
    assert FreeEncoder().rows(W_enc, torch.zeros(2, 3)) is W_enc
