"""The audit log of a running market: a thread takes new leaves into it, outside of every request."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Final

import structlog
from sqlalchemy import Engine

from market.clock import Clock
from market.workflow.auditing import build_log

_LOOKS_EVERY_S: Final = 1.0
_BETWEEN_LOTS_S: Final = 0.1
"""For requests: SQLite does not serve those who wait for its lock in their order."""
_ENDS_WITHIN_S: Final = 5.0

log = structlog.get_logger()


@contextlib.contextmanager
def kept_log(*, clock: Clock, engine: Engine) -> Iterator[None]:
    """Build the log while the block runs. What is not built in at its end is at the next start."""
    ended = threading.Event()
    thread = threading.Thread(target=_keep, args=(clock, engine, ended), name="audit log", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(_ENDS_WITHIN_S)


def _keep(clock: Clock, engine: Engine, ended: threading.Event) -> None:
    while not ended.is_set():
        ended.wait(_BETWEEN_LOTS_S if _one_lot_built(clock, engine) else _LOOKS_EVERY_S)


def _one_lot_built(clock: Clock, engine: Engine) -> bool:
    """Whether there was something to build in; what fails is done again in the next round."""
    try:
        return build_log(now=clock.now(), engine=engine) is not None
    except Exception as failure:
        log.error("building the audit log interrupted", error=type(failure).__name__, exc_info=failure)
        return False
