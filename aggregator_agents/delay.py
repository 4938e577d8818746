"""Randomised delay: connections follow a change of price one after another, and not all in the same second."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final
from zlib import crc32

import numpy as np


@dataclass(frozen=True)
class RandomDelay:
    """How much later than the clock each connection sees its prices change: uniform from 0 to `within`.

    Source: The Electric Vehicles (Smart Charge Points) Regulations 2021 (Great Britain), regulation 11: 600 s unless
    set otherwise, at most 1800 s. Drawn anew for each connection and day.
    """

    within: timedelta
    seed: int

    def at(self, bus: str, day: date) -> timedelta:
        """Of one connection on a day, in whole seconds."""
        if not self.within:
            return timedelta(0)
        random = np.random.default_rng([self.seed, crc32(f"{bus} delay".encode()), day.toordinal()])
        return timedelta(seconds=int(random.integers(0, int(self.within.total_seconds()) + 1)))


AT_ONCE: Final = RandomDelay(timedelta(0), seed=0)
