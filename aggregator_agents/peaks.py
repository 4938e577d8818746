"""What a higher peak would cost a connection, by a network tariff, and how high it has been. See planning.Peak.

A tariff may price the highest mean power of a month, and that of each critical window. A plan counts what comes on top
of what has been reached already:

    month     price / days that are left of it: a peak that is reached today is free on all of them
    both      at most half of what a driver who goes without an hour of that power is owed: drivers come first
"""

from calendar import monthrange
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from aggregator_agents.connection import Connection
from aggregator_agents.fleet import FloatArray
from aggregator_agents.meter_log import NotMetered, SiteMeter
from aggregator_agents.planning import Grid, Peak, Valuation
from api_spec.period import MarketPeriod
from api_spec.tariffs import TariffPrices

_QUARTER: Final = timedelta(minutes=15)
_ZERO: Final = datetime.min.replace(tzinfo=UTC)


class PeakWatch:
    """The quarter-hours of one connection. What it has seen can be lost; then peaks begin anew."""

    def __init__(self) -> None:
        """Nothing has been metered."""
        self._means_w: dict[datetime, float] = {}
        self._since: datetime | None = None

    def note(self, connection: Connection, meter: SiteMeter, now: datetime) -> None:
        """Remember the last quarter-hour that is over; months before the present one are forgotten."""
        if self._since is not None and self._since <= now < self._since + _QUARTER:
            return
        start = now - (now - _ZERO) % _QUARTER - _QUARTER
        if start in self._means_w:
            return
        try:
            plugs_w = float(meter.mean_w(start, _QUARTER, 1)[0])
        except NotMetered:
            return
        if _month(next(iter(self._means_w), now)) != _month(now):
            self._means_w = {each: mean_w for each, mean_w in self._means_w.items() if _month(each) == _month(now)}
        rest_w = 0.0
        if not connection.premises.table.empty:
            one = MarketPeriod(start=start, resolution=_QUARTER, count=1)
            rest_w = float(connection.premises.metered_w(one).sum())
        self._since = start + _QUARTER
        self._means_w[start] = plugs_w + rest_w

    def peaks(self, tariff: TariffPrices | None, grid: Grid, value: Valuation) -> tuple[Peak, ...]:
        """What a higher peak costs among the steps of a plan; nothing without a tariff."""
        if tariff is None:
            return ()
        most_eur_per_kw = value.shortfall_eur_per_mwh / 2000
        days = monthrange(*_month(grid.start))[1] - grid.start.day + 1
        month = grid.sample(tariff.period, _prices(tariff.peak_eur_per_kw_month), otherwise=0.0)
        found = [
            Peak(min(price / days, most_eur_per_kw), self._highest_w(_month_start(grid.start)), month == price)
            for price in np.unique(month[month > 0]).tolist()
        ]
        critical = _prices(tariff.critical_eur_per_kw)
        for first, last in _windows(critical):
            begin, end = tariff.period.start_of(first), tariff.period.start_of(last) + tariff.period.resolution
            starts = np.array([begin <= each < end for each in grid.starts()])
            if starts.any():
                price = min(float(critical[first]), most_eur_per_kw)
                found.append(Peak(price, self._highest_w(begin), starts))
        return tuple(found)

    def _highest_w(self, since: datetime) -> float:
        """Of the quarter-hours from `since` on [W]; 0 where nothing was imported."""
        return max((mean_w for start, mean_w in self._means_w.items() if start >= since), default=0.0)


def _prices(each: tuple[object, ...]) -> FloatArray:
    return np.array(each, dtype=np.float64)


def _windows(prices: FloatArray) -> Iterator[tuple[int, int]]:
    """First and last period of every window: neighbours of one price above 0."""
    edges = np.flatnonzero(np.diff(prices)) + 1
    for own in np.split(np.arange(len(prices)), edges):
        if len(own) and prices[own[0]] > 0:
            yield int(own[0]), int(own[-1])


def _month(at: datetime) -> tuple[int, int]:
    return at.year, at.month


def _month_start(at: datetime) -> datetime:
    return at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
