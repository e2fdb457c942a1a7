import pytest

from seethrough.pruning.pruning_config import PruningConfig


def test_the_default_is_the_papers_operating_point() -> None:
    config = PruningConfig()
    assert (config.method, config.sparsity, config.group) == ("wanda", 0.7, "row")
    assert config.scope == ("qkv", "proj", "fc1", "fc2")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "obs"}, "method is 'obs', allowed are wanda, magnitude, random"),
        ({"sparsity": 1.5}, "sparsity is 1.5, allowed is 0 to 1"),
        ({"sparsity": float("nan")}, "sparsity is nan, allowed is 0 to 1"),
        ({"structure": "1:4"}, "pattern is '1:4', allowed are 2:4, 4:8"),
        ({"structure": "2:4"}, "sparsity is 0.7, allowed for 2:4 is 0.5 alone"),
        (
            {"structure": "4:8", "sparsity": 0.5, "group": "layer"},
            "group is 'layer', allowed for 4:8 is 'row'",
        ),
        ({"group": "column"}, "group is 'column', allowed are row, layer"),
        ({"statistics": "late"}, "statistics is 'late', allowed are dense, sequential"),
        ({"scope": ("head",)}, "allowed is a non-empty choice of qkv, proj, fc1, fc2"),
        ({"scope": ()}, "allowed is a non-empty choice of qkv, proj, fc1, fc2"),
        ({"seed": -1}, "seed is -1, allowed is at least 0"),
    ],
)
def test_bad_values_are_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PruningConfig(**changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("structure", ["2:4", "4:8"])
def test_half_is_allowed_for_groups(structure: str) -> None:
    assert PruningConfig(structure=structure, sparsity=0.5).structure == structure
