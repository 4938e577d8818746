"""Chance as a function of time: the same for the same seed, name and minute, whatever else is asked for. Pure.

    z_k = a z_(k-1) + sqrt(1 - a^2) e_k        a = exp(-1 min / tau), e_k standard normal, for every minute k

So z is standard normal, and correlated over time by exp(-t / tau). Every day is computed from the days before it that
matter, eight tau at least, so that days can be asked for in any order.
"""

from functools import lru_cache
from math import ceil, exp, sqrt
from typing import Annotated, Final
from zlib import crc32

import numpy as np
from pydantic import Field
from scipy.signal import lfilter

from api_spec.units import Message, NonNegative, Positive
from market.network.model import FloatArray, IntArray

A_DAY: Final = 1440
"""Minutes."""
_FORGOTTEN: Final = 8


class Noise(Message):
    """std : of the noise, in the unit of what it is added to. hours : tau, after which exp(-1) of it is left."""

    std: NonNegative = 0.0
    hours: Annotated[Positive, Field(le=240)] = 1.0

    def at(self, name: str, minutes: IntArray, *, seed: int) -> FloatArray:
        """(minute,) with this deviation, at minutes since 1970."""
        return self.std * noise(name, minutes, hours=self.hours, seed=seed)

    def factor(self, name: str, minutes: IntArray, *, seed: int) -> FloatArray:
        """(minute,) lognormal with mean 1; `std` is of its logarithm."""
        if self.std == 0:
            return np.ones(len(minutes))
        factor: FloatArray = np.exp(self.at(name, minutes, seed=seed) - self.std**2 / 2)
        return factor


class LoadNoise(Noise):
    """Noise of a load, which is the smaller the more customers there are behind it.

    std : of the logarithm, of a load of household_w on average, or less. Of a larger one std sqrt(household_w / mean),
    as of so many households that know nothing of each other; what they have in common is noise of its own. Source:
    Sevlian and Rajagopal, Int. J. Electrical Power & Energy Systems 98 (2018) 350, equation of CV over mean load.
    """

    household_w: Positive = 500.0

    def of(self, mean_w: float) -> Noise:
        """Of a load of this size."""
        std = self.std if mean_w <= self.household_w else self.std * sqrt(self.household_w / mean_w)
        return Noise(std=std, hours=self.hours)


def noise(name: str, minutes: IntArray, *, hours: float, seed: int) -> FloatArray:
    """(minute,) standard normal and autocorrelated, see above; minutes : whole ones since 1970."""
    days, within = np.divmod(minutes, A_DAY)
    found = np.empty(len(minutes))
    for day in np.unique(days):
        own = days == day
        found[own] = _day(name, int(day), hours, seed)[within[own]]
    return found


def drawn(name: str, *, seed: int) -> np.random.Generator:
    """Chance that does not depend on time."""
    return np.random.default_rng([seed, crc32(name.encode())])


@lru_cache(maxsize=1024)
def _day(name: str, day: int, hours: float, seed: int) -> FloatArray:
    before = ceil(_FORGOTTEN * hours / 24)
    fresh = np.concatenate([_fresh(name, each, seed) for each in range(day - before, day + 1)])
    kept = exp(-1 / (60 * hours))
    fresh[1:] *= sqrt(1 - kept**2)
    series: FloatArray = lfilter([1.0], [1.0, -kept], fresh)
    return series[-A_DAY:]


def _fresh(name: str, day: int, seed: int) -> FloatArray:
    return np.random.default_rng([seed, crc32(name.encode()), day]).standard_normal(A_DAY)
