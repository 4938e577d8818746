"""What a Newton system is solved for: directions that curve most and limits, beside one another, time by time."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from market.network.model import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Directions:
    """Directions of curvature and limits, in the order of their times.

    slopes : (place, n) of each at its time : (n,), out of as many `times`. own : (n,) 1 for what curves, 0 for limits.
    limits : (r,) where the limits stand.
    """

    slopes: FloatArray
    time: IntArray
    times: int
    own: FloatArray
    limits: IntArray

    @classmethod
    def of(cls, roots: FloatArray, slope: FloatArray, time: IntArray) -> "Directions":
        """Of roots (time, place, few) of the curvature, and limits with slopes (r, place) at their times : (r,)."""
        times, places, few = roots.shape
        slopes = np.concatenate([roots.transpose(0, 2, 1).reshape(-1, places), slope])
        of_time = np.concatenate([np.repeat(np.arange(times), few), time])
        order = np.argsort(of_time, kind="stable")
        where = np.empty(len(order), dtype=np.intp)
        where[order] = np.arange(len(order))
        own = np.concatenate([np.ones(times * few), np.zeros(len(time))])
        return cls(np.ascontiguousarray(slopes[order].T), of_time[order], times, own[order], where[times * few :])

    def __len__(self) -> int:
        """How many there are."""
        return len(self.time)

    @cached_property
    def first(self) -> list[int]:
        """Where those of each time begin, and where the last end."""
        first: list[int] = np.searchsorted(self.time, np.arange(self.times + 1)).tolist()
        return first

    @cached_property
    def _by_time(self) -> tuple[FloatArray, IntArray]:
        """Slopes (time, widest, place), filled up with 0, and (n,) where each stands in them."""
        widest = int(np.diff(self.first).max(initial=0))
        at = self.time * widest + np.arange(len(self)) - np.take(self.first, self.time)
        table = np.zeros((self.times * widest, len(self.slopes)))
        table[at] = self.slopes.T
        return table.reshape(self.times, widest, -1), at

    def along(self, change: FloatArray) -> FloatArray:
        """(n,) how far a change of cells : (place, time) goes along each."""
        table, at = self._by_time
        along: FloatArray = (table @ change.T[:, :, None]).ravel()[at]
        return along

    def nodal(self, prices: FloatArray) -> FloatArray:
        """(place, time) what prices : (n,) of each are worth in cells."""
        table, at = self._by_time
        padded = np.zeros(table.shape[:2])
        padded.ravel()[at] = prices
        return np.ascontiguousarray((padded[:, None, :] @ table)[:, 0].T)
