"""From the gate to the published result. Each step can be repeated after a crash, and gives the same."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from threading import Lock
from typing import Final, TypeAlias

from sqlalchemy import Engine

from api_spec.auction import Auction
from api_spec.case import Case
from api_spec.result import Result
from market import clearing
from market.clearing.watched import clear_within
from market.errors import ClearingError
from market.ledger.awards import awards_of
from market.ledger.transfers import pending_transfers
from market.notices import story
from market.orderbook.book import case_of
from market.orderbook.states import moved
from market.store import UnitOfWork

Clearing: TypeAlias = Callable[[Case], Result]

_ONE_AT_A_TIME: Final = Lock()
"""The scheduled gate and an operator's call, or its repetition, must not compute the same clearing twice."""


def clear_auction(auction: str, *, now: datetime, engine: Engine, clear: Clearing = clearing.clear) -> Auction:
    """Close the gate, clear and publish; takes up where an interrupted one stopped.

    Raises GateStillOpen before gate closure, WrongState for an auction that is settled or failed already; a published
    one is returned as it is. One that cannot be cleared ends as failed, with the reason; nothing of it is published.
    """
    with _ONE_AT_A_TIME:
        with UnitOfWork(engine) as work:
            book = work.auctions.get(auction)
        if book.state == "published":
            return book
        case = _frozen_book(auction, now=now, engine=engine)
        # No transaction is held while the solver works: the book is closed, nothing can change it.
        try:
            result = clear(case)
        except ClearingError as failure:
            return _failed(auction, failure, now=now, engine=engine)
        return _published(auction, case, result, now=now, engine=engine)


def clearing_within(limit: timedelta | None) -> Clearing:
    """Clearing that is stopped after `limit`, in a process of its own; without one, in this process."""
    return clearing.clear if limit is None else partial(clear_within, limit=limit)


def due_auctions(*, now: datetime, engine: Engine) -> list[str]:
    """Auctions to be cleared now: their gate's time has come, or their clearing was interrupted."""
    with UnitOfWork(engine) as work:
        return work.auctions.due(now)


def _frozen_book(auction: str, *, now: datetime, engine: Engine) -> Case:
    with UnitOfWork(engine) as work:
        book = work.auctions.get(auction)
        closes = book.state == "open"
        if closes:
            book = moved(book, "closed", now=now)
        if book.state != "clearing":
            book = moved(book, "clearing", now=now)
        work.auctions.save_state(book)
        case = _case(book, work)
        if closes:
            work.outbox.add(story.closed(auction, now=now))
        work.commit()
    return case


def _case(book: Auction, work: UnitOfWork) -> Case:
    network, _ = work.participants.network(book.network)
    return case_of(
        book,
        network,
        forecast=work.auctions.forecast(book.id),
        baselines=work.orders.baselines(book.id),
        requests=[each.request for each in work.orders.requests(book.id)],
        offers=[each.offer for each in work.orders.offers(book.id) if each.state == "active"],
    )


def _published(auction: str, case: Case, result: Result, *, now: datetime, engine: Engine) -> Auction:
    with UnitOfWork(engine) as work:
        book = moved(work.auctions.get(auction), "published", now=now)
        awards = awards_of(case, result)
        work.auctions.publish(auction, case, result, awards, now=now)
        work.money.post(pending_transfers(book, awards, at=now))
        work.auctions.save_state(book)
        work.outbox.add(story.published(auction, awards, now=now))
        work.commit()
    return book


def _failed(auction: str, failure: ClearingError, *, now: datetime, engine: Engine) -> Auction:
    with UnitOfWork(engine) as work:
        book = moved(work.auctions.get(auction), "failed", now=now, failure=str(failure))
        work.auctions.save_state(book)
        work.outbox.add(story.failed(auction, now=now))
        work.commit()
    return book
