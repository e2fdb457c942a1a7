import pytest

from seethrough.studies.cells import METHODS, Cell


def test_a_cell_is_named_by_its_conditions() -> None:
    cell = Cell(dataset="shapes3d", method="l1_cosine", position="in_path", width=70)
    assert cell.name == "shapes3d/l1_cosine/in_path/70"
    assert cell.labels() == {
        "dataset": "shapes3d", "method": "l1_cosine", "position": "in_path", "width": 70
    }  # fmt: skip


@pytest.mark.parametrize(
    ("method", "sparsifier", "schedule"),
    [
        ("top_k", "top_k", "linear"),
        ("top_k_cosine", "top_k", "cosine"),
        ("top_k_constant", "top_k", "constant"),
        ("top_k_open", "top_k", "open"),
        ("l1", "l1", "linear"),
        ("l1_cosine", "l1", "cosine"),
        ("l1_constant", "l1", "constant"),
    ],
)
def test_a_method_is_a_sparsifier_and_a_schedule(
    method: str, sparsifier: str, schedule: str
) -> None:
    assert method in METHODS
    cell = Cell(method=method)
    assert (cell.sparsifier, cell.schedule) == (sparsifier, schedule)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"method": "l0"}, "method is 'l0', allowed are top_k, "),
        ({"position": "under"}, "position is 'under', allowed are beside, in_path, latent"),
        ({"width": 1}, "width is 1, allowed is at least 2"),
    ],
)
def test_wrong_values_are_refused(change: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Cell(**change)  # type: ignore[arg-type]
