import sys

import pytest

from seethrough.data.photographs import PHOTOGRAPHS, photograph


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_photographs_are_coloured_and_large_enough(name: str) -> None:
    pytest.importorskip("skimage")
    found = photograph(name)
    assert found.mode == "RGB"
    assert min(found.size) >= 224
    assert "CC0" in PHOTOGRAPHS[name].credit or "public domain" in PHOTOGRAPHS[name].credit


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="photograph is 'lena', allowed are chelsea, coffee"):
        photograph("lena")


def test_without_scikit_image_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(ValueError, match=r"not installed: pip install 'seethrough\[book\]'"):
        photograph("coffee")
