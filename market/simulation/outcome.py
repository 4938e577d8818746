"""What a delivery has to tell once it is settled."""

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

import numpy as np

from api_spec.auction import Auction, AuctionState, BookEntry, PublishedResult
from api_spec.award import Award
from api_spec.case import Case
from api_spec.client import MarketRefused, or_none
from api_spec.grid_metering import GridReading
from api_spec.ids import AuctionId
from api_spec.metering import Baseline, Reading
from api_spec.period import MarketPeriod
from api_spec.settlement import Statement, Transfer
from market.network.model import FloatArray
from market.simulation.agenda import Day
from market.simulation.billing import NO_BILLS, Bills, billed
from market.simulation.participant import Participant
from market.simulation.scenario import Scenario
from market.simulation.world import World
from market.store import UnitOfWork
from market.workflow.settling import due_settlements

_MOST: Final = 1000


@dataclass(frozen=True)
class Fleet:
    """One aggregator's view of the auction, and its agent. organisation : its id on the market."""

    agent: Participant
    organisation: str
    baseline: Baseline | None
    awards: tuple[Award, ...]
    readings: tuple[Reading, ...]
    statement: Statement | None


@dataclass(frozen=True)
class Unsettled:
    """An auction that was cleared and whose time is not over, such as a reservation. pending_eur : set aside for it."""

    auction: Auction
    pending_eur: Decimal


@dataclass(frozen=True)
class Outcome:
    """Everything that a settled delivery has to tell. Its agents go on: what they tell is asked for at once, or never.

    day : which delivery it is. last : none follows it. agents, fleets : by the name of the scenario. case : the frozen
    book that was cleared. book : as it was published. transfers : the ledger of the auction, and of what else was
    settled with it, such as a reservation. drawn_w : (period,) true mean power of all chargers at each bus [W]. bills :
    what was paid outside of auctions. meter_readings : that have arrived since the delivery before. unsettled : of the
    last delivery, what the run leaves open.
    """

    scenario: Scenario
    day: Day
    last: bool
    agents: Mapping[str, Participant]
    auction: Auction
    case: Case
    result: PublishedResult
    book: tuple[BookEntry, ...]
    fleets: Mapping[str, Fleet]
    transfers: tuple[Transfer, ...]
    drawn_w: Mapping[str, FloatArray]
    bills: Bills = NO_BILLS
    meter_readings: tuple[GridReading, ...] = ()
    unsettled: tuple[Unsettled, ...] = ()


async def settled(scenario: Scenario, world: World, day: Day, auction: AuctionId, *, last: bool) -> Outcome:
    """Settle a delivery that is over, and ask everybody what there is to tell."""
    found = await world.operator.settle(auction)
    drawn_w = _drawn_w(world, day.delivery)
    fleets = {name: await _fleet(world, name, found) for name, entry in scenario.agents.items() if entry.role != "dso"}
    return Outcome(
        scenario=scenario,
        day=day,
        last=last,
        agents=world.participants,
        auction=found,
        case=_cleared_case(world, found),
        result=await world.operator.result(found.id),
        book=await world.operator.book(found.id),
        fleets=fleets,
        transfers=await world.operator.transfers(found.id),
        drawn_w=drawn_w,
        bills=await billed(scenario, world, found, sum(drawn_w.values(), np.zeros(found.delivery.count))),
    )


def standing(world: World, state: AuctionState) -> list[Auction]:
    """Auctions in a state, oldest first; from the market's database, because it is asked all the time."""
    with UnitOfWork(world.engine, reading=True) as work:
        return [each for _, each in work.auctions.page(after=0, limit=_MOST, states=(state,))]


def of_day(auction: Auction, day: Day) -> bool:
    """Whether it is the auction of a day's delivery, and not one that reserves power for it."""
    return auction.delivery == day.delivery and auction.product.stage == "activation"


async def settle_due(world: World, now: datetime) -> tuple[Transfer, ...]:
    """Settle what else is over, such as a reservation, and give what it comes to; what is not ready yet comes again."""
    entries: list[Transfer] = []
    for auction in due_settlements(now=now, engine=world.engine):
        with contextlib.suppress(MarketRefused):
            await world.operator.settle(auction)
            entries += await world.operator.transfers(auction)
    return tuple(entries)


def unsettled(world: World) -> tuple[Unsettled, ...]:
    """What is cleared and not settled, oldest first."""
    with UnitOfWork(world.engine, reading=True) as work:
        books = work.auctions.published_books()
        return tuple(Unsettled(each, _pending_eur(work.money.transfers(each.id))) for each in books)


def _pending_eur(transfers: Iterable[Transfer]) -> Decimal:
    return sum((each.amount_eur for each in transfers if each.stage == "pending"), Decimal(0))


def _cleared_case(world: World, auction: Auction) -> Case:
    """From the market's database: nobody is told all of it over HTTP."""
    with UnitOfWork(world.engine) as work:
        published = work.auctions.published(auction.id)
    assert published is not None, "a settled auction was published"
    return published.case


async def _fleet(world: World, name: str, auction: Auction) -> Fleet:
    client = world.clients[name]
    return Fleet(
        agent=world.participants[name],
        organisation=(await client.me()).id,
        baseline=await or_none(client.baseline(auction.id)),
        awards=await client.awards(auction.id),
        readings=await client.readings(auction.id),
        statement=await or_none(client.statement(auction.id)),
    )


def _drawn_w(world: World, delivery: MarketPeriod) -> Mapping[str, FloatArray]:
    drawn: dict[str, FloatArray] = defaultdict(lambda: np.zeros(delivery.count))
    for participant in world.participants.values():
        for bus, power_w in participant.drawn_w(delivery).items():
            drawn[bus] += power_w
    return dict(drawn)
