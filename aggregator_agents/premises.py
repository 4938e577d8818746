"""What else is behind a site's meter, sun on the roof, a household, an office, and what is expected of it. Pure.

    sun        P = -peak x performance x I / (1000 W/m2) x (1 - 0.75 n^3.4)     I clear sky on the plane, see sun.py
    cover      n = F(m + s z)                   F normal distribution, s = 1.5, m so that the mean of n is `cloud_cover`
    load       P = mean x season x shape x exp(sd z - sd^2 / 2)
    forecast   the same with the expectation of z given a sign of it with correlation r = exp(-lead / tau):
               z' = r^2 z + r sqrt(1 - r^2) w,  so that z - z' has the variance 1 - r^2

z, w noise (noise.py), z bounded by 3 so that a fuse can be chosen for it. Power is constant within every whole minute,
so that energy is a sum. Unity power factor; consumption positive.

Sources: Kasten and Czeplak, Solar Energy 24 (1980) 177, for clouds; the season of households is the dynamic function of
VDEW's standard load profile H0 (1999). Daily shapes are synthetic: base load and Gaussian humps of a household, working
hours of an office; the same as those of the shipped feeder `risoe`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from statistics import NormalDist
from typing import Annotated, Final, Literal, Self, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
from numpy.polynomial.hermite_e import hermegauss
from pydantic import Field, model_validator
from scipy.special import ndtr

from aggregator_agents.fleet import PHASE_V, FloatArray, PhaseAmps
from aggregator_agents.noise import noise
from aggregator_agents.sun import clear_sky_w_per_m2, sun_at, year_angle
from api_spec.calendar import ZoneName
from api_spec.defects import refuse
from api_spec.period import MarketPeriod
from api_spec.units import Fraction, Message, NonNegative, Positive, Real

_MINUTE_S: Final = 60.0
_QUARTER_S: Final = 900
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400
_CLOUD_SPREAD: Final = 1.5
"""Skies are mostly clear or mostly overcast: with this spread a half-covered mean has its tenth and ninetieth
percentile at 3 % and 97 %."""
_NODES, _WEIGHTS = (each / scale for each, scale in zip(hermegauss(9), (1.0, np.sqrt(2 * np.pi)), strict=True))
"""Of the mean of a function of a standard normal number."""
_MOST_Z: Final = 3.0
_SHARES_SUM: Final = 1e-6

Shares = tuple[Fraction, Fraction, Fraction]
BALANCED: Final = (1 / 3, 1 / 3, 1 / 3)


class _Connected(Message):
    """Something that is connected to L1, L2, L3 in these shares."""

    phases: Shares = BALANCED

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if abs(sum(self.phases) - 1) > _SHARES_SUM:
            refuse("phases", [(("phases",), f"must add up to 1, not {sum(self.phases):g}")])
        return self


class PvArray(_Connected):
    """Modules on a roof. azimuth_deg : from north over east, 180 looks south. performance : of what the sun gives."""

    peak_kw: Positive
    tilt_deg: Annotated[NonNegative, Field(le=90)] = 35.0
    azimuth_deg: Annotated[NonNegative, Field(lt=360)] = 180.0
    performance: Annotated[Fraction, Field(gt=0)] = 0.85


class Load(_Connected):
    """A household or an office. noise : standard deviation of the logarithm of its power."""

    profile: Literal["household", "office"]
    annual_kwh: Positive
    noise: Annotated[NonNegative, Field(le=1)] = 0.2


class PremisesTable(Message):
    """What else is behind the meter of a site; nothing by default.

    cloud_cover : mean share of the sky. forecast_hours : the lead after which a forecast knows only exp(-1) of what is
    going to happen; see `Premises`.
    """

    pv: tuple[PvArray, ...] = ()
    loads: tuple[Load, ...] = ()
    latitude_deg: Annotated[Real, Field(ge=-65, le=65)] = 55.69
    longitude_deg: Annotated[Real, Field(ge=-180, le=180)] = 12.10
    timezone: ZoneName = "Europe/Copenhagen"
    cloud_cover: Annotated[Fraction, Field(gt=0, lt=1)] = 0.7
    forecast_hours: Positive = 18.0

    @property
    def empty(self) -> bool:
        """Whether nothing else is there."""
        return not self.pv and not self.loads

    @property
    def most_a(self) -> PhaseAmps:
        """What the loads may draw at most while the sun gives nothing, per phase [A]."""
        most_w = np.zeros(3)
        for load in self.loads:
            highest = np.exp(load.noise * _MOST_Z - load.noise**2 / 2) * _PEAK[load.profile]
            most_w += load.annual_kwh / 8.766 * highest * np.array(load.phases)
        first, second, third = (most_w / PHASE_V).tolist()
        return first, second, third


@dataclass(frozen=True)
class Premises:
    """What is behind the meter of one site. name : of the site; others have other weather noise and other habits."""

    table: PremisesTable
    name: str
    seed: int = 0

    def power_w(self, times_s: FloatArray) -> FloatArray:
        """(time, 3) true power on L1, L2, L3 [W] at `times_s` [s since 1970]."""
        return self._power_w(times_s, known=np.ones(len(times_s)))

    def forecast_w(self, times_s: FloatArray, *, issued: datetime) -> FloatArray:
        """(time, 3) what is expected at `issued` [W]: the truth for what is past, ever less of it further ahead."""
        lead_h = np.maximum(0.0, times_s - issued.timestamp()) / 3600
        return self._power_w(times_s, known=np.exp(-lead_h / self.table.forecast_hours))

    def now_w(self, now: datetime) -> FloatArray:
        """(3,) true power on L1, L2, L3 at this moment [W]."""
        hour, inside_s = divmod(now.timestamp(), _HOUR_S)
        power: FloatArray = self._hour_w(int(hour))[int(inside_s // _MINUTE_S)]
        return power

    @cached_property
    def _hour_w(self) -> Callable[[int], FloatArray]:
        """(minute, 3) true power in a whole hour since 1970 [W], found hardly later than that of one minute."""
        return lru_cache(maxsize=1)(lambda hour: self.power_w(_HOUR_S * hour + _MINUTE_S * np.arange(60.0)))

    def minutes(self, since: datetime, now: datetime) -> Iterator[datetime]:
        """When power may have changed, from `since` to `now`; never where nothing is there."""
        if not self.table.empty:
            late_s = now.timestamp() % _MINUTE_S
            count = int((now.timestamp() - late_s - since.timestamp()) // _MINUTE_S)
            yield from (now - timedelta(seconds=late_s + _MINUTE_S * back) for back in range(count, -1, -1))

    def metered_w(self, period: MarketPeriod) -> FloatArray:
        """(period, 3) true mean power of every period [W]."""
        if self.table.empty:
            return np.zeros((period.count, 3))
        return _means(self.power_w, _edges(period))

    def expected_w(self, period: MarketPeriod, *, issued: datetime) -> FloatArray:
        """(period, 3) mean power of every period [W] as it is expected at `issued`."""
        return self.expected_between(_edges(period), issued=issued)

    def expected_between(self, edges_s: FloatArray, *, issued: datetime) -> FloatArray:
        """(step, 3) mean power in each step between two edges [s since 1970] as it is expected at `issued` [W]."""
        return _means(lambda times_s: self.forecast_w(times_s, issued=issued), edges_s)

    def _power_w(self, times_s: FloatArray, *, known: FloatArray) -> FloatArray:
        minute_s = np.floor(times_s / _MINUTE_S) * _MINUTE_S
        total: FloatArray = np.zeros((len(minute_s), 3))
        if self.table.pv:
            clear = self._clear(minute_s, known)
            for array in self.table.pv:
                total -= np.outer(clear * self._sunshine_w(array, minute_s), array.phases)
        for at, load in enumerate(self.table.loads):
            total += np.outer(self._load_w(load, f"load {at}", minute_s, known), load.phases)
        return total

    def _sunshine_w(self, array: PvArray, times_s: FloatArray) -> FloatArray:
        """(time,) what an array gives under a clear sky [W]."""
        sun = sun_at(times_s, latitude_deg=self.table.latitude_deg, longitude_deg=self.table.longitude_deg)
        irradiance = clear_sky_w_per_m2(sun, tilt_deg=array.tilt_deg, azimuth_deg=array.azimuth_deg)
        return array.peak_kw * array.performance * irradiance

    def _clear(self, times_s: FloatArray, known: FloatArray) -> FloatArray:
        """(time,) which part of a clear sky's sunshine comes through; the mean over what is not known."""
        seen = self._seen("clouds", times_s, known, slow=0.7)
        middle = NormalDist().inv_cdf(self.table.cloud_cover) * np.hypot(1.0, _CLOUD_SPREAD)
        possible = seen[:, None] + np.sqrt(1 - known**2)[:, None] * _NODES
        clear: FloatArray = (1 - 0.75 * ndtr(middle + _CLOUD_SPREAD * possible) ** 3.4) @ _WEIGHTS
        return clear

    def _load_w(self, load: Load, name: str, times_s: FloatArray, known: FloatArray) -> FloatArray:
        hour, weekend = _local(times_s, self.table.timezone)
        shape = _SHAPES[load.profile](hour, weekend, times_s)
        seen = self._seen(name, times_s, known, slow=0.3)
        power: FloatArray = load.annual_kwh / 8.766 * shape * np.exp(load.noise * seen - (load.noise * known) ** 2 / 2)
        return power

    def _seen(self, name: str, times_s: FloatArray, known: FloatArray, *, slow: float) -> FloatArray:
        """(time,) z of the equations above, as far as it is known; a share `slow` of its variance changes in hours."""
        happens, sign = (
            np.sqrt(slow) * noise(f"{self.name} {name} {kind} day", times_s, step_s=_DAY_S // 4, seed=self.seed)
            + np.sqrt(1 - slow) * noise(f"{self.name} {name} {kind}", times_s, step_s=_QUARTER_S, seed=self.seed)
            for kind in ("in fact", "foreseen")
        )
        bounded = np.clip(happens, -_MOST_Z, _MOST_Z)
        seen: FloatArray = known**2 * bounded + known * np.sqrt(1 - known**2) * sign
        return seen


def _means(power_w: Callable[[FloatArray], FloatArray], edges_s: FloatArray) -> FloatArray:
    """(step, 3) exact means between two edges each [s since 1970]."""
    first_s = float(edges_s[0]) // _MINUTE_S * _MINUTE_S
    minutes_s = np.arange(first_s, edges_s[-1], _MINUTE_S)
    running = np.vstack([np.zeros(3), np.cumsum(power_w(minutes_s), axis=0)])
    at: FloatArray = (edges_s - first_s) / _MINUTE_S
    until = np.column_stack([np.interp(at, np.arange(len(running)), running[:, phase]) for phase in range(3)])
    means: FloatArray = np.diff(until, axis=0) / np.diff(at)[:, np.newaxis]
    return means


def _edges(period: MarketPeriod) -> FloatArray:
    """(period + 1,) where its periods begin and end [s since 1970]."""
    return period.start.timestamp() + period.resolution.total_seconds() * np.arange(period.count + 1.0)


def _local(times_s: FloatArray, timezone: str) -> tuple[FloatArray, np.typing.NDArray[np.bool_]]:
    """Local hour of the day, 0 to 24, and whether the day is a Saturday or Sunday; (time,) each."""
    zone = ZoneInfo(timezone)
    quarters, place = np.unique(times_s // _QUARTER_S, return_inverse=True)
    at = (datetime.fromtimestamp(each * _QUARTER_S, UTC).astimezone(zone) for each in quarters.tolist())
    known = [(each.hour + each.minute / 60, each.weekday() >= 5) for each in at]
    hours, weekend = np.array([hour for hour, _ in known]), np.array([free for _, free in known], dtype=np.bool_)
    return hours[place] + times_s % _QUARTER_S / 3600, weekend[place]


_Shape: TypeAlias = Callable[[FloatArray, np.typing.NDArray[np.bool_], FloatArray], FloatArray]


def _household(hour: FloatArray, weekend: np.typing.NDArray[np.bool_], times_s: FloatArray) -> FloatArray:
    """(time,) of its mean over a year; on free days people rise later."""
    morning = np.where(weekend, _hump(hour, 9.2, 1.1), _hump(hour, 7.2, 1.1))
    shape = 0.6 + 0.97 * morning + 0.415 * _hump(hour, 12.5, 2.0) + 2.075 * _hump(hour, 18.4, 1.7)
    found: FloatArray = shape * _season(times_s)
    return found


def _office(hour: FloatArray, weekend: np.typing.NDArray[np.bool_], times_s: FloatArray) -> FloatArray:
    """(time,) of its mean over a year: base load, and on working days people and machines, most before noon."""
    working: FloatArray = 1 / (1 + np.exp(-(hour - 7.4) * 4)) - 1 / (1 + np.exp(-(hour - 16.2) * 2.5))
    people: FloatArray = 1.783 * working + 1.049 * _hump(hour, 9.4, 1.1)
    found: FloatArray = 0.472 + np.where(weekend, 0.0, people)
    return found


def _hump(hour: FloatArray, centre_h: float, width_h: float) -> FloatArray:
    """1 at `centre_h`, falling off as a Gaussian over the hours of the day."""
    away = np.abs(hour - centre_h)
    shape: FloatArray = np.exp(-((np.minimum(away, 24 - away) / width_h) ** 2))
    return shape


def _season(times_s: FloatArray) -> FloatArray:
    """(time,) VDEW's polynomial in the day of the year: 1.26 in winter, 0.79 in summer, 1.0 in the mean."""
    day = year_angle(times_s) / (2 * np.pi) * 365 + 1
    season: FloatArray = np.polyval(np.array([-3.92e-10, 3.2e-7, -7.02e-5, 2.1e-3, 1.24]), day)
    return season


_SHAPES: Final[dict[str, _Shape]] = {"household": _household, "office": _office}
_PEAK: Final = {"household": 2.68 * 1.27, "office": 3.31}
"""The highest value of each shape, rounded up."""
