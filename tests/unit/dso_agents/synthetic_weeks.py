"""Weeks of metered homes, made up: a known shape of the day times a common and an own level, and noise.

Everything is seeded, and nothing of it is known to the forecast but the meters and the shape's mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from api_spec.calendar import midnight
from api_spec.metering import Calendar
from api_spec.period import MarketPeriod
from dso_agents.past_days import day_type
from market.network.model import FloatArray

ZONE = "Europe/Copenhagen"
CALENDAR = Calendar(zone=ZONE)
HOUR = timedelta(hours=1)
BUSES = tuple(f"h{at}" for at in range(6))
FIRST = date(2026, 1, 5)


def local_day(day: date) -> MarketPeriod:
    """Its 23, 24 or 25 hours."""
    start, end = midnight(day, ZONE), midnight(day + timedelta(days=1), ZONE)
    return MarketPeriod(start=start, resolution=HOUR, count=(end - start) // HOUR)


@dataclass(frozen=True, eq=False)
class Metered:
    """A history: hours from `start`. power_w : (hour, bus)."""

    start: datetime
    buses: tuple[str, ...]
    hours_w: FloatArray

    def power_w(self, buses: Sequence[str], period: MarketPeriod) -> FloatArray:
        columns = [self.buses.index(bus) if bus in self.buses else -1 for bus in buses]
        padded = np.pad(self.hours_w, ((0, 0), (0, 1)), constant_values=np.nan)[:, columns]
        at = np.array([(each - self.start) // HOUR for each in period.starts()])
        inside = (at >= 0) & (at < len(padded))
        return np.where(inside[:, None], padded[np.where(inside, at, 0)], np.nan)


def shape_w(day: date) -> FloatArray:
    """(hour of the day,) a home's mean load: an evening peak, later and flatter at weekends."""
    hours = np.arange(24)
    weekend = day_type(day, CALENDAR) != "workday"
    morning, evening = (0.2, 0.7) if weekend else (0.4, 1.2)
    bumps = morning * np.exp(-(((hours - 8) / 1.5) ** 2)) + evening * np.exp(-(((hours - 19) / 2.5) ** 2))
    return 1000 * (0.3 + bumps)


def weeks(count: int, *, seed: int, growth: float = 0.0) -> Metered:
    """`count` weeks from FIRST on. growth : of all levels, per week."""
    draw = np.random.default_rng(seed)
    start = midnight(FIRST, ZONE)
    rows, common = [], 0.0
    own = draw.lognormal(0.0, 0.3, len(BUSES))
    for back in range(7 * count):
        day = FIRST + timedelta(days=back)
        common = 0.6 * common + draw.normal(0.0, 0.08)
        level = own * np.exp(common + draw.normal(0.0, 0.12, len(BUSES))) * (1 + growth * back / 7)
        local = [each.astimezone(ZoneInfo(ZONE)).hour for each in local_day(day).starts()]
        noise = draw.gamma(12.0, 1 / 12.0, (len(local), len(BUSES)))
        rows.append(shape_w(day)[local][:, None] * level * noise)
    return Metered(start, BUSES, np.concatenate(rows))


def profile_w(period: MarketPeriod) -> FloatArray:
    """(period, bus) what a DSO knows without meters: a workday's shape, the same at every home."""
    local = [each.astimezone(ZoneInfo(ZONE)).hour for each in period.starts()]
    return np.repeat(shape_w(FIRST)[local][:, None], len(BUSES), axis=1)
