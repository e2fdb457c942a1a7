"""Finding the checkout around the package."""

from pathlib import Path

import pytest

from seethrough import checkout


def test_these_tests_are_in_the_checkout() -> None:
    assert checkout.checkout_root() == Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("folder", ["lib/site-packages/seethrough", "src/seethrough"])
def test_an_installed_package_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    # A project of someone else's, or a package folder without a project around it.
    (tmp_path / "lib" / "pyproject.toml").parent.mkdir()
    (tmp_path / "lib" / "pyproject.toml").write_text("")
    monkeypatch.setattr(checkout, "PACKAGE_FOLDER", tmp_path / folder)
    assert checkout.checkout_root() is None
