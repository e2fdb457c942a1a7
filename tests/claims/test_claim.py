import pytest

from seethrough.claims import Claim, PaperValue


def test_row_ids_names_each_row_once_in_order_of_appearance() -> None:
    claim = Claim(
        id="X",
        paper="p",
        claim="c",
        standing="s",
        rows=("b", "a"),
        groups=(("a", "c"), ("d", "b")),
    )
    assert claim.row_ids == ("b", "a", "c", "d")


@pytest.mark.parametrize(
    ("reference_study", "expected"), [(None, ("one", "one")), ("two", ("two", "one"))]
)
def test_reference_study_stands_in_for_the_reference_alone(
    reference_study: str | None, expected: tuple[str, str]
) -> None:
    claim = Claim(
        id="X", paper="p", claim="c", standing="s", study="one", reference_study=reference_study
    )
    assert (claim.study_of("reference"), claim.study_of("this")) == expected


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"mean": 0.3, "text": "thirty"},
        {"text": "stable", "sd": 0.1},
        {"mean": 0.3, "sd": -0.1},
    ],
)
def test_paper_value_is_a_number_with_a_spread_or_a_text(parts: dict[str, float | str]) -> None:
    with pytest.raises(ValueError, match="allowed"):
        PaperValue(**parts)  # type: ignore[arg-type]
