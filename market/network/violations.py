"""Where a time series is beyond its limit: how often, for how long, and how far. Pure.

An episode is an unbroken run of steps in which one thing (a line, a transformer, a terminal) is beyond its limit. Two
things at the same time are two episodes, and their minutes add up.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from market.network.model import FloatArray

_NOTHING: Final = 1e-9
"""Of an excess: rounding at a limit that just holds is no violation."""


@dataclass(frozen=True)
class Violations:
    """count : episodes. minutes : of all things together. depth : the largest excess, in the unit of what was given."""

    count: int
    minutes: float
    depth: float

    @classmethod
    def of(cls, excess: FloatArray, *, step_minutes: float) -> Self:
        """Of (step, thing) excess over a limit, negative or nan where there is none."""
        beyond = np.nan_to_num(excess, nan=-1.0) > _NOTHING
        begun = beyond & ~np.vstack([np.zeros_like(beyond[:1]), beyond[:-1]])
        depth = float(excess[beyond].max(initial=0.0))
        return cls(int(begun.sum()), float(beyond.sum() * step_minutes), depth)
