"""Gradients by latent: what the kernel cuts and joins. Values: the tests of the three functions."""

import pytest
import torch
from torch import Tensor

from seethrough.kernels.latent_gradients import latent_gradients, sampled_products
from seethrough.kernels.ragged_code import RaggedCode

CODE = RaggedCode(torch.tensor([0, 2, 3]), torch.tensor([0, 2, 2]), torch.tensor([2.0, 3, 5]), 3)
G = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
X = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
W = torch.tensor([[1.0, 0.0], [9.0, 9.0], [0.0, 1.0]])
H = torch.tensor([10.0, 20.0, 30.0])


def test_by_hand() -> None:
    # Entries (0, 0), (0, 2), (1, 2). G . W is 1, 2, 4; with H dz is 11, 22, 34.
    # dW_dec: latent 0 is 2 G_0; latent 2 is 3 G_0 + 5 G_1 = (18, 26).
    # dW_enc: latent 0 is 11 X_0; latent 2 is 22 X_0 + 34 X_1 = (56, 34). db: 11 and 22 + 34.
    found = latent_gradients(CODE, value_gradient=H, output_gradient=G, W_dec=W, inputs=X)
    assert found.values.tolist() == [11.0, 22.0, 34.0]
    assert found.W_dec is not None
    assert found.W_dec.tolist() == [[2.0, 4.0], [0.0, 0.0], [18.0, 26.0]]
    assert found.W_enc is not None
    assert found.W_enc.tolist() == [[11.0, 0.0], [0.0, 0.0], [56.0, 34.0]]
    assert found.b_enc is not None
    assert found.b_enc.tolist() == [11.0, 0.0, 56.0]
    assert H.tolist() == [10.0, 20.0, 30.0]


def test_decoder_or_encoder_alone() -> None:
    decoder = latent_gradients(CODE, output_gradient=G, W_dec=W)
    assert decoder.values.tolist() == [1.0, 2.0, 4.0]
    assert decoder.W_enc is decoder.b_enc is None
    encoder = latent_gradients(CODE, value_gradient=H, inputs=X)
    assert encoder.values.tolist() == H.tolist()
    assert encoder.W_dec is None
    assert encoder.b_enc is not None
    assert encoder.b_enc.tolist() == [10.0, 0.0, 50.0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_products_equal_the_dense_product_at_the_entries(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    kept = torch.rand(30, 40, generator=generator) < 0.4  # 480 entries: two blocks in bfloat16
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), kept.sum(1).cumsum(0)])
    values = torch.full((int(kept.sum()),), torch.nan, dtype=dtype)  # not read
    code = RaggedCode(starts, kept.nonzero()[:, 1], values, 40)
    left = torch.randn(30, 5, generator=generator).to(dtype)
    right = torch.randn(40, 5, generator=generator).to(dtype)
    exact = (left.double() @ right.double().T)[kept]
    found = sampled_products(code, left, right)
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), exact, rtol=0, atol=40 * torch.finfo(dtype).eps)


def test_half_precision_bias_sums_many_small_terms() -> None:
    # A running sum in bfloat16 would stop at 256: 256 + 1 rounds to 256.
    n = 1000
    ones = torch.ones(n, 1, dtype=torch.bfloat16)
    starts, latents = torch.arange(n + 1), torch.zeros(n, dtype=torch.int64)
    code = RaggedCode(starts, latents, ones[:, 0], 1)
    found = latent_gradients(code, value_gradient=ones[:, 0], inputs=ones)
    assert found.b_enc is not None
    assert found.b_enc.tolist() == [1000.0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"inputs": X}, "value_gradient or output_gradient must be given, got neither"),
        ({"output_gradient": G}, "output_gradient and W_dec must be given together"),
        ({"W_dec": W, "value_gradient": H}, "output_gradient and W_dec must be given together"),
    ],
)
def test_missing_halves_are_refused(given: dict[str, Tensor], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        latent_gradients(CODE, **given)


def test_pieces_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    # Latents with 0, 7, 3 and 4 entries in pieces of 3: latent 1 is 0-3, 3-6, 6-7 (two extra),
    # latent 2 is 7-10, latent 3 is 10-13, 13-14 (one extra). Room is 14 // 3 = 4 extra pieces.
    pytest.importorskip("triton")
    from seethrough.kernels import latent_gradients_triton as kernel

    monkeypatch.setattr(kernel, "PIECE", 3)
    pieces = kernel.cut_into_pieces(torch.tensor([0, 0, 7, 10, 14]), 14)
    assert pieces.extra_starts.tolist() == [0, 0, 2, 2, 3]
    assert pieces.latents.tolist()[:-1] == [0, 1, 2, 3, 1, 1, 3]
    assert pieces.firsts.tolist()[:-1] == [0, 0, 7, 10, 3, 6, 13]
    assert pieces.lasts.tolist()[:-1] == [0, 3, 10, 13, 6, 7, 14]
    assert pieces.lasts[-1] <= pieces.firsts[-1]  # not needed, so empty
    assert 0 <= int(pieces.latents[-1]) < 4


@pytest.mark.skipif(torch.cuda.is_available(), reason="with a card kernels are not interpreted")
@pytest.mark.parametrize("parts", ["both", "decoder", "encoder"])
@pytest.mark.parametrize("piece", [1, 2, 5])
def test_long_latents_are_cut_and_joined(
    parts: str, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("triton")
    from seethrough.kernels import latent_gradients_triton as kernel

    generator = torch.Generator().manual_seed(0)
    kept = torch.rand(9, 4, generator=generator) < torch.tensor([0.0, 0.9, 0.3, 0.6])
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), kept.sum(1).cumsum(0)])
    values, h = torch.randn(2, int(kept.sum()), generator=generator).double()
    code = RaggedCode(starts, kept.nonzero()[:, 1], values, 4)
    W_dec = torch.randn(4, 5, generator=generator).double()
    g, x = torch.randn(2, 9, 5, generator=generator).double()
    given = {
        "both": {"value_gradient": h, "output_gradient": g, "W_dec": W_dec, "inputs": x},
        "decoder": {"output_gradient": g, "W_dec": W_dec},
        "encoder": {"value_gradient": h, "inputs": x},
    }[parts]
    expected = latent_gradients(code, **given)
    monkeypatch.setattr(kernel, "PIECE", piece)
    monkeypatch.setattr("seethrough.kernels.latent_gradients.takes_triton", lambda device: True)
    found = latent_gradients(code, **given)
    for name in ("values", "W_dec", "W_enc", "b_enc"):
        assert (getattr(found, name) is None) == (getattr(expected, name) is None)
        if getattr(found, name) is not None:
            torch.testing.assert_close(
                getattr(found, name), getattr(expected, name), rtol=1e-13, atol=1e-13
            )
