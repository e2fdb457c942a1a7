"""Metrics: mutual information gap, dead units, intervals over seeds, a model of death."""

from seethrough.metrics.dci import DciScores, dci_completeness, dci_disentanglement, dci_scores
from seethrough.metrics.dead_units import (
    UnitActivity,
    always_on,
    ceiling,
    dead_by_relu,
    dead_by_topk,
    died,
    frequency_below,
    layer_scale,
    maximum_below,
    never_active,
    revived,
    share,
    unit_activity,
)
from seethrough.metrics.death_model import (
    DeathProbability,
    death_probability,
    gamma_for_death,
    mean_to_spread,
    participation_ratio,
)
from seethrough.metrics.equal_width_bins import equal_width_bins
from seethrough.metrics.factor_vae_score import FactorVaeScore, factor_vae_score
from seethrough.metrics.intervals import StudentInterval, student_interval, student_t_quantile
from seethrough.metrics.linear_probe import LinearProbe, linear_probe
from seethrough.metrics.mig import (
    best_normalised_information,
    factor_entropies,
    mutual_information,
    mutual_information_gap,
    shuffled_gap,
)
from seethrough.metrics.modularity import Modularity, modularity, modularity_per_unit
from seethrough.metrics.random_code import random_code
from seethrough.metrics.representation_scores import RepresentationScores, representation_scores
from seethrough.metrics.sap import sap_accuracies, sap_score
from seethrough.metrics.specialised_units import SpecialisedUnits, specialised_units
from seethrough.metrics.train_test import TrainTest, halves

__all__ = [
    "DciScores",
    "DeathProbability",
    "FactorVaeScore",
    "LinearProbe",
    "Modularity",
    "RepresentationScores",
    "SpecialisedUnits",
    "StudentInterval",
    "TrainTest",
    "UnitActivity",
    "always_on",
    "best_normalised_information",
    "ceiling",
    "dci_completeness",
    "dci_disentanglement",
    "dci_scores",
    "dead_by_relu",
    "dead_by_topk",
    "death_probability",
    "died",
    "equal_width_bins",
    "factor_entropies",
    "factor_vae_score",
    "frequency_below",
    "gamma_for_death",
    "halves",
    "layer_scale",
    "linear_probe",
    "maximum_below",
    "mean_to_spread",
    "modularity",
    "modularity_per_unit",
    "mutual_information",
    "mutual_information_gap",
    "never_active",
    "participation_ratio",
    "random_code",
    "representation_scores",
    "revived",
    "sap_accuracies",
    "sap_score",
    "share",
    "shuffled_gap",
    "specialised_units",
    "student_interval",
    "student_t_quantile",
    "unit_activity",
]
