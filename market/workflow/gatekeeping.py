"""The gates of a running market: watched by threads that clear whatever is due, of one process or of many.

Another thread matches what is traded continuously while its gate is open.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Final

from sqlalchemy import Engine

from market.clearing.watched import Clearing
from market.clock import Clock
from market.logs import log
from market.workflow.clearing import Worker, clear_next
from market.workflow.matching import continuous_auctions, match_auction, standing_book

_LOOKS_EVERY_S: Final = 0.5
_ENDS_WITHIN_S: Final = 5.0


@contextlib.contextmanager
def watched_gates(clear: Clearing, *, clock: Clock, engine: Engine, at_once: int = 1) -> Iterator[Callable[[], bool]]:
    """Clear what is due while the block runs, `at_once` auctions at a time; gives whether all threads are at it.

    A clearing that is not over soon after the end of the block is left where it is: its lease runs out, and another
    worker, or the next start of this one, takes it up again.
    """
    ended = threading.Event()
    threads = [
        threading.Thread(target=_watch, args=(Worker.new(clear), clock, engine, ended), name="gates", daemon=True)
        for _ in range(at_once)
    ]
    threads.append(threading.Thread(target=_match, args=(clear, clock, engine, ended), name="matches", daemon=True))
    for each in threads:
        each.start()
    try:
        yield lambda: all(each.is_alive() for each in threads)
    finally:
        ended.set()
        for each in threads:
            each.join(_ENDS_WITHIN_S)


def _watch(worker: Worker, clock: Clock, engine: Engine, ended: threading.Event) -> None:
    while not ended.is_set():
        if not _one_cleared(worker, clock, engine):
            ended.wait(_LOOKS_EVERY_S)


def _match(clear: Clearing, clock: Clock, engine: Engine, ended: threading.Event) -> None:
    """Match every continuous auction whose book has changed since this thread matched it last."""
    seen: dict[str, str] = {}
    while not ended.wait(_LOOKS_EVERY_S):
        with _logged("looking for continuous auctions"):
            for auction in continuous_auctions(now=clock.now(), engine=engine):
                with _logged(f"matching {auction}"):
                    book = standing_book(auction, engine=engine)
                    if seen.get(auction) != book:
                        seen[auction] = book  # also where it fails: the same book would fail again
                        match_auction(auction, now=clock.now(), engine=engine, clear=clear)


@contextlib.contextmanager
def _logged(what: str) -> Iterator[None]:
    """Log what goes wrong, and go on: no failure of one auction may stop the others."""
    try:
        yield
    except Exception as failure:
        log.error("interrupted", what=what, error=type(failure).__name__, exc_info=failure)


def _one_cleared(worker: Worker, clock: Clock, engine: Engine) -> bool:
    """Whether there was something to clear. No failure of one auction may stop the others."""
    try:
        cleared = clear_next(worker, now=clock.now(), engine=engine)
    except Exception as failure:
        log.error("clearing interrupted", worker=worker.name, error=type(failure).__name__, exc_info=failure)
        return False
    return cleared is not None
