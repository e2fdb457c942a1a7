"""Neurons: units of vision transformers, which matter to a class, and what they stand for."""

from seethrough.neurons.ablation_impact import ablation_impact
from seethrough.neurons.activation_statistics import (
    ColumnStatistics,
    SiteStatistics,
    StatisticsTable,
    activation_statistics,
    merged,
    observe_batches,
)
from seethrough.neurons.attribution_patching import attribution_patching, top_units
from seethrough.neurons.baseline_units import all_units, random_units
from seethrough.neurons.bootstrap import BootstrapInterval, bootstrap_mean
from seethrough.neurons.class_selectivity import class_selectivity
from seethrough.neurons.class_variance import class_variance
from seethrough.neurons.equivalence import EquivalenceTest, equivalence_test
from seethrough.neurons.factor_information import FactorInformation, factor_information
from seethrough.neurons.label_entropy import label_entropy
from seethrough.neurons.rank_correlation import rank_correlation
from seethrough.neurons.selected_mean import selected_mean
from seethrough.neurons.sites import AttentionHeads, MlpUnits, Site, sites_of
from seethrough.neurons.trend import TrendTest, trend_test
from seethrough.neurons.true_patching import true_patching
from seethrough.neurons.unit_activations import UnitActivations, unit_activations

__all__ = [
    "AttentionHeads",
    "BootstrapInterval",
    "ColumnStatistics",
    "EquivalenceTest",
    "FactorInformation",
    "MlpUnits",
    "Site",
    "SiteStatistics",
    "StatisticsTable",
    "TrendTest",
    "UnitActivations",
    "ablation_impact",
    "activation_statistics",
    "all_units",
    "attribution_patching",
    "bootstrap_mean",
    "class_selectivity",
    "class_variance",
    "equivalence_test",
    "factor_information",
    "label_entropy",
    "merged",
    "observe_batches",
    "random_units",
    "rank_correlation",
    "selected_mean",
    "sites_of",
    "top_units",
    "trend_test",
    "true_patching",
    "unit_activations",
]
