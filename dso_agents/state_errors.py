"""The state of a network around an operating point: what a change of it does, and how far an estimate may be off.

The state s is the powers drawn where something is connected and the magnitude of the source's voltage. Before any
instrument it has the covariance S = diag(sigma^2) of what is expected. Instruments measure z = h(s) with A = dh/ds and
errors R = diag(sigma^2). With everything in units of its own sigma, B = R^-1/2 A S^1/2 and C = 1 + B B', the estimate
has (weighted least squares, what is expected being pseudo-measurements; A. Abur, A. Gomez Exposito, Power System State
Estimation, 2004, ch. 2 and 5)

    covariance of s                          S^1/2 (1 - B' C^-1 B) S^1/2
    covariance of z less its own estimate    R^1/2 C^-1 R^1/2
    next Gauss-Newton step                   x = B' C^-1 (r + B x),  x = S^-1/2 (s - expected), r = R^-1/2 (z - h(s))

A bus where nothing is connected is no unknown, so C is well conditioned.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal, Self

import numpy as np
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse.linalg import splu

from dso_agents.measured import Measured
from market.network import Grid, OperatingPoints
from market.network.model import BASE_VA, ComplexArray, FloatArray, IntArray

Kind = Literal["metered", "voltage", "flow"]
KINDS: Final[tuple[Kind, ...]] = ("metered", "voltage", "flow")


@dataclass(frozen=True, eq=False)
class StateErrors:
    """Standard deviations in one period.

    power : (terminal, 2) of what is drawn [W], [var]; 0 where nothing is connected. voltage_pu : (terminal,).
    current_a : (branch,) of the phase with the largest current, at the from end.
    """

    power: FloatArray
    voltage_pu: FloatArray
    current_a: FloatArray


@dataclass(frozen=True, eq=False)
class Around:
    """An operating point that periods are linearised around.

    drawn : (power, 2) terminal, and 0 for p or 1 for q. by_s : (terminal, s) derivatives of the voltages by the powers
    drawn [W], [var], and by the source's magnitude.
    """

    drawn: IntArray
    by_s: ComplexArray

    @classmethod
    def mean(cls, known: Measured, voltage: ComplexArray) -> Self:
        """The middle of (period, terminal) voltages.

        One point for all of them: how voltages answer to powers differs by a few percent within a band of voltages.
        """
        middle, drawn = voltage.mean(axis=0), np.argwhere(known.expected.known[0])
        return cls(drawn, _voltages_by_state(known.grid, middle, drawn))


@dataclass(frozen=True, eq=False)
class Linearised:
    """One period around voltages (terminal,) [pu].

    drawn : (power, 2) terminal, and 0 for p or 1 for q. scale : (s,) sigma of what is expected. by_s : (terminal, s)
    derivatives of the voltages by x, the state in units of `scale`. at : where in the arrays of `Measured` there is a
    measurement. b : (measurement, s), its rows in the order of KINDS.
    """

    grid: Grid
    voltage: ComplexArray
    drawn: IntArray
    scale: FloatArray
    by_s: ComplexArray
    at: dict[Kind, tuple[IntArray, ...]]
    sigma: FloatArray
    b: FloatArray

    @classmethod
    def of(cls, known: Measured, period: int, voltage: ComplexArray, around: Around) -> Self:
        """With what is known in a period, and derivatives of voltages at an operating point close to it."""
        grid, drawn = known.grid, around.drawn
        scale = np.append(known.expected.sigma[period][tuple(drawn.T)], known.source_pu)
        by_s = around.by_s * scale
        at: dict[Kind, tuple[IntArray, ...]] = {kind: getattr(known, kind).known[period].nonzero() for kind in KINDS}
        sigma = np.concatenate([getattr(known, kind).sigma[period][at[kind]] for kind in KINDS])
        rows = (
            _powers_by_state(grid, drawn, scale)[at["metered"]],
            _sizes_by_state(voltage, by_s)[at["voltage"]],
            _flows_by_state(grid, voltage, by_s, at["flow"]),
        )
        return cls(grid, voltage, drawn, scale, by_s, at, sigma, np.concatenate(rows) / sigma[:, None])

    def residual(self, known: Measured, period: int, values: Mapping[Kind, FloatArray]) -> FloatArray:
        """(measurement,) what is known in the period less its `measurable` values, in units of sigma."""
        off = [(getattr(known, kind).value - values[kind])[period][self.at[kind]] for kind in KINDS]
        in_sigma: FloatArray = np.concatenate(off) / self.sigma
        return in_sigma

    def step(self, residual: FloatArray, x: FloatArray) -> FloatArray:
        """(s,) next state. residual : (measurement,) z - h(s) in units of sigma at the present state x."""
        moved: FloatArray = self.b.T @ cho_solve(self._factor, residual + self.b @ x)
        return moved

    def normalised(self, residual: FloatArray) -> FloatArray:
        """(measurement,) residuals after one `step` from x = 0, over their own standard deviation."""
        over: FloatArray = cho_solve(self._factor, residual) / self.residual_sigma
        return over

    @cached_property
    def residual_sigma(self) -> FloatArray:
        """(measurement,) standard deviation of residuals at the estimate, in units of sigma."""
        sigma: FloatArray = np.sqrt(np.diag(cho_solve(self._factor, np.eye(len(self.b)))))
        return sigma

    def place(self, measurement: int) -> tuple[Kind, tuple[int, ...]]:
        """Kind and place of a measurement in `Measured`, with p and q of a power at one place."""
        for kind in KINDS:
            count = len(self.at[kind][0])
            if measurement < count:
                place = tuple(int(each[measurement]) for each in self.at[kind])
                return kind, place if kind == "voltage" else place[:-1]
            measurement -= count
        raise IndexError(measurement)

    def errors(self) -> StateErrors:
        """Of the estimate, where this is linearised around it."""
        told = self.b.T @ cho_solve(self._factor, self.b)

        def spread(by: FloatArray) -> FloatArray:
            flat = by.reshape(-1, by.shape[-1])
            variance = ((flat - flat @ told) * flat).sum(axis=1)
            sigma: FloatArray = np.sqrt(np.maximum(variance, 0.0)).reshape(by.shape[:-1])
            return sigma

        return StateErrors(
            power=spread(_powers_by_state(self.grid, self.drawn, self.scale)),
            voltage_pu=spread(_sizes_by_state(self.voltage, self.by_s)),
            current_a=spread(_currents_by_state(self.grid, self.voltage, self.by_s)),
        )

    @cached_property
    def _factor(self) -> Any:
        return cho_factor(np.eye(len(self.b)) + self.b @ self.b.T)


def measurable(grid: Grid, voltage: ComplexArray) -> dict[Kind, FloatArray]:
    """What every measurement would be at voltages (period, terminal), in the shapes of `Measured`."""
    nothing = np.zeros(voltage.shape)
    points = OperatingPoints(grid, voltage, nothing, nothing)
    ends = (grid.from_bus, points.current_from), (grid.to_bus, points.current_to)
    into = np.stack([voltage[:, grid.terminals_of(at)] * current.conj() for at, current in ends], axis=1)
    return {
        "metered": -_parts(points.injected),
        "voltage": np.abs(voltage),
        "flow": _parts(into) * (BASE_VA / grid.phases),
    }


def _parts(power: ComplexArray) -> FloatArray:
    return np.stack([power.real, power.imag], axis=-1)


def _voltages_by_state(grid: Grid, voltage: ComplexArray, drawn: IntArray) -> ComplexArray:
    """(terminal, s) derivatives of complex voltages [pu] by powers (terminal, 0 p or 1 q) [W, var], then the source's.

    Newton's Jacobian of S = V conj(Y V) by angles and magnitudes, factorised once for all columns.
    """
    free, source = grid.free_terminals, grid.source_terminals
    unit = voltage / np.abs(voltage)
    v, u, i = (sparse.diags_array(each, format="csc") for each in (voltage, unit, grid.admittance @ voltage))
    by_angle = (1j * v @ (i - grid.admittance @ v).conj()).tocsr()[free]
    by_size = (i.conj() @ u + v @ (grid.admittance @ u).conj()).tocsr()[free]
    at_free = by_angle[:, free], by_size[:, free]
    jacobian = sparse.block_array([[each.real for each in at_free], [each.imag for each in at_free]], format="csc")

    by_source = by_size[:, source].sum(axis=1)
    right = np.zeros((2 * len(free), len(drawn) + 1))
    right[np.searchsorted(free, drawn[:, 0]) + drawn[:, 1] * len(free), np.arange(len(drawn))] = -grid.phases / BASE_VA
    right[:, -1] = -np.concatenate([by_source.real, by_source.imag])
    angle, size = np.split(splu(jacobian).solve(right), 2)
    by_s = np.zeros((grid.terminals, len(drawn) + 1), dtype=np.complex128)
    by_s[free] = 1j * voltage[free, None] * angle + unit[free, None] * size
    by_s[source, -1] = unit[source]
    return by_s


def _powers_by_state(grid: Grid, drawn: IntArray, scale: FloatArray) -> FloatArray:
    """(terminal, 2, s) of what is drawn [W], [var]."""
    by = np.zeros((grid.terminals, 2, len(scale)))
    by[drawn[:, 0], drawn[:, 1], np.arange(len(drawn))] = scale[:-1]
    return by


def _sizes_by_state(voltage: ComplexArray, by_s: ComplexArray) -> FloatArray:
    """(terminal, s) of voltage magnitudes [pu]."""
    by: FloatArray = ((voltage.conj() / np.abs(voltage))[:, None] * by_s).real
    return by


def _flows_by_state(grid: Grid, voltage: ComplexArray, by_s: ComplexArray, at: tuple[IntArray, ...]) -> FloatArray:
    """(flow, s) of powers into branches [W], [var], each at (end, branch, phase, 0 p or 1 q)."""
    found = np.zeros((len(at[0]), by_s.shape[1]))
    for row, (end, branch, phase, part) in enumerate(zip(*at, strict=True)):
        here = grid.terminals_of((grid.from_bus, grid.to_bus)[end][branch])[phase]
        current, current_by_s = _branch_current(grid, voltage, by_s, int(end), branch)
        flow = by_s[here] * current[phase].conj() + voltage[here] * current_by_s[phase].conj()
        found[row] = (flow.imag if part else flow.real) * (BASE_VA / grid.phases)
    return found


def _currents_by_state(grid: Grid, voltage: ComplexArray, by_s: ComplexArray) -> FloatArray:
    """(branch, s) of the largest phase current at the from end [A]."""
    current, current_by_s = _branch_current(grid, voltage, by_s, 0, np.arange(grid.branches))
    largest = np.abs(current).argmax(axis=1)[:, None]
    most = np.take_along_axis(current, largest, axis=1)[:, 0]
    by = np.take_along_axis(current_by_s, largest[..., None], axis=1)[:, 0]
    along = np.divide(most.conj(), np.abs(most), out=np.zeros_like(most), where=most != 0)
    amps: FloatArray = (along[:, None] * by).real * grid.amps_from[:, None]
    return amps


def _branch_current(
    grid: Grid, voltage: ComplexArray, by_s: ComplexArray, end: int, branch: IntArray
) -> tuple[ComplexArray, ComplexArray]:
    """(..., phase) current into branches at one end [pu], and (..., phase, s) its derivatives."""
    at_from, at_to = grid.terminals_of(grid.from_bus[branch]), grid.terminals_of(grid.to_bus[branch])
    y_from, y_to = ((grid.y_ff, grid.y_ft), (grid.y_tf, grid.y_tt))[end]
    y_from, y_to = y_from[branch], y_to[branch]
    current = np.einsum("...ij,...j->...i", y_from, voltage[at_from]) + np.einsum(
        "...ij,...j->...i", y_to, voltage[at_to]
    )
    return current, y_from @ by_s[at_from] + y_to @ by_s[at_to]
