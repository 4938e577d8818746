"""The cloud's plan of a running site: every few minutes, and at once when somebody comes, goes or says something."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

import numpy as np
from pydantic import AfterValidator

from aggregator_agents.charging.serving.stays import Present, UsualStay, present
from aggregator_agents.delivery import Order
from aggregator_agents.dispatch.cloud import CloudAggregator
from aggregator_agents.dispatch.lease import PlugDemand
from aggregator_agents.dispatch.sharing import SitePlan
from aggregator_agents.drivers.book import BookUnavailable, WishBook
from aggregator_agents.drivers.desk import PlugView, PowerPlan, StayView, most_w
from aggregator_agents.drivers.wishes import Stay
from aggregator_agents.fleet import PHASE_V, Site
from aggregator_agents.planning import Corridor, Grid, Plan, Planner, Prices, Problem, Valuation
from api_spec.period import Duration
from api_spec.units import Message

LOG: Final = logging.getLogger(__name__)
_LOOK_S: Final = 1.0
_GOOD_FOR: Final = 3
"""Of plans that should have come since, a plan is followed."""
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)


def _divides_a_quarter(every: timedelta) -> timedelta:
    if timedelta(minutes=15) % every:
        raise ValueError("must divide a quarter of an hour")
    return every


class PlanningTable(Message):
    """How a service plans: every so often on the clock, by these values, for who says nothing as usual."""

    every: Annotated[Duration, AfterValidator(_divides_a_quarter)] = timedelta(minutes=5)
    value: Valuation = Valuation()
    usual: UsualStay = UsualStay()


class SitePlanner:
    """Plans one site from what its chargers tell the cloud and its drivers say, and has the cloud follow.

    order : what was sold, set by whoever trades for the site. When plans fail the last one stays in force for a while;
    then plugs share what there is.
    """

    def __init__(
        self,
        site: Site,
        cloud: CloudAggregator,
        table: PlanningTable,
        *,
        clock: Callable[[], datetime],
        book: WishBook | None = None,
        pseudonym: Callable[[str], str | None] = lambda plug: None,
        names: Mapping[str, str] | None = None,
    ) -> None:
        """Nothing is planned before `run`. pseudonym : of the card at a plug. names : of plugs, for people."""
        self._site, self._cloud, self._table = site, cloud, table
        self._clock, self._book, self._pseudonym, self._names = clock, book, pseudonym, names or {}
        self._known = frozenset(each.id for each in site.plugs)
        self._planner = Planner(within_s=2.0)
        self._arrived: dict[Stay, datetime] = {}
        self._plans: dict[Stay, PowerPlan] = {}
        self._asked = asyncio.Event()
        self._planned_at: datetime | None = None
        self.order: Order | None = None

    def ask(self) -> None:
        """Plan at once."""
        self._asked.set()

    async def run(self) -> None:
        """Until cancelled."""
        basis: object = None
        while True:
            # The first step of a plan ends on the clock; the next plan begins there.
            here = (self._clock() - _EPOCH) // self._table.every, self._basis()
            if here != basis or self._asked.is_set():
                self._asked.clear()
                basis = here
                try:
                    await self.plan()
                except Exception:
                    LOG.exception("%s: a plan has failed", self._site.bus)
                    self._give_up_old()
            try:
                async with asyncio.timeout(_LOOK_S):
                    await self._asked.wait()
            except TimeoutError:
                continue

    async def plan(self) -> None:
        """Plan with what is known now, and have the cloud follow."""
        now = self._clock()
        await self._observe(now)
        people = self._present(self._demands(), now)
        self._arrived = {each.stay: each.session.arrives for each in people}
        wanting = [each for each in people if each.demand.wants]
        planned = await asyncio.to_thread(self._planner.plan, self._problem(wanting, now))
        self._cloud.follow(_followed(wanting, planned))
        self._planned_at = now
        edges = (*planned.grid.starts(), planned.grid.end)
        self._plans = {
            each.stay: PowerPlan(now, edges, tuple(power_w), each.wish)
            for each, power_w in zip(wanting, planned.power_w.tolist(), strict=True)
        }

    def _give_up_old(self) -> None:
        """What was wanted some plans ago is no better than nothing."""
        if self._planned_at is not None and self._clock() > self._planned_at + _GOOD_FOR * self._table.every:
            self._cloud.follow(SitePlan())
            self._plans, self._planned_at = {}, None

    def look(self, plug: str) -> PlugView | None:
        """A plug as its driver may see it; None for one that is not here."""
        if plug not in self._known:
            return None
        now = self._clock()
        own = [each for each in self._demands() if each.plug == plug]
        here = next(iter(self._present(own, now)), None)
        name, giving_until = self._names.get(plug, plug), self._giving_until(now)
        return PlugView(plug, name, giving_until, None if here is None else self._view(here))

    def _view(self, here: Present) -> StayView:
        demand, session = here.demand, here.session
        return StayView(
            session,
            most_w=most_w(self._site.charger_of(session.plug), session),
            drawn_w=sum(demand.measured_a) * PHASE_V,
            delivered_wh=demand.session_wh,
            plan=self._plans.get(here.stay),
            driver=self._pseudonym(session.plug),
            wants=demand.wants,
        )

    def _present(self, demands: list[PlugDemand], now: datetime) -> tuple[Present, ...]:
        wishes = {} if self._book is None else self._book.wishes
        return present(self._site, demands, self._arrived, wishes, self._table.usual, now=now)

    def _demands(self) -> list[PlugDemand]:
        return sorted(
            (plug for heard in self._cloud.heard.values() for plug in heard.request.plugs), key=lambda each: each.plug
        )

    def _basis(self) -> object:
        """What a plan has to be made anew for."""
        return [
            (each.plug, each.session, each.wants, each.phases, each.min_a, each.max_a, each.departs, each.tripped)
            for each in self._demands()
        ], self.order

    async def _observe(self, now: datetime) -> None:
        """Have the book forget what is over."""
        if self._book is None:
            return
        there = {each.plug: each.session for each in self._demands()}
        try:
            await asyncio.to_thread(self._book.observe, there, now)
        except BookUnavailable as failure:
            LOG.error("%s; what is over is forgotten later", failure)

    def _problem(self, wanting: list[Present], now: datetime) -> Problem:
        grid, ahead = Grid.ahead(now, short=self._table.every), tuple(each.ahead(now) for each in wanting)
        price = np.full(grid.count, self._table.value.price_eur_per_mwh)
        return Problem(
            self._site,
            grid,
            ahead,
            self._table.value,
            Prices.bought(price),
            corridor=None if self.order is None else _corridor(self.order, grid),
            at_plug={session.id: each.at_plug() for session, each in zip(ahead, wanting, strict=True)},
        )

    def _giving_until(self, now: datetime) -> datetime | None:
        """The end of the award that the site is delivering; None where it is delivering none."""
        if self.order is None or not self.order.delivery.start <= now < self.order.delivery.end:
            return None
        delivery, first = self.order.delivery, self.order.delivery.index(now)
        flat = np.flatnonzero(self.order.awarded_w[first:] == 0)
        count = int(flat[0]) if len(flat) else delivery.count - first
        return delivery.start + (first + count) * delivery.resolution if count else None


def _corridor(order: Order, grid: Grid) -> Corridor:
    """Below the target everywhere in the delivery, and at it where more was sold."""
    floor_w = np.where(order.awarded_w > 0, order.target_w, -np.inf)
    return Corridor(order.target_w, floor_w, order.missed_eur_per_mwh).on(grid, order.delivery)


def _followed(wanting: list[Present], planned: Plan) -> SitePlan:
    amps = {each.session.plug: int(own) for each, own in zip(wanting, planned.amps[:, 0], strict=True)}
    priority = {each.session.plug: each.session.priority for each in wanting}
    return SitePlan(target_a=amps, weight=priority, urgency=priority)
