"""The most likely state for given measurements: power-grid-model's estimator, or least squares on its power flow. Pure.

min over V of sum ((z - h(V)) / sigma)^2 over all that is measured and expected.
"""

from collections.abc import Sequence
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt
from power_grid_model import (
    CalculationMethod,
    ComponentType,
    DatasetType,
    MeasuredTerminalType,
    PowerGridModel,
    initialize_array,
)

from dso_agents.measured import Measured, Valued
from dso_agents.state_errors import Around, Linearised, measurable
from market.errors import PowerFlowDiverged
from market.network import Grid
from market.network.model import ComplexArray, FloatArray, IntArray
from market.network.operating_point import FREQUENCY_HZ, Components, PowerFlow, load_ids, power_grid_input

_TOLERANCE: Final = 1e-11
_ITERATIONS: Final = 40
_UNKNOWN_VA: Final = 1e6  # sigma of the half of a power that is not known
_STEPS: Final = 20
_STILL: Final = 1e-5  # a state that moves by less of its sigma has arrived
_CLOSE: Final = 1e-2


class NoEstimate(ValueError):
    """The measurements of a period fit no state of the network: the solver did not converge."""

    def __init__(self, period: int) -> None:
        """Say which one, by its number."""
        super().__init__(f"the measurements of period {period} fit no state of the network")
        self.period = period


class Solver(Protocol):
    """Estimates many periods of one grid with the same places of measurement."""

    def voltage(self, known: Measured) -> ComplexArray:
        """(period, terminal) most likely voltages [pu]; NoEstimate names a period without."""
        ...


def solver(known: Measured) -> Solver:
    """For what is known, and anything less at the same places."""
    return BalancedEstimator(known) if known.grid.phases == 1 else LeastSquares(known.grid)


class LeastSquares:
    """Gauss-Newton steps on the powers that are drawn; power-grid-model's power flow is the model.

    For three-phase networks, where power-grid-model's own estimator fails as soon as a phase is not metered, and for
    what it fails at on balanced ones.
    """

    def __init__(self, grid: Grid) -> None:
        """Build the power flow."""
        self._grid = grid
        self._flow = PowerFlow(grid)

    def voltage(self, known: Measured) -> ComplexArray:
        """See `Solver`. Derivatives are those at the middle of all periods until close, then each has its own."""
        x = np.zeros((known.count, int(known.expected.known[0].sum()) + 1))
        voltage = self._at(known, x)
        x, voltage, _ = self._stepped(known, x, voltage, [Around.mean(known, voltage)] * known.count, until=_CLOSE)
        own = [Around.mean(known, voltage[[at]]) for at in range(known.count)]
        x, voltage, moved = self._stepped(known, x, voltage, own, until=_STILL)
        if moved.max() >= _STILL:
            raise NoEstimate(int(moved.argmax()))
        return voltage

    def _stepped(
        self, known: Measured, x: FloatArray, voltage: ComplexArray, around: Sequence[Around], *, until: float
    ) -> tuple[FloatArray, ComplexArray, FloatArray]:
        """States and voltages after steps until none moves by more, and (period,) by how much the last step did."""
        here = [Linearised.of(known, at, voltage[at], own) for at, own in enumerate(around)]
        for _ in range(_STEPS):
            values = measurable(self._grid, voltage)
            stepped = np.stack([each.step(each.residual(known, at, values), x[at]) for at, each in enumerate(here)])
            moved = np.abs(stepped - x).max(axis=1)
            x, voltage = stepped, self._at(known, stepped)
            if moved.max() < until:
                break
        return x, voltage, moved

    def expected(self, known: Measured) -> ComplexArray:
        """(period, terminal) voltages of what is expected alone [pu]; NoEstimate where there are none."""
        return self._at(known, np.zeros((known.count, int(known.expected.known[0].sum()) + 1)))

    def _at(self, known: Measured, x: FloatArray) -> ComplexArray:
        """Voltages at (period, s) states, what differs from what is expected in units of its sigma."""
        connected = known.expected.known
        power = np.where(connected, known.expected.value, 0.0)
        power[connected] += known.expected.sigma[connected] * x[:, :-1].ravel()
        source_pu = self._grid.source_pu + known.source_pu * x[:, -1]
        try:
            return self._flow.solve(power[..., 0], power[..., 1], source_pu=source_pu).voltage
        except PowerFlowDiverged as failure:
            raise NoEstimate(failure.period) from failure


class BalancedEstimator:
    """power-grid-model's own estimator on a balanced network with its instruments, built once for many periods."""

    def __init__(self, known: Measured) -> None:
        """Build the model with an instrument wherever `known` has a value in any period."""
        grid = self._grid = known.grid
        self._otherwise = LeastSquares(grid)
        self._connected = _anywhere(known.expected.known)
        self._flows = np.argwhere(known.flow.known.any(axis=(0, 3, 4)))
        self._at_voltage = _anywhere(known.voltage.known[..., None])
        parts = power_grid_input(grid, ComponentType.sym_load)
        # Where nothing is connected power-grid-model takes the injection for exactly zero.
        parts[ComponentType.sym_load]["status"] = np.isin(np.arange(grid.buses), self._connected)
        powers, volts = (each[0] for each in self._instruments(DatasetType.input, known.periods(np.array([0]))))
        end, branch = self._flows.T
        powers["measured_object"] = np.concatenate([load_ids(grid)[0] + self._connected, grid.buses + branch])
        at_ends = np.where(end == 1, MeasuredTerminalType.branch_to, MeasuredTerminalType.branch_from)
        at_loads = np.full(len(self._connected), MeasuredTerminalType.load)
        powers["measured_terminal_type"] = np.concatenate([at_loads, at_ends])
        volts["measured_object"] = np.append(self._at_voltage, grid.source)
        parts |= {ComponentType.sym_power_sensor: powers, ComponentType.sym_voltage_sensor: volts}
        self._model = PowerGridModel(parts, system_frequency=FREQUENCY_HZ)

    def voltage(self, known: Measured) -> ComplexArray:
        """See `Solver`. Where power-grid-model's Newton-Raphson fails, least squares on its power flow."""
        powers, volts = self._instruments(DatasetType.update, known)
        answer = self._model.calculate_state_estimation(
            update_data={ComponentType.sym_power_sensor: powers, ComponentType.sym_voltage_sensor: volts},
            # Its linear iteration gives P and Q of a measurement one weight, which is not what is asked for.
            calculation_method=CalculationMethod.newton_raphson,
            error_tolerance=_TOLERANCE,
            max_iterations=_ITERATIONS,
            output_component_types={ComponentType.node: ["u_pu", "u_angle"]},
            continue_on_batch_error=True,
        )
        nodes, errors = answer[ComponentType.node], self._model.batch_error
        failed = np.asarray(errors.failed_scenarios if errors else [], dtype=np.intp)
        found = np.setdiff1d(np.arange(known.count), failed)
        voltage = np.empty((known.count, self._grid.terminals), dtype=np.complex128)
        voltage[found] = nodes["u_pu"][found] * np.exp(1j * nodes["u_angle"][found])
        if len(failed):
            try:
                voltage[failed] = self._otherwise.voltage(known.periods(failed))
            except NoEstimate as failure:
                raise NoEstimate(int(failed[failure.period])) from failure
        return voltage

    def _instruments(self, dataset: DatasetType, known: Measured) -> tuple[Components, Components]:
        """Values of all instruments : (period, instrument), for power and for voltage (the source's the last)."""
        grid, count = self._grid, known.count
        end, branch = self._flows.T
        value, sigma = _together(known.expected.at(self._connected), known.metered.at(self._connected))
        value = np.concatenate([value, known.flow.value[:, end, branch, 0]], axis=1)
        sigma = np.concatenate([sigma, known.flow.sigma[:, end, branch, 0]], axis=1)
        powers = initialize_array(dataset, ComponentType.sym_power_sensor, (count, value.shape[1]))
        first = 2 * grid.buses + grid.branches + 1
        powers["id"] = first + np.arange(value.shape[1])
        for index, letter in enumerate("pq"):
            powers[f"{letter}_measured"] = value[..., index]
            powers[f"{letter}_sigma"] = np.minimum(sigma[..., index], _UNKNOWN_VA)

        volts = initialize_array(dataset, ComponentType.sym_voltage_sensor, (count, len(self._at_voltage) + 1))
        volts["id"] = first + value.shape[1] + np.arange(volts.shape[1])
        nominal_v = grid.nominal_v[np.append(self._at_voltage, grid.source)]
        own_pu, own_sigma = np.full((count, 1), grid.source_pu), np.full((count, 1), known.source_pu)
        volts["u_measured"] = nominal_v * np.hstack([known.voltage.value[:, self._at_voltage], own_pu])
        volts["u_sigma"] = nominal_v * np.hstack([known.voltage.sigma[:, self._at_voltage], own_sigma])
        return powers, volts


def _together(one: Valued, other: Valued) -> tuple[FloatArray, FloatArray]:
    """What two independent measurements of the same say together, and its sigma; one of them is always known."""
    weights = one.sigma**-2, other.sigma**-2
    both = weights[0] + weights[1]
    return (weights[0] * one.value + weights[1] * other.value) / both, both**-0.5


def _anywhere(known: npt.NDArray[np.bool_]) -> IntArray:
    """Buses where (period, bus, ...) is known in any period."""
    return np.flatnonzero(known.any(axis=(0, 2)))
