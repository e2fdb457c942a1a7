"""Where the project's checkout is, if the package runs from one."""

from pathlib import Path

PACKAGE_FOLDER = Path(__file__).parent


def checkout_root() -> Path | None:
    """Return the folder with params/ and notebooks/, None for a package outside a checkout."""
    root = PACKAGE_FOLDER.parent.parent
    is_checkout = (root / "pyproject.toml").is_file() and PACKAGE_FOLDER.parent.name == "src"
    return root if is_checkout else None
