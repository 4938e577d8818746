"""After delivery: meter readings come in, and the auction is settled against the frozen baselines."""

from datetime import datetime

from sqlalchemy import Engine

from api_spec.auction import Auction
from api_spec.metering import Reading, ReadingTerms
from market.errors import DeliveryNotOver, NotAdmitted, WrongState
from market.ledger.settlement import Place, statements
from market.ledger.transfers import settling_transfers
from market.orderbook.metering import metered, reading_defects
from market.orderbook.states import moved
from market.store import UnitOfWork


def submit_reading(
    auction: str, reading: ReadingTerms, *, participant: str, now: datetime, work: UnitOfWork
) -> Reading:
    """Keep meter readings of a published auction; a later message replaces what it repeats."""
    book = work.auctions.get(auction, lock="order")
    if book.state != "published":
        raise WrongState(auction, book.state, "metered")
    defects = reading_defects(reading, book, work.orders.nominated_buses(auction, participant), now=now)
    if defects:
        raise NotAdmitted(defects)

    return work.orders.add_reading(auction, participant, reading, now=now)


def settle_auction(auction: str, *, now: datetime, engine: Engine) -> Auction:
    """Settle a published auction whose delivery is over, and write its ledger.

    Raises DeliveryNotOver, ReadingsMissing (nothing is written then), WrongState.
    """
    with UnitOfWork(engine) as work:
        book = work.auctions.get(auction, lock="close")
        settled_book = moved(book, "settled", now=now)
        if now < book.delivery.end:
            raise DeliveryNotOver(auction, book.delivery.end)
        baselines = _baselines(auction, work)
        readings = metered(work.orders.readings(auction), book.delivery)

        awards = work.auctions.awards(auction)
        settled = statements(book, awards, baselines, readings, settled_at=now)
        transfers = settling_transfers(book, work.money.transfers(auction), settled, at=now)

        work.money.add_statements(settled)
        work.money.post(transfers)
        work.auctions.save_state(settled_book)
        work.commit()
    return settled_book


def _baselines(auction: str, work: UnitOfWork) -> dict[Place, tuple[int, ...]]:
    return {(own.participant, each.bus): each.power_w for own in work.orders.baselines(auction) for each in own.buses}
