"""The same local hours on earlier days: what meters know of days like the one that is forecast. Pure."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from math import gcd
from typing import Final, Literal, Protocol, Self, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np

from api_spec.metering import Calendar
from api_spec.period import MAX_PERIODS, MarketPeriod
from market.network.model import FloatArray

DayType: TypeAlias = Literal["workday", "saturday", "sunday"]

_HOUR_S: Final = 3600
_SATURDAY: Final = 6


class KnowsLoad(Protocol):
    """Meter readings of buses, whatever they come from: `dso_agents.meter_history.MeterHistory`."""

    def power_w(self, buses: Sequence[str], period: MarketPeriod) -> FloatArray:
        """(period, bus) mean power [W], consumption positive; nan where it is not known."""
        ...


@dataclass(frozen=True, eq=False)
class PastDays:
    """The periods of a delivery, one local day, two local days ... before.

    buses : (bus,). power_w : (day, period, bus) [W], nan = unknown; the first is the day before. alike : (day,) share
    of the periods that lie on a day of the same type.
    """

    buses: tuple[str, ...]
    power_w: FloatArray
    alike: FloatArray

    @property
    def known(self) -> bool:
        """Whether anything is known at all."""
        return not bool(np.isnan(self.power_w).all())

    def without(self, buses: Collection[str]) -> Self:
        """The same, with nothing known of some buses."""
        left_out = np.isin(self.buses, list(buses))
        return replace(self, power_w=np.where(left_out, np.nan, self.power_w))


def past_days(
    history: KnowsLoad,
    buses: Sequence[str],
    period: MarketPeriod,
    *,
    now: datetime,
    calendar: Calendar,
    days: int,
) -> PastDays:
    """What was drawn at the wall-clock times of `period` on each of the `days` local days before.

    A clock time that a day skipped in spring is read an hour later, one that it had twice in autumn the first time.
    Nothing that ends after `now` is known.
    """
    zone, starts = ZoneInfo(calendar.zone), period.starts()
    local = [each.astimezone(zone) for each in starts]
    seconds = int(period.resolution.total_seconds())
    step = timedelta(seconds=gcd(seconds, _HOUR_S))
    inside = np.arange(period.resolution // step)

    before = [[_earlier(each, days=back) for each in local] for back in range(1, days + 1)]
    first = min(min(each) for each in before)
    at = np.array([[(each - first) // step for each in day] for day in before])[..., None] + inside
    steps = _read(history, buses, first, step, int(at.max()) + 1)
    steps[np.array([first + (n + 1) * step > now for n in range(len(steps))])] = np.nan

    wanted = np.array([day_type(each.date(), calendar) for each in local])
    alike = [
        np.mean(wanted == [day_type(each.date() - timedelta(days=back), calendar) for each in local])
        for back in range(1, days + 1)
    ]
    return PastDays(tuple(buses), steps[at].mean(axis=2), np.array(alike, dtype=np.float64))


def same_time_before(instant: datetime, days: int, calendar: Calendar) -> datetime:
    """The same wall-clock time, local days before."""
    return _earlier(instant.astimezone(ZoneInfo(calendar.zone)), days=days)


def same_day(period: MarketPeriod, days: int, calendar: Calendar) -> MarketPeriod:
    """Between the same wall-clock times, local days before; a day of a changing clock is shorter or longer."""
    start, end = (same_time_before(each, days, calendar) for each in (period.start, period.end))
    return MarketPeriod(start=start, resolution=period.resolution, count=(end - start) // period.resolution)


def day_type(day: date, calendar: Calendar) -> DayType:
    """What people do on a day; a holiday is a Sunday."""
    if day in calendar.holidays or day.isoweekday() > _SATURDAY:
        return "sunday"
    return "saturday" if day.isoweekday() == _SATURDAY else "workday"


def _earlier(local: datetime, *, days: int) -> datetime:
    """The same clock time on an earlier day, in UTC."""
    then = datetime.combine(local.date() - timedelta(days=days), local.time(), local.tzinfo)
    return then.replace(fold=local.fold).astimezone(UTC)


def _read(history: KnowsLoad, buses: Sequence[str], first: datetime, step: timedelta, count: int) -> FloatArray:
    """(step, bus) of the history, in as few periods as a market period may be long."""
    parts = [
        history.power_w(
            buses, MarketPeriod(start=first + at * step, resolution=step, count=min(MAX_PERIODS, count - at))
        )
        for at in range(0, count, MAX_PERIODS)
    ]
    return np.concatenate(parts)
