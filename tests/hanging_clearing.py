"""A market whose clearings hang: what a process is asked to stop in the middle of."""

import time
from datetime import timedelta
from functools import partial
from typing import Any

from api_spec.case import Case
from api_spec.result import Result
from market import running
from market.api.world import World
from market.clearing.watched import clear_within


def hang(case: Case, *options: Any) -> Result:
    """In a process of its own; longer than any test."""
    time.sleep(300)
    raise AssertionError("nobody waits so long")


_hanging = partial(clear_within, limit=timedelta(minutes=10), clear=hang)


if __name__ == "__main__":
    World.clearing = property(lambda _: _hanging)  # type: ignore[assignment,method-assign]
    running.serve()
