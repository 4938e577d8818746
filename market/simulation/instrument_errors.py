"""What instruments are off by, and what never arrives of them: functions of seed, instrument and day. Pure."""

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Final
from zlib import crc32

import numpy as np

from market.network.model import BoolArray, FloatArray
from market.simulation.measuring_points import Channel
from market.simulation.metering_table import BadKind, Instruments

_DAY: Final = timedelta(days=1)
_SIGMAS_OF_CLASS: Final = 3
_LONGEST_SILENCE_DAYS: Final = 7


@dataclass(frozen=True, eq=False)
class InstrumentDay:
    """What chance has for one instrument on one UTC day, for each of its steps.

    kind : in which way it is bad; None = it is good. factor : of its powers. lost : whether a reading never arrives.
    """

    kind: BadKind | None
    factor: FloatArray
    lost: BoolArray

    @staticmethod
    @lru_cache(maxsize=4096)
    def drawn(table: Instruments, meter: str, day: int, seed: int) -> "InstrumentDay":
        """Of a UTC day, by its number since 1970."""
        count = _DAY // table.resolution
        bad, constant = table.bad, chance_of(seed, meter)
        is_bad, kind = constant.random() < bad.share, constant.choice(len(bad.kinds))
        found = bad.kinds[int(kind)] if is_bad else None
        scale = bad.factors[int(constant.choice(len(bad.factors)))]
        today = chance_of(seed, meter, day)
        spiked, missing = today.random((2, count))
        factor = {
            "scaled": np.full(count, scale),
            "swapped": np.full(count, -1.0),
            "spikes": np.where(spiked < bad.spike_share, bad.spike, 1.0),
        }.get(found or "", np.ones(count))
        return InstrumentDay(found, factor, (missing < table.missing) | _silent(table, meter, day, seed))


def _silent(table: Instruments, meter: str, day: int, seed: int) -> BoolArray:
    """(step,) within a silence: these begin at random (Poisson) and last exponentially, up to a week."""
    count = _DAY // table.resolution
    starts = np.arange(count) * (24 / count)
    silent: BoolArray = np.zeros(count, dtype=np.bool_)
    if table.silent == 0:
        return silent
    for back in range(_LONGEST_SILENCE_DAYS + 1):
        chance = chance_of(seed, f"silence {meter}", day - back)
        number = chance.poisson(24 * table.silent / (1 - table.silent) / table.silent_hours)
        begins = 24 * chance.random(number) - 24 * back
        lasts = np.minimum(chance.exponential(table.silent_hours, number), 24 * _LONGEST_SILENCE_DAYS)
        silent |= ((begins <= starts[:, None]) & (starts[:, None] < begins + lasts)).any(axis=1)
    return silent


def off_by(table: Instruments, channel: Channel, seed: int) -> float:
    """What an instrument makes of one, for ever: within three standard deviations."""
    normal = chance_of(seed, f"{channel.meter} {channel.quantity} {channel.phase}").standard_normal()
    share = table.accuracy_class / 100 / _SIGMAS_OF_CLASS
    return float(1 + share * np.clip(normal, -_SIGMAS_OF_CLASS, _SIGMAS_OF_CLASS))


def chance_of(seed: int, name: str, day: int = 0) -> np.random.Generator:
    """As all chance here: of a seed, a name and a day."""
    return np.random.default_rng([seed, crc32(f"metering {name}".encode()), day])
