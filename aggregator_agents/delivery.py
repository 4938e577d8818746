"""One site under control: re-plan every period within what was sold, then whole amps to every plug, every minute."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from aggregator_agents.charging.station import ChargerSilent, PlugStatus, Station
from aggregator_agents.dispatch.allocation import Demand, allocate, urgency, within_held
from aggregator_agents.dispatch.cloud import site_amps
from aggregator_agents.fleet import MIN_A, WATTS_PER_AMP, FloatArray, Session, Site
from aggregator_agents.planning import Corridor, Valuation, plan, tariff_on
from api_spec.auction import Auction
from api_spec.award import Award
from api_spec.metering import BusPower
from api_spec.period import MarketPeriod
from api_spec.tariffs import TariffPrices

LEASE: Final = timedelta(minutes=3)
"""A cap holds this long; a charger that hears nothing more falls back to what is safe on its own."""
_QUARTER: Final = timedelta(minutes=15)
_FULL_WH: Final = 1.0
_REBOUND_EUR_PER_MWH: Final = 50.0
"""Keeps the site below its baseline where nothing was sold: what was moved away must not come back as a new peak."""
_DUTY_EUR_PER_MWH: Final = 10_000.0
"""A called right is a duty, by law or by contract, whatever it pays: it comes before what drivers would like."""


@dataclass(frozen=True)
class Order:
    """What a site sold. target_w : baseline and awards together; awarded_w, missed_eur_per_mwh : (period,)."""

    delivery: MarketPeriod
    target_w: FloatArray
    awarded_w: FloatArray
    missed_eur_per_mwh: FloatArray

    @classmethod
    def of(cls, auction: Auction, baseline: BusPower, awards: Iterable[Award]) -> "Order":
        """The order of one bus; not delivering costs what it would have earned, and the penalty."""
        awarded = np.zeros(auction.delivery.count)
        earns = np.zeros_like(awarded)
        for each in awards:
            awarded += np.array(each.power_w, dtype=np.float64)
            earns = np.maximum(earns, [float(price) for price in each.price_eur_per_mwh])
            if each.contract is not None:
                earns = np.where(np.array(each.power_w) != 0, _DUTY_EUR_PER_MWH, earns)
        missed = earns + float(auction.product.penalty_eur_per_mwh)
        target = np.maximum(np.array(baseline.power_w, dtype=np.float64) + awarded, 0.0)
        return cls(auction.delivery, target, awarded, np.where(awarded != 0, missed, _REBOUND_EUR_PER_MWH))


@dataclass(frozen=True)
class PlugMinute:
    """What a plug was allowed and what its meter counted, mean power from `at` to the next control [W]."""

    at: datetime
    plug: str
    setpoint_w: float
    metered_w: float


@dataclass(frozen=True)
class _Budget:
    """Energy that the site may draw from `since` to `until` [Wh]; connected : for whom it was planned."""

    since: datetime
    until: datetime
    energy_wh: float
    connected: frozenset[str]


class SiteControl:
    """Controls one site. What it keeps between two calls can be lost: the next call plans again.

    Only which chargers were silent is not known then; until their leases are over they may draw more than is counted.
    """

    def __init__(self, site: Site, station: Station, value: Valuation) -> None:
        """Without an order. expected : sessions that drivers announced. prices : of the tariff that counts, if any."""
        self._site, self._station, self._value = site, station, value
        self.order: Order | None = None
        self.prices: TariffPrices | None = None
        self.expected: tuple[Session, ...] = ()
        self.log: list[PlugMinute] = []
        self._budget: _Budget | None = None
        self._silent = frozenset[str]()
        self._seen: tuple[datetime, tuple[PlugStatus, ...]] | None = None

    async def act(self, now: datetime) -> None:
        """Read the plugs, decide, and send one cap to each.

        Decreases go first, but what they free is given out by a later call, when meters have shown it: a call grants
        only what nobody holds. So it does not matter which of the caps arrive, or when.
        """
        try:
            plugs = await self._station.plugs(now)
            self._note(plugs, now)
            held_a = {each.plug: each.held_a for each in plugs}
            amps = within_held(await self._amps(plugs, now), held_a, self._site)
        except ChargerSilent:
            # Nothing is known of this site now: its leases run out, and then every charger is safe on its own.
            return
        silent = set[str]()
        for each in sorted(plugs, key=lambda each: (amps[each.plug] > each.limit_a, each.plug)):
            try:
                await self._station.cap(each.plug, amps[each.plug], now=now, expires_in=LEASE)
            except ChargerSilent:
                silent.add(self._site.charger_of(each.plug).id)
        self._silent = frozenset(silent)

    async def _amps(self, plugs: tuple[PlugStatus, ...], now: datetime) -> dict[str, int]:
        """Amps per phase for every plug; 0 where no vehicle wants energy."""
        wanting = [each for each in plugs if _left_wh(each) > _FULL_WH and not each.faulted]
        amps = {each.plug: 0 for each in plugs}
        if not wanting:
            return amps
        budget = await self._planned(wanting, now)
        drawn_wh = await self._station.metered_wh(budget.since, now)
        demands = [self._demand(each, now) for each in wanting]
        site_a = site_amps(
            energy_wh=budget.energy_wh - drawn_wh,
            wanted_wh=sum(_left_wh(each) for each in wanting),
            hours_left=(budget.until - now).total_seconds() / 3600,
            usable_a=self._site.usable_a,
            charging=any(each.charging for each in demands),
        )
        outstanding_a = dict.fromkeys(self._silent, 0)
        for each in plugs:
            charger = self._site.charger_of(each.plug).id
            if charger in outstanding_a:
                outstanding_a[charger] += each.held_a
        return amps | allocate(demands, site_a=site_a, site=self._site, outstanding_a=outstanding_a)

    def _demand(self, status: PlugStatus, now: datetime) -> Demand:
        assert status.session is not None, "only plugs with a vehicle are asked"
        session = status.session
        return Demand(
            plug=status.plug,
            charger=self._site.charger_of(status.plug).id,
            max_a=session.vehicle.max_a,
            urgency=urgency(energy_wh=_left_wh(status), max_a=session.vehicle.max_a, now=now, departs=session.departs),
            charging=status.limit_a >= MIN_A,
        )

    async def _planned(self, wanting: list[PlugStatus], now: datetime) -> _Budget:
        """The budget of the period that holds `now`; planned anew in every period and when vehicles come or go."""
        connected = frozenset(each.session.id for each in wanting if each.session is not None)
        budget = self._budget
        if budget is None or not budget.since <= now < budget.until or budget.connected != connected:
            budget = await self._plan(wanting, connected, now)
        self._budget = budget
        return budget

    async def _plan(self, wanting: list[PlugStatus], connected: frozenset[str], now: datetime) -> _Budget:
        period = self._horizon(now)
        sessions = [_rest(each, now) for each in wanting]
        sessions += [each for each in self.expected if each.id not in connected and each.arrives > now]
        inside = [each.within(period) for each in sessions]
        drawn_wh = await self._station.metered_wh(period.start, now)
        corridor = self._corridor(period, drawn_wh / period.hours)
        tariff = tariff_on(period, self.prices)
        planned = plan(self._site, inside, period, self._value, corridor=corridor, tariff_eur_per_mwh=tariff)
        energy_wh = float(planned.total_w[0]) * period.hours
        return _Budget(now, period.start + period.resolution, energy_wh, connected)

    def _horizon(self, now: datetime) -> MarketPeriod:
        """From the period that holds `now` to the end of the delivery, or a day of quarter-hours without one."""
        order = self.order
        if order is not None and order.delivery.start <= now < order.delivery.end:
            first = order.delivery.index(now)
            start, left = order.delivery.starts()[first], order.delivery.count - first
            return MarketPeriod(start=start, resolution=order.delivery.resolution, count=left)
        start = now - (now - datetime.min.replace(tzinfo=UTC)) % _QUARTER
        return MarketPeriod(start=start, resolution=_QUARTER, count=96)

    def _corridor(self, period: MarketPeriod, drawn_w: float) -> Corridor | None:
        """Below the target everywhere, and at it where more was sold; less what this period has drawn already."""
        order = self.order
        if order is None or not order.delivery.start <= period.start < order.delivery.end:
            return None
        first = order.delivery.index(period.start)
        target, awarded = order.target_w[first:].copy(), order.awarded_w[first:]
        target[0] = max(0.0, target[0] - drawn_w)
        floor = np.where(awarded > 0, target, 0.0)
        return Corridor(target, floor, order.missed_eur_per_mwh[first:])

    def _note(self, plugs: tuple[PlugStatus, ...], now: datetime) -> None:
        """Write down what was allowed and drawn since the last control."""
        if self._seen is not None and now > self._seen[0]:
            at, before = self._seen
            hours = (now - at).total_seconds() / 3600
            for was, each in zip(before, plugs, strict=True):
                allowed_w = was.limit_a * WATTS_PER_AMP if was.session is not None else 0.0
                self.log.append(PlugMinute(at, was.plug, allowed_w, (each.register_wh - was.register_wh) / hours))
        self._seen = (now, plugs)


def _left_wh(status: PlugStatus) -> float:
    return status.session.energy_wh - status.energy_wh if status.session is not None else 0.0


def _rest(status: PlugStatus, now: datetime) -> Session:
    assert status.session is not None, "only plugs with a vehicle are asked"
    return replace(status.session, arrives=now, energy_wh=_left_wh(status))
