import pytest
from pybtex.database import Entry, Person  # type: ignore[import-untyped]
from pybtex.plugin import find_plugin  # type: ignore[import-untyped]

from seethrough.book.bibliography_style import (
    STYLE_NAME,
    AuthorYearLabels,
    AuthorYearStyle,
    author_year,
    register,
)


def entry(*names: str, year: str | None = "2026") -> Entry:
    fields = {} if year is None else {"year": year}
    made = Entry("misc", fields=fields, persons={"author": [Person(name) for name in names]})
    made.key = "key2026"
    return made


@pytest.mark.parametrize(
    ("names", "label"),
    [
        (("Zhang, Siyu",), "Zhang, 2026"),
        (("von Rad, Jonathan", "Seuffert, Florian"), "von Rad and Seuffert, 2026"),
        (("Roy, Dip", "Misra, Rajiv", "Singh, Sanjay Kumar"), "Roy et al., 2026"),
        (("Bricken, Trenton", "others"), "Bricken et al., 2026"),
        (("Simon",), "Simon, 2026"),
        ((), "key2026, 2026"),
    ],
)
def test_author_year(names: tuple[str, ...], label: str) -> None:
    assert author_year(entry(*names)) == label


def test_a_missing_year_is_said() -> None:
    assert author_year(entry("Zhang, Siyu", year=None)) == "Zhang, n.d."


def test_labels_come_one_per_entry() -> None:
    labels = AuthorYearLabels().format_labels([entry("A, B"), entry("C, D", year="2020")])
    assert list(labels) == ["A, 2026", "C, 2020"]


def test_register_makes_the_style_known() -> None:
    register()
    assert find_plugin("pybtex.style.formatting", STYLE_NAME) is AuthorYearStyle
