from collections.abc import Callable
from typing import Any


def test_setup_registers_both_roles_and_both_directives(build_pages: Callable[..., Any]) -> None:
    page = (
        "# Page\n\n{result}`this`, {verdict}`this`\n\n:::{claims}\n:::\n\n"
        ":::{reproduce}\n:command: make book\n:::\n"
    )
    built = build_pages({"page": page})
    assert "Reproduce this page" in built.html["page"]
    # here the roles have no number and no verdict, and the directive has no claims
    assert len(built.warnings) == 3
    assert not any("nknown" in warning for warning in built.warnings)
