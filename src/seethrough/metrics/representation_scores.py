"""Every score of one representation: of the code, and how much of it the factors explain.

The functions are those of the modules named after the scores; read there what each score can and
cannot show. No score means much alone: run `representation_scores` again with the factors of
`shuffled` and with a `random_code`, and give all three.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from seethrough.metrics.dci import dci_scores
from seethrough.metrics.factor_vae_score import factor_vae_score
from seethrough.metrics.information_scores import information_scores
from seethrough.metrics.linear_probe import linear_probe
from seethrough.metrics.modularity import modularity
from seethrough.metrics.sap import sap_score
from seethrough.metrics.specialised_units import specialised_units
from seethrough.metrics.train_test import halves


@dataclass(frozen=True, slots=True, kw_only=True)
class RepresentationScores:
    """Scores of M units against F factors; 0 to 1 unless said otherwise, more is better."""

    mig: float
    """Mutual information gap, mean over factors; near 0 for any overcomplete code."""
    best_information: float
    """Information of the best unit over the factor's entropy, mean over factors."""
    sap: float
    """Gap of accuracy between the two best units; near 0 for any overcomplete code."""
    dci_disentanglement: float
    """How far every important unit serves one factor."""
    dci_completeness: float
    """How far every factor rests on one unit."""
    dci_informativeness: float
    """Accuracy of a forest on all units, mean over factors."""
    modularity: float
    """How far every unit knows of one factor only, units that know nothing counting 0."""
    modularity_live: float
    """The same over units that know something; NaN if there is none."""
    factor_vae: float
    """Accuracy of the FactorVAE metric on a pool."""
    probe_accuracy: float
    """Accuracy of a linear probe on all units, mean over factors."""
    probe_chance: float
    """Accuracy of always naming the commonest class, mean over factors: what to beat."""
    specialised_units: float
    """Number of specialised units, 0 to M."""
    factors_covered: float
    """Number of factors with a specialised unit, 0 to F."""


def representation_scores(
    codes: Float[Tensor, "N M"], factors: Int64[Tensor, "N F"], *, seed: int, n_trees: int = 10
) -> RepresentationScores:
    """Return all scores of the code of N images.

    SAP, DCI and the probe are fitted on half of the images and scored on the other half; the
    FactorVAE metric draws its votes from all. `seed` decides the halves, the votes and the forests;
    equal seeds give equal scores. `n_trees` is the size of the forests of DCI; every other setting
    is the default of its function. Of 2,048 images with the factors of 3D Shapes, one core takes
    0.4 s for 10 units and 8 s for 1,000, of which the forests take 6, and half as much again where
    the code knows nothing (benchmarks/metrics/representation_scores.py prints the parts).

    Raises:
        ValueError: fewer than two units or factors, a factor that is constant in the sample or in
            the training half, or values that are not finite.
    """
    if codes.shape[1] < 2 or factors.shape[1] < 2:
        raise ValueError(
            "scores need at least 2 units and 2 factors, "
            f"got {codes.shape[1]} and {factors.shape[1]}"
        )
    data = halves(codes, factors, seed)
    units = specialised_units(codes, factors)
    information = information_scores(codes, factors)
    dci = dci_scores(data, seed, n_trees)
    modular = modularity(codes, factors)
    probe = linear_probe(data)
    votes = factor_vae_score(codes, factors, torch.Generator().manual_seed(seed))
    return RepresentationScores(
        mig=information.gap,
        best_information=information.best,
        sap=float(sap_score(data)),
        dci_disentanglement=dci.disentanglement,
        dci_completeness=dci.completeness,
        dci_informativeness=dci.informativeness,
        modularity=modular.all_units,
        modularity_live=modular.live_units,
        factor_vae=votes.test_accuracy,
        probe_accuracy=float(probe.accuracy.mean()),
        probe_chance=float(probe.chance.mean()),
        specialised_units=float(units.n_specialised),
        factors_covered=float(units.factors_covered),
    )
