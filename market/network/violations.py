"""Where a time series is beyond its limit: how often, for how long, and how far. Pure.

An episode is an unbroken run of steps in which one thing (a line, a transformer, a terminal) is beyond its limit. Two
things at the same time are two episodes, and their minutes add up.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from market.network.model import BoolArray, FloatArray

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
        beyond = _beyond(excess)
        begun = beyond & ~np.vstack([np.zeros_like(beyond[:1]), beyond[:-1]])
        depth = float(excess[beyond].max(initial=0.0))
        return cls(int(begun.sum()), float(beyond.sum() * step_minutes), depth)


@dataclass(frozen=True)
class Episode:
    """One unbroken run. first : its first step. count : of steps. depth : the largest excess."""

    first: int
    count: int
    depth: float


def episodes(excess: FloatArray) -> Iterator[tuple[int, Episode]]:
    """The number of the thing and each of its episodes, in the order of things and time. excess : (step, thing)."""
    beyond = _beyond(excess)
    for thing in np.flatnonzero(beyond.any(axis=0)).tolist():
        edges = np.flatnonzero(np.diff(beyond[:, thing].astype(np.int8), prepend=0, append=0))
        for first, end in edges.reshape(-1, 2).tolist():
            yield thing, Episode(first, end - first, float(excess[first:end, thing].max()))


def _beyond(excess: FloatArray) -> BoolArray:
    beyond: BoolArray = np.nan_to_num(excess, nan=-1.0) > _NOTHING
    return beyond
