"""Parameters of studies that compare many cells."""

from dataclasses import dataclass
from itertools import product

from seethrough.studies.cells import METHODS, Cell
from seethrough.studies.squeeze import SqueezeParameters
from seethrough.unknown_name import unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class GridParameters(SqueezeParameters):
    """Parameters of a grid of cells; the defaults are the `smoke` scale."""

    datasets: tuple[str, ...] = ("dsprites", "shapes3d")
    """Data sets, each once."""
    methods: tuple[str, ...] = ("top_k", "l1")
    """Sparsifiers with their schedules, each once; see seethrough.studies.cells."""
    positions: tuple[str, ...] = ("beside",)
    """Places of the sparse layer, each once."""
    widths: tuple[int, ...] = (500,)
    """Units of the dictionary, each at least k_end, each once."""

    path_methods: tuple[str, ...] = ("top_k",)
    """Those of the methods that are also run in the path, where every layer needs its own VAE."""
    path_widths: tuple[int, ...] = (500, 1000, 2048)
    """Those of the widths that are also run in the path; each at least 2."""

    def __post_init__(self) -> None:
        for method in self.path_methods:
            if method not in METHODS:
                raise ValueError(f"in path_methods, {unknown(method, METHODS)}")
        for width in self.path_widths:
            if width < 2:
                raise ValueError(f"path_widths has {width}, allowed is at least 2 units")
        # Explicit base: slots make a new class, which the zero-argument super() does not know.
        SqueezeParameters.__post_init__(self)
        if not self.cells():
            raise ValueError(f"no cell is left: {self.why_no_cell()}")

    def cells(self) -> list[Cell]:
        """Return every combination, once each; in the path only what is chosen for it."""
        axes = (self.datasets, self.methods, self.positions, self.widths)
        for name, values in zip(("datasets", "methods", "positions", "widths"), axes, strict=True):
            if not values or len(set(values)) < len(values):
                raise ValueError(f"{name} is {values}, allowed is one or more, each once")
        return [
            Cell(dataset=dataset, method=method, position=position, width=width)
            for dataset, method, position, width in product(*axes)
            if position != "in_path" or (method in self.path_methods and width in self.path_widths)
        ]

    def why_no_cell(self) -> str:
        """Return which lists exclude each other, where these parameters leave no cell at all."""
        apart = [
            f"{name} {getattr(self, name)} and path_{name} {getattr(self, f'path_{name}')}"
            for name in ("methods", "widths")
            if not set(getattr(self, name)) & set(getattr(self, f"path_{name}"))
        ]
        return (
            f"the only position is in_path, and nothing is in both {', nor in both '.join(apart)}; "
            "allowed are lists with something in common"
        )
