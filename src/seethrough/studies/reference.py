"""The committed results of the largest runs."""

from pathlib import Path

from seethrough.results import StudyResult

FOLDER = Path(__file__).parents[3] / "results" / "reference"


def reference_result(study: str, folder: Path = FOLDER) -> StudyResult | None:
    """Return the reference result of a study, None where there is none (or no checkout)."""
    path = folder / f"{study}.json"
    return StudyResult.read(path) if path.is_file() else None
