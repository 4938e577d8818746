"""A market whose clearings hang: what a process is asked to stop in the middle of."""

import contextlib
import time
from collections.abc import Iterator
from datetime import timedelta
from functools import partial

from api_spec.case import Case
from api_spec.result import Result
from market import running
from market.clearing import Options
from market.clearing.watched import Clearing, clear_within


def hang(case: Case, options: Options) -> Result:
    """In a process of its own; longer than any test."""
    time.sleep(300)
    raise AssertionError("nobody waits so long")


@contextlib.contextmanager
def _hanging(cluster: str | None, *, limit: timedelta | None) -> Iterator[Clearing]:
    yield partial(clear_within, limit=timedelta(minutes=10), clear=hang)


if __name__ == "__main__":
    running.clearing_by = _hanging  # type: ignore[attr-defined]
    running.serve()
