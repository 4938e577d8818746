"""What happens when in a run: its days, and the instants of one continuous virtual time. Pure."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from heapq import merge
from itertools import chain, count, groupby, takewhile
from typing import Final
from zoneinfo import ZoneInfo

from api_spec.calendar import days_later, delivery_later
from api_spec.period import MarketPeriod

MINUTE: Final = timedelta(minutes=1)
BETWEEN_CYCLES: Final = timedelta(minutes=15)


@dataclass(frozen=True)
class Day:
    """One delivery of a run. number : from 0. name : the local date of its start."""

    number: int
    name: str
    delivery: MarketPeriod
    gate_closure: datetime


@dataclass(frozen=True)
class Moment:
    """What happens at one instant, in this order.

    closes : the day whose gate closes. cycle : agents act on the market. control : chargers get their set-points.
    ends : the day whose delivery is over.
    """

    at: datetime
    closes: Day | None
    cycle: bool
    control: bool
    ends: Day | None


def days_of(first: MarketPeriod, gate_closure: datetime, *, days: int, zone: ZoneInfo) -> tuple[Day, ...]:
    """Deliveries between the same local times on so many days, and gates that close at the same local time each.

    Raises ValueError where deliveries would overlap, or a day is no whole number of periods.
    """
    if days > 1 and delivery_later(first, 1, zone).start < first.end:
        raise ValueError("a delivery that comes again every day must be over after a day")
    found = []
    for number in range(days):
        delivery = delivery_later(first, number, zone)
        name = f"{delivery.start.astimezone(zone):%Y-%m-%d}"
        found.append(Day(number, name, delivery, days_later(gate_closure, number, zone)))
    return tuple(found)


def moments(begins: datetime, days: Sequence[Day], *, every: timedelta | None = None) -> Iterator[Moment]:
    """Every instant at which something happens, in order.

    Agents act every quarter of an hour from `begins` until the last gate, and in every period and at the end of a
    delivery; set-points are given every minute from the start of a delivery to its end. every : how often agents act
    instead, before deliveries and from the start of each.
    """
    before = every or BETWEEN_CYCLES
    closing = {each.gate_closure: each for each in days}
    ending = {each.delivery.end: each for each in days}
    starts = [each.delivery.start for each in days]
    acting = takewhile(lambda at: at < days[-1].gate_closure, (begins + number * before for number in count()))
    delivering = chain.from_iterable(_minutes(each.delivery) for each in days)
    for at, _ in groupby(merge(acting, delivering, closing)):
        own = bisect_right(starts, at) - 1
        delivery = days[own].delivery if own >= 0 and at < days[own].delivery.end else None
        waiting = at < days[-1].gate_closure and (at - begins) % before == timedelta(0)
        due = delivery is not None and (at - delivery.start) % (every or delivery.resolution) == timedelta(0)
        ends = ending.get(at)
        yield Moment(
            at,
            closes=closing.get(at),
            cycle=waiting or due or ends is not None,
            control=delivery is not None or ends is not None,
            ends=ends,
        )


def _minutes(delivery: MarketPeriod) -> Iterator[datetime]:
    """From the start to the end, both included."""
    whole, rest = divmod(delivery.end - delivery.start, MINUTE)
    yield from (delivery.start + number * MINUTE for number in range(whole + 1))
    if rest:
        yield delivery.end
