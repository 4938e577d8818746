"""Noise as a function of time: smooth, normal, and the same for the same seed and name whatever is asked when. Pure.

    z(t) = ((1 - w) z_k + w z_k+1) / sqrt((1 - w)^2 + w^2)

z_k standard normal at every whole multiple of a step since 1970, w how far t is from k to k + 1. Divided by the root, z
has variance 1 at all times.
"""

from functools import lru_cache
from typing import Final
from zlib import crc32

import numpy as np

from aggregator_agents.fleet import FloatArray

_DAY_S: Final = 86_400


def noise(name: str, times_s: FloatArray, *, step_s: int, seed: int) -> FloatArray:
    """(time,) standard normal numbers at `times_s` [s since 1970], related within about `step_s`, a part of a day."""
    at = times_s / step_s
    before = np.floor(at)
    share = at - before
    low, high = (_nodes(name, (before + after).astype(np.int64), _DAY_S // step_s, seed) for after in (0, 1))
    mixed: FloatArray = ((1 - share) * low + share * high) / np.hypot(1 - share, share)
    return mixed


def _nodes(name: str, numbers: np.typing.NDArray[np.int64], a_day: int, seed: int) -> FloatArray:
    """z_k of each number k."""
    days = numbers // a_day
    found = np.empty(len(numbers))
    for day in np.unique(days):
        inside = days == day
        found[inside] = _day(name, int(day), a_day, seed)[numbers[inside] - day * a_day]
    return found


@lru_cache(maxsize=4096)
def _day(name: str, day: int, count: int, seed: int) -> FloatArray:
    drawn: FloatArray = np.random.default_rng([seed, crc32(name.encode()), day]).standard_normal(count)
    return drawn
