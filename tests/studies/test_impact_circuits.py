import math
from dataclasses import replace

import pytest

from seethrough.circuits.circuit_edges import ENDS
from seethrough.circuits.mask_sites import KINDS
from seethrough.results import StudyResult
from seethrough.store import ArtifactStore
from seethrough.studies import circuit_masks
from seethrough.studies import impact_circuits as study
from seethrough.studies.circuit_rows import MEAN
from seethrough.studies.impact_circuits import Parameters

TINY = Parameters(
    tasks=("sphere", "hue 0"), n_pairs=2, n_heldout_pairs=2, n_mean_images=2, epochs=4,
    batch_pairs=2, learning_rate=0.06, target_losses=(10.0, 1e-9), n_calibration=4, n_recovery=4,
    recovery_epochs=1, batch_size=4, n_evaluation=4, precision="float32",
)  # fmt: skip
DENSE, SPARSE = "dense_tuned", "wanda/0.7"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ArtifactStore:
    return ArtifactStore(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def result(store: ArtifactStore) -> StudyResult:
    return study.run(TINY, store)


def value(result: StudyResult, id: str) -> float:
    return result.row(id).mean


@pytest.mark.parametrize("model", [DENSE, SPARSE])
def test_every_circuit_is_sized_and_judged(result: StudyResult, model: str) -> None:
    n_weights = 6 * (128 * 384 + 128 * 128 + 2 * 128 * 512)
    for setting in ("4e-05", "8e-05", "loss_10"):
        for task in TINY.tasks:
            place = f"{model}/{setting}/{task}"
            nodes = value(result, f"nodes/{place}")
            assert value(result, f"node_fraction/{place}") == pytest.approx(nodes / 8448)
            edges, null = (value(result, f"{name}/{place}") for name in ("edges", "null_edges"))
            assert 0 <= edges <= n_weights * (0.31 if model == SPARSE else 1)
            if null:
                assert value(result, f"over_null/{place}") == pytest.approx(edges / null)
            accuracy = value(result, f"accuracy/{place}")
            full = value(result, f"accuracy/{model}/full/{task}")
            expected = accuracy / full * (1 - edges / n_weights)
            assert value(result, f"edge_ncq_all/{place}") == pytest.approx(expected)
            for name in ("loss", "without_loss", "random_loss"):
                assert math.isfinite(value(result, f"{name}/{place}"))


def test_a_higher_price_leaves_fewer_nodes_of_the_same_start(result: StudyResult) -> None:
    for model in (DENSE, SPARSE):
        few, many = (value(result, f"nodes/{model}/{k}/sphere") for k in ("8e-05", "4e-05"))
        assert 0 < few < many < 8448


def test_every_node_falls_over_tasks_as_the_mean_says(result: StudyResult) -> None:
    of_tasks = [value(result, f"edges/{DENSE}/8e-05/{task}") for task in TINY.tasks]
    assert value(result, f"edges/{DENSE}/8e-05/{MEAN}") == pytest.approx(sum(of_tasks) / 2)


def test_targets_are_met_by_nothing_or_by_no_circuit(result: StudyResult) -> None:
    # A loss of 10 nats is met without any node; 1e-9 by no circuit.
    for model in (DENSE, SPARSE):
        assert value(result, f"nodes/{model}/loss_10/sphere") == 0
        assert value(result, f"reached/{model}/loss_10/sphere") == 1
        assert value(result, f"reached/{model}/loss_1e-09/sphere") == 0
    for name in ("loss_10", "loss_1e-09"):
        assert value(result, f"pairs/{name}/{SPARSE}") == 0
        assert math.isnan(value(result, f"edge_ratio/geometric_mean/{name}/{SPARSE}"))


def test_the_papers_comparison_crosses_the_prices(result: StudyResult) -> None:
    ratios = [
        value(result, f"edges/{DENSE}/8e-05/{task}") / value(result, f"edges/{SPARSE}/4e-05/{task}")
        for task in TINY.tasks
    ]
    found = value(result, f"edge_ratio/geometric_mean/paper/{SPARSE}")
    assert found == pytest.approx(math.sqrt(math.prod(ratios)))
    change = value(result, f"node_fraction_change/paper/{SPARSE}")
    means = [
        value(result, f"node_fraction/{m}/{MEAN}") for m in (f"{SPARSE}/4e-05", f"{DENSE}/8e-05")
    ]
    assert change == pytest.approx(means[0] - means[1])


def test_masks_are_exchanged_whole(result: StudyResult) -> None:
    for model, other, price in ((SPARSE, DENSE, "8e-05"), (DENSE, SPARSE, "4e-05")):
        swapped = f"{model}/mask_of_{other.replace('/', '_')}/sphere"
        assert value(result, f"nodes/{swapped}") == value(result, f"nodes/{other}/{price}/sphere")
    # The dense weights join all of the nodes' channels, the pruned ones some.
    own = value(result, f"edges/{DENSE}/8e-05/sphere")
    assert value(result, f"edges/{SPARSE}/mask_of_{DENSE}/sphere") < own


def test_controls_are_there_for_the_tasks_that_can_have_them(result: StudyResult) -> None:
    ids = {row.id for row in result.rows}
    for model in (DENSE, SPARSE):
        for task in TINY.tasks:
            assert f"learned_loss/{model}/shuffled/{task}" in ids
        assert f"unseen_accuracy/{model}/seen_hues/sphere" in ids
        assert f"unseen_accuracy/{model}/full_seen_hues/sphere" in ids
        assert f"unseen_accuracy/{model}/seen_hues/hue 0" not in ids
    assert "loss/untrained/8e-05/sphere" in ids
    # No weight of an untrained model is 0: as many edges as pairs of nodes.
    assert value(result, "over_null/untrained/8e-05/sphere") == pytest.approx(1.0)


def test_curves_hold_all_nodes_and_edges(result: StudyResult) -> None:
    for model in (DENSE, SPARSE):
        edges = sum(
            sum(result.one_series(f"edges/{model}/8e-05/sphere/{matrix}").mean) for matrix in ENDS
        )
        assert edges == pytest.approx(value(result, f"edges/{model}/8e-05/sphere"))
        for kind in KINDS:
            shares = result.one_series(f"node_fraction/{model}/8e-05/{MEAN}/{kind}").mean
            assert len(shares) == 6
            assert all(0 <= share <= 1 for share in shares)


def test_the_papers_model_has_96_hook_points(result: StudyResult) -> None:
    assert value(result, "hook_points/paper") == 96
    assert value(result, "all_nodes/paper/channel") == 101_376
    assert value(result, "all_nodes/paper/head") == 74_160
    assert value(result, "hook_points/own") == 48
    assert value(result, "tasks") == 2


def test_masks_are_learned_once(
    result: StudyResult, store: ArtifactStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("learned again")

    monkeypatch.setattr(circuit_masks, "train_masks", refuse)
    # Another target is another result, of the same masks.
    fewer = replace(TINY, tasks=("sphere",), target_losses=(5.0,))
    again = study.run(fewer, store)
    place = f"nodes/{SPARSE}/4e-05/sphere"
    assert again.row(place) == result.row(place)
    assert again.row(f"loss/{DENSE}/8e-05/sphere").per_seed == pytest.approx(
        result.row(f"loss/{DENSE}/8e-05/sphere").per_seed
    )


def test_an_unknown_task_is_refused_before_any_training(tmp_path) -> None:  # type: ignore[no-untyped-def]
    store = ArtifactStore(tmp_path)
    with pytest.raises(ValueError, match="task 'spheres' is unknown"):
        study.run(replace(TINY, tasks=("spheres",)), store)
    assert not [entry for entry in store.entries() if entry.finished]
