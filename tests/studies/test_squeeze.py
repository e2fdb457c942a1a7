from pathlib import Path

import pytest

from seethrough.studies.collapse_dead_neurons import Parameters


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"seeds": ()}, r"seeds is \(\)"),
        ({"seeds": (1, 1)}, r"seeds is \(1, 1\)"),
        ({"seeds": (-1,)}, "seed is -1"),
        ({"frequency_thresholds": (0.0,)}, "frequency_thresholds has 0.0"),
        ({"maximum_thresholds": (1.5,)}, "maximum_thresholds has 1.5"),
        ({"source": "official"}, "official_path is ''"),
        ({"source": "official", "official_path": "/nowhere/d.npz"}, "/nowhere/d.npz"),
        ({"source": "web"}, "source is 'web'"),
        ({"width": 49}, "width is 49"),
        ({"position": "under"}, "position is 'under'"),
        ({"schedule": "steps"}, "schedule is 'steps'"),
        ({"k_start": 40}, "k starts at 40"),
        ({"device": "abacus"}, "device is 'abacus'"),
    ],
)
def test_wrong_values_are_refused_before_any_work(change: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Parameters(**change)  # type: ignore[arg-type]


def test_one_run_per_seed_in_their_order(tmp_path: Path) -> None:
    configs = Parameters(seeds=(5, 3), position="latent", width=60).training_configs()
    assert [config.seed for config in configs] == [5, 3]
    assert {config.branches[0].name for config in configs} == {"latent/60"}
    assert not list(tmp_path.iterdir())
