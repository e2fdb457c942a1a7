"""The autoencoder as a whole: raw units in and out, every method, files."""

import pytest
import torch

from seethrough.sae.batch_topk import BatchTopK
from seethrough.sae.jump_relu import JumpReLU
from seethrough.sae.l1 import L1
from seethrough.sae.sparse_autoencoder import (
    SparseAutoencoder,
    load_autoencoder,
    save_autoencoder,
)
from seethrough.sae.topk import TopK

METHODS = [BatchTopK(k=3), TopK(k=3), L1(coefficient=0.1), JumpReLU(k=3)]


@pytest.mark.parametrize("method", METHODS)
def test_the_formula(make_sae, sparse_inputs, method):
    sae, inputs = make_sae(6, 24, method, torch.float64), sparse_inputs(20).double()
    mean, scale = sae.standardisation.mean, sae.standardisation.scale
    dictionary = sae.dictionary
    code = sae.encode_dense(inputs)
    assert bool((code >= 0).all())
    assert 0 < float((code > 0).sum(1).double().mean()) < 24
    # every active entry is its own pre-activation
    activations = ((inputs - mean) / scale - dictionary.b_dec) @ dictionary.W_enc.T
    activations += dictionary.b_enc
    assert torch.allclose(code[code > 0], activations[code > 0])
    expected = scale * (code @ dictionary.W_dec + dictionary.b_dec) + mean
    torch.testing.assert_close(sae(inputs), expected.detach())
    torch.testing.assert_close(sae.decode(sae.encode(inputs)), expected.detach())
    written = scale * (code @ dictionary.W_dec)
    torch.testing.assert_close(sae.contribution(sae.encode(inputs)), written.detach())


def test_other_precisions_are_cast_and_nan_is_refused(make_sae, sparse_inputs):
    sae, inputs = make_sae(6, 24), sparse_inputs(20)
    assert torch.equal(sae.encode_dense(inputs.double()), sae.encode_dense(inputs))
    inputs[4, 2] = torch.nan
    for method in METHODS:
        with pytest.raises(ValueError, match="NaN"):
            make_sae(6, 24, method).encode(inputs)


def test_a_latent_that_never_fires_writes_nothing(make_sae, sparse_inputs):
    sae, inputs = make_sae(6, 24), sparse_inputs(20)
    with torch.no_grad():
        sae.dictionary.b_enc[7] = -1e6
    before = sae(inputs)
    assert not sae.encode_dense(inputs)[:, 7].any()
    with torch.no_grad():
        sae.dictionary.W_dec[7] = 1e6
    assert torch.equal(sae(inputs), before)


def test_no_inputs_give_no_outputs(make_sae):
    sae = make_sae(6, 24)
    assert sae(torch.empty(0, 6)).shape == (0, 6)
    assert sae.encode(torch.empty(0, 6)).n_rows == 0


@pytest.mark.parametrize("method", METHODS)
def test_files_give_back_the_same_bytes(make_sae, sparse_inputs, method, tmp_path):
    sae, inputs = make_sae(6, 24, method), sparse_inputs(20)
    path = tmp_path / "folder" / "model.safetensors"
    save_autoencoder(sae, path)
    found = load_autoencoder(method, path)
    assert not found.training
    for name, tensor in sae.state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor), name
    assert torch.equal(found(inputs), sae(inputs))


def test_refuses_a_file_of_another_method_and_a_width_below_k(make_sae, tmp_path):
    path = tmp_path / "model.safetensors"
    save_autoencoder(make_sae(6, 24, JumpReLU(k=3)), path)
    with pytest.raises(ValueError, match="allowed for BatchTopK are"):
        load_autoencoder(BatchTopK(k=3), path)
    generator = torch.Generator().manual_seed(0)
    state = generator.get_state()
    for method in (BatchTopK(k=25), TopK(k=25), JumpReLU(k=25)):
        with pytest.raises(ValueError, match="k is 25, .* at most the dictionary's 24 latents"):
            SparseAutoencoder(6, 24, method, generator)
    assert torch.equal(generator.get_state(), state)  # before any work
    with pytest.raises(ValueError, match="width is 0, allowed is at least 1 latent"):
        SparseAutoencoder(6, 0, L1(coefficient=0.1), generator)
