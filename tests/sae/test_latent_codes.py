"""Codes of an evaluation set: batches joined, and columns of some latents."""

import importlib

import torch

from seethrough.sae.latent_codes import latent_codes, latent_columns

module = importlib.import_module("seethrough.sae.latent_codes")


def test_joins_batches(make_sae, sparse_inputs, monkeypatch):
    sae, inputs = make_sae(6, 24), sparse_inputs(20)
    expected = sae.encode(inputs)
    monkeypatch.setattr(module, "BATCH", 7)
    found = latent_codes(sae, inputs)
    assert torch.equal(found.row_starts, expected.row_starts)
    assert torch.equal(found.latents, expected.latents)
    torch.testing.assert_close(found.values, expected.values)
    assert found.width == 24


def test_columns_are_those_of_the_dense_code(make_sae, sparse_inputs):
    code = latent_codes(make_sae(6, 24), sparse_inputs(20))
    for latents in ([5, 0, 23], [], list(range(24))):
        found = latent_columns(code, torch.tensor(latents, dtype=torch.int64))
        assert torch.equal(found, code.dense()[:, latents])
