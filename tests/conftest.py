import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jaxtyping
import pytest

from seethrough.metrics.intervals import student_interval

Rows = Mapping[str, tuple[str, Sequence[float]]]


@pytest.fixture
def write_result() -> Callable[..., Path]:
    """Write a result file by hand, so that its readers are tested apart from its writer."""

    def write(path: Path, rows: Rows, *, parameters: Mapping[str, Any] | None = None) -> Path:
        n_seeds = max(len(per_seed) for _, per_seed in rows.values())
        document = {
            "schema": 1,
            "study": path.stem,
            "rows": [_row(name, unit, per_seed) for name, (unit, per_seed) in rows.items()],
            "series": [],
            "provenance": {
                "parameters": dict(parameters or {"epochs": 50}),
                "seeds": list(range(n_seeds)),
                "profile": "quick",
                "device": "cpu",
                "threads": 2,
                "versions": {
                    "python": "3.11.7",
                    "torch": "2.13.0",
                    "numpy": "2.4.6",
                    "seethrough": "0.1.0",
                },
                "git_commit": None,
                "git_dirty": False,
                "seconds": 12.3,
            },
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document), encoding="utf-8")
        return path

    return write


def _row(name: str, unit: str, per_seed: Sequence[float]) -> dict[str, Any]:
    finite = not any(math.isnan(value) for value in per_seed)
    mean, sd, low, high = student_interval(per_seed) if finite else (None,) * 4
    return {
        "id": name,
        "quantity": name.partition("/")[0],
        "cell": {},
        "unit": unit,
        "n": len(per_seed),
        "mean": mean,
        "sd": sd,
        "low": low,
        "high": high,
        "per_seed": [None if math.isnan(value) else value for value in per_seed],
    }


@pytest.fixture
def tiny_vit() -> Callable[..., Any]:
    """Return a maker of small vision transformers whose every parameter matters."""

    def make(seed: int = 0, **changes: Any) -> Any:
        import torch

        from seethrough.models import torchvision_compatibility  # noqa: F401

        # isort: split
        from timm.models.vision_transformer import VisionTransformer

        shape = {"img_size": 16, "patch_size": 4, "embed_dim": 32, "depth": 3, "num_heads": 2}
        settings = {"num_classes": 5, "init_values": 0.1, "no_embed_class": True}
        model = VisionTransformer(**(shape | settings | changes))
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                noise = torch.randn(parameter.shape, generator=generator)
                if "norm" in name or name.endswith("gamma"):
                    parameter.copy_(0.1 * noise + (0.0 if name.endswith("bias") else 0.8))
                else:
                    parameter.copy_(noise * (0.3 if parameter.ndim == 1 else 0.15))
        return model.eval()

    return make


@pytest.fixture
def no_shape_checks() -> Iterator[None]:
    """Switch the tests' shape checks off, to reach the errors that users see."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
