"""What the market tells of itself: one line in the log for each step of an auction, and the numbers beside it.

No line has a price, a power or an owner in it.
"""

import contextlib
import time
from collections.abc import Iterator
from datetime import datetime

from api_spec.auction import Auction
from api_spec.result import Result
from market import metrics
from market.errors import ClearingError
from market.logs import log


def gate_closed(auction: Auction, *, now: datetime) -> None:
    """The book is frozen."""
    late_s = (now - auction.gate_closure).total_seconds()
    metrics.GATE_LATENESS_SECONDS.observe(late_s)
    log.info("gate closed", auction=auction.id, late_s=round(late_s, 3))


@contextlib.contextmanager
def clearing_watched(auction: str, *, worker: str) -> Iterator[None]:
    """A clearing is computed: how long it takes, and what becomes of it where nothing comes of it."""
    log.info("clearing started", auction=auction, worker=worker)
    started = time.monotonic()
    try:
        with metrics.CLEARINGS_RUNNING.track_inprogress():
            yield
    except ClearingError as failure:
        seconds, kind = time.monotonic() - started, type(failure).__name__
        metrics.CLEARINGS.labels(kind).inc()
        # Its sentence names what is short of what; who may read it finds it with the auction.
        log.error("clearing failed", auction=auction, failure=kind, seconds=round(seconds, 3))
        raise
    finally:
        metrics.CLEARING_SECONDS.observe(time.monotonic() - started)


def published(auction: str, result: Result) -> None:
    """A result is published."""
    metrics.CLEARINGS.labels(result.status).inc()
    metrics.CLEARING_ITERATIONS.observe(result.verification.iterations)
    for offer in result.offers:
        metrics.OFFERS_CLEARED.labels("accepted" if offer.reason is None else offer.reason.code).inc()
    log.info(
        "clearing published",
        auction=auction,
        status=result.status,
        seconds=round(sum(result.solver.seconds.values()), 3),
        iterations=result.verification.iterations,
        input_sha256=result.input_sha256,
    )


def settled(auction: str) -> None:
    """An auction is settled."""
    metrics.SETTLEMENTS.inc()
    log.info("settled", auction=auction)
