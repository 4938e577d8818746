"""Outside temperature: what was and what is expected, from a file. Pure but for the reading of it."""

import csv
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from api_spec.metering import Calendar
from api_spec.period import MarketPeriod
from dso_agents.forecast import ForecastUnusable
from dso_agents.past_days import same_time_before
from market.network.model import FloatArray


@dataclass(frozen=True, eq=False)
class Temperature:
    """Values [degC] at instants, given in seconds since the epoch, in order."""

    at_s: FloatArray
    value_c: FloatArray

    def of_days(self, period: MarketPeriod, *, calendar: Calendar, days: int) -> FloatArray:
        """(1 + day,) mean over `period` and over the same clock times on earlier days [degC]; nan = unknown."""
        length = period.count * period.resolution
        starts = (same_time_before(period.start, back, calendar) for back in range(days + 1))
        return np.array([self._mean(each, length) for each in starts])

    def _mean(self, start: datetime, length: timedelta) -> float:
        first, last = np.searchsorted(self.at_s, [start.timestamp(), (start + length).timestamp()])
        return float(self.value_c[first:last].mean()) if last > first else np.nan


def read_temperature(path: Path) -> Temperature:
    """A CSV file with the columns `start` (with an offset) and `temperature_c`; ForecastUnusable says what is wrong."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [(datetime.fromisoformat(row["start"]), float(row["temperature_c"])) for row in csv.DictReader(file)]
    except OSError as failure:
        raise ForecastUnusable(f"{path}: cannot be read ({failure})") from failure
    except (KeyError, TypeError, ValueError) as failure:
        raise ForecastUnusable(f"{path}: needs the columns start and temperature_c ({failure})") from failure
    if any(at.tzinfo is None for at, _ in rows):
        raise ForecastUnusable(f"{path}: start: a time needs an offset, such as 2026-01-15T16:00:00+01:00")
    rows.sort()
    return Temperature(np.array([at.timestamp() for at, _ in rows]), np.array([value for _, value in rows]))
