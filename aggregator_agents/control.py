"""The cloud aggregator's decisions at one site: what every plug should have now, within what was sold.

A plan every five minutes and whenever something changes; in between, while something was sold, the energy of the
period in whole amps. What is decided can only ask for amps: whether a charger may have them is for the leases.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import numpy as np

from aggregator_agents.connection import Connection, NetworkTerms
from aggregator_agents.dispatch.lease import PlugDemand
from aggregator_agents.dispatch.tracking import Wish, period_power, tracked
from aggregator_agents.fleet import PHASE_V, Session
from aggregator_agents.meter_log import NotMetered, SiteMeter
from aggregator_agents.order import Order
from aggregator_agents.peaks import PeakWatch
from aggregator_agents.planning import AtPlug, Grid, Plan, Planner, Plans, Problem
from aggregator_agents.presence import FULL_WH, Habit, coming, present
from api_spec.period import MarketPeriod

PLAN_EVERY: Final = timedelta(minutes=5)
_STEP_H: Final = PLAN_EVERY / timedelta(hours=1)
_QUARTER: Final = timedelta(minutes=15)
_PLAN_WITHIN_S: Final = 2.0
_LEAST_SEEN: Final = 0.5
"""A vehicle that draws less than this of its signal is ramping or finishing; what it is told is worth its nominal."""

Likely = Callable[[Sequence[Session], Mapping[str, float], datetime], Mapping[str, float]]
"""Energy that announced sessions take in the end, by what they have taken by now, by id [Wh]."""
Amended = Callable[[Sequence[Session]], Sequence[Session]]
"""Sessions with what their drivers have said in the meantime."""


class PlugMinute(NamedTuple):
    """What a plug was allowed and what its meter counted, mean power from `at` to the next decision [W]."""

    at: datetime
    plug: str
    setpoint_w: float
    metered_w: float


@dataclass(frozen=True, eq=False)
class _Standing:
    """The plan that holds. made : when. until : of the market period it was made in. cause : what it was made for."""

    plan: Plan
    made: datetime
    until: datetime
    cause: frozenset[tuple[object, ...]]

    def energy_wh(self) -> float:
        """Of all vehicles from `made` to `until`, as planned [Wh]."""
        ends_h = np.minimum(self.plan.grid.edges_h, (self.until - self.made).total_seconds() / 3600)
        return float(self.plan.total_w @ np.diff(ends_h))


class SiteControl:
    """Decides for one site. What it keeps between two calls can be lost: the next call plans again."""

    def __init__(
        self,
        connection: Connection,
        *,
        habit: Habit | None = None,
        amended: Amended = tuple,
        likely: Likely | None = None,
        planner: Plans | None = None,
    ) -> None:
        """Without an order and without a tariff.

        habit : of drivers who say nothing. amended : sessions with what drivers said later, asked for every time.
        likely : what drivers take of what they ask for; without it, all of it.
        """
        self.connection = connection
        self._habit, self._amended, self._likely = habit or Habit(), amended, likely
        self._planner = planner or Planner(within_s=_PLAN_WITHIN_S)
        self.peaks = PeakWatch()
        self.order: Order | None = None
        self._told: tuple[Order | None, NetworkTerms] = None, NetworkTerms()
        self.expected = ()
        self.log: list[PlugMinute] = []
        self._standing: _Standing | None = None
        self._since: dict[str, datetime] = {}
        self._stops: dict[str, int] = {}
        self._weights: dict[str, float] = {}
        self._seen: tuple[datetime, tuple[PlugDemand, ...]] | None = None
        self._on: set[str | None] = set()

    @property
    def expected(self) -> tuple[Session, ...]:
        """What drivers have announced."""
        return self._expected

    @expected.setter
    def expected(self, announced: tuple[Session, ...]) -> None:
        self._expected = announced
        self._announced = {each.id: each for each in announced}

    def forget(self, before: datetime) -> None:
        """What plugs were allowed and drew before."""
        self.log = [each for each in self.log if each.at >= before]

    @property
    def plan(self) -> Plan | None:
        """The plan that holds, for those who want to see it."""
        return self._standing.plan if self._standing is not None else None

    def obey(self, order: Order | None, terms: NetworkTerms | None = None) -> None:
        """What was sold, and the network's terms, from the next decision on; the same again changes nothing."""
        self._told = order, terms or NetworkTerms()

    def weights(self) -> dict[str, float]:
        """Of plugs beside each other: the priority of their drivers, as of the last decision."""
        return self._weights

    def decide(self, demands: Sequence[PlugDemand], meter: SiteMeter, now: datetime) -> dict[str, int]:
        """Amps per phase for every plug with a vehicle, negative to feed back; 0 where it wants nothing.

        Plugs without one are left out: who comes before the next decision gets what is left meanwhile.

        demands : what chargers reported last. meter : of all plugs together.
        """
        self._take()
        self.peaks.note(self.connection, meter, now)
        self._note(tuple(demands), now)
        here = self._amended(present(demands, announced=self._announced, since=self._since, now=now, habit=self._habit))
        self._weights = {each.plug: each.priority for each in here}
        targets = {each.plug: 0 for each in demands if each.session is not None}
        if not here:
            self._standing = None
            return targets
        standing = self._planned(here, demands, meter, now)
        setpoint_a = standing.plan.setpoint_a
        targets |= {each.plug: setpoint_a.get(each.id, 0) for each in here}
        if self.order is not None and self.order.awarded_at(now) != 0:
            targets |= self._tracked(here, demands, targets, standing, meter, now)
        return targets

    def _take(self) -> None:
        """What was told from outside, which may have been from another thread."""
        order, terms = self._told
        if order is not self.order and (order is None or not order.same_as(self.order)):
            self._standing = None
        self.order = order
        if terms is not self.connection.terms:
            self.connection = self.connection.under(terms)

    def _planned(
        self, here: Sequence[Session], demands: Sequence[PlugDemand], meter: SiteMeter, now: datetime
    ) -> _Standing:
        """The plan that holds, or a new one."""
        so_far = {each.session: each.session_wh for each in demands}
        cause = frozenset(
            (each.id, each.departs, each.priority, round(each.energy_wh + so_far.get(each.id, 0.0)), each.vehicle)
            for each in here
            if each.departs > now + _QUARTER
        )
        old = self._standing
        if old is None or not old.made <= now < min(old.made + PLAN_EVERY, old.until) or old.cause != cause:
            period_end = self._period_start(now) + self._resolution(now)
            old = _Standing(self._plan(here, demands, meter, now), now, period_end, cause)
        self._standing = old
        return old

    def _plan(self, here: Sequence[Session], demands: Sequence[PlugDemand], meter: SiteMeter, now: datetime) -> Plan:
        grid = Grid.ahead(now)
        expected = self._amended(coming(self.expected, here=(each.id for each in here), now=now))
        known = {
            each.session: AtPlug(each.signal_a, each.session_wh, each.phases, self._stops.get(each.session, 0))
            for each in demands
            if each.session is not None
        }
        corridor = None
        if self.order is not None and self.order.delivery.start < grid.end and now < self.order.delivery.end:
            drawn_wh = self._drawn_wh(meter, now)
            corridor = self.order.corridor(now, drawn_wh=drawn_wh).on(grid, self.order.delivery)
        return self._planner.plan(
            Problem(
                self.connection.site,
                grid,
                (*self._as_likely(here, demands, now), *(each for each in expected if each.arrives < grid.end)),
                self.connection.value,
                self.connection.prices(grid),
                other_a=self.connection.other_a(grid, issued=now),
                most_w=self.connection.most_w(grid),
                corridor=corridor,
                peaks=self.peaks.peaks(self.connection.terms.tariff, grid, self.connection.value),
                at_plug=known,
            )
        )

    def _as_likely(self, here: Sequence[Session], demands: Sequence[PlugDemand], now: datetime) -> Sequence[Session]:
        """What vehicles will probably take, so that it is there when it was sold.

        Never so little that what they asked for could not be had in time any more.
        """
        if self._likely is None:
            return here
        taken_wh = {each.session: each.session_wh for each in demands if each.session is not None}
        total_wh = self._likely([each for each in self.expected if each.id in taken_wh], taken_wh, now)
        found = []
        for each in here:
            later_h = max(0.0, (each.departs - now - PLAN_EVERY).total_seconds() / 3600)
            least_wh = max(0.0, each.energy_wh - each.max_w * later_h)
            likely_wh = total_wh.get(each.id, np.inf) - taken_wh[each.id]
            found.append(replace(each, energy_wh=min(each.energy_wh, max(likely_wh, least_wh, FULL_WH))))
        return found

    def _tracked(
        self,
        here: Sequence[Session],
        demands: Sequence[PlugDemand],
        targets: Mapping[str, int],
        standing: _Standing,
        meter: SiteMeter,
        now: datetime,
    ) -> dict[str, int]:
        """What those that charge should have for the period's energy to come out as it was planned."""
        seen = {each.plug: each for each in demands}
        wishes = [
            _wish(each, seen[each.plug], targets[each.plug], now, stops=self._stops.get(each.id, 0))
            for each in here
            if targets[each.plug] >= 0
        ]
        wishes = [each for each in wishes if each.left_wh > 0]
        feeding_w = sum(targets[each.plug] * each.vehicle.watts_per_amp for each in here if targets[each.plug] < 0)
        try:
            drawn_wh = meter.metered_wh(standing.made, now)
        except NotMetered:
            return {}
        hours_left = (standing.until - now).total_seconds() / 3600
        left_wh = standing.energy_wh() - drawn_wh - feeding_w * hours_left
        power_w = period_power(wishes, energy_wh=left_wh, hours_left=hours_left)
        if self.order is not None and self.order.awarded_at(now) > 0:
            # What is rounded down every time is missing in the end; downward nobody minds.
            power_w += min((each.watts_per_amp for each in wishes), default=0.0) / 2
        return tracked(wishes, power_w=power_w)

    def _drawn_wh(self, meter: SiteMeter, now: datetime) -> float:
        """At the connection since the present market period began [Wh]; 0 where that was not metered."""
        start = self._period_start(now)
        if start == now:
            return 0.0
        try:
            drawn_wh = meter.metered_wh(start, now)
        except NotMetered:
            return 0.0
        if not self.connection.premises.table.empty:
            one = MarketPeriod(start=start, resolution=now - start, count=1)
            drawn_wh += float(self.connection.premises.metered_w(one).sum()) * one.hours
        return drawn_wh

    def _period_start(self, now: datetime) -> datetime:
        """Of the market period that holds `now`, or of its quarter-hour without an order."""
        if self.order is not None and self.order.holds(now):
            return self.order.delivery.start_of(self.order.delivery.index(now))
        return now - (now - datetime.min.replace(tzinfo=UTC)) % _QUARTER

    def _resolution(self, now: datetime) -> timedelta:
        return self.order.delivery.resolution if self.order is not None and self.order.holds(now) else _QUARTER

    def _note(self, demands: tuple[PlugDemand, ...], now: datetime) -> None:
        """Remember who came when and was switched off, and write down what was allowed and drawn since then."""
        since, stops = dict[str, datetime](), dict[str, int]()
        for each in demands:
            if each.session is not None:
                since[each.session] = self._since.get(each.session, now)
                stopped = each.signal_a <= 0 and each.session in self._on
                stops[each.session] = self._stops.get(each.session, 0) + stopped
        self._since, self._stops = since, stops
        self._on = {each.session for each in demands if each.signal_a > 0}
        if self._seen is not None and now > self._seen[0]:
            at, before = self._seen
            hours = (now - at).total_seconds() / 3600
            later = {each.plug: each for each in demands}
            for was in before:
                if (is_now := later.get(was.plug)) is not None:
                    phases = 3 if was.phases is None else len(was.phases)
                    allowed_w = was.signal_a * phases * PHASE_V if was.session is not None else 0.0
                    drawn_wh = 0.0 if is_now is was else is_now.net_wh - was.net_wh
                    self.log.append(PlugMinute(at, was.plug, allowed_w, drawn_wh / hours))
        self._seen = (now, demands)


def _wish(session: Session, demand: PlugDemand, target_a: int, now: datetime, *, stops: int) -> Wish:
    """What a vehicle wants of a market period."""
    nominal_w = session.vehicle.watts_per_amp
    drawn_w = sum(demand.measured_a) * PHASE_V
    seen_w = drawn_w / demand.signal_a if demand.signal_a > 0 else nominal_w
    hours = max((session.departs - now).total_seconds() / 3600, 1e-3)
    later_wh = session.max_w * max(0.0, hours - _STEP_H)
    return Wish(
        plug=session.plug,
        planned=target_a >= session.vehicle.min_a,
        must_a=(session.energy_wh - later_wh) / (nominal_w * min(hours, _STEP_H)),
        min_a=session.vehicle.min_a,
        max_a=session.vehicle.max_a,
        watts_per_amp=seen_w if seen_w >= _LEAST_SEEN * nominal_w else nominal_w,
        left_wh=session.energy_wh,
        urgency=session.priority * session.energy_wh / (session.max_w * hours),
        charging=demand.signal_a > 0,
        stopped=stops > 0,
    )
