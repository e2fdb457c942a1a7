"""Metrics: mutual information gap, dead units, intervals over seeds, a model of death."""

from seethrough.metrics.dead_units import (
    UnitActivity,
    always_on,
    ceiling,
    dead_by_relu,
    dead_by_topk,
    dead_share_by_threshold,
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
from seethrough.metrics.intervals import StudentInterval, student_interval, student_t_quantile
from seethrough.metrics.mig import (
    best_normalised_information,
    factor_entropies,
    mutual_information,
    mutual_information_gap,
    shuffled_gap,
)

__all__ = [
    "DeathProbability",
    "StudentInterval",
    "UnitActivity",
    "always_on",
    "best_normalised_information",
    "ceiling",
    "dead_by_relu",
    "dead_by_topk",
    "dead_share_by_threshold",
    "death_probability",
    "died",
    "equal_width_bins",
    "factor_entropies",
    "frequency_below",
    "gamma_for_death",
    "layer_scale",
    "maximum_below",
    "mean_to_spread",
    "mutual_information",
    "mutual_information_gap",
    "never_active",
    "participation_ratio",
    "revived",
    "share",
    "shuffled_gap",
    "student_interval",
    "student_t_quantile",
    "unit_activity",
]
