"""One simulated delivery, from the opening of an auction to settled statements, over HTTP and in virtual time."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np

from api_spec.auction import Auction, BookEntry, PublishedResult
from api_spec.award import Award
from api_spec.case import Case
from api_spec.client import or_none
from api_spec.metering import Baseline, Reading
from api_spec.settlement import Statement, Transfer
from market.errors import FlexmarketError
from market.network.model import FloatArray
from market.settings import Settings
from market.simulation.billing import NO_BILLS, Bills, billed
from market.simulation.enacting import enact
from market.simulation.participant import Participant
from market.simulation.scenario import Scenario
from market.simulation.world import World, world_of
from market.store import UnitOfWork

MINUTE: Final = timedelta(minutes=1)
_BETWEEN_CYCLES: Final = timedelta(minutes=15)
_TOKEN_TTL: Final = timedelta(days=400)  # virtual time runs fast, and every new token costs a password check

Progress: TypeAlias = Callable[[str, float], None]
"""Told what is happening and which part of the run is done, 0 to 1."""


class NothingHappened(FlexmarketError):
    """A run without an auction to look at, or one that could not be cleared."""


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
class Outcome:
    """Everything that a finished run has to tell.

    agents, fleets : by the name of the scenario. case : the frozen book that was cleared. book : as it was published.
    drawn_w : (period,) true mean power of all chargers at each bus [W]. bills : what was paid outside of the auction.
    """

    scenario: Scenario
    agents: Mapping[str, Participant]
    auction: Auction
    case: Case
    result: PublishedResult
    book: tuple[BookEntry, ...]
    fleets: Mapping[str, Fleet]
    transfers: tuple[Transfer, ...]
    drawn_w: Mapping[str, FloatArray]
    bills: Bills = NO_BILLS


async def simulate(scenario: Scenario, *, folder: Path, progress: Progress = lambda *_: None) -> Outcome:
    """Run a scenario; the market's database stays in `folder`.

    Raises BadScenario, and NothingHappened where no agent opened an auction or it could not be cleared.
    """
    settings = Settings(token_ttl=_TOKEN_TTL, clearing_limit=None)
    async with world_of(scenario, folder=folder, settings=settings) as world:
        await _prepared(scenario, world)
        await _until_gate(scenario, world, progress)
        progress("clearing", 0.1)
        auction = await _cleared(scenario, world)
        drawn_w = await _deliver(scenario, world, progress)
        progress("settling", 0.97)
        return await _settled(scenario, world, auction, drawn_w)


async def _prepared(scenario: Scenario, world: World) -> None:
    """Networks, tariffs and contracts stand before any aggregator acts."""
    for name, entry in scenario.agents.items():
        if entry.role == "dso":
            await world.participants[name].cycle(scenario.begins)
    await enact(scenario, world)


async def _until_gate(scenario: Scenario, world: World, progress: Progress) -> None:
    """Everyone acts every quarter of an hour until the gate closes."""
    now = scenario.begins
    while now < scenario.gate_closure:
        done = (now - scenario.begins) / (scenario.gate_closure - scenario.begins)
        progress("requests and offers", 0.1 * done)
        world.clock.advance_to(now)
        await _cycle(world, now)
        now += _BETWEEN_CYCLES
    world.clock.advance_to(scenario.gate_closure)


async def _cleared(scenario: Scenario, world: World) -> Auction:
    standing = await world.operator.auctions()
    mine = next((each for each in standing if each.delivery == scenario.delivery), None)
    if mine is None:
        raise NothingHappened(f'scenario "{scenario.name}": no DSO opened an auction for its delivery')
    cleared = await world.operator.clear(mine.id)
    if cleared.state != "published":
        raise NothingHappened(f"auction {mine.id} could not be cleared: {cleared.failure}")
    return cleared


async def _deliver(scenario: Scenario, world: World, progress: Progress) -> dict[str, FloatArray]:
    """Setpoints every minute, the market side every period; returns what was really drawn, mean per period [W]."""
    delivery = scenario.delivery
    minutes = int((delivery.end - delivery.start) / MINUTE)
    per_period = delivery.resolution / MINUTE
    for minute in range(minutes):
        now = delivery.start + minute * MINUTE
        world.clock.advance_to(now)
        if minute % per_period < 1:
            progress(f"delivery {_clock(scenario, now)}", 0.12 + 0.85 * minute / minutes)
            await _cycle(world, now)
        for participant in world.participants.values():
            await participant.control(now)
    world.clock.advance_to(delivery.end)
    await _cycle(world, delivery.end)
    drawn: dict[str, FloatArray] = defaultdict(lambda: np.zeros(delivery.count))
    for participant in world.participants.values():
        for bus, power_w in participant.drawn_w(delivery).items():
            drawn[bus] += power_w
    return dict(drawn)


async def _settled(scenario: Scenario, world: World, auction: Auction, drawn_w: Mapping[str, FloatArray]) -> Outcome:
    settled = await world.operator.settle(auction.id)
    fleets = {
        name: await _fleet(world, name, settled) for name, entry in scenario.agents.items() if entry.role != "dso"
    }
    return Outcome(
        scenario=scenario,
        agents=world.participants,
        auction=settled,
        case=_cleared_case(world, settled),
        result=await world.operator.result(settled.id),
        book=await world.operator.book(settled.id),
        fleets=fleets,
        transfers=await world.operator.transfers(settled.id),
        drawn_w=drawn_w,
        bills=await billed(scenario, world, settled),
    )


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


async def _cycle(world: World, now: datetime) -> None:
    for participant in world.participants.values():
        await participant.cycle(now)


def _clock(scenario: Scenario, now: datetime) -> str:
    return f"{now.astimezone(scenario.zone):%H:%M}"
