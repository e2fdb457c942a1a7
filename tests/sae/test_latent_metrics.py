"""Latent metrics: the neurons' functions on the dense code, block by block, and empty choices."""

import importlib

import pytest
import torch

from seethrough.neurons.class_selectivity import class_selectivity
from seethrough.neurons.class_variance import class_variance
from seethrough.neurons.label_entropy import label_entropy
from seethrough.neurons.selected_mean import selected_mean
from seethrough.sae.latent_codes import latent_codes
from seethrough.sae.latent_metrics import latent_metrics

module = importlib.import_module("seethrough.sae.latent_metrics")

LABELS = torch.arange(40) % 4


@pytest.mark.parametrize("max_dense", [1, 200, 1 << 20])
def test_equals_the_neurons_metrics_on_the_dense_code(
    make_sae, sparse_inputs, monkeypatch, max_dense
):
    monkeypatch.setattr(module, "MAX_DENSE", max_dense)
    code = latent_codes(make_sae(6, 24), sparse_inputs(40))
    selected = torch.rand(4, 24, generator=torch.Generator().manual_seed(0)) < 0.3
    selected[2] = False
    found, dense = latent_metrics(code, LABELS, selected), code.dense()
    expected = {
        "selectivity": class_selectivity(dense, LABELS, 4),
        "class_variance": class_variance(dense, LABELS, 4),
        "label_entropy": label_entropy(dense, LABELS, 4)[None],
    }
    for name, table in expected.items():
        per_class = selected_mean(table, selected)
        torch.testing.assert_close(getattr(found, name), per_class, equal_nan=True)
        assert per_class.isnan().tolist() == [False, False, True, False]


def test_no_selection_gives_nan(make_sae, sparse_inputs):
    code = latent_codes(make_sae(6, 24), sparse_inputs(40))
    found = latent_metrics(code, LABELS, torch.zeros(4, 24, dtype=torch.bool))
    assert bool(found.selectivity.isnan().all())
    with pytest.raises(ValueError, match="labels are 0 to 3, allowed is 0 to 2"):
        latent_metrics(code, LABELS, torch.zeros(3, 24, dtype=torch.bool))


def test_a_dead_latent_is_chance_and_nothing_else(make_sae, sparse_inputs):
    sae = make_sae(6, 24)
    with torch.no_grad():
        sae.dictionary.b_enc[5] = -1e6
    selected = torch.zeros(4, 24, dtype=torch.bool)
    selected[0, 5] = True
    found = latent_metrics(latent_codes(sae, sparse_inputs(40)), LABELS, selected)
    assert float(found.selectivity[0]) == 0.5
    assert bool(found.class_variance[0].isnan())
    assert bool(found.label_entropy[0].isnan())
