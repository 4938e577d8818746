"""Estimates of the network's state take the place of raw readings in what a DSO remembers."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from api_spec.case import Injection
from api_spec.period import Duration, MarketPeriod
from api_spec.units import Message, Positive
from dso_agents.forecast import ForecastUnusable, ProfileSource
from dso_agents.measured import Expectation, Measured
from dso_agents.measuring import measured
from dso_agents.meter_history import MeterHistory
from dso_agents.own_load import Traded
from dso_agents.state_estimation import Estimate, estimate
from dso_agents.state_solvers import NoEstimate
from market.errors import NetworkError, PowerFlowDiverged
from market.network import Grid
from market.network.model import FloatArray

LOG: Final = logging.getLogger(__name__)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CHUNK: Final = timedelta(days=1)
_TOLD: Final = 0.999
"""An estimate is kept where instruments brought its sigma below this share of what is expected without them: also of
buses that a substation alone tells a little of, since only all of them together add up to what it measured."""


class Estimating(Message):
    """How the state is estimated.

    resolution : of estimates. expectation : of what no instrument tells. threshold : normalised residual beyond which a
    reading is taken for bad.
    """

    resolution: Duration = timedelta(minutes=15)
    expectation: Expectation = Expectation()
    threshold: Positive = 4.0


class StateKeeper:
    """Estimates what readings have come for, and puts it into the history that they are in."""

    def __init__(self, estimating: Estimating, grid: Grid, profiles: ProfileSource, history: MeterHistory) -> None:
        """Nothing is estimated yet."""
        self._estimating, self._grid, self._profiles, self._history = estimating, grid, profiles, history

    def catch_up(self, traded: Sequence[Traded]) -> None:
        """Estimate all periods that readings have come for. traded : what aggregators' resources were to draw in them.

        Where nothing can be said, such as before the known profiles, readings stay what they are.
        """
        fresh = self._history.take_fresh()
        if fresh is None:
            return
        for period in _days(*fresh, self._estimating.resolution):
            try:
                found = self.state(period, traded)
            except (ForecastUnusable, NetworkError, NoEstimate, PowerFlowDiverged) as failure:
                LOG.info("no estimate from %s on: %s", period.start.isoformat(), failure)
                continue
            self._history.estimate(self._grid.bus_ids, period, _better(found))

    def state(self, period: MarketPeriod, traded: Sequence[Traded] = ()) -> Estimate:
        """The state in a period; NoEstimate, ForecastUnusable or NetworkError where there is none."""
        return estimate(self._known(period, traded), threshold=self._estimating.threshold)

    def _known(self, period: MarketPeriod, traded: Sequence[Traded]) -> Measured:
        expected = (*self._profiles.injections(period), *_chargers(traded, period))
        return measured(self._grid, self._history, period, expected, self._estimating.expectation)


def _better(found: Estimate) -> FloatArray:
    """(period, bus) estimates that any instrument told something of, else nan [W]."""
    grid, expected = found.used.grid, found.used.expected.sigma[..., 0]
    variance = np.where(np.isfinite(expected), expected, 0.0).reshape(len(expected), grid.buses, grid.phases) ** 2
    better = found.power_sigma_w < _TOLD * np.sqrt(variance.sum(axis=2))
    return np.where(better, found.power_w, np.nan)


def _chargers(traded: Iterable[Traded], period: MarketPeriod) -> Iterator[Injection]:
    """What aggregators nominated and were awarded, at unity power factor."""
    for each in traded:
        inside = [
            (at, start) for at, start in enumerate(period.starts()) if each.delivery.start <= start < each.delivery.end
        ]
        if not inside:
            continue
        rows, at = [at for at, _ in inside], [each.delivery.index(start) for _, start in inside]
        for bus, nominated_w in each.nominated_w.items():
            power_w = np.zeros(period.count)
            power_w[rows] = (nominated_w + each.awarded_w.get(bus, 0.0))[at]
            yield Injection(bus=bus, p_w=tuple(power_w.tolist()), q_var=(0.0,) * period.count)


def _days(since: datetime, until: datetime, resolution: timedelta) -> Iterator[MarketPeriod]:
    """Whole periods that cover a time, a day of them at a time."""
    first, last = (since - _EPOCH) // resolution, -((_EPOCH - until) // resolution)
    per_day = max(1, _CHUNK // resolution)
    for start in range(first, last, per_day):
        count = min(per_day, last - start)
        yield MarketPeriod(start=_EPOCH + start * resolution, resolution=resolution, count=count)
