"""What an autoencoder says of a model: against its parts, and worked by hand."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from seethrough.data.labelled_images import LabelledImages
from seethrough.data.shapes3d_factors import FACTOR_NAMES, FACTOR_SIZES
from seethrough.kernels.ragged_code import RaggedCode
from seethrough.neurons.selected_mean import selected_mean
from seethrough.sae.activation_pool import activation_pool
from seethrough.sae.latent_ablation import latent_ablation_impact
from seethrough.sae.latent_codes import latent_codes
from seethrough.sae.latent_importance import latent_importance, top_latents
from seethrough.sae.latent_metrics import latent_metrics
from seethrough.sae.modal_class_purity import modal_class_purity
from seethrough.sae.monosemanticity import monosemanticity
from seethrough.sae.residual_site import last_block_site
from seethrough.sae.sparse_autoencoder import SparseAutoencoder
from seethrough.sae.topk import TopK
from seethrough.studies import sae_scores as module
from seethrough.studies.read_again import ReadAgain
from seethrough.studies.sae_scores import (
    PER_CLASS_METRICS,
    SELECTIONS,
    Evaluation,
    factor_numbers,
    frequent_latents,
    known_factors,
    random_latents,
    sae_scores,
)

N = 24


class Noise(LabelledImages):
    """Random images of five classes; class 3 has none."""

    name = "noise"
    class_names = tuple("abcde")
    image_shape = (3, 16, 16)

    def __init__(self) -> None:
        self.labels = torch.tensor([0, 1, 2, 4]).repeat(N // 4)
        self.all = torch.randn(N, 3, 16, 16, generator=torch.Generator().manual_seed(0))

    def images(self, index: Tensor) -> Tensor:
        return self.all[index]


@pytest.fixture(scope="module")
def sae() -> SparseAutoencoder:
    return SparseAutoencoder(32, 96, TopK(k=8), torch.Generator().manual_seed(0)).eval()


@pytest.fixture
def on(tiny_vit: Callable[..., Any], sae: SparseAutoencoder) -> Evaluation:
    model, site = tiny_vit(), last_block_site(tiny_vit())
    images = ReadAgain(Noise(), torch.arange(N), 10, "cpu")
    pool = activation_pool(model, images, site, N)
    sae.standardisation.measure(pool.inputs)
    generator = torch.Generator().manual_seed(1)
    columns = [torch.randint(size, (N,), generator=generator) for size in FACTOR_SIZES]
    return Evaluation(
        model=model, site=site, images=images, inputs=pool.inputs,
        factors=torch.stack(columns, dim=1), class_images=images, class_inputs=pool.inputs,
        class_labels=pool.labels, embeddings=torch.randn(N, 7, generator=generator), n_classes=5,
    )  # fmt: skip


def test_scores_are_those_of_their_parts(sae: SparseAutoencoder, on: Evaluation) -> None:
    found = sae_scores(sae, on, n_latents=5, n_highest=3, seed=0)
    assert set(found.per_class) == {(m, s) for m in PER_CLASS_METRICS for s in SELECTIONS}
    code, labels = latent_codes(sae, on.class_inputs), on.class_labels
    importance = latent_importance(on.model, sae, on.site, on.class_images, 5)
    top = top_latents(importance, 5)
    dense = code.dense()
    metrics = latent_metrics(code, labels, top)
    impact = latent_ablation_impact(on.model, sae, on.site, on.class_images, top)
    expected = {
        "impact": impact,
        "selectivity": metrics.selectivity,
        "variance": metrics.class_variance,
        "entropy": metrics.label_entropy,
        "monosemanticity": selected_mean(monosemanticity(dense, on.embeddings)[None], top),
        "purity": selected_mean(modal_class_purity(dense, labels, 5, 3)[None], top),
    }
    present = torch.tensor([True, True, True, False, True])
    for metric, values in expected.items():
        own = found.per_class[metric, "top"]
        assert own[~present].isnan().all()
        assert torch.allclose(own[present], values[present], equal_nan=True)
    numbers = found.numbers
    assert numbers["nmse"] == pytest.approx(1 - numbers["fve"])
    assert numbers["l0"] == pytest.approx(8)
    assert numbers["dead"] == pytest.approx(1 - numbers["active"] / 96)
    assert numbers["top_latents"] == top[present].sum() / 4
    assert {f"follows_{name}" for name in FACTOR_NAMES} <= set(numbers)


def test_blocks_of_latents_and_all_at_once_agree(
    sae: SparseAutoencoder, on: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = sae_scores(sae, on, n_latents=5, n_highest=3, seed=0).per_class
    monkeypatch.setattr(module, "MAX_DENSE", 3 * N)
    parts = sae_scores(sae, on, n_latents=5, n_highest=3, seed=0).per_class
    for place, values in whole.items():
        assert torch.allclose(parts[place], values, equal_nan=True)


def test_without_factors_there_are_no_numbers_of_factors(
    sae: SparseAutoencoder, on: Evaluation
) -> None:
    # More latents and images wanted than there are: all of them.
    found = sae_scores(sae, replace(on, factors=None), n_latents=1000, n_highest=1000, seed=0)
    assert not [name for name in found.numbers if "factor" in name or "follows" in name]


def test_an_autoencoder_that_is_always_silent(sae: SparseAutoencoder, on: Evaluation) -> None:
    silent = SparseAutoencoder(32, 96, TopK(k=8), torch.Generator()).eval()
    silent.standardisation.measure(on.inputs)
    with torch.no_grad():
        silent.dictionary.b_enc.fill_(-1e9)
    found = sae_scores(silent, on, n_latents=5, n_highest=3, seed=0)
    assert found.numbers["active"] == found.numbers["l0"] == found.numbers["frequent"] == 0
    assert found.numbers["dead"] == 1
    assert math.isnan(found.numbers["factor_best"])
    assert math.isnan(found.numbers["one_factor_latents"])
    assert found.per_class["impact", "top"].nan_to_num().eq(0).all()
    assert found.per_class["monosemanticity", "random"].isnan().all()


def test_random_latents_are_active_ones() -> None:
    latents = torch.tensor([1, 4, 1, 5])
    code = RaggedCode(torch.tensor([0, 2, 4]), latents, torch.ones(4), 8)
    drawn = random_latents(code, 2, 50, torch.Generator().manual_seed(0))
    assert drawn.sum(1).tolist() == [2] * 50
    assert drawn.any(0).nonzero()[:, 0].tolist() == [1, 4, 5]
    every = random_latents(code, 8, 2, torch.Generator())
    assert every.sum(1).tolist() == [3, 3]


def dense_code(columns: Tensor) -> RaggedCode:
    rows, latents = columns.nonzero().T
    starts = torch.cat([torch.zeros(1, dtype=torch.int64), (columns > 0).sum(1).cumsum(0)])
    return RaggedCode(starts, latents, columns[rows, latents], columns.shape[1])


def test_information_of_being_active_worked_by_hand() -> None:
    factors = torch.tensor([[0, 0], [0, 1], [1, 0], [1, 1]])
    # The first is active for class 1 of the first factor, the second on one image of four.
    columns = torch.tensor([[0.0, 0.0], [0.0, 0.0], [2.0, 0.0], [5.0, 1.0]])
    found = known_factors(dense_code(columns), torch.tensor([0, 1]), factors)
    # H(1/4) = 0.5623, and the information on either factor is H(1/4) - H(1/2) / 2.
    own = -(0.25 * math.log(0.25) + 0.75 * math.log(0.75))
    share = (own - 0.5 * math.log(2)) / own
    expected = torch.tensor([[1.0, 0.0], [share, share]], dtype=torch.float64)
    assert torch.allclose(found.normalised, expected)


def test_frequent_latents() -> None:
    columns = torch.zeros(1200, 4)
    columns[:12, 0] = 1.0  # one in a hundred
    columns[:11, 1] = 1.0
    columns[:, 2] = 1.0  # always: it tells nothing
    columns[:1199, 3] = 1.0
    assert frequent_latents(dense_code(columns)).tolist() == [0, 3]
    assert frequent_latents(dense_code(columns[:900])).tolist() == [0, 1]
    assert frequent_latents(dense_code(columns[:9])).tolist() == []


def test_latents_that_follow_a_factor_are_counted(
    sae: SparseAutoencoder, on: Evaluation, monkeypatch: pytest.MonkeyPatch
) -> None:
    factors = on.factors
    assert factors is not None
    shape = factors[:, FACTOR_NAMES.index("shape")]
    columns = torch.stack([(shape == 1).float(), (shape > 1).float()], dim=1)
    monkeypatch.setattr(module, "latent_codes", lambda *_: dense_code(columns))
    monkeypatch.setattr(module, "FREQUENT_COUNT", 1)
    numbers = factor_numbers(sae, on.inputs, factors, seed=0)
    assert numbers["frequent"] == 2
    assert numbers["factor_best"] == pytest.approx(1.0)
    assert numbers["follows_shape"] == numbers["one_factor_latents"]
    assert numbers["factor_best_shuffled"] < 0.9
    assert numbers["follows_scale"] == 0
