"""The committed results of the largest runs."""

from pathlib import Path

from seethrough.results import StudyResult

FOLDER = Path(__file__).parents[3] / "results" / "reference"


def folder_of(tier: str = "") -> Path:
    """Return where committed results lie: of the package's own data, or of a tier of `TIERS`."""
    return FOLDER / tier


def reference_result(study: str, folder: Path = FOLDER, tier: str = "") -> StudyResult | None:
    """Return the reference result of a study, None where there is none (or no checkout)."""
    path = folder / tier / f"{study}.json"
    return StudyResult.read(path) if path.is_file() else None
