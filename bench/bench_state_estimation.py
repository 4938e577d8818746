"""State estimation: one day of a metered network, with errors of every result, and a bad reading at every tenth meter.

Loads stray from what is expected by a third; every other customer has a meter of class 1, and the first transformer is
measured with class 0.5. Compared with the estimate that knows what is expected alone.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np

from api_spec.period import MarketPeriod
from bench.measuring import Options, Row, best_of, progress
from dso_agents.measured import Expectation, Measured, nothing_measured
from dso_agents.state_errors import measurable
from dso_agents.state_estimation import estimate
from market.network import Grid, OperatingPoints, operating_points
from market.network.feeders import feeder

DAY = MarketPeriod(start=datetime(2026, 1, 14, 23, tzinfo=UTC), resolution=timedelta(minutes=15), count=96)
_CLASS_1 = 0.01 / 3


def run(options: Options) -> Iterator[Row]:
    feeders = ("risoe", "simbench-lv-rural1", "risoe-three-phase", "european-lv")
    for name in feeders[:2] if options.quick else feeders:
        progress(f"state estimation: {name}")
        known, truth, bad = metered(name)
        seconds, found = best_of(lambda: estimate(known))  # noqa: B023 - called at once
        alone = estimate(nothing_measured(known.grid, feeder(name).injections(DAY), DAY.count, Expectation()))
        drawn = known.expected.known[0, :, 0]
        yield {
            "network": name,
            "terminals": str(known.grid.terminals),
            "loads": str(int(drawn.sum())),
            "periods": str(DAY.count),
            "seconds": str(seconds),
            "error of a load W": f"{_error(found.points, truth, drawn):.0f}",
            "without instruments W": f"{_error(alone.points, truth, drawn):.0f}",
            "bad readings": str(bad),
            "removed": str(len(found.removed)),
        }


def metered(name: str) -> tuple[Measured, OperatingPoints, int]:
    """What is known of a feeder's day, what is true, and how many readings are bad."""
    own, rng = feeder(name), np.random.default_rng(7)
    grid, injections = Grid.of(own.network), own.injections(DAY)
    p_w, q_var = grid.consumption(injections, DAY.count)
    factor = rng.lognormal(-0.05, 0.33, p_w.shape)
    truth = operating_points(grid, p_w * factor, q_var * factor)
    known = nothing_measured(grid, injections, DAY.count, Expectation())
    values = measurable(grid, truth.voltage)
    meters = np.flatnonzero(known.expected.known[0, :, 0])[::2]
    real = values["metered"][:, meters]
    sigma = np.maximum(_CLASS_1 * np.abs(real), 1.0)
    known.metered.value[:, meters] = real + sigma * rng.standard_normal(real.shape)
    known.metered.sigma[:, meters] = sigma
    station = int(np.flatnonzero(~grid.is_line)[0])
    flow = values["flow"][:, 1, station]
    sigma = np.maximum(_CLASS_1 / 2 * np.abs(flow), 5.0)
    known.flow.value[:, 1, station] = flow + sigma * rng.standard_normal(flow.shape)
    known.flow.sigma[:, 1, station] = sigma
    wrong = meters[::10]
    for at in wrong:
        known.metered.value[rng.integers(DAY.count), at] += 12_000
    return known, truth, len(wrong)


def _error(found: OperatingPoints, truth: OperatingPoints, drawn: np.ndarray) -> float:
    return float(np.sqrt(np.mean((found.p_w - truth.p_w)[:, drawn] ** 2)))
