"""What awards oblige to: acknowledgement, reserved capacity, and what its availability came to."""

from api_spec.award import AcknowledgedAward, Acknowledgement, AcknowledgementTerms
from api_spec.reservation import AvailabilityStatement, Obligation, Reservation
from market.api.auth import AccountHolder, Aggregator, OrderReader
from market.api.intake import StrictRoute
from market.api.paging import PageOf
from market.api.posting import IdempotencyKey, once
from market.api.sections import Section
from market.api.world import WorldOf
from market.workflow import acknowledging, reserving

router = Section(route_class=StrictRoute)


@router.post("/auctions/{auction}/awards/{offer}/acknowledgement", status_code=201)
def acknowledge_award(
    auction: str, offer: str, terms: AcknowledgementTerms, who: Aggregator, world: WorldOf, key: IdempotencyKey
) -> Acknowledgement:
    """Say whether one of one's awards will be delivered; there is one answer."""
    now = world.clock.now()
    return once(
        world, who, key, f"acknowledge_award {auction} {offer}", terms,
        lambda work: acknowledging.acknowledge_award(
            auction, offer, terms, participant=who.id, now=now, work=work
        ), Acknowledgement,
    )  # fmt: skip


@router.get("/auctions/{auction}/acknowledgements")
def acknowledged_awards(auction: str, who: OrderReader, world: WorldOf, page: PageOf) -> list[AcknowledgedAward]:
    """Awards with their answers: all for the auction's DSO and operators, one's own for others."""
    with world.reading() as work:
        found = acknowledging.acknowledged_awards(auction, who=who, work=work)
        return page.of(found, lambda each: f"{each.offer} {each.version}")


@router.get("/reservations")
def reservations(who: OrderReader, world: WorldOf, page: PageOf) -> list[Reservation]:
    """One's own reservations, those of a DSO's auctions, or all for an operator."""
    with world.reading() as work:
        found = reserving.visible_reservations(who=who, work=work)
        return page.of(found, lambda each: f"{each.auction} {each.offer}")


@router.get("/auctions/{auction}/obligations")
def obligations(auction: str, who: OrderReader, world: WorldOf, page: PageOf) -> list[Obligation]:
    """What an activation auction asked of reservations, and how much of them it called."""
    with world.reading() as work:
        found = reserving.visible_obligations(auction, who=who, work=work)
        return page.of(found, lambda each: f"{each.reservation} {each.offer}")


@router.get("/auctions/{auction}/availability")
def availability(auction: str, who: AccountHolder, world: WorldOf, page: PageOf) -> list[AvailabilityStatement]:
    """Settled statements of a reservation auction: one's own, or all for its DSO and operators."""
    with world.reading() as work:
        found = reserving.visible_availability(auction, who=who, work=work)
        return page.of(found, lambda each: f"{each.participant} {each.version}")
