"""Everything that decides which weights of a model are pruned, apart from the data."""

from dataclasses import dataclass

from seethrough.pruning.prunable_layers import SCOPE, check_scope, check_sparsity
from seethrough.pruning.selection import check_group
from seethrough.pruning.semi_structured import check_pattern

METHODS = ("wanda", "magnitude", "random")
STATISTICS = ("dense", "sequential")
UNSTRUCTURED = "unstructured"


@dataclass(frozen=True, slots=True, kw_only=True)
class PruningConfig:
    """One way to prune a model; the same model, batches and config give the same masks."""

    method: str = "wanda"
    """Score of a weight: wanda, magnitude, or random (the control)."""
    sparsity: int | float = 0.7
    """Fraction of the prunable weights removed, 0 to 1; 0.5 for N:M."""
    structure: str = UNSTRUCTURED
    """unstructured, 2:4 or 4:8."""
    group: str = "row"
    """Weights that compete: row (of one output) or layer; only for unstructured masks."""
    statistics: str = "dense"
    """dense: one pass of the dense model, as in Wanda's image classifiers. sequential: each block
    is measured behind pruned blocks, as in its language models. Only for wanda."""
    scope: tuple[str, ...] = SCOPE
    """Layers of every block that are pruned: qkv, proj, fc1, fc2."""
    seed: int = 0
    """Decides random masks; at least 0."""

    def __post_init__(self) -> None:
        _one_of("method", self.method, METHODS)
        _one_of("statistics", self.statistics, STATISTICS)
        check_sparsity(self.sparsity)
        check_group(self.group)
        check_scope(self.scope)
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}, allowed is at least 0")
        if self.structure != UNSTRUCTURED:
            self._check_semi_structured()

    def _check_semi_structured(self) -> None:
        check_pattern(self.structure)
        if self.sparsity != 0.5:
            raise ValueError(
                f"sparsity is {self.sparsity}, allowed for {self.structure} is 0.5 alone"
            )
        if self.group != "row":
            raise ValueError(f"group is {self.group!r}, allowed for {self.structure} is 'row'")


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}, allowed are {', '.join(allowed)}")
