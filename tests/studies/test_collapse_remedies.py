from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import t as student_t  # type: ignore[import-untyped]

from seethrough.autoencoders.configuration import SAEConfig
from seethrough.autoencoders.mean_centring import MeanCentring
from seethrough.autoencoders.top_k import TopK
from seethrough.metrics.death_model import death_probability, mean_to_spread
from seethrough.metrics.linear_probe import linear_probe
from seethrough.metrics.specialised_units import specialised_units
from seethrough.metrics.train_test import halves
from seethrough.parameters import build, load
from seethrough.results import StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies import collapse_remedies as study
from seethrough.studies import remedy_verdict
from seethrough.studies.collapse_remedies import Arm, Parameters
from seethrough.studies.reference import reference_result
from seethrough.studies.remedies import TRIED
from seethrough.training.initialise import generator_for

REMEDIES = ("centred", "batch_top_k", "auxk")


@pytest.fixture(scope="module")
def parameters(tiny: dict[str, Any]) -> Parameters:
    return Parameters(
        **tiny, datasets=("dsprites",), remedies=REMEDIES, widths=(40,), small_width=8
    )


@pytest.fixture(scope="module")
def result(parameters: Parameters, store: ArtifactStore) -> StudyResult:
    return study.run(parameters, store)


def values(result: StudyResult, name: str) -> tuple[float, ...]:
    return result.row(f"{name}/dsprites/centred/40").per_seed


def counted_again(result: StudyResult, datasets: list[str], width: int, limit: float) -> set[str]:
    """Return the remedies that pass on all of some data sets, from the rule and the plain rows."""
    passing = set()
    for remedy in result.provenance.parameters["remedies"]:
        where = [f"{dataset}/{remedy}/{width}" for dataset in datasets]
        alive = [np.mean(result.row(f"dead_share/{arm}").per_seed) < limit for arm in where]
        if all(alive) and not any(is_worse(result, arm) for arm in where):
            passing.add(remedy)
    return passing


def is_worse(result: StudyResult, arm: str) -> bool:
    """Whether a quality's paired interval is all on the worse side, or k is exceeded by a tenth."""
    dataset, _, width = arm.split("/")
    for name, sign in (("unexplained", 1), ("mig_code", -1), ("specialised_units", -1)):
        plain = result.row(f"{name}/{dataset}/baseline/{width}").per_seed
        change = sign * (np.array(result.row(f"{name}/{arm}").per_seed) - np.array(plain))
        n = len(change)
        half = student_t.ppf(0.975, n - 1) * change.std(ddof=1) / n**0.5
        if change.mean() - half > 0:
            return True
    most = 1.1 * result.provenance.parameters["k_end"]
    return bool(np.mean(result.row(f"active/{arm}").per_seed) > most)


def test_arms_are_baseline_remedies_and_a_small_dictionary(parameters: Parameters) -> None:
    names = [arm.name for arm in replace(parameters, widths=(40, 50)).arms()]
    of_40, of_50 = (
        [f"dsprites/{name}/{width}" for name in ("baseline", *REMEDIES)] for width in (40, 50)
    )
    assert names == [*of_40, *of_50, "dsprites/small_dictionary/8"]


def test_layers_of_one_seed_differ_in_the_remedy_alone(parameters: Parameters) -> None:
    configs = [parameters.arm_config(arm, 1) for arm in parameters.arms()[:-1]]
    assert len({config.vae for config in configs}) == 1
    assert {(config.frozen, config.position) for config in configs} == {(True, "beside")}
    plain = {
        replace(config.sae, sparsifier=TopK(start=30, end=4), preparation=SAEConfig().preparation,
                revival=SAEConfig().revival)
        for config in configs
    }  # fmt: skip
    assert len(plain) == 1


def test_every_arm_has_every_row(result: StudyResult, parameters: Parameters) -> None:
    names = (
        "dead_share", "dead_share_by_relu", "dead_share_by_top_k", "active", "unexplained",
        "mig_code", "mig_code_shuffled", "best_information", "specialised_units",
        "specialised_units_shuffled", "factors_covered", "probe", "probe_chance", "gamma",
        "predicted_dead_share", "untrained_dead_share",
    )  # fmt: skip
    for arm in parameters.arms():
        for name in names:
            row = result.row(f"{name}/{arm.name}")
            assert row.n == 2
            assert row.cell == {"dataset": "dsprites", "remedy": arm.remedy, "width": arm.width}
    for remedy in REMEDIES:
        assert result.row(f"cost/dsprites/{remedy}/40").mean > 0


def test_rows_are_what_the_layers_do(
    result: StudyResult, parameters: Parameters, store: ArtifactStore
) -> None:
    layers = study.train_arms(parameters, store)[
        Arm(dataset="dsprites", remedy="centred", width=40)
    ]
    for seed, layer in enumerate(layers):
        output, classes = layer.output, layer.vae.heldout.classes
        assert layer.config is not None
        assert layer.config.sae.preparation == MeanCentring()
        dead = ~(output.code > 0).any(0)
        silent = ~(output.relu_code > 0).any(0)
        assert values(result, "dead_share")[seed] == float(dead.double().mean())
        assert values(result, "dead_share_by_relu")[seed] == float(silent.double().mean())
        assert values(result, "dead_share_by_top_k")[seed] == pytest.approx(
            float((dead & ~silent).double().mean())
        )
        found = specialised_units(output.code, classes)
        assert values(result, "specialised_units")[seed] == found.n_specialised
        probe = linear_probe(halves(output.code, classes, parameters.seeds[seed]))
        assert values(result, "probe")[seed] == float(probe.accuracy.mean())


def test_predictions_come_from_the_untrained_layer(
    result: StudyResult, parameters: Parameters, store: ArtifactStore
) -> None:
    arms = study.train_arms(parameters, store)
    plain = arms[Arm(dataset="dsprites", remedy="baseline", width=40)][0]
    assert plain.config is not None
    source = plain.vae.frozen("beside", 0)
    rows = torch.randn(40, 256, generator=generator_for(0, "sae", 40))  # the start of the layer
    rows /= rows.norm(dim=1, keepdim=True)
    gamma = float(mean_to_spread(source.training @ rows.T))
    assert result.row("gamma/dsprites/baseline/40").per_seed[0] == pytest.approx(gamma, rel=1e-4)
    expected = death_probability(gamma, n_samples=48, k_per_sample=4, width=40).never_active
    found = result.row("predicted_dead_share/dsprites/baseline/40").per_seed[0]
    assert found == pytest.approx(expected, rel=1e-3)
    code = (source.held @ rows.T).relu()
    kept = code.topk(4, dim=1).indices[code.topk(4, dim=1).values > 0]
    found = result.row("untrained_dead_share/dsprites/baseline/40").per_seed[0]
    assert found == pytest.approx(1 - len(kept.unique()) / 40)


def test_centring_takes_gamma_away(result: StudyResult) -> None:
    assert result.row("gamma/dsprites/baseline/40").mean > 1
    assert result.row("gamma/dsprites/centred/40").mean < 1e-3
    assert result.row("predicted_dead_share/dsprites/centred/40").mean == pytest.approx(0)


def test_gamma_is_on_average_that_of_the_inputs() -> None:
    """For random directions: with many units the ratio of projections is that of the inputs."""
    inputs = torch.randn(500, 16, generator=generator_for(0)) + 0.5
    sae = study.untrained_layer(SAEConfig(width=4000, sparsifier=TopK(start=9, end=9)), inputs)
    expected = float(mean_to_spread(inputs))
    assert float(study.gamma_of(sae, inputs)) == pytest.approx(expected, rel=0.05)


def test_the_verdict_is_among_the_rows(result: StudyResult) -> None:
    count = result.row("remedies_passing/dsprites/40")
    assert count.per_seed == (len(counted_again(result, ["dsprites"], 40, limit=0.05)),)
    assert count.cell["tried"] == len(REMEDIES)
    assert result.row("best_remedy_dead_share/dsprites/40").unit == "fraction"
    change = result.row("dead_share_change/dsprites/centred/40").per_seed
    plain = result.row("dead_share/dsprites/baseline/40").per_seed
    assert change == pytest.approx(
        [a - b for a, b in zip(values(result, "dead_share"), plain, strict=True)]
    )


@pytest.mark.parametrize("limit", [0.05, 0.5, 1.01])
def test_who_passes_is_counted_again_at_other_limits(
    result: StudyResult, limit: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of these tiny layers keeps 95 % alive; under a milder rule some pass and some do not."""
    monkeypatch.setattr(remedy_verdict, "LIMIT", limit)
    rows = {row.id: row for row in result.rows}
    count, best = remedy_verdict.verdict_rows(rows, ["dsprites"], REMEDIES, width=40, k=4)
    passing = counted_again(result, ["dsprites"], 40, limit)
    assert count.per_seed == (len(passing),)
    assert not passing or best.cell["remedy"] in passing


def test_who_passes_is_counted_again_in_the_committed_result() -> None:
    result = reference_result("collapse_remedies")
    assert result is not None
    chosen = result.provenance.parameters
    scopes = {name: [name] for name in chosen["datasets"]} | {"joint": chosen["datasets"]}
    for width in chosen["widths"]:
        for scope, datasets in scopes.items():
            passing = counted_again(result, datasets, width, limit=0.05)
            assert result.row(f"remedies_passing/{scope}/{width}").per_seed == (len(passing),)
            best = result.row(f"best_remedy_dead_share/{scope}/{width}").cell["remedy"]
            assert not passing or best in passing


def test_the_second_run_comes_from_the_store(
    result: StudyResult, parameters: Parameters, store: ArtifactStore
) -> None:
    assert study.run(parameters, store) == result


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"remedies": ("prayer",)}, "remedies has 'prayer', allowed are untied, "),
        ({"remedies": ("baseline",)}, "remedies has 'baseline'"),
        ({"remedies": ()}, r"remedies is \(\), allowed is one or more, each once"),
        ({"remedies": ("auxk", "auxk")}, "remedies is .* each once"),
        ({"datasets": ("dsprite",)}, "dsprite"),
        ({"widths": ()}, r"widths is \(\)"),
        ({"widths": (49,)}, "width is 49, allowed is at least the final k, 50"),
        ({"small_width": 20}, "width is 20, allowed is at least the final k, 50"),
        ({"seeds": ()}, r"seeds is \(\)"),
    ],
)
def test_wrong_values_are_named(change: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Parameters(**change)


@pytest.mark.parametrize("profile", ["reference", "paper"])
def test_committed_and_full_scale_try_every_remedy(profile: str) -> None:
    assert build(Parameters, load(profile, "collapse_remedies")).remedies == TRIED
