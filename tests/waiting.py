"""Waiting for what happens elsewhere."""

import time
from collections.abc import Callable


def until(holds: Callable[[], bool], *, within_s: float, what: str) -> None:
    """Wait until something holds; an AssertionError says what did not."""
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}"
        time.sleep(0.05)
