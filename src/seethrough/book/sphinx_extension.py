"""Register the book's roles, directives and bibliography style with Sphinx."""

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

from seethrough import __version__
from seethrough.book import bibliography_style
from seethrough.book.claims_table import ClaimsTable
from seethrough.book.reproduce import Reproduce
from seethrough.book.result_role import ResultRole
from seethrough.book.verdict_role import VerdictRole


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the roles, the directives and the style.

    The roles are ``result`` and ``verdict``, the directives ``reproduce`` and ``claims``.
    """
    bibliography_style.register()
    app.add_role("result", ResultRole())
    app.add_role("verdict", VerdictRole())
    app.add_directive("reproduce", Reproduce)
    app.add_directive("claims", ClaimsTable)
    return {"version": __version__, "parallel_read_safe": True, "parallel_write_safe": True}
