"""The AC operating point of a network in every period: power-grid-model solves, the admittance matrix reads it out."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from power_grid_model import (
    CalculationMethod,
    ComponentType,
    DatasetType,
    LoadGenType,
    PowerGridModel,
    WindingType,
    initialize_array,
)
from power_grid_model.errors import PowerGridBatchError, PowerGridError  # type: ignore[attr-defined]

from api_spec import grid as wire
from market.errors import PowerFlowDiverged
from market.network.model import BASE_VA, ComplexArray, FloatArray, Grid, positive_sequence_ohm

_FREQUENCY_HZ: Final = 50.0
_STIFF_VA: Final = 1e20  # short-circuit power that makes power-grid-model's source an ideal one
_TOLERANCE: Final = 1e-11
_ITERATIONS: Final = 40


@dataclass(frozen=True, eq=False)
class OperatingPoints:
    """Voltages of all buses in every period, and what follows from them.

    voltage : (period, bus) complex [pu]. p_w, q_var : (period, bus) consumption that was asked for.
    """

    grid: Grid
    voltage: ComplexArray
    p_w: FloatArray
    q_var: FloatArray

    @cached_property
    def voltage_pu(self) -> FloatArray:
        """(period, bus) voltage magnitude [pu]."""
        return np.abs(self.voltage)

    @cached_property
    def current_from(self) -> ComplexArray:
        """(period, branch) current into each branch at its from end [pu]."""
        grid, v = self.grid, self.voltage
        current: ComplexArray = grid.y_ff * v[:, grid.from_bus] + grid.y_ft * v[:, grid.to_bus]
        return current

    @cached_property
    def current_to(self) -> ComplexArray:
        """(period, branch) current into each branch at its to end [pu]."""
        grid, v = self.grid, self.voltage
        current: ComplexArray = grid.y_tf * v[:, grid.from_bus] + grid.y_tt * v[:, grid.to_bus]
        return current

    @cached_property
    def power_from(self) -> ComplexArray:
        """(period, branch) complex power into each branch at its from end [VA]."""
        power: ComplexArray = self.voltage[:, self.grid.from_bus] * self.current_from.conj() * BASE_VA
        return power

    @cached_property
    def current_a(self) -> FloatArray:
        """(period, branch) current held against ratings [A]: larger end of lines, from side of transformers."""
        grid = self.grid
        at_from: FloatArray = np.abs(self.current_from) * grid.amps_from
        at_to: FloatArray = np.abs(self.current_to) * grid.amps_to
        return np.where(grid.is_line, np.maximum(at_from, at_to), at_from)

    @cached_property
    def loading(self) -> FloatArray:
        """(period, branch) current relative to the rating; nan without one."""
        relative: FloatArray = self.current_a / self.grid.rating_a
        return relative

    @cached_property
    def injected(self) -> ComplexArray:
        """(period, bus) complex power that enters the network at each bus according to our admittance matrix [VA]."""
        power: ComplexArray = self.voltage * (self.grid.admittance @ self.voltage.T).T.conj() * BASE_VA
        return power

    @cached_property
    def source_w(self) -> FloatArray:
        """(period,) active power drawn from the source [W]."""
        power: FloatArray = self.injected[:, self.grid.source].real + self.p_w[:, self.grid.source]
        return power

    @cached_property
    def losses_w(self) -> FloatArray:
        """(period,) active losses of lines and transformers [W]."""
        losses: FloatArray = self.source_w - self.p_w.sum(axis=1)
        return losses

    @cached_property
    def mismatch_w(self) -> float:
        """Worst difference between what a bus should draw and what our admittance matrix says it does [W or var]."""
        difference = self.injected + self.p_w + 1j * self.q_var
        others = np.arange(self.grid.buses) != self.grid.source
        apart = np.concatenate([difference[:, others].real, difference[:, others].imag])
        return float(np.abs(apart).max(initial=0.0))


def operating_points(grid: Grid, p_w: FloatArray, q_var: FloatArray) -> OperatingPoints:
    """AC power flow of every period in one batch (Newton-Raphson of power-grid-model).

    p_w, q_var : (period, bus) constant-power consumption [W], [var], consumption positive.
    Raises PowerFlowDiverged with the first period that has no solution.
    """
    return PowerFlow(grid).solve(p_w, q_var)


class PowerFlow:
    """power-grid-model's view of one grid, built once and solved for many dispatches."""

    def __init__(self, grid: Grid) -> None:
        """Build the model."""
        self._grid = grid
        self._model = PowerGridModel(_input_of(grid), system_frequency=_FREQUENCY_HZ)

    def solve(self, p_w: FloatArray, q_var: FloatArray) -> OperatingPoints:
        """Operating points for (period, bus) consumption; see `operating_points`."""
        loads = initialize_array(DatasetType.update, ComponentType.sym_load, p_w.shape)
        loads["id"] = _load_ids(self._grid)
        loads["p_specified"] = p_w
        loads["q_specified"] = q_var
        try:
            answer = self._model.calculate_power_flow(
                update_data={ComponentType.sym_load: loads},
                calculation_method=CalculationMethod.newton_raphson,
                error_tolerance=_TOLERANCE,
                max_iterations=_ITERATIONS,
                output_component_types={ComponentType.node: ["u_pu", "u_angle"]},
            )
        except PowerGridBatchError as failure:
            raise PowerFlowDiverged(int(failure.failed_scenarios[0])) from failure
        except PowerGridError as failure:
            raise PowerFlowDiverged(0) from failure
        nodes = answer[ComponentType.node]
        voltage = nodes["u_pu"] * np.exp(1j * nodes["u_angle"])
        return OperatingPoints(self._grid, voltage, p_w, q_var)


def _load_ids(grid: Grid) -> range:
    return range(grid.buses + grid.branches, 2 * grid.buses + grid.branches)


def _input_of(grid: Grid) -> dict[ComponentType, np.ndarray[tuple[int, ...], np.dtype[np.void]]]:
    """The grid in power-grid-model's own terms, from the wire form rather than from our admittances.

    In the order of ids, so that the same network written in another order gives the same bits.
    """
    position = grid.bus_at
    nodes = initialize_array(DatasetType.input, ComponentType.node, grid.buses)
    nodes["id"] = range(grid.buses)
    nodes["u_rated"] = grid.nominal_v
    source = initialize_array(DatasetType.input, ComponentType.source, 1)
    source["id"] = 2 * grid.buses + grid.branches
    source["node"] = grid.source
    source["status"] = 1
    source["u_ref"] = grid.source_pu
    source["sk"] = _STIFF_VA
    loads = initialize_array(DatasetType.input, ComponentType.sym_load, grid.buses)
    loads["id"] = _load_ids(grid)
    loads["node"] = range(grid.buses)
    loads["status"] = 1
    loads["type"] = LoadGenType.const_power
    loads["p_specified"] = 0.0
    loads["q_specified"] = 0.0
    branch = {name: grid.buses + at for name, at in grid.branch_at.items()}
    lines = initialize_array(DatasetType.input, ComponentType.line, len(grid.network.lines))
    for row, line in zip(lines, sorted(grid.network.lines, key=_by_id), strict=True):
        impedance = positive_sequence_ohm(line)
        row["id"], row["from_node"], row["to_node"] = (branch[line.id], position[line.from_bus], position[line.to_bus])
        row["from_status"] = row["to_status"] = 1
        row["r1"], row["x1"] = impedance.real, impedance.imag
        row["c1"], row["tan1"] = line.b_s / (2 * np.pi * _FREQUENCY_HZ), 0.0
    transformers = initialize_array(DatasetType.input, ComponentType.transformer, len(grid.network.transformers))
    for row, transformer in zip(transformers, sorted(grid.network.transformers, key=_by_id), strict=True):
        _fill_transformer(row, transformer, grid)
        row["id"] = branch[transformer.id]
    return {
        ComponentType.node: nodes,
        ComponentType.line: lines,
        ComponentType.transformer: transformers,
        ComponentType.source: source,
        ComponentType.sym_load: loads,
    }


def _by_id(element: wire.Element) -> str:
    return element.id


def _fill_transformer(row: np.void, transformer: wire.Transformer, grid: Grid) -> None:
    start, end = grid.bus_at[transformer.from_bus], grid.bus_at[transformer.to_bus]
    row["from_node"], row["to_node"] = start, end
    row["from_status"] = row["to_status"] = 1
    row["u1"], row["u2"] = (grid.nominal_v[start] * transformer.tap_ratio, grid.nominal_v[end])
    row["sn"] = transformer.rated_va
    row["uk"], row["pk"] = (transformer.vk_percent / 100, transformer.vkr_percent / 100 * transformer.rated_va)
    row["i0"], row["p0"] = transformer.i0_percent / 100, transformer.pfe_w
    # Balanced: only magnitudes count, so the vector group's angle is left out.
    row["winding_from"] = row["winding_to"] = WindingType.wye_n
    row["clock"] = 0
    row["tap_side"] = row["tap_pos"] = row["tap_nom"] = row["tap_min"] = row["tap_max"] = 0
    row["tap_size"] = 0.0
