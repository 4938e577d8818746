"""After the fact: were quantiles exceeded as often as they say, and limits left no more often than was accepted? Pure.

    pinball loss of quantile q at level l     mean of max(l (y - q), (l - 1) (y - q))      (Koenker and Bassett 1978)
    coverage of a band                        share of values within it

What the market would have done is taken as ideal: where the expected current of an element was above its limit, it was
lowered to it, and what happened is lower by as much.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np

from api_spec.period import MarketPeriod
from dso_agents.deciding import Decision, Knowledge, Policy, decide, profile_of
from dso_agents.likely import Flows
from dso_agents.load_scenarios import LoadScenarios, quantile
from dso_agents.own_load import Connected
from market.network.model import BoolArray, FloatArray

LEVELS: Final = (0.05, 0.5, 0.95)


def pinball_loss(actual: FloatArray, forecast: FloatArray, level: float) -> float:
    """Mean over all values that are known; the lower the better, least for the true quantile."""
    error = actual - forecast
    return float(np.nanmean(np.maximum(level * error, (level - 1) * error)))


def coverage(actual: FloatArray, low: FloatArray, high: FloatArray) -> float:
    """Share of the values that are known which lie between low and high."""
    known = ~np.isnan(actual)
    return float(((actual >= low) & (actual <= high))[known].mean())


@dataclass(frozen=True)
class Backtest:
    """How a forecast did on days that are over.

    days : that had readings. bus_coverage, total_coverage : of the band from 5 to 95 %, of each bus and of all of them.
    pinball_w, profile_pinball_w : mean loss at 5, 50 and 95 %, of the forecast and of the known profile in its place
    [W]. asked : periods of elements that the market was asked to keep. accepted : mean probability accepted of them.
    violated, violated_without : share of them above the rating, with the ideal market and without.
    """

    days: int
    bus_coverage: float
    total_coverage: float
    pinball_w: float
    profile_pinball_w: float
    asked: int
    accepted: float
    violated: float
    violated_without: float


def backtest(known: Knowledge, policy: Policy, days: Iterable[MarketPeriod], *, ahead: timedelta) -> Backtest | None:
    """Forecast every day from what was known `ahead` of its start, and compare; None where no day has readings."""
    forecasts, asked = list[FloatArray](), list[FloatArray]()
    for period in days:
        decision = decide(known, policy, period, now=period.start - ahead, with_chargers=True)
        metered = decision.day.load.known_days > 0
        actual_w = known.history.power_w(known.grid.bus_ids, period)
        if decision.learnt and not np.isnan(actual_w[:, metered]).all():
            connected = Connected.of(known.grid, profile_of(known, policy, period), period.count)
            forecasts.append(_of_load(decision.day.load, actual_w, connected.profile_w, metered))
            asked.append(_of_currents(decision, actual_w, connected))
    if not forecasts:
        return None
    bus, total, loss, of_profile = np.mean(forecasts, axis=0).tolist()
    rows = np.concatenate(asked)
    accepted, violated, without = rows.mean(axis=0).tolist() if len(rows) else (0.0, 0.0, 0.0)
    return Backtest(len(forecasts), bus, total, loss, of_profile, len(rows), accepted, violated, without)


def _of_load(load: LoadScenarios, actual_w: FloatArray, profile_w: FloatArray, metered: BoolArray) -> FloatArray:
    """(4,) coverage of each bus and of all, pinball loss of the forecast and of the profile, at buses with meters."""
    actual, told = actual_w[:, metered], profile_w[:, metered]
    bands = [load.quantile_w(level)[:, metered] for level in LEVELS]
    total = [quantile(load.p_w[:, :, metered].sum(axis=2), level) for level in LEVELS]
    losses = [pinball_loss(actual, band, level) for band, level in zip(bands, LEVELS, strict=True)]
    of_profile = [pinball_loss(actual, told, level) for level in LEVELS]
    covered = (coverage(actual, bands[0], bands[-1]), coverage(actual.sum(axis=1), total[0], total[-1]))
    return np.array([*covered, np.mean(losses), np.mean(of_profile)])


def _of_currents(decision: Decision, actual_w: FloatArray, connected: Connected) -> FloatArray:
    """(asked, 3) what was accepted, and whether the rating was exceeded with the ideal market and without."""
    # Where a meter was silent, what was expected is the best there is.
    p_w, q_var = connected.at_terminals(np.where(np.isnan(actual_w), decision.day.load.expected_w, actual_w))
    happened = Flows.of(connected.grid, p_w[None], q_var[None]).current_a[0]
    rows: list[tuple[float, float, float]] = []
    for overload in decision.found.overloads:
        accepted = 0.0 if overload.chance is None else overload.chance.accepted
        for at in np.flatnonzero(overload.affected):
            current_a = happened[at, connected.grid.branch_at[overload.element]]
            bought_a = overload.current_a[at] - overload.limit_a[at]
            rows.append((accepted, current_a - bought_a > overload.rating_a, current_a > overload.rating_a))
    return np.array(rows, dtype=np.float64).reshape(-1, 3)
