"""The registry of studies."""

import subprocess
import sys
from dataclasses import is_dataclass

import pytest

from seethrough import studies
from seethrough.checkout import checkout_root
from seethrough.parameters import ParameterError


@pytest.mark.parametrize("name", sorted(studies.STUDIES))
def test_every_study_loads(name: str) -> None:
    spec = studies.get(name)
    module = spec.load()
    assert spec.name == name
    assert spec.title
    assert not spec.title.endswith(".")
    assert is_dataclass(module.Parameters)
    assert callable(module.run)


def test_an_unknown_study_is_refused_with_the_nearest() -> None:
    with pytest.raises(
        ParameterError, match=r"^study 'collapse_gird' is unknown \(did you mean collapse_grid\?\)"
    ):
        studies.get("collapse_gird")


def test_every_notebook_has_its_study() -> None:
    root = checkout_root()
    assert root is not None
    assert {path.stem for path in root.glob("notebooks/*.ipynb")} <= studies.STUDIES.keys()


def test_listing_studies_loads_nothing_heavy() -> None:
    code = "import sys, seethrough.studies; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
