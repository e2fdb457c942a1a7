"""The bibliography's labels: "Roy et al., 2026", as the pages cite."""

from collections.abc import Iterable, Iterator

from pybtex.database import Entry, Person  # type: ignore[import-untyped]
from pybtex.plugin import register_plugin  # type: ignore[import-untyped]
from pybtex.style.formatting.plain import Style as PlainStyle  # type: ignore[import-untyped]
from pybtex.style.labels import BaseLabelStyle  # type: ignore[import-untyped]

STYLE_NAME = "author_year_labels"
"""Value of ``bibtex_default_style`` in _config.yml."""


def surname(person: Person) -> str:
    """Return a person's last name with its particle: "von Rad"."""
    return " ".join([*person.prelast_names, *person.last_names])


def author_year(entry: Entry) -> str:
    """Return the label of a bibliography entry: one or two surnames, or the first and "et al.".

    BibTeX's "and others" counts as further authors.
    An entry without authors is named by its key, one without a year has "n.d.".
    """
    names = [surname(person) for person in entry.persons.get("author", [])] or [entry.key]
    many = len(names) > 2 or names[-1] == "others"
    who = f"{names[0]} et al." if many else " and ".join(names)
    return f"{who}, {entry.fields.get('year', 'n.d.')}"


class AuthorYearLabels(BaseLabelStyle):  # type: ignore[misc]  # pybtex has no types
    """Label every entry by author and year."""

    def format_labels(self, sorted_entries: Iterable[Entry]) -> Iterator[str]:
        """Yield one label per entry, in order."""
        yield from (author_year(entry) for entry in sorted_entries)


class AuthorYearStyle(PlainStyle):  # type: ignore[misc]
    """The plain style, sorted by author, with author and year as label."""

    default_label_style = AuthorYearLabels


def register() -> None:
    """Make the style known to pybtex under `STYLE_NAME`."""
    register_plugin("pybtex.style.formatting", STYLE_NAME, AuthorYearStyle)
