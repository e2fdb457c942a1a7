"""The conditions under which a sparse layer is squeezed, by name.

A cell is `dataset/method/position/width`; rows of the studies end with it. Methods:

| method           | sparsifier | schedule                                   |
|------------------|------------|--------------------------------------------|
| top_k            | Top-k      | linear                                     |
| top_k_cosine     | Top-k      | cosine                                     |
| top_k_constant   | Top-k      | none: the final k from the first epoch on  |
| top_k_open       | Top-k      | none: the first k throughout, the control  |
| l1, l1_cosine, l1_constant | L1 | the same for the coefficient             |
"""

from dataclasses import dataclass

from seethrough.models.vae_sae import POSITIONS

METHODS = (
    "top_k", "top_k_cosine", "top_k_constant", "top_k_open", "l1", "l1_cosine", "l1_constant"
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One condition, all seeds."""

    dataset: str = "dsprites"
    """Name in `seethrough.data.catalogue`."""
    method: str = "top_k"
    """Sparsifier and schedule; see the module's docstring."""
    position: str = "beside"
    """beside, in_path or latent."""
    width: int = 500
    """Units of the dictionary."""

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method is {self.method!r}, allowed are {', '.join(METHODS)}")
        if self.position not in POSITIONS:
            raise ValueError(f"position is {self.position!r}, allowed are {', '.join(POSITIONS)}")
        if self.width < 2:
            raise ValueError(f"width is {self.width}, allowed is at least 2 units")

    @property
    def name(self) -> str:
        """Return `dataset/method/position/width`."""
        return f"{self.dataset}/{self.method}/{self.position}/{self.width}"

    @property
    def sparsifier(self) -> str:
        """Return top_k or l1."""
        return "l1" if self.method.startswith("l1") else "top_k"

    @property
    def schedule(self) -> str:
        """Return linear, cosine, constant, or open."""
        return self.method.removeprefix(self.sparsifier).removeprefix("_") or "linear"

    def labels(self) -> dict[str, str | int | float]:
        """Return the cell as the columns of a result row."""
        return {
            "dataset": self.dataset,
            "method": self.method,
            "position": self.position,
            "width": self.width,
        }
