"""Settlement by itself: a thread of a running market that settles what is due, and corrects what more is known of."""

import contextlib
import threading
from collections.abc import Iterator
from typing import Final

from sqlalchemy import Engine

from market.clock import Clock
from market.errors import FlexmarketError
from market.logs import log
from market.workflow.settling import due_corrections, due_settlements, settle_auction, take_corrections

_LOOKS_EVERY_S: Final = 30.0
_ENDS_WITHIN_S: Final = 5.0
_STEPS: Final = ((due_settlements, settle_auction), (due_corrections, take_corrections))


@contextlib.contextmanager
def watched_settlements(*, clock: Clock, engine: Engine, every_s: float = _LOOKS_EVERY_S) -> Iterator[None]:
    """Settle and correct what is due while the block runs.

    Several markets on one database may do so: each step locks its auction, and the second finds nothing left to do.
    """
    ended = threading.Event()
    thread = threading.Thread(target=_watch, args=(clock, engine, ended, every_s), name="settlements", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(_ENDS_WITHIN_S)


def _watch(clock: Clock, engine: Engine, ended: threading.Event, every_s: float) -> None:
    while not ended.is_set():
        with _logged("looking for what is due"):
            for due, step in _STEPS:
                for auction in due(now=clock.now(), engine=engine):
                    with _logged(f"settling {auction}"):
                        step(auction, now=clock.now(), engine=engine)
        ended.wait(every_s)


@contextlib.contextmanager
def _logged(what: str) -> Iterator[None]:
    """Log what goes wrong, and go on: no failure of one auction may stop the others."""
    try:
        yield
    except FlexmarketError as refusal:
        log.warning("not settled", what=what, reason=str(refusal))
    except Exception as failure:
        log.error("settlement interrupted", what=what, error=type(failure).__name__, exc_info=failure)
