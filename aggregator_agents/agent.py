"""The aggregator's agent. Every cycle reads the market and the chargers again and does what is still to be done."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Self

import numpy as np
from pydantic import Field

from aggregator_agents.charging.emulated import Behaviour, DriverOutcome, EmulatedStation
from aggregator_agents.connection import Connection
from aggregator_agents.delivery import Order, PlugMinute, SiteControl
from aggregator_agents.fleet import Session, Site
from aggregator_agents.offering.asking import Asking
from aggregator_agents.offering.connection import blocks, nominated
from aggregator_agents.offering.deliverable import Outlook
from aggregator_agents.offering.envelope import offer
from aggregator_agents.offering.ladder import SCENARIOS, Market, ladder
from aggregator_agents.offering.other_load import other_cases_w
from aggregator_agents.offering.record import Record
from aggregator_agents.planning import Planner, Problem, Valuation, tariff_on
from aggregator_agents.sessions import Pattern, actual, announced, past
from aggregator_agents.site_table import SiteTable
from api_spec.auction import Auction
from api_spec.client import MarketClient, or_none
from api_spec.flexibility import AnyOfferTerms
from api_spec.ids import TariffId
from api_spec.metering import Baseline, BaselineNomination, BusPower, ReadingTerms
from api_spec.period import Duration, MarketPeriod
from api_spec.quality import BusAttributes, attributes_of
from api_spec.tariffs import TariffPrices
from api_spec.units import Count, Message

_AHEAD: Final = timedelta(days=2)  # how far ahead drivers announce themselves
_NEWS: Final = timedelta(hours=1)  # how often they are asked
_SAMPLE: Final = timedelta(seconds=5)  # of power, for the attributes of a delivery


class AggregatorConfig(Message):
    """An aggregator's table in a scenario or its own file.

    network : the one its sites are on. offers_before_gate : offers are sent from this long before the gate, when the
    DSO's requests are known. tariff : id of a network tariff whose energy prices count in the plans; absent = none.
    seed : of who comes when.
    """

    network: str
    sites: tuple[SiteTable, ...] = Field(min_length=1)
    value: Valuation = Valuation()
    asking: Asking = Asking()
    behaviour: Behaviour = Behaviour()
    offers_before_gate: Duration = timedelta(hours=1)
    tariff: TariffId | None = None
    seed: Count = 0


@dataclass(frozen=True)
class _Place:
    """A site with what else is behind its meter, who comes to it, and its chargers."""

    site: Site
    pattern: Pattern
    connection: Connection
    station: EmulatedStation
    control: SiteControl


class EvAggregator:
    """Plans its drivers' charging, offers what can be moved, and has its chargers deliver what was awarded."""

    def __init__(self, client: MarketClient, config: AggregatorConfig) -> None:
        """Act for the aggregator whose credentials `client` carries."""
        self._client, self._config = client, config
        self._places: dict[str, _Place] = {}
        self._now: datetime | None = None
        self._met: datetime | None = None

    @classmethod
    def build(cls, client: MarketClient, config: Mapping[str, Any]) -> Self:
        """An agent of its table; pydantic.ValidationError for a bad one."""
        return cls(client, AggregatorConfig.model_validate(config))

    @property
    def config(self) -> AggregatorConfig:
        """The table it was built of, with every default filled in."""
        return self._config

    async def cycle(self, now: datetime) -> None:
        """Do what is still to be done on the market; twice in a row changes nothing."""
        self._meet(now)
        for auction in await self._client.auctions():
            if auction.network != self._config.network:
                continue
            if auction.state == "open" and now < auction.gate_closure:
                await self._bid(auction, now)
            elif auction.state == "published":
                await self._deliver(auction, now)

    async def control(self, now: datetime) -> None:
        """Setpoints to every plug."""
        self._meet(now)
        for place in self._places.values():
            await place.control.act(now)

    def drawn_w(self) -> Mapping[str, float]:
        """True power at each connection point [W], once vehicles follow the present setpoints."""
        now = self._now
        assert now is not None, "a fleet is met in its first cycle"
        return {
            bus: place.station.settled_w(now) + place.connection.premises.now_w(now)
            for bus, place in self._places.items()
        }

    def plug_log(self) -> tuple[PlugMinute, ...]:
        """What every plug was allowed and drew, from one control to the next, in the order of time."""
        return tuple(each for place in self._places.values() for each in place.control.log)

    def driver_report(self) -> tuple[DriverOutcome, ...]:
        """What drivers asked for and got, sessions that have begun."""
        return tuple(each for place in self._places.values() for each in place.station.outcomes())

    def _meet(self, now: datetime) -> None:
        """Know the sites, and who is going to come to them."""
        self._now = now
        if self._met is not None and self._met <= now < self._met + _NEWS:
            return
        self._met = now
        coming = MarketPeriod(start=now, resolution=_AHEAD, count=1)
        for table in self._config.sites:
            for site in table.sites():
                sessions = announced(site, table.sessions, coming, seed=self._config.seed)
                truth = actual(sessions, table.sessions, seed=self._config.seed)
                place = self._places.get(site.bus)
                if place is None:
                    station = EmulatedStation(site, truth, since=now, behaviour=self._config.behaviour)
                    control = SiteControl(site, station, self._config.value)
                    behind = table.behind(site, seed=self._config.seed)
                    connection = Connection(site, self._config.value, behind, table.prices)
                    place = self._places[site.bus] = _Place(site, table.sessions, connection, station, control)
                place.station.expect(truth)
                place.control.expected = sessions

    def _announced(self, place: _Place, period: MarketPeriod) -> tuple[Session, ...]:
        return announced(place.site, place.pattern, period, seed=self._config.seed)

    def _sessions(self, place: _Place, period: MarketPeriod, now: datetime) -> tuple[Session, ...]:
        """The parts of sessions inside `period`: as announced, or as drivers' past lets expect where that counts."""
        whole = self._announced(place, period)
        if self._config.asking.kind == "blocks":
            whole = tuple(self._record(place, now).expected(whole, now=now))
        inside = (each.within(period) for each in whole)
        return tuple(each for each in inside if each.energy_wh > 0 or each.vehicle.discharge_a > 0)

    async def _bid(self, auction: Auction, now: datetime) -> None:
        tariff = await self._tariff(auction)
        baseline = await or_none(self._client.baseline(auction.id))
        if baseline is None:
            baseline = await self._client.nominate_baseline(auction.id, self._nomination(auction.delivery, tariff, now))
        if now < auction.gate_closure - self._config.offers_before_gate:
            return
        window = await self._asked_for(auction)
        standing = {each.offer.bus for each in await self._client.offers(auction.id)}
        for own in baseline.buses:
            place = self._places.get(own.bus)
            if place is None or own.bus in standing or not any(window):
                continue
            terms = self._offers(place, auction, baseline, window, tariff.get(own.bus), now)
            for at, each in enumerate(terms):
                await self._client.submit_offer(auction.id, each, key=f"offer {auction.id} {own.bus} {at}")

    async def _tariff(self, auction: Auction) -> dict[str, TariffPrices]:
        """What the tariff says of the delivery, by the bus of each site; nothing where no tariff counts."""
        tariff = self._config.tariff
        if tariff is None:
            return {}
        return {bus: await self._client.tariff_prices(tariff, auction.delivery, bus) for bus in self._places}

    def _offers(
        self,
        place: _Place,
        auction: Auction,
        baseline: Baseline,
        window: tuple[bool, ...],
        prices: TariffPrices | None,
        now: datetime,
    ) -> tuple[AnyOfferTerms, ...]:
        """What the site can do instead of the plan that was nominated: made again of what was expected then.

        Where vehicles only charge, an envelope or blocks, as `asking` says; else what the connection as a whole can do.
        """
        period, product, config = auction.delivery, auction.product, self._config
        cap, asking = product.price_cap_eur_per_mwh, config.asking
        asked = self._asked(place, period, prices, baseline.nominated_at)
        planned, tariff = Planner().plan(asked), tariff_on(period, prices)
        if asked.feeds_back.any() or place.connection.retail is not None:
            return blocks(asked, planned, period, window=window, asking=asking, price_cap=cap)
        if asking.kind == "blocks":
            own = next(each for each in baseline.buses if each.bus == place.site.bus)
            return ladder(
                planned,
                self._outlook(place, period, own, window, now),
                config.value,
                asking=asking,
                market=Market(cap, product.penalty_eur_per_mwh),
                tariff_eur_per_mwh=tariff,
            )
        if not place.connection.only_charges:
            return blocks(asked, planned, period, window=window, asking=asking, price_cap=cap)
        envelope = offer(
            place.site,
            planned,
            period,
            config.value,
            window=window,
            asking=asking,
            price_cap=cap,
            spread_eur_per_mwh=float(np.ptp(tariff)),
        )
        return () if envelope is None else (envelope,)

    def _outlook(
        self, place: _Place, period: MarketPeriod, baseline: BusPower, window: tuple[bool, ...], now: datetime
    ) -> Outlook:
        """What drivers and everything else behind the meter may do, by what they did on past days."""
        said, random = self._announced(place, period), np.random.default_rng(self._config.seed)
        return Outlook(
            place.site,
            period,
            self._record(place, now).scenarios(said, now=now, count=SCENARIOS, random=random),
            np.array(baseline.power_w, dtype=np.float64),
            np.array(window),
            other_cases_w(place.connection.premises, period, now=now, days=self._config.asking.history_days),
        )

    def _record(self, place: _Place, now: datetime) -> Record:
        days, seed = self._config.asking.history_days, self._config.seed
        stays = past(place.site, place.pattern, now, days=days, seed=seed)
        return Record.of(stays, zone=place.pattern.timezone)

    def _nomination(
        self, period: MarketPeriod, tariff: Mapping[str, TariffPrices], now: datetime
    ) -> BaselineNomination:
        """Of connection points: the plan, and what else is expected behind each meter."""
        asked = (self._asked(place, period, tariff.get(bus), now) for bus, place in sorted(self._places.items()))
        return BaselineNomination(buses=tuple(nominated(each, Planner().plan(each)) for each in asked))

    def _asked(self, place: _Place, period: MarketPeriod, prices: TariffPrices | None, issued: datetime) -> Problem:
        """What a plan of a delivery is asked for before anything is sold, with what is expected at `issued`."""
        sessions = self._sessions(place, period, issued)
        return place.connection.with_tariff(prices).asked(sessions, period, issued=issued)

    async def _asked_for(self, auction: Auction) -> tuple[bool, ...]:
        """The periods in which some request holds."""
        asked = np.zeros(auction.delivery.count, dtype=np.bool_)
        for each in await self._client.requests(auction.id):
            asked |= True if each.request.active is None else np.array(each.request.active)
        return tuple(asked.tolist())

    async def _deliver(self, auction: Auction, now: datetime) -> None:
        """Hand orders to the sites, and report what was metered in periods that are over."""
        baseline = await or_none(self._client.baseline(auction.id))
        if baseline is None:
            return
        awards, tariff = await self._client.awards(auction.id), await self._tariff(auction)
        for own in baseline.buses:
            if own.bus in self._places:
                mine = [each for each in awards if each.bus == own.bus]
                self._places[own.bus].control.order = Order.of(auction, own, mine)
                self._places[own.bus].control.prices = tariff.get(own.bus)
        await self._report(auction, baseline, now)

    async def _report(self, auction: Auction, baseline: Baseline, now: datetime) -> None:
        delivery = auction.delivery
        over = min(delivery.count, max(0, (now - delivery.start) // delivery.resolution))
        if over == 0:
            return
        sent = [
            (each.start - delivery.start) // delivery.resolution + len(each.buses[0].power_w)
            for each in await self._client.readings(auction.id)
        ]
        first = max(sent, default=0)
        if first >= over:
            return
        starts = delivery.starts()[first:over]
        metered = [
            BusPower(bus=own.bus, power_w=tuple([await self._mean_w(own.bus, at, delivery) for at in starts]))
            for own in baseline.buses
            if own.bus in self._places
        ]
        attributes = await self._attributes(delivery, baseline) if over == delivery.count else ()
        terms = ReadingTerms(start=starts[0], buses=tuple(metered), attributes=attributes)
        await self._client.submit_reading(auction.id, terms, key=f"reading {auction.id} {first} {over}")

    async def _attributes(self, delivery: MarketPeriod, baseline: Baseline) -> tuple[BusAttributes, ...]:
        """What was measured of the whole delivery at every site with an order."""
        fold = delivery.resolution // _SAMPLE
        found = []
        for own in baseline.buses:
            place = self._places.get(own.bus)
            if place is None or place.control.order is None or not place.control.order.awarded_w.any() or fold == 0:
                continue
            fine = MarketPeriod(
                start=delivery.start, resolution=delivery.resolution / fold, count=delivery.count * fold
            )
            drawn_w = await place.station.mean_w(fine.start, fine.resolution, fine.count)
            drawn_w += place.connection.premises.metered_w(fine).sum(axis=1)
            change_w = drawn_w - np.repeat(np.array(own.power_w, dtype=np.float64), fold)
            measured = attributes_of(
                np.repeat(place.control.order.awarded_w, fold).tolist(),
                change_w.tolist(),
                step_s=delivery.resolution.total_seconds() / fold,
            )
            found.append(BusAttributes(bus=own.bus, **dict(measured)))
        return tuple(found)

    async def _mean_w(self, bus: str, start: datetime, delivery: MarketPeriod) -> int:
        """At the connection point."""
        place, one = self._places[bus], MarketPeriod(start=start, resolution=delivery.resolution, count=1)
        energy_wh = await place.station.metered_wh(one.start, one.end)
        return round(energy_wh / delivery.hours + float(place.connection.premises.metered_w(one).sum()))
