"""The time steps of a plan: short ones first, where amps are decided, then quarter-hours on the clock."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property, lru_cache
from typing import Final, Self

import numpy as np
import numpy.typing as npt

from aggregator_agents.fleet import FloatArray, Session
from api_spec.period import MarketPeriod

_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_HOUR: Final = timedelta(hours=1)
_NEGLIGIBLE: Final = 1e-4


@dataclass(frozen=True, eq=False)
class Grid:
    """Steps without gaps. length_h : (step,) of each [h], positive; start : aware."""

    start: datetime
    length_h: FloatArray

    @classmethod
    @lru_cache(maxsize=4)  # the sites of one aggregator plan at the same time
    def ahead(
        cls,
        now: datetime,
        *,
        count: int = 96,
        short: timedelta = timedelta(minutes=5),
        long: timedelta = timedelta(minutes=15),
        short_for: timedelta = _HOUR,
    ) -> Self:
        """`count` steps from `now`: `short` ones for at least `short_for` up to a whole `long` one of the clock.

        All boundaries but `now` itself are on the clock, so that steps lie within market periods; the first step is
        shorter where `now` is between two boundaries.
        """
        change = _clock(now + short_for, long)
        first = _clock(now + short / 1000, short)
        edges = [now, *(first + k * short for k in range((change - first) // short))]
        edges += [change + k * long for k in range(max(0, count + 1 - len(edges)))]
        return cls(now, np.diff([(each - now) / _HOUR for each in edges[: count + 1]]))

    @classmethod
    def of(cls, period: MarketPeriod) -> Self:
        """The periods of a market, one step each."""
        return cls(period.start, np.full(period.count, period.hours))

    @property
    def count(self) -> int:
        """How many steps."""
        return len(self.length_h)

    @cached_property
    def edges_h(self) -> FloatArray:
        """(step + 1,) hours from `start` to the begin of every step, and to the end of the last."""
        edges: FloatArray = np.concatenate([[0.0], np.cumsum(self.length_h)])
        return edges

    @property
    def end(self) -> datetime:
        """The first instant after the last step."""
        return self.start + float(self.edges_h[-1]) * _HOUR

    def after_h(self, instant: datetime) -> float:
        """Hours from `start` to an instant; negative before."""
        return (instant - self.start) / _HOUR

    def starts(self) -> tuple[datetime, ...]:
        """The start of every step, to the second."""
        return self._starts

    @cached_property
    def _starts(self) -> tuple[datetime, ...]:
        return tuple(self.start + timedelta(seconds=round(3600 * each)) for each in self.edges_h[:-1].tolist())

    def share(self, sessions: Sequence[Session]) -> FloatArray:
        """(session, step) part of every step in which each is at its plug, 0 to 1; 0 where that is negligible."""
        arrives_h, departs_h = self._stays_h(sessions)
        inside_h = np.minimum(departs_h, self.edges_h[1:]) - np.maximum(arrives_h, self.edges_h[:-1])
        share: FloatArray = np.clip(inside_h / self.length_h, 0.0, 1.0)
        return np.where(share > _NEGLIGIBLE, share, 0.0)

    def waited_h(self, sessions: Sequence[Session]) -> FloatArray:
        """(session, step) hours from arrival to the middle of each step; 0 before arrival."""
        middle_h = (self.edges_h[1:] + self.edges_h[:-1]) / 2
        waited: FloatArray = np.maximum(middle_h - self._stays_h(sessions)[0], 0.0)
        return waited

    def sample(self, period: MarketPeriod, values: FloatArray, *, otherwise: float) -> FloatArray:
        """(step,) the value of the market period in which each step starts; `otherwise` outside of all.

        values : (period,).
        """
        at, inside = _periods_of(self, period)
        found: FloatArray = np.where(inside, values[at], otherwise)
        return found

    def _stays_h(self, sessions: Sequence[Session]) -> tuple[FloatArray, FloatArray]:
        """(session, 1) hours from `start` to arrival and to departure."""
        stays = np.array([(self.after_h(each.arrives), self.after_h(each.departs)) for each in sessions])
        stays = stays.reshape(-1, 2)
        return stays[:, :1], stays[:, 1:]


@lru_cache(maxsize=4)  # several series of one market are sampled, by all sites of one aggregator
def _periods_of(grid: Grid, period: MarketPeriod) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """(step,) the market period in which each step starts, or the nearest; and whether it starts in one."""
    at_h = grid.edges_h[:-1] + 1e-6 - grid.after_h(period.start)
    at = np.floor(at_h / period.hours).astype(np.int64)
    return np.clip(at, 0, period.count - 1), (at >= 0) & (at < period.count)


def _clock(instant: datetime, step: timedelta) -> datetime:
    """The first boundary of the clock at or after an instant."""
    return instant + (_EPOCH - instant) % step
