"""The gates of a running market: watched by threads that clear whatever is due, of one process or of many."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Final

import structlog
from sqlalchemy import Engine

from market.clearing.watched import Clearing
from market.clock import Clock
from market.workflow.clearing import Worker, clear_next

_LOOKS_EVERY_S: Final = 0.5
_ENDS_WITHIN_S: Final = 5.0

log = structlog.get_logger()


@contextlib.contextmanager
def watched_gates(clear: Clearing, *, clock: Clock, engine: Engine, at_once: int = 1) -> Iterator[None]:
    """Clear what is due while the block runs, `at_once` auctions at a time.

    A clearing that is not over soon after the end of the block is left where it is: its lease runs out, and another
    worker, or the next start of this one, takes it up again.
    """
    ended = threading.Event()
    threads = [
        threading.Thread(target=_watch, args=(Worker.new(clear), clock, engine, ended), name="gates", daemon=True)
        for _ in range(at_once)
    ]
    for each in threads:
        each.start()
    try:
        yield
    finally:
        ended.set()
        for each in threads:
            each.join(_ENDS_WITHIN_S)


def _watch(worker: Worker, clock: Clock, engine: Engine, ended: threading.Event) -> None:
    while not ended.is_set():
        if not _one_cleared(worker, clock, engine):
            ended.wait(_LOOKS_EVERY_S)


def _one_cleared(worker: Worker, clock: Clock, engine: Engine) -> bool:
    """Whether there was something to clear. No failure of one auction may stop the others."""
    try:
        cleared = clear_next(worker, now=clock.now(), engine=engine)
    except Exception as failure:
        log.error("clearing interrupted", worker=worker.name, error=type(failure).__name__, exc_info=failure)
        return False
    if cleared is not None:
        log.info("auction cleared", auction=cleared.id, state=cleared.state, worker=worker.name)
    return cleared is not None
