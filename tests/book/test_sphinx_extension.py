from collections.abc import Callable
from typing import Any


def test_setup_registers_the_role_and_both_directives(build_pages: Callable[..., Any]) -> None:
    page = (
        "# Page\n\n{result}`this`\n\n:::{claims}\n:::\n\n:::{reproduce}\n:command: make book\n:::\n"
    )
    built = build_pages({"page": page})
    assert "Reproduce this page" in built.html["page"]
    assert len(built.warnings) == 2  # the role has no number here, the directive no claims
    assert not any("nknown" in warning for warning in built.warnings)
