"""Days of the car park on which something is offered and delivered, each seen only with what was known before it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import count, islice
from math import inf
from typing import Final, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np

from aggregator_agents.fleet import FloatArray, Site
from aggregator_agents.offering.asking import Asking
from aggregator_agents.offering.deliverable import Outlook
from aggregator_agents.offering.ladder import SCENARIOS, Market, ladder
from aggregator_agents.offering.record import Record
from aggregator_agents.planning import Grid, Planner, Prices, Problem, Valuation
from aggregator_agents.straying import Stay
from api_spec.flexibility import BlockTerms
from api_spec.period import MarketPeriod
from tests.acn import ZONE, lot, stays
from tests.deliveries import delivered_wh, power_of_day

FIRST: Final = date(2019, 7, 1)
"""Two months of sessions are known by then."""
DAY: Final = timedelta(days=1)
MARKET: Final = Market(price_cap_eur_per_mwh=Decimal(3000), penalty_eur_per_mwh=Decimal(100))
_LOOKED_BACK: Final = Asking().history_days * DAY
Dispatch: TypeAlias = Callable[[Site, Sequence[Stay], MarketPeriod, Sequence[float]], list[float]]
"""Power of a site on a day, at most a ceiling (period,) [W]; (period,) [W]."""


@dataclass(frozen=True)
class Day:
    """A delivery day of quarter-hours, the sessions that begin on it, and those that were over before it began."""

    period: MarketPeriod
    stays: tuple[Stay, ...]
    known: tuple[Stay, ...]
    zone: str = ZONE

    def window(self, first_h: int, last_h: int) -> tuple[bool, ...]:
        """From one local hour to another."""
        return tuple(4 * first_h <= at < 4 * last_h for at in range(self.period.count))


@dataclass(frozen=True)
class Delivery:
    """One award and what became of it [Wh]. payback_wh : of what was ordered. energy_wh : drawn on the whole day."""

    ordered_wh: float
    delivered_wh: float
    payback_wh: float
    energy_wh: float
    price_eur_per_mwh: float


def workdays(number: int, *, first: date = FIRST) -> tuple[Day, ...]:
    """The first days from `first` on with at least ten sessions, which leaves out weekends and holidays."""
    return tuple(islice((day for at in count() if len((day := _day(first + at * DAY)).stays) >= 10), number))


def delivered(
    day: Day, window: tuple[bool, ...], asking: Asking, *, dispatch: Dispatch = power_of_day
) -> Delivery | None:
    """The deepest rung that is offered on a day is awarded and delivered; None where nothing is offered."""
    baseline_w, rungs = offered(day, window, asking)
    if not rungs:
        return None
    order_w = np.array(rungs[-1].power_w, dtype=np.float64)
    ceiling_w = np.where(np.array(window) | (order_w != 0), baseline_w + order_w, inf)
    power_w = dispatch(lot(), day.stays, day.period, ceiling_w.tolist())
    hours = day.period.hours
    return Delivery(
        ordered_wh=float(np.abs(order_w).sum()) * hours,
        delivered_wh=delivered_wh(power_w, baseline_w.tolist(), order_w.tolist(), hours),
        payback_wh=float(np.maximum(order_w, 0.0).sum()) * hours,
        energy_wh=sum(power_w) * hours,
        price_eur_per_mwh=float(rungs[-1].price_eur_per_mwh),
    )


def offered(day: Day, window: tuple[bool, ...], asking: Asking) -> tuple[FloatArray, tuple[BlockTerms, ...]]:
    """(period,) the nominated baseline [W], and the rungs."""
    said, record, start = [each.said for each in day.stays], Record.of(day.known, zone=day.zone), day.period.start
    expected = tuple(each.within(day.period) for each in record.expected(said, now=start))
    prices = Prices.bought(np.zeros(day.period.count))
    asked = Problem(lot(), Grid.of(day.period), expected, Valuation(), prices, whole=False)
    planned = Planner().plan(asked)
    scenarios = record.scenarios(said, now=start, count=SCENARIOS, random=np.random.default_rng(1))
    baseline_w: FloatArray = np.rint(planned.total_w)
    outlook = Outlook(lot(), day.period, scenarios, baseline_w, np.array(window))
    return baseline_w, ladder(asked, planned, outlook, asking=asking, market=MARKET)


def _day(when: date) -> Day:
    zone = ZoneInfo(ZONE)
    start, end = (datetime(each.year, each.month, each.day, tzinfo=zone) for each in (when, when + DAY))
    quarter = timedelta(minutes=15)
    period = MarketPeriod(start=start, resolution=quarter, count=_between(start, end) // quarter)
    known = (each for each in _within(start - _LOOKED_BACK, start) if each.did.departs <= start)
    return Day(period, tuple(_within(start, end)), tuple(known))


def _between(start: datetime, end: datetime) -> timedelta:
    """Of clocks that may change in between."""
    return timedelta(seconds=end.timestamp() - start.timestamp())


def _within(start: datetime, end: datetime) -> Iterator[Stay]:
    yield from (each for each in stays() if start <= each.said.arrives < end)
