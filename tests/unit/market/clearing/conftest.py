"""Parts of the clearing are tried as they run in it: with linear algebra on one thread."""

from collections.abc import Iterator

import pytest

from market.clearing.threads import one_thread


@pytest.fixture(autouse=True, scope="session")
def linear_algebra_on_one_thread() -> Iterator[None]:
    with one_thread():
        yield
