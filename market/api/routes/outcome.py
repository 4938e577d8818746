"""Results, awards and the published book; meter readings, statements and the ledger."""

from fastapi import APIRouter, Response

from api_spec.auction import BookEntry, PublishedResult
from api_spec.award import Award
from api_spec.metering import Reading, ReadingTerms
from api_spec.settlement import Statement, Transfer
from market.api.auth import Aggregator, Anyone
from market.api.intake import StrictRoute
from market.api.paging import PageOf
from market.api.posting import IdempotencyKey, once
from market.api.versions import tag
from market.api.world import WorldOf
from market.workflow import outcome, settling

router = APIRouter(route_class=StrictRoute, prefix="/auctions/{auction}")


@router.get("/result")
def result(auction: str, who: Anyone, world: WorldOf, response: Response) -> PublishedResult:
    """Prices and limits for all, one's own offers."""
    with world.reading() as work:
        found = outcome.published_result(auction, who=who, work=work)
    tag(response, found.version)
    return found


@router.get("/awards")
def awards(auction: str, who: Aggregator, world: WorldOf, page: PageOf) -> list[Award]:
    """One's own awards."""
    with world.reading() as work:
        return page.of(outcome.own_awards(auction, participant=who.id, work=work), lambda each: each.offer)


@router.get("/book")
def book(auction: str, who: Anyone, world: WorldOf, page: PageOf) -> list[BookEntry]:
    """The order book, without owners, after publication."""
    with world.reading() as work:
        # Entries have no owner and no name; published, their places do not change.
        entries = list(enumerate(outcome.published_book(auction, work=work)))
        return [entry for _, entry in page.of(entries, lambda each: str(each[0]))]


@router.post("/readings", status_code=201)
def submit_reading(
    auction: str, reading: ReadingTerms, who: Aggregator, world: WorldOf, key: IdempotencyKey
) -> Reading:
    """Report what one's resources drew."""
    now = world.clock.now()
    return once(
        world, who, key, f"submit_reading {auction}", reading,
        lambda work: settling.submit_reading(auction, reading, participant=who.id, now=now, work=work), Reading,
    )  # fmt: skip


@router.get("/readings")
def readings(auction: str, who: Aggregator, world: WorldOf, page: PageOf) -> list[Reading]:
    """One's own readings, all versions."""
    with world.reading() as work:
        work.auctions.get(auction)
        return page.of(work.orders.readings(auction, participant=who.id), lambda each: str(each.version))


@router.get("/statement")
def statement(auction: str, who: Aggregator, world: WorldOf) -> Statement:
    """One's settled statement."""
    with world.reading() as work:
        return outcome.own_statement(auction, participant=who.id, work=work)


@router.get("/transfers")
def transfers(auction: str, who: Anyone, world: WorldOf, page: PageOf) -> list[Transfer]:
    """Ledger entries that touch one's account; all for an operator."""
    with world.reading() as work:
        return page.of(outcome.visible_transfers(auction, who=who, work=work), lambda each: each.id)
