"""The SAELens format: its plain formulas on raw activations, files there and back, foreign ones."""

import json

import pytest
import torch
from safetensors.torch import load_file

from seethrough.sae.batch_topk import BatchTopK
from seethrough.sae.export_saelens import export_saelens, read_saelens, saelens_weights
from seethrough.sae.jump_relu import JumpReLU
from seethrough.sae.l1 import L1
from seethrough.sae.topk import TopK

METHODS = [
    (BatchTopK(k=3), "jumprelu"),
    (JumpReLU(k=3), "jumprelu"),
    (TopK(k=3), "topk"),
    (L1(coefficient=0.1), "standard"),
]


@pytest.mark.parametrize(("method", "architecture"), METHODS)
def test_round_trip_and_plain_formula(make_sae, sparse_inputs, tmp_path, method, architecture):
    sae, inputs = make_sae(6, 24, method), sparse_inputs(20)
    export_saelens(sae, tmp_path / "sae", "tiny", "blocks.2.class")
    config = json.loads((tmp_path / "sae" / "cfg.json").read_text())
    weights = load_file(tmp_path / "sae" / "sae_weights.safetensors")
    assert config["architecture"] == architecture
    assert (config["d_in"], config["d_sae"]) == (6, 24) == weights["W_enc"].shape
    assert config["metadata"]["hook_name"] == "blocks.2.class"
    # the format's formulas, on raw activations
    activations = (inputs - weights["b_dec"]) @ weights["W_enc"] + weights["b_enc"]
    code = activations.relu()
    if architecture == "jumprelu":
        assert weights["threshold"].shape == (24,)
        code = code * (activations > weights["threshold"])
    if architecture == "topk":
        code = torch.zeros_like(code).scatter(1, code.topk(config["k"]).indices, 1) * code
    torch.testing.assert_close(code, sae.encode_dense(inputs), rtol=1e-5, atol=1e-5)
    output = code @ weights["W_dec"] + weights["b_dec"]
    torch.testing.assert_close(output, sae(inputs), rtol=1e-5, atol=1e-5)
    # our reader
    found = read_saelens(tmp_path / "sae")
    assert found.architecture == architecture
    torch.testing.assert_close(found.encode(inputs), code)
    torch.testing.assert_close(found.decode(found.encode(inputs)), output)
    for name, tensor in weights.items():
        assert torch.equal(getattr(saelens_weights(sae), name), tensor)


def test_all_thresholds_of_batch_topk_are_alike(make_sae):
    weights = saelens_weights(make_sae(6, 24))
    torch.testing.assert_close(weights.threshold, torch.full((24,), 0.4))
    assert weights.k is None


def test_foreign_files_with_other_formulas_are_refused(make_sae, tmp_path):
    export_saelens(make_sae(6, 24), tmp_path, "tiny", "blocks.2.class")
    path = tmp_path / "cfg.json"
    config = json.loads(path.read_text())
    for field, value, allowed in (
        ("architecture", "gated", "standard, jumprelu, topk"),
        ("normalize_activations", "layer_norm", '"none"'),
        ("apply_b_dec_to_input", False, "true"),
        ("rescale_acts_by_decoder_norm", True, "false"),
    ):
        path.write_text(json.dumps(config | {field: value}))
        with pytest.raises(ValueError, match=f"{field} is {value!r}, allowed (is|are) {allowed}"):
            read_saelens(tmp_path)
    # fields that the reader does not use may be there or not
    path.write_text(json.dumps({"architecture": "jumprelu", "more": 1}))
    assert read_saelens(tmp_path).threshold is not None
