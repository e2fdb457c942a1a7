from dataclasses import replace
from typing import Any

import pytest
import torch

from seethrough.performance.dense_sae_step import sample_activations
from seethrough.results import StudyResult
from seethrough.sae.batch_topk import BatchTopK
from seethrough.sae.sae_config import SAEConfig
from seethrough.sae.train_sae import initial_state
from seethrough.store import ArtifactStore
from seethrough.studies import performance as study
from seethrough.studies.performance import EQUAL_TO, Parameters

TINY = Parameters(batch_size=16, d_input=8, expansion=4, k=3, rounds=1)


@pytest.fixture(scope="module")
def result(store: ArtifactStore) -> StudyResult:
    return study.run(TINY, store)


def test_both_steps_are_equal(result: StudyResult) -> None:
    errors = {row.id: row.mean for row in result.rows if row.id.startswith("error/")}
    assert set(errors) == {f"error/{name}" for name in ("loss", "W_enc", "b_enc", "W_dec", "b_dec")}
    assert max(errors.values()) < EQUAL_TO


def test_ratios_follow_from_times(result: StudyResult) -> None:
    time = {
        name: result.row(f"time/{name}").mean
        for name in ("ours", "ours_bfloat16", "dense", "product")
    }
    assert min(time.values()) > 0
    ratio = {
        name: result.row(f"ratio/{name}").mean
        for name in ("dense_over_ours", "dense_over_ours_bfloat16", "ours_over_product")
    }
    assert ratio["dense_over_ours"] == pytest.approx(time["dense"] / time["ours"])
    assert ratio["dense_over_ours_bfloat16"] == pytest.approx(time["dense"] / time["ours_bfloat16"])
    assert ratio["ours_over_product"] == pytest.approx(time["ours"] / time["product"])


def test_a_wrong_step_is_noticed() -> None:
    config = SAEConfig(method=BatchTopK(k=3), expansion=4)
    state, batch = initial_state(config, 8), sample_activations(16, 8, 0)
    assert max(study.differences(state, batch, 3).values()) < EQUAL_TO
    state.sae.dictionary.zero_grad()
    assert max(study.differences(state, batch, 4).values()) > EQUAL_TO  # one latent more


def test_nothing_is_timed_that_is_not_equal(
    store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "differences", lambda *_: {"loss": 0.0, "W_dec": 0.5})
    with pytest.raises(ValueError, match="^W_dec differs by 5.0e-01, allowed is 1e-04$"):
        study.measure(TINY, store)


def test_threads_are_put_back(store: ArtifactStore) -> None:
    before = torch.get_num_threads()
    study.measure(replace(TINY, threads=2), store)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rounds": 0}, "^rounds is 0, allowed is at least 1"),
        ({"seed": -1}, "^seed is -1, allowed is at least 0"),
        ({"device": "tpu"}, "^device is 'tpu'"),
    ],
)
def test_bad_parameters_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Parameters(**changes)


def test_more_active_latents_than_there_are_is_refused(store: ArtifactStore) -> None:
    with pytest.raises(ValueError, match="^k is 33, .* at most the dictionary's 32 latents"):
        study.measure(replace(TINY, k=33), store)
