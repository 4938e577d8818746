"""What the load of all buses may be: whole days that could happen, learnt from days that did. Pure.

With y_k the load of an earlier day k, w_k its weight (their sum is 1) and x_k what is known of its conditions, the
forecast of a day with conditions x is

    expected   m = sum_k w_k a_k,                  a_k = y_k + B (x - x_k)
    error      r_k = t_n (a_k - m) / (1 - w_k)     that day k would have had, forecast from the others
    scenario   m + (r_k + h r_j) / sqrt(1 + h^2),  h = (4 / 3n)^(1/5),  n = 1 / sum_k w_k^2

x_k are the temperature and the level of the days before. Days k are drawn by weight, days j are the same in another
order: a smoothed bootstrap that keeps variances (Silverman and Young 1987, Biometrika 74:469), centred on m. t_n = the
standard deviation of Student's t with n - 1, and 3 at least, degrees of freedom. An error is a whole day of all buses,
so what buses and hours have in common stays in common, which quantiles of each by itself would lose.
"""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Annotated, Final

import numpy as np
from pydantic import Field

from api_spec.units import Count, Fraction, Message, NonNegative, Positive
from dso_agents.past_days import PastDays
from market.network.model import FloatArray, IntArray

_YEAR_DAYS: Final = 365.25
_ALIKE: Final = 8  # a day that is three quarters of the same type counts for a tenth
_NEGLIGIBLE: Final = 1e-3
_ROUNDING: Final = 1e-9
_LEAST_FREEDOM: Final = 3
_HEATED_BELOW_C: Final = 15.0
_NORMAL: Final = NormalDist()


class Learning(Message):
    """How a forecast learns from meters.

    days : how far back it looks. half_life_days : a day that is so old counts half. season_days : standard deviation of
    the season [days]: a day half a year ago hardly counts, one a year ago does. level_days : whose mean is the present
    level; whole weeks hold every day type alike. level_share : how much of a change of level since a day lasts.
    prior_days : p, by which the known profile counts for (p / (p + n))^2 of the forecast where n like days are known.
    profile_error : standard deviation of the load around the known profile, relative to it, before meters know better.
    scenarios : how many days that may happen are drawn. seed : of the draw.
    """

    days: Annotated[int, Field(strict=True, ge=2, le=800)] = 35
    half_life_days: Positive = 21.0
    season_days: Positive = 30.0
    level_days: Annotated[int, Field(strict=True, ge=1, le=28)] = 7
    level_share: Fraction = 0.5
    prior_days: NonNegative = 2.0
    profile_error: Annotated[NonNegative, Field(le=1)] = 0.25
    scenarios: Annotated[int, Field(strict=True, ge=10, le=2000)] = 100
    seed: Count = 0

    @property
    def reach_days(self) -> int:
        """How far back meters are read: the level of the oldest day lies before it."""
        return self.days + self.level_days


@dataclass(frozen=True, eq=False)
class LoadScenarios:
    """Days that may happen, equally likely.

    buses : (bus,). expected_w : (period, bus) [W], consumption positive. p_w : (scenario, period, bus) around it [W].
    known_days : (bus,) how many equally weighted like days the meters know, 0 where the profile is all there is.
    """

    buses: tuple[str, ...]
    expected_w: FloatArray
    p_w: FloatArray
    known_days: FloatArray

    def quantile_w(self, level: float) -> FloatArray:
        """(period, bus) each bus by itself [W]."""
        return quantile(self.p_w, level)

    def total_quantile_w(self, level: float) -> FloatArray:
        """(period,) of all buses together [W]."""
        return quantile(self.p_w.sum(axis=2), level)


def quantile(sample: FloatArray, level: float) -> FloatArray:
    """Along the first axis, at the plotting positions k / (n + 1): the next draw is below it with probability `level`.

    Source: Hyndman and Fan 1996, definition 6 (Weibull).
    """
    found: FloatArray = np.quantile(sample, level, axis=0, method="weibull")
    return found


def load_scenarios(
    past: PastDays,
    *,
    profile_w: FloatArray,
    learning: Learning,
    draw: np.random.Generator,
    temperature_c: FloatArray | None = None,
) -> LoadScenarios:
    """Days that may happen, of earlier days and, where these are few, of a known profile.

    profile_w : (period, bus) what is known without meters [W]; it counts for `prior_days` like days. temperature_c :
    (1 + day,) mean outside temperature of the delivery and of each earlier day [degC], nan = unknown.
    """
    count = min(learning.days, len(past.power_w))
    power_w = past.power_w[:count]
    weight = _weights(past.alike[:count], learning)
    days = np.flatnonzero(weight)
    like = _LikeDays.of(power_w[days], weight[days])
    if temperature_c is not None:
        heating = np.maximum(0.0, _HEATED_BELOW_C - temperature_c)
        like = like.adjusted(_by_temperature(like, heating[1 + days], heating[0]))
    like = like.adjusted(learning.level_share * _by_level(like, past.power_w, days, learning.level_days))

    prior = (learning.prior_days / np.maximum(learning.prior_days + like.known_days, _ROUNDING)) ** 2
    prior = np.where(like.known_days > 1 + _ROUNDING, prior, 1.0)
    expected = np.where(prior < 1, prior * profile_w + (1 - prior) * like.mean_w, profile_w)
    size = learning.scenarios
    own = _drawn_errors(like, size, draw)
    normal = np.array([_NORMAL.inv_cdf((at + 0.5) / size) for at in range(size)])
    known = draw.permutation(normal)[:, None, None] * learning.profile_error * np.abs(profile_w)
    error = np.sqrt(1 - prior) * own + np.sqrt(prior) * known
    p_w = expected + error - error.mean(axis=0)
    # Where nothing was ever fed back, nothing will be.
    never_negative = (profile_w >= 0).all(axis=0) & ~(power_w < 0).any(axis=(0, 1))
    p_w = np.where(never_negative, np.maximum(p_w, 0.0), p_w)
    return LoadScenarios(past.buses, expected, p_w, like.known_days)


def _weights(alike: FloatArray, learning: Learning) -> FloatArray:
    """(day,) of like days: by type, age and season; 0 for what hardly counts."""
    age = np.arange(1, len(alike) + 1)
    out_of_season = np.abs((age + _YEAR_DAYS / 2) % _YEAR_DAYS - _YEAR_DAYS / 2)
    recent = 0.5 ** (age / learning.half_life_days)
    weight: FloatArray = alike**_ALIKE * recent * np.exp(-((out_of_season / learning.season_days) ** 2) / 2)
    return np.where(weight > _NEGLIGIBLE * weight.max(initial=0.0), weight, 0.0)


@dataclass(frozen=True, eq=False)
class _LikeDays:
    """power_w, weight : (day, period, bus), the weight 0 where nothing is known and else of sum 1 over the days."""

    power_w: FloatArray
    weight: FloatArray

    @classmethod
    def of(cls, power_w: FloatArray, weight: FloatArray) -> "_LikeDays":
        known = ~np.isnan(power_w)
        weights = weight[:, None, None] * known
        total = weights.sum(axis=0)
        return cls(np.where(known, power_w, 0.0), weights / np.where(total > 0, total, 1.0))

    @property
    def mean_w(self) -> FloatArray:
        """(period, bus) [W]."""
        mean: FloatArray = (self.weight * self.power_w).sum(axis=0)
        return mean

    @property
    def known_days(self) -> FloatArray:
        """(bus,) as many equally weighted days would tell as much."""
        squares = (self.weight**2).sum(axis=0)
        known: FloatArray = np.where(squares > 0, 1 / np.where(squares > 0, squares, 1.0), 0.0).mean(axis=0)
        return known

    def adjusted(self, change_w: FloatArray) -> "_LikeDays":
        return _LikeDays(self.power_w + change_w, self.weight)

    def errors_w(self) -> FloatArray:
        """(day, period, bus) of each day, forecast from the others; a gap takes that of the next older day [W].

        Few days tell little of how far errors reach: they are stretched to the variance of Student's t.
        """
        known = (self.weight > 0) & (self.weight < 1 - _ROUNDING)
        errors = (self.power_w - self.mean_w) / np.where(known, 1 - self.weight, 1.0)
        freedom = np.maximum(self.known_days - 1, _LEAST_FREEDOM)
        stretched: FloatArray = _filled(np.where(known, errors, 0.0), known) * np.sqrt(freedom / (freedom - 2))
        return stretched


def _filled(values: FloatArray, known: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> FloatArray:
    """Along the first axis, in a circle: the next known value; 0 where there is none."""
    count = len(values)
    if known.all() or not count:
        return values
    position = np.where(np.concatenate([known, known]), np.arange(2 * count)[:, None, None], 2 * count)
    nearest = np.minimum.accumulate(position[::-1])[::-1][:count]
    there = nearest < 2 * count
    return np.where(there, np.take_along_axis(values, np.where(there, nearest % count, 0), axis=0), 0.0)


def _drawn_errors(like: _LikeDays, size: int, draw: np.random.Generator) -> FloatArray:
    """(scenario, period, bus) errors of days drawn by weight, smoothed."""
    shape = (size, *like.power_w.shape[1:])
    by_day = like.weight.mean(axis=(1, 2)) if like.weight.size else np.zeros(0)
    if np.count_nonzero(by_day) < 2:
        return np.zeros(shape)
    by_day = by_day / by_day.sum()
    chosen = _systematic(by_day, size, draw)
    smoothing = (4 / 3 * (by_day**2).sum()) ** 0.2
    errors = like.errors_w()
    mixed: FloatArray = (errors[chosen] + smoothing * errors[draw.permutation(chosen)]) / np.hypot(1, smoothing)
    return mixed


def _systematic(weight: FloatArray, size: int, draw: np.random.Generator) -> IntArray:
    """(size,) positions, each as often as its weight says, to within one."""
    ends = np.cumsum(weight)
    chosen: IntArray = np.searchsorted(ends / ends[-1], (np.arange(size) + draw.random()) / size)
    return np.minimum(chosen, len(weight) - 1)


def _by_temperature(like: _LikeDays, heating: FloatArray, heating_now: float) -> FloatArray:
    """(day, period, bus) what the delivery's heating degrees change of each day [W]; by least squares for each cell.

    Ridge of one day's worth: few days, or all of the same temperature, change little.
    """
    there = ~np.isnan(heating)
    if np.isnan(heating_now) or there.sum() < 2:
        return np.zeros_like(like.power_w)
    weight = like.weight * there[:, None, None]
    weight = weight / np.where(weight.sum(axis=0) > 0, weight.sum(axis=0), 1.0)
    degrees = np.where(there, heating, 0.0)[:, None, None]
    apart = degrees - (weight * degrees).sum(axis=0)
    spread = (weight * apart**2).sum(axis=0)
    slope = (weight * apart * like.power_w).sum(axis=0) / (spread + 1.0 / max(1, len(heating)))
    return np.where(there[:, None, None], slope * (heating_now - degrees), 0.0)


def _by_level(like: _LikeDays, power_w: FloatArray, days: IntArray, level_days: int) -> FloatArray:
    """(day, period, bus) distance of the present level from the one before each day [W], in the shape of the day.

    The level is the mean of the `level_days` days before. power_w : (day, period, bus) of all days, like or not.
    """
    daily = _mean(power_w, axis=1)
    now, *then = (_mean(daily[at : at + level_days], axis=0) for at in (0, *(days + 1)))
    apart = np.array([now - each for each in then]).reshape(len(days), power_w.shape[2])
    size = np.abs(like.mean_w).mean(axis=0)
    shape = np.abs(like.mean_w) / np.where(size > 0, size, 1.0)
    distance: FloatArray = np.nan_to_num(apart)[:, None, :] * shape
    return distance


def _mean(values: FloatArray, *, axis: int) -> FloatArray:
    """Without what is unknown; nan where less than half is known."""
    known = ~np.isnan(values)
    count = known.sum(axis=axis)
    total = np.where(known, values, 0.0).sum(axis=axis)
    return np.where(2 * count >= values.shape[axis], total / np.maximum(count, 1), np.nan)
