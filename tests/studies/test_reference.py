from pathlib import Path

from seethrough.results import StudyResult
from seethrough.studies.reference import FOLDER, folder_of, reference_result


def test_reference_is_read_where_it_is(grid_result: StudyResult, tmp_path: Path) -> None:
    assert reference_result("collapse_grid", tmp_path) is None
    grid_result.write(tmp_path / "collapse_grid.json")
    assert reference_result("collapse_grid", tmp_path) == grid_result


def test_a_tier_has_a_folder_of_its_own(grid_result: StudyResult, tmp_path: Path) -> None:
    (tmp_path / "natural").mkdir()
    grid_result.write(tmp_path / "natural" / "collapse_grid.json")
    assert reference_result("collapse_grid", tmp_path) is None
    assert reference_result("collapse_grid", tmp_path, tier="natural") == grid_result
    assert folder_of("natural") == FOLDER / "natural"


def test_committed_references_are_whole() -> None:
    """Every committed result parses, comes from a clean commit and has a study of its name."""
    paths = sorted(FOLDER.glob("*.json"))
    assert paths
    for path in paths:
        result = reference_result(path.stem)
        assert result is not None
        assert result.study == path.stem
        assert result.provenance.git_commit is not None
        assert not result.provenance.git_dirty
        if "seeds" in result.provenance.parameters:  # a study that trains
            assert len(result.provenance.seeds) >= 3
