"""The dictionary: its tied start, its two maps, and codes above a threshold."""

import pytest
import torch

from seethrough.sae.dictionary import Dictionary, code_above


def test_the_start_is_tied_and_of_unit_norm():
    dictionary = Dictionary(5, 12, torch.Generator().manual_seed(0))
    assert dictionary.width == 12
    assert torch.equal(dictionary.W_enc, dictionary.W_dec)
    assert dictionary.W_enc.data_ptr() != dictionary.W_dec.data_ptr()
    torch.testing.assert_close(dictionary.W_dec.norm(dim=1), torch.ones(12))
    assert not dictionary.b_enc.any()
    assert not dictionary.b_dec.any()
    again = Dictionary(5, 12, torch.Generator().manual_seed(0))
    other = Dictionary(5, 12, torch.Generator().manual_seed(1))
    assert torch.equal(dictionary.W_dec, again.W_dec)
    assert not torch.equal(dictionary.W_dec, other.W_dec)


def test_by_hand():
    # a = W_enc (y - b_dec) + b_enc: y - b_dec = (2, 1), so (2, 1, 3) + (0, 0, 0.5).
    dictionary = Dictionary(2, 3, torch.Generator())
    with torch.no_grad():
        dictionary.W_enc.copy_(torch.tensor([[1.0, 0], [0, 1], [1, 1]]))
        dictionary.W_dec.copy_(torch.tensor([[1.0, 0], [0, 1], [0.6, 0.8]]))
        dictionary.b_enc.copy_(torch.tensor([0.0, 0, 0.5]))
        dictionary.b_dec.copy_(torch.tensor([1.0, -1]))
        activations = dictionary.pre_activations(torch.tensor([[3.0, 0.0]]))
        assert activations.tolist() == [[2.0, 1.0, 3.5]]
        code = code_above(activations, torch.tensor(1.0))  # 1 is not above 1
        assert code.dense().tolist() == [[2.0, 0.0, 3.5]]
        # (2, 0) + 3.5 (0.6, 0.8) + (1, -1)
        torch.testing.assert_close(dictionary.decode(code.dense()), torch.tensor([[5.1, 1.8]]))
        torch.testing.assert_close(dictionary.decode_ragged(code), torch.tensor([[5.1, 1.8]]))


def test_each_latent_may_have_its_threshold():
    activations = torch.tensor([[1.0, 1.0, -1.0], [0.0, 3.0, torch.inf]])
    code = code_above(activations, torch.tensor([0.0, 2.0, 0.0]))
    assert code.dense().tolist() == [[1, 0, 0], [0, 3, torch.inf]]
    assert code.row_starts.tolist() == [0, 1, 3]


def test_nothing_above_is_an_empty_code_and_nan_is_refused():
    code = code_above(-torch.ones(2, 3), torch.tensor(0.0))
    assert len(code.values) == 0
    assert code.dense().tolist() == [[0, 0, 0], [0, 0, 0]]
    with pytest.raises(ValueError, match="NaN"):
        code_above(torch.tensor([[1.0, torch.nan]]), torch.tensor(0.0))
