"""Results, awards and the published book; meter readings."""

from fastapi import Response

from api_spec.auction import BookEntry, PublishedResult
from api_spec.award import Award
from api_spec.metering import Reading, ReadingTerms
from market.api.auth import AggregatorMetering, AggregatorReading, Anyone
from market.api.intake import StrictRoute
from market.api.paging import PageOf
from market.api.posting import IdempotencyKey, once
from market.api.sections import Section
from market.api.versions import tag
from market.api.world import WorldOf
from market.workflow import outcome, settling

router = Section(route_class=StrictRoute, prefix="/auctions/{auction}")


@router.get("/result")
def result(auction: str, who: Anyone, world: WorldOf, response: Response) -> PublishedResult:
    """Prices and limits for all, one's own offers."""
    with world.reading() as work:
        found = outcome.published_result(auction, who=who, work=work)
    tag(response, found.version)
    return found


@router.get("/awards")
def awards(auction: str, who: AggregatorReading, world: WorldOf, page: PageOf) -> list[Award]:
    """One's own awards."""
    with world.reading() as work:
        found = outcome.own_awards(auction, participant=who.id, work=work)
        return page.of(found, lambda each: f"{each.offer} {each.version}")


@router.get("/book")
def book(auction: str, who: Anyone, world: WorldOf, page: PageOf) -> list[BookEntry]:
    """The order book, without owners, after publication."""
    with world.reading() as work:
        # Entries have no owner and no name; published, their places do not change.
        entries = list(enumerate(outcome.published_book(auction, work=work)))
        return [entry for _, entry in page.of(entries, lambda each: str(each[0]))]


@router.post("/readings", status_code=201)
def submit_reading(
    auction: str, reading: ReadingTerms, who: AggregatorMetering, world: WorldOf, key: IdempotencyKey
) -> Reading:
    """Report what one's resources drew."""
    now = world.clock.now()
    return once(
        world, who, key, f"submit_reading {auction}", reading,
        lambda work: settling.submit_reading(auction, reading, participant=who.id, now=now, work=work), Reading,
    )  # fmt: skip


@router.get("/readings")
def readings(auction: str, who: AggregatorReading, world: WorldOf, page: PageOf) -> list[Reading]:
    """One's own readings, all versions."""
    with world.reading() as work:
        work.auctions.get(auction)
        return page.of(work.orders.readings(auction, participant=who.id), lambda each: str(each.version))
