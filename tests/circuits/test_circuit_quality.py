"""Quality of circuits: the paper's numbers, what is removed, and shares by site."""

import math

import pytest
import torch

from seethrough.circuits.circuit_quality import circuit_quality, node_fractions, size_quality
from seethrough.circuits.circuit_scores import circuit_scores
from seethrough.circuits.class_tasks import ClassTask, balanced_examples
from seethrough.circuits.mask_sites import node_layout


@pytest.fixture
def examples(patterns):
    task = ClassTask(name="b or d", classes=(1, 3))
    return balanced_examples(patterns, torch.arange(40), task, 12, torch.Generator().manual_seed(0))


def test_with_equal_accuracy_the_papers_fractions_give_its_ncq():
    # zhang2026impact reports 29.0 % and 41.6 % of nodes.
    assert size_quality(0.95, 0.95, 0.290) == pytest.approx(0.71)
    assert size_quality(0.95, 0.95, 0.416) == pytest.approx(0.584)
    # The sparse circuit would need 1.22 times the accuracy ratio to tie.
    tie = size_quality(1.22 * 0.7, 0.7, 0.416)
    assert tie == pytest.approx(size_quality(0.7, 0.7, 0.290), abs=5e-3)


def test_size_quality_at_its_ends():
    assert size_quality(0.5, 1.0, 0.0) == 0.5
    assert size_quality(0.5, 1.0, 1.0) == 0.0
    assert math.isnan(size_quality(0.5, 0.0, 0.5))
    for share in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match=f"share is {share}"):
            size_quality(0.5, 1.0, share)


def test_model_circuit_and_the_rest_are_measured(small_vit, patterns, random_gates, examples):
    model = small_vit()
    layout, gates, means = random_gates(model, 1)
    active = gates[0] > 0.4
    found = circuit_quality(model, patterns, examples, active, means, layout)
    for part, mask in (
        (found.full, torch.ones_like(active)),
        (found.circuit, active),
        (found.without, ~active),
    ):
        scores = circuit_scores(model, patterns, examples, mask[None], means, layout)
        assert part.loss == pytest.approx(float(scores.losses()), rel=1e-5)
        assert part.accuracy == scores.accuracies()[0]
    assert found.node_fraction == pytest.approx(float(active.double().mean()))
    ratio = found.circuit.accuracy.value / found.full.accuracy.value
    assert found.ncq == pytest.approx(ratio * (1 - found.node_fraction))


def test_everything_and_nothing_are_each_others_complement(
    small_vit, patterns, random_gates, examples
):
    model = small_vit()
    layout, gates, means = random_gates(model, 1)
    everything = torch.ones_like(gates[0]).bool()
    kept = circuit_quality(model, patterns, examples, everything, means, layout)
    lost = circuit_quality(model, patterns, examples, ~everything, means, layout)
    assert kept.circuit == kept.full
    assert lost.without == lost.full
    assert kept.full.loss == pytest.approx(lost.full.loss)
    assert (kept.node_fraction, kept.ncq) == (1.0, 0.0)
    assert kept.without.loss == pytest.approx(lost.circuit.loss)
    assert lost.circuit.accuracy.value == 0.5
    assert lost.ncq == pytest.approx(0.5 / lost.full.accuracy.value)


@pytest.mark.parametrize(("granularity", "n_q"), [("channel", 8), ("head", 2)])
def test_shares_by_block_and_site(small_vit, granularity, n_q):
    layout = node_layout(small_vit(), granularity)
    active = torch.zeros(layout.n_nodes, dtype=torch.bool)
    active[layout.sites[1].first] = True  # one node of q in block 0
    active[layout.sites[14].nodes] = True  # all of mlp_act in block 1
    expected = torch.zeros(2, 8, dtype=torch.float64)
    expected[0, 1], expected[1, 6] = 1 / n_q, 1
    assert torch.equal(node_fractions(active, layout), expected)
