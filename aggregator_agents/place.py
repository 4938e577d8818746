"""One place where vehicles charge: its connection, who comes there, its chargers, and what is decided for them."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import numpy as np

from aggregator_agents.cluster import Cluster
from aggregator_agents.connection import Connection
from aggregator_agents.control import SiteControl
from aggregator_agents.dispatch.sharing import SitePlan
from aggregator_agents.fleet import FloatArray, Session, Site
from aggregator_agents.offering.asking import Asking
from aggregator_agents.offering.connection import blocks
from aggregator_agents.offering.deliverable import Outlook
from aggregator_agents.offering.envelope import offer
from aggregator_agents.offering.ladder import SCENARIOS, Market, ladder
from aggregator_agents.offering.other_load import other_cases_w
from aggregator_agents.offering.record import Record
from aggregator_agents.planning import Planner, Problem, tariff_on
from aggregator_agents.sessions import Pattern, announced, past
from api_spec.auction import Auction
from api_spec.flexibility import AnyOfferTerms
from api_spec.metering import Baseline, BusPower
from api_spec.period import MarketPeriod
from api_spec.quality import BusAttributes, attributes_of
from api_spec.tariffs import TariffPrices

_SAMPLE: Final = timedelta(seconds=5)
"""Of power, for the attributes of a delivery."""


@dataclass(frozen=True, eq=False)
class Place:
    """A site on the market.

    pattern, seed : who comes. asking : how its flexibility is offered. cluster : its chargers.
    """

    connection: Connection
    pattern: Pattern
    seed: int
    asking: Asking
    cluster: Cluster
    control: SiteControl

    @property
    def site(self) -> Site:
        """Its chargers and its fuse."""
        return self.connection.site

    def act(self, now: datetime) -> None:
        """Decide what every plug should have, and say so."""
        demands = self.cluster.demands()
        targets = self.control.decide(demands, self.cluster, now)
        self.cluster.follow(SitePlan(target_a=targets, weight=self.control.weights()))

    def asked(self, period: MarketPeriod, prices: TariffPrices | None, *, issued: datetime) -> Problem:
        """What a plan of a delivery is asked for before anything is sold, with what is expected at `issued`."""
        sessions = self._sessions(period, issued)
        return self.connection.with_tariff(prices).asked(sessions, period, issued=issued)

    def offers(
        self,
        auction: Auction,
        baseline: Baseline,
        *,
        window: tuple[bool, ...],
        prices: TariffPrices | None,
        now: datetime,
    ) -> tuple[AnyOfferTerms, ...]:
        """What it can do instead of the plan that was nominated: made again of what was expected then.

        Where vehicles only charge, an envelope or blocks, as `asking` says; else what the connection as a whole can do.
        """
        period, product, asking = auction.delivery, auction.product, self.asking
        cap = product.price_cap_eur_per_mwh
        asked = self.asked(period, prices, issued=baseline.nominated_at)
        planned, tariff = Planner().plan(asked), tariff_on(period, prices)
        by_record = asking.kind == "blocks" and self.connection.retail is None and not asked.feeds_back.any()
        if by_record:
            own = next(each for each in baseline.buses if each.bus == self.site.bus)
            return ladder(
                planned,
                self._outlook(period, own, window, now),
                self.connection.value,
                asking=asking,
                market=Market(cap, product.penalty_eur_per_mwh),
                tariff_eur_per_mwh=tariff,
            )
        if asked.feeds_back.any() or not self.connection.only_charges:
            return blocks(asked, planned, period, window=window, asking=asking, price_cap=cap)
        envelope = offer(
            self.site,
            planned,
            period,
            self.connection.value,
            window=window,
            asking=asking,
            price_cap=cap,
            spread_eur_per_mwh=float(np.ptp(tariff)),
        )
        return () if envelope is None else (envelope,)

    def mean_w(self, period: MarketPeriod) -> FloatArray:
        """(period,) true mean power at the connection point in periods that are over, consumption positive [W]."""
        plugs_w = self.cluster.mean_w(period.start, period.resolution, period.count)
        total: FloatArray = plugs_w + self.connection.premises.metered_w(period).sum(axis=1)
        return total

    def attributes(self, delivery: MarketPeriod, baseline: BusPower) -> BusAttributes | None:
        """What was measured of a whole delivery; None without an order."""
        order, fold = self.control.order, delivery.resolution // _SAMPLE
        if order is None or not order.awarded_w.any() or fold == 0:
            return None
        fine = MarketPeriod(start=delivery.start, resolution=delivery.resolution / fold, count=delivery.count * fold)
        change_w = self.mean_w(fine) - np.repeat(np.array(baseline.power_w, dtype=np.float64), fold)
        measured = attributes_of(
            np.repeat(order.awarded_w, fold).tolist(), change_w.tolist(), step_s=fine.resolution.total_seconds()
        )
        return BusAttributes(bus=self.site.bus, **dict(measured))

    def _sessions(self, period: MarketPeriod, now: datetime) -> tuple[Session, ...]:
        """The parts of sessions inside `period`: as announced, or as drivers' past lets expect where that counts."""
        whole = announced(self.site, self.pattern, period, seed=self.seed)
        if self.asking.kind == "blocks":
            whole = tuple(self._record(now).expected(whole, now=now))
        inside = (each.within(period) for each in whole)
        return tuple(each for each in inside if each.energy_wh > 0 or each.vehicle.discharge_a > 0)

    def _outlook(self, period: MarketPeriod, baseline: BusPower, window: tuple[bool, ...], now: datetime) -> Outlook:
        """What drivers and everything else behind the meter may do, by what they did on past days."""
        said = announced(self.site, self.pattern, period, seed=self.seed)
        random = np.random.default_rng(self.seed)
        return Outlook(
            self.site,
            period,
            self._record(now).scenarios(said, now=now, count=SCENARIOS, random=random),
            np.array(baseline.power_w, dtype=np.float64),
            np.array(window),
            other_cases_w(self.connection.premises, period, now=now, days=self.asking.history_days),
        )

    def _record(self, now: datetime) -> Record:
        stays = past(self.site, self.pattern, now, days=self.asking.history_days, seed=self.seed)
        return Record.of(stays, zone=self.pattern.timezone)
