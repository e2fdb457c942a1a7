from collections.abc import Iterator

import jaxtyping
import pytest


@pytest.fixture
def no_shape_checks() -> Iterator[None]:
    """Switch the tests' shape checks off, to reach the errors that users see."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
