"""The meter of an emulated site: power is a broken line in time, so energy is exact over any interval."""

from bisect import bisect_right
from itertools import pairwise

import numpy as np

from aggregator_agents.fleet import FloatArray, PhaseAmps


class LineMeter:
    """Energy under a broken line. Seconds from its start; power consumption positive [W]."""

    def __init__(self) -> None:
        """At second 0, at no power."""
        self._at_s, self._energy_wh, self._power_w = [0.0], [0.0], [0.0]

    def record(self, now_s: float, before_w: float, after_w: float) -> None:
        """The power reached `before_w` on a straight line and goes on from `after_w`."""
        seconds = now_s - self._at_s[-1]
        if seconds <= 0:
            self._power_w[-1] = after_w
            return
        self._at_s.append(now_s)
        self._energy_wh.append(self._energy_wh[-1] + (self._power_w[-1] + before_w) / 2 * seconds / 3600)
        self._power_w.append(after_w)

    @property
    def power_w(self) -> float:
        """After the last record."""
        return self._power_w[-1]

    @property
    def at_s(self) -> float:
        """Until when it has been recorded."""
        return self._at_s[-1]

    def energy_wh(self, at_s: float) -> float:
        """Until `at_s`, which has been recorded already; ValueError for what is forgotten."""
        index = bisect_right(self._at_s, at_s) - 1
        if index < 0:
            if self._at_s[0] > 0:
                raise ValueError(f"second {at_s:g} is forgotten")
            return 0.0
        begin_s, energy_wh, power_w = self._at_s[index], self._energy_wh[index], self._power_w[index]
        since_s = at_s - begin_s
        if index + 1 == len(self._at_s):
            return energy_wh + power_w * since_s / 3600
        whole_s = self._at_s[index + 1] - begin_s
        straight_wh = power_w * whole_s / 3600
        bent_wh = self._energy_wh[index + 1] - energy_wh - straight_wh
        return energy_wh + straight_wh * since_s / whole_s + bent_wh * (since_s / whole_s) ** 2

    def mean_w(self, start_s: float, step_s: float, count: int) -> FloatArray:
        """(step,) mean power in `count` steps from `start_s` on."""
        edges = [self.energy_wh(start_s + step * step_s) for step in range(count + 1)]
        return np.array([(after - before) * 3600 / step_s for before, after in pairwise(edges)])

    def forget(self, before_s: float) -> None:
        """What was recorded before, but for the last of it."""
        first = max(0, bisect_right(self._at_s, before_s) - 1)
        for each in (self._at_s, self._energy_wh, self._power_w):
            del each[:first]


class PhaseMeter:
    """Current on L1, L2, L3 under broken lines. Seconds from its start. Written at every event, so it only writes."""

    def __init__(self) -> None:
        """At second 0, at no current."""
        self._rows: list[tuple[float, PhaseAmps, PhaseAmps]] = [(0.0, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0))]

    def record(self, now_s: float, before_a: PhaseAmps, after_a: PhaseAmps) -> None:
        """Currents reached `before_a` on straight lines and go on from `after_a`."""
        self._rows.append((now_s, before_a, after_a))

    def forget(self, before_s: float) -> None:
        """What was recorded before, but for the last of it."""
        first = max(0, bisect_right(self._rows, before_s, key=lambda row: row[0]) - 1)
        del self._rows[:first]

    def mean_a(self, start_s: float, step_s: float, count: int) -> FloatArray:
        """(step, 3) mean current in `count` steps from `start_s` on, until which it has been recorded.

        ValueError for what is forgotten, or was before the start.
        """
        if start_s < self._rows[0][0]:
            raise ValueError(f"second {start_s:g} is forgotten")
        at_s = np.array([row[0] for row in self._rows])
        reached, left = (np.array([row[each] for row in self._rows]) for each in (1, 2))
        lasts_s = np.diff(at_s, append=at_s[-1])[:, None]
        ends = np.vstack([reached[1:], left[-1]])
        whole = np.cumsum((left + ends) / 2 * lasts_s, axis=0)
        before = np.vstack([np.zeros(3), whole[:-1]])
        edges_s = start_s + step_s * np.arange(count + 1)
        own = np.searchsorted(at_s, edges_s, side="right") - 1
        since_s = (edges_s - at_s[own])[:, None]
        slope = np.divide(ends - left, lasts_s, out=np.zeros_like(left), where=lasts_s > 0)[own]
        until: FloatArray = before[own] + left[own] * since_s + slope * since_s**2 / 2
        means: FloatArray = np.diff(until, axis=0) / step_s
        return means
