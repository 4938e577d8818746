"""What stands where in the market, for those who watch over it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Engine

from market.store import UnitOfWork


@dataclass(frozen=True)
class Standing:
    """states : auctions by state. due : whose gate's time has come, until they are published or have failed.

    overdue : since when the first of them has been due. undelivered : notices to webhooks whose time has come.
    """

    states: Mapping[str, int]
    due: int
    overdue: timedelta
    undelivered: int


def standing(*, now: datetime, engine: Engine) -> Standing:
    """Where all auctions stand now, and how much has still to be told of them."""
    with UnitOfWork(engine, reading=True) as work:
        states = work.auctions.counts()
        due = list(work.jobs.due(now))
        gate = work.auctions.get(due[0]).gate_closure if due else now
        undelivered = work.notices.due(now)
    return Standing(states, len(due), now - gate, undelivered)
