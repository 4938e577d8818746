"""The state of a network from what is measured of it: weighted least squares, bad readings removed. Pure.

A measurement z whose normalised residual (z - h) / sqrt(Omega) is the largest of its period and beyond a threshold is
removed, and the period estimated again (A. Abur, A. Gomez Exposito, Power System State Estimation, 2004, ch. 5.7).
h : its own estimate. Omega : variance of z - h, as in dso_agents.state_errors.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Self

import numpy as np
from scipy.stats import chi2
from threadpoolctl import threadpool_limits

from dso_agents.measured import Measured, Valued
from dso_agents.state_errors import KINDS, Around, Kind, Linearised, StateErrors, measurable
from dso_agents.state_solvers import LeastSquares, NoEstimate, Solver, solver
from market.network import OperatingPoints
from market.network.model import BoolArray, ComplexArray, FloatArray, IntArray

_HOPELESS: Final = 100.0  # normalised residual that no iteration needs to confirm


class Removed(NamedTuple):
    """A measurement that was taken for bad.

    place : its position in that array of `Measured`, without the period, and without p or q. residual : normalised.
    """

    period: int
    kind: Kind
    place: tuple[int, ...]
    residual: float


@dataclass(frozen=True, eq=False)
class Estimate:
    """The most likely state in every period.

    used : what it was estimated from, without what was removed. points : voltages and the powers drawn. errors : one of
    each period. objective : (period,) the weighted sum of squares. freedom : (period,) measurements beyond what is
    needed, the mean of `objective` where all errors are as they are said to be.
    """

    used: Measured
    points: OperatingPoints
    errors: tuple[StateErrors, ...]
    objective: FloatArray
    freedom: IntArray
    removed: tuple[Removed, ...]

    @property
    def probability(self) -> FloatArray:
        """(period,) of an objective as large or larger by chance (chi-square test); small where something is wrong."""
        likely: FloatArray = chi2.sf(self.objective, np.maximum(self.freedom, 1))
        return likely

    @property
    def power_w(self) -> FloatArray:
        """(period, bus) drawn by everything that is connected there [W]."""
        by_bus: FloatArray = self.points.p_w.reshape(len(self.points.p_w), -1, self.used.grid.phases).sum(axis=2)
        return by_bus

    @property
    def power_sigma_w(self) -> FloatArray:
        """(period, bus) standard deviation of `power_w`, phases taken as independent [W]."""
        power = np.stack([each.power[:, 0] for each in self.errors])
        by_bus: FloatArray = np.sqrt((power**2).reshape(len(power), -1, self.used.grid.phases).sum(axis=2))
        return by_bus

    @property
    def voltage_sigma_pu(self) -> FloatArray:
        """(period, terminal) standard deviation of the voltage magnitude [pu]."""
        return np.stack([each.voltage_pu for each in self.errors])

    @property
    def current_sigma_a(self) -> FloatArray:
        """(period, branch) standard deviation of the current at the from end [A]."""
        return np.stack([each.current_a for each in self.errors])

    @property
    def observed(self) -> BoolArray:
        """(period, bus) where instruments at least halve the sigma of the power; so is a bus without anything."""
        grid = self.used.grid
        expected = self.used.expected.sigma[..., 0]
        before = np.where(np.isfinite(expected), expected, 0.0).reshape(len(expected), grid.buses, -1)
        observed: BoolArray = 2 * self.power_sigma_w <= np.sqrt((before**2).sum(axis=2))
        return observed


def estimate(known: Measured, *, threshold: float = 4.0) -> Estimate:
    """The state of every period, without measurements whose normalised residual exceeds the threshold.

    NoEstimate where there is none.
    """
    # The matrices are small: threads would wait for each other ten times as long as they work.
    with threadpool_limits(1, user_api="blas"):
        return _estimate(known, threshold)


def _estimate(known: Measured, threshold: float) -> Estimate:
    used = replace(known, **{kind: getattr(known, kind).copy() for kind in KINDS})
    start = _Start.of(used)
    removed = start.hopeless(used, max(threshold, _HOPELESS))
    solving = solver(used)
    voltage = np.zeros(used.voltage.value.shape, dtype=np.complex128)
    errors = dict[int, StateErrors]()
    doubtful = np.arange(used.count)
    while len(doubtful):
        voltage[doubtful] = _solved(solving, start, used, doubtful, removed)
        around, values = Around.mean(used, voltage), measurable(used.grid, voltage)
        bad = list[Removed]()
        for period in doubtful.tolist():
            here = Linearised.of(used, period, voltage[period], around)
            errors[period] = here.errors()
            normalised = np.abs(here.residual(used, period, values)) / here.residual_sigma
            if normalised.max(initial=0.0) > threshold:
                bad.append(_removed(used, here, period, normalised))
        removed += bad
        doubtful = np.array([each.period for each in bad], dtype=np.intp)
    return _result(used, voltage, tuple(errors[period] for period in range(used.count)), tuple(removed))


@dataclass(frozen=True, eq=False)
class _Start:
    """What is expected alone. voltage : (period, terminal). values : what every measurement would be."""

    voltage: ComplexArray
    around: Around
    values: Mapping[Kind, FloatArray]

    @classmethod
    def of(cls, known: Measured) -> Self:
        """NoEstimate where the network cannot carry what is expected."""
        voltage = LeastSquares(known.grid).expected(known)
        return cls(voltage, Around.mean(known, voltage), measurable(known.grid, voltage))

    def normalised(self, used: Measured, period: int) -> tuple[Linearised, FloatArray]:
        """(measurement,) residuals after one step from here, over their own standard deviation."""
        here = Linearised.of(used, period, self.voltage[period], self.around)
        return here, np.abs(here.normalised(here.residual(used, period, self.values)))

    def hopeless(self, used: Measured, threshold: float) -> list[Removed]:
        """Remove what is so far off that no iteration would settle."""
        removed = list[Removed]()
        for period in range(used.count):
            here, normalised = self.normalised(used, period)
            while normalised.max(initial=0.0) > threshold:
                removed.append(_removed(used, here, period, normalised))
                here, normalised = self.normalised(used, period)
        return removed


def _solved(solving: Solver, start: _Start, used: Measured, periods: IntArray, removed: list[Removed]) -> ComplexArray:
    """Voltages of some periods; where there are none, without what fits worst to what is expected."""
    while True:
        try:
            return solving.voltage(used.periods(periods))
        except NoEstimate as failure:
            period = int(periods[failure.period])
            here, normalised = start.normalised(used, period)
            if not normalised.size:
                raise
            removed.append(_removed(used, here, period, normalised))


def _removed(used: Measured, around: Linearised, period: int, normalised: FloatArray) -> Removed:
    """The measurement with the largest residual, which is used no more.

    A voltage goes with those of the other phases, which are known together or not at all; a power with p and q.
    """
    kind, place = around.place(int(normalised.argmax()))
    at: tuple[int | slice, ...] = place
    if kind == "voltage":
        first = place[0] // used.grid.phases * used.grid.phases
        at = (slice(first, first + used.grid.phases),)
    getattr(used, kind).sigma[(period, *at)] = np.inf
    return Removed(period, kind, place, float(normalised.max()))


def _result(
    used: Measured, voltage: ComplexArray, errors: tuple[StateErrors, ...], removed: tuple[Removed, ...]
) -> Estimate:
    grid, values = used.grid, measurable(used.grid, voltage)
    drawn = np.where(used.expected.known, values["metered"], 0.0)
    pairs = [(getattr(used, kind), values[kind]) for kind in KINDS]
    source = (np.abs(voltage[:, grid.source_terminals[0]]) - grid.source_pu) / used.source_pu
    objective = source**2 + sum(_squares(known, value) for known, value in [*pairs, (used.expected, values["metered"])])
    freedom = np.sum([known.known.reshape(used.count, -1).sum(axis=1) for known, _ in pairs], axis=0)
    points = OperatingPoints(grid, voltage, drawn[..., 0], drawn[..., 1])
    return Estimate(used, points, errors, objective, freedom, removed)


def _squares(known: Valued, estimated: FloatArray) -> FloatArray:
    """(period,) sum of squares of residuals over their sigma."""
    residuals = (known.value - estimated) / known.sigma
    squares: FloatArray = (residuals.reshape(len(estimated), -1) ** 2).sum(axis=1)
    return squares
